use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::{
    Error, Result,
    auth::{Access, Area, Permission, Permissions},
    model::Text,
};

const OP: &str = "action.claims";
const MAX_ENTRIES: usize = 256;
const MAX_NAME: usize = 64;

/// What an entry without levels means, `miner` instead of `miner:w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bare {
    /// It is malformed: in a push, always.
    Refused,
    /// It counts as writing in the family of exactly this name: in a vote under the profile `mos`, because the gateway
    /// of MiningOS takes the levels away before it votes.
    CountAsWrite,
    /// It is left out: in a vote under the profile `safe`.
    GrantNothing,
}

/// The rights that came with a push or a vote (`authPerms`). JSON is the list as it was given.
///
/// `<name>:<levels>`, with levels `r`, `w` or both. A name is that of an [`Area`], which opens the families that the area
/// guards (`temp` opens `sensor`), or `*` for all. Any other name opens the family of exactly that name, as in
/// MiningOS (`sensor:w` opens `sensor`), and nothing else.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Claims {
    given: Vec<Text>,
    areas: Permissions,
    /// Families that may be written to beside those of the areas.
    families: BTreeSet<Text>,
}

impl Claims {
    /// Reads `authPerms`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_PAYLOAD_AUTH_PERMS_REQUIRED` when it is no list, and with
    /// `ERR_AUTH_PERMS_INVALID` when an entry is malformed, wherever it stands, or there are more than 256.
    pub fn parse(value: &Value, bare: Bare) -> Result<Self> {
        let Value::Array(list) = value else {
            let e = Error::invalid(OP, "authPerms", "takes a list such as [\"miner:rw\"]");
            return Err(e.code_as("ERR_PAYLOAD_AUTH_PERMS_REQUIRED"));
        };
        if list.len() > MAX_ENTRIES {
            return Err(refused(list.len(), "holds more than 256 entries"));
        }
        let (mut claims, mut areas) = (Self::default(), Vec::new());
        for (at, entry) in list.iter().enumerate() {
            let text = entry.as_str().ok_or_else(|| refused(at, "is no text"))?;
            areas.extend(claims.add(text, bare).map_err(|why| refused(at, why))?);
        }
        claims.areas = areas.into_iter().collect();
        Ok(claims)
    }

    /// Takes an entry up; gives what it grants in an area.
    fn add(&mut self, entry: &str, bare: Bare) -> Result<Option<Permission>, &'static str> {
        let (name, levels) = match entry.split_once(':') {
            Some((name, levels)) => (name, Some(levels)),
            None => (entry, None),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let named = (1..=MAX_NAME).contains(&name.len()) && name.chars().all(fits);
        if !named && name != "*" {
            return Err("has no name of letters, digits, _, - and . before its levels");
        }
        let mut granted = None;
        match (levels, bare) {
            (Some(levels), _) => {
                let all: Permission =
                    format!("*:{levels}").parse().map_err(|_| "has levels other than r, w and rw")?;
                match name.parse::<Area>() {
                    _ if name == "*" => granted = Some(all),
                    Ok(area) => granted = Some(Permission { area: Some(area), ..all }),
                    Err(_) if all.write => drop(self.families.insert(name.into())),
                    Err(_) => {}
                }
            }
            (None, Bare::Refused) => return Err("has no levels; write <name>:r, <name>:w or <name>:rw"),
            // It is not kept, so that a kept list without levels always comes from a vote in which that counted.
            (None, Bare::GrantNothing) => return Ok(None),
            // `*` names no family: a bare one is no right to everything.
            (None, Bare::CountAsWrite) if name == "*" => {}
            (None, Bare::CountAsWrite) => drop(self.families.insert(name.into())),
        }
        self.given.push(entry.into());
        Ok(granted)
    }

    /// The same without entries that have no levels.
    #[must_use]
    pub fn with_levels(&self) -> Self {
        let given: Vec<&str> = self.given().filter(|entry| entry.contains(':')).collect();
        Self::parse(&given.into(), Bare::GrantNothing).unwrap_or_default()
    }

    /// Whether things of `family` may be written to.
    pub fn allows_write(&self, family: &str) -> bool {
        self.areas.allows_family(family, Access::Write) || self.families.contains(family)
    }

    /// Whether `access` in `area` is allowed. Writing in a family is writing in the area that guards it.
    pub fn allows(&self, area: Area, access: Access) -> bool {
        let guarded = |family: &Text| Area::of_family(family) == Some(area);
        self.areas.allows(area, access) || access == Access::Write && self.families.iter().any(guarded)
    }

    /// The entries as they were given.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        self.given.iter().map(Text::as_str)
    }
}

