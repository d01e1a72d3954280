use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::checks::ClaimKey;
use crate::ThingId;

/// Who may have a claim. Five claims of each of 100,000 things: so their hashes are kept instead of their texts, and
/// what is found is to be compared with the records.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeSet<(u64, ThingId)>);

impl Claims {
    /// All things that have this claim, and hardly ever one that has another with the same hash.
    pub fn candidates(&self, key: &ClaimKey) -> impl Iterator<Item = &ThingId> {
        let wanted = hash(key);
        let from = self.0.range((wanted, ThingId::before_all())..);
        from.take_while(move |(hash, _)| *hash == wanted).map(|(_, id)| id)
    }

    pub fn add(&mut self, key: &ClaimKey, id: &ThingId) {
        self.0.insert((hash(key), id.clone()));
    }

    pub fn remove(&mut self, key: &ClaimKey, id: &ThingId) {
        self.0.remove(&(hash(key), id.clone()));
    }
}

fn hash(key: &ClaimKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rack::checks::Claim;

    #[test]
    fn each_claim_gives_those_that_have_it() {
        let id = |text: &str| ThingId::new(text).unwrap();
        let key = |value: &str| (Claim::Serial, value.into());
        let mut claims = Claims::default();
        for (value, owner) in [("s1", "m1"), ("s1", "m2"), ("s2", "m1"), ("s1", "m1")] {
            claims.add(&key(value), &id(owner));
        }
        let owners = |claims: &Claims, key: &ClaimKey| claims.candidates(key).cloned().collect::<Vec<_>>();
        assert_eq!(owners(&claims, &key("s1")), [id("m1"), id("m2")]);
        assert_eq!(owners(&claims, &(Claim::Mac, "s1".into())), []);
        claims.remove(&key("s1"), &id("m1"));
        assert_eq!(
            (owners(&claims, &key("s1")), owners(&claims, &key("s2"))),
            (vec![id("m2")], vec![id("m1")])
        );
    }
}