fn refused(at: usize, why: &str) -> Error {
    Error::invalid(OP, "authPerms", why).code_as("ERR_AUTH_PERMS_INVALID").with("index", at)
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.given).finish()
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.given.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Claims {
    /// Reads a list that was kept with a push or a vote.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?, Bare::CountAsWrite).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims(list: Value, bare: Bare) -> Claims {
        Claims::parse(&list, bare).unwrap()
    }

    fn code(list: Value, bare: Bare) -> &'static str {
        Claims::parse(&list, bare).map_or_else(|e| e.code(), |_| "")
    }

    #[test]
    fn writing_is_granted_by_the_name_and_its_w() {
        let some = claims(json!(["miner:rw", "container:r", "temp:w", "robot:wr", "gate:r"]), Bare::Refused);
        for family in ["miner", "sensor", "robot"] {
            assert!(some.allows_write(family), "{family}");
        }
        for family in ["container", "minerpool", "mine", "robots", "gate", "temp", "", "Miner"] {
            assert!(!some.allows_write(family), "{family}");
        }
        assert!(claims(json!(["*:w"]), Bare::Refused).allows_write("anything"));
        assert!(!claims(json!(["*:r"]), Bare::Refused).allows_write("miner"));
        assert!(claims(json!(["sensor:w"]), Bare::Refused).allows_write("sensor"), "as in MiningOS");
        assert!(!claims(json!([]), Bare::Refused).allows_write("miner"));
        assert!(some.allows(Area::Container, Access::Read) && !some.allows(Area::Container, Access::Write));
        assert!(claims(json!(["sensor:w"]), Bare::Refused).allows(Area::Temp, Access::Write));
    }

    #[test]
    fn a_name_without_levels_counts_in_votes_of_one_profile_only() {
        assert_eq!(code(json!(["miner:rw", "miner"]), Bare::Refused), "ERR_AUTH_PERMS_INVALID");
        let counted = claims(json!(["miner", "temp", "*"]), Bare::CountAsWrite);
        assert!(counted.allows_write("miner") && counted.allows(Area::Miner, Access::Write));
        assert!(!counted.allows(Area::Miner, Access::Read), "only what was stripped of its w is meant");
        assert!(!counted.allows_write("container") && !counted.allows_write("minerpool"));
        assert!(!counted.allows_write("sensor"), "an area is no family");
        let nothing = claims(json!(["miner", "container:w"]), Bare::GrantNothing);
        assert!(!nothing.allows_write("miner") && nothing.allows_write("container"));
    }

    #[test]
    fn what_is_malformed_is_refused_wherever_it_stands() {
        for missing in [json!(null), json!("miner:rw"), json!({"0": "miner:rw"}), json!(1)] {
            assert_eq!(code(missing, Bare::Refused), "ERR_PAYLOAD_AUTH_PERMS_REQUIRED");
        }
        let entries = [
            json!("miner:"),
            json!(":w"),
            json!("miner:x"),
            json!("miner:rr"),
            json!("miner:rwx"),
            json!("miner:W"),
            json!("miner :w"),
            json!(" miner:w"),
            json!("miner:w "),
            json!("miner:w:w"),
            json!("mi*:w"),
            json!("**:w"),
            json!(""),
            json!(":"),
            json!(7),
            json!(null),
            json!(["miner:w"]),
            json!("ｍiner:w"),
            json!("x".repeat(65) + ":w"),
        ];
        for entry in entries {
            for bare in [Bare::Refused, Bare::CountAsWrite, Bare::GrantNothing] {
                let e = Claims::parse(&json!(["miner:rw", entry]), bare).unwrap_err();
                assert_eq!((e.code(), e.fact("index")), ("ERR_AUTH_PERMS_INVALID", Some("1")), "{entry}");
            }
        }
        assert_eq!(code(json!(vec!["miner:r"; 256]), Bare::Refused), "");
        assert_eq!(code(json!(vec!["miner:r"; 257]), Bare::Refused), "ERR_AUTH_PERMS_INVALID");
    }

    #[test]
    fn kept_and_read_again_they_grant_the_same() {
        let list = json!(["miner", "odd:rw", "*:r", "ticket:w"]);
        let kept = claims(list.clone(), Bare::CountAsWrite);
        assert_eq!(serde_json::to_value(&kept).unwrap(), list);
        assert_eq!(serde_json::from_value::<Claims>(list).unwrap(), kept);
        let left_out = claims(json!(["miner", "container:w"]), Bare::GrantNothing);
        let json = serde_json::to_value(&left_out).unwrap();
        assert_eq!(json, json!(["container:w"]), "a right that was not granted is not revived");
        assert_eq!(serde_json::from_value::<Claims>(json).unwrap(), left_out);
    }

    proptest! {
        #[test]
        fn any_list_is_understood_or_refused_with_the_one_code(
            list in prop::collection::vec("[a-z*:rw]{0,8}|(miner|temp|sensor|robot|\\*):(r|w|rw|wr)", 0..6),
            bare in prop::sample::select(vec![Bare::Refused, Bare::CountAsWrite, Bare::GrantNothing]),
        ) {
            match Claims::parse(&json!(list), bare) {
                Err(e) => prop_assert_eq!(e.code(), "ERR_AUTH_PERMS_INVALID"),
                Ok(all) => {
                    let again: Claims = serde_json::from_value(serde_json::to_value(&all).unwrap()).unwrap();
                    prop_assert_eq!(&again, &all);
                    let literal = |family: &str| list.iter().any(|entry| match entry.split_once(':') {
                        Some((name, levels)) => levels.contains('w') && [family, "*"].contains(&name),
                        None => entry == family && bare == Bare::CountAsWrite,
                    });
                    for family in ["miner", "minerpool", "robot", "container"] {
                        prop_assert_eq!(all.allows_write(family), literal(family), "{}", family);
                    }
                }
            }
        }
    }
}
