use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Claims, Person};
use crate::{
    Error, ErrorKind, Result,
    auth::{Access, Area, Permissions},
};

const OP: &str = "action.principals";
/// How many names [`StaticPrincipals`] holds.
const MAX_NAMES: usize = 100_000;

/// Who has which rights now.
#[async_trait]
pub trait Principals: fmt::Debug + Send + Sync + 'static {
    /// Who stands behind a name, and what that person may do now. Somebody who is not known, or not any more, has no
    /// rights and does not count: [`Standing::nobody`].
    ///
    /// # Errors
    /// When it cannot be found out; then nobody has voted.
    async fn of(&self, person: &Person) -> Result<Standing>;
}

/// Who stands behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The person, or the one that an alias, API key, agent or service belongs to.
    pub person: Person,
    /// Whether a vote under this name is the person's vote. It is not that of an agent or a service.
    pub counts: bool,
    /// What the person may do.
    pub rights: Permissions,
    /// A locked person is known, and may do nothing but take back: the own vote, and the own action before it begins.
    pub locked: bool,
}

impl Standing {
    /// Of a person that is not locked.
    pub const fn new(person: Person, counts: bool, rights: Permissions) -> Self {
        Self { person, counts, rights, locked: false }
    }

    /// Of a name that nobody has.
    pub const fn nobody(person: Person) -> Self {
        Self::new(person, false, Permissions::NONE)
    }

    /// The same, but locked.
    #[must_use]
    pub const fn but_locked(mut self) -> Self {
        self.locked = true;
        self
    }
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Another name of a person.
    Alias,
    /// A key with which a person's own programs sign in: its vote is the person's.
    ApiKey,
    /// A program that decides by itself, with the rights of the person that it belongs to. Its vote counts for nothing.
    Agent,
    /// A part of the site. Its vote counts for nothing.
    Service,
}

impl Kind {
    /// Whether a vote under such a name is the owner's.
    pub const fn counts(self) -> bool {
        matches!(self, Self::Alias | Self::ApiKey)
    }
}

/// Where the rights of those who vote come from.
#[derive(Debug, Clone)]
pub enum RightsSource {
    /// From the call, as in MiningOS: whoever calls is trusted to tell them. They are kept with the push or the vote and
    /// hold until the action has ended, also for somebody who lost them since.
    Claims,
    /// From the site, as they are now: when the vote is cast, and again before anything is sent.
    Current(Arc<dyn Principals>),
}

impl RightsSource {
    /// Who stands behind a name that came with `claims`, and what that person may do.
    ///
    /// # Errors
    /// As [`Principals::of`].
    pub async fn of(&self, person: &Person, claims: &Claims) -> Result<Voter> {
        match self {
            Self::Claims => {
                Ok(Voter { person: person.clone(), counts: true, rights: Rights::Claimed(claims.clone()) })
            }
            Self::Current(principals) => Ok(principals.of(person).await?.into()),
        }
    }
}

/// Somebody who pushes or votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The person whose vote it is.
    pub person: Person,
    /// Whether it counts.
    pub counts: bool,
    /// What the person may do.
    pub rights: Rights,
}

impl From<Standing> for Voter {
    fn from(standing: Standing) -> Self {
        let Standing { person, counts, rights, locked } = standing;
        let rights = Rights::Current(if locked { Permissions::NONE } else { rights });
        Self { person, counts: counts && !locked, rights }
    }
}

/// What somebody may do, wherever that is known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// As it came with the call.
    Claimed(Claims),
    /// As the site says.
    Current(Permissions),
}

impl Rights {
    /// Whether things of `family` may be written to.
    pub fn allows_write(&self, family: &str) -> bool {
        match self {
            Self::Claimed(claims) => claims.allows_write(family),
            Self::Current(rights) => rights.allows_family(family, Access::Write),
        }
    }

    /// Whether `access` in `area` is allowed.
    pub fn allows(&self, area: Area, access: Access) -> bool {
        match self {
            Self::Claimed(claims) => claims.allows(area, access),
            Self::Current(rights) => rights.allows(area, access),
        }
    }
}

/// A list of people that the program keeps itself; it can be changed while it is used.
#[derive(Debug, Default)]
pub struct StaticPrincipals(RwLock<Names>);

/// By the key of each name.
type Names = BTreeMap<String, Entry>;

#[derive(Debug)]
enum Entry {
    Person { person: Person, rights: Permissions, locked: bool },
    Name { owner: Person, kind: Kind },
}

impl StaticPrincipals {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a person, or changes what they may do. A lock stays.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when the name belongs to another person;
    /// [`RateLimited`](ErrorKind::RateLimited) beyond 100,000 names.
    pub fn set(&self, person: &Person, rights: Permissions) -> Result<()> {
        self.change(|names| {
            let locked = match names.get(person.key()) {
                Some(Entry::Name { .. }) => return Err(taken(person)),
                Some(Entry::Person { locked, .. }) => *locked,
                None => false,
            };
            let entry = Entry::Person { person: person.clone(), rights, locked };
            insert(names, person, entry)
        })
    }

    /// Gives a person a further name.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) without such a person, [`Conflict`](ErrorKind::Conflict) when the name is a
    /// person or belongs to another; [`RateLimited`](ErrorKind::RateLimited) beyond 100,000 names.
    pub fn name(&self, name: &Person, kind: Kind, owner: &Person) -> Result<()> {
        self.change(|names| {
            let Some(Entry::Person { person, .. }) = names.get(owner.key()) else {
                return Err(unknown(owner));
            };
            let owner = person.clone();
            match names.get(name.key()) {
                Some(Entry::Person { .. }) => return Err(taken(name)),
                Some(Entry::Name { owner: other, .. }) if *other != owner => return Err(taken(name)),
                _ => {}
            }
            insert(names, name, Entry::Name { owner, kind })
        })
    }

    /// Locks a person, or ends that.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) without such a person.
    pub fn lock(&self, person: &Person, lock: bool) -> Result<()> {
        self.change(|names| match names.get_mut(person.key()) {
            Some(Entry::Person { locked, .. }) => {
                *locked = lock;
                Ok(())
            }
            _ => Err(unknown(person)),
        })
    }

    /// Removes a name; with a person go all names that they have.
    pub fn remove(&self, person: &Person) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        names.remove(person.key());
        names.retain(|_, entry| !matches!(entry, Entry::Name { owner, .. } if owner == person));
    }

    fn change(&self, change: impl FnOnce(&mut Names) -> Result<()>) -> Result<()> {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn insert(names: &mut Names, name: &Person, entry: Entry) -> Result<()> {
    if names.len() >= MAX_NAMES && !names.contains_key(name.key()) {
        return Err(Error::new(ErrorKind::RateLimited, OP, "there are 100,000 names already: remove some"));
    }
    names.insert(name.key().into(), entry);
    Ok(())
}

#[async_trait]
impl Principals for StaticPrincipals {
    async fn of(&self, person: &Person) -> Result<Standing> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (entry, counts) = match names.get(person.key()) {
            Some(Entry::Name { owner, kind }) => (names.get(owner.key()), kind.counts()),
            other => (other, true),
        };
        let Some(Entry::Person { person: owner, rights, locked }) = entry else {
            return Ok(Standing::nobody(person.clone()));
        };
        let standing = Standing::new(owner.clone(), counts, *rights);
        Ok(if *locked { standing.but_locked() } else { standing })
    }
}

fn taken(person: &Person) -> Error {
    Error::new(ErrorKind::Conflict, OP, "this name belongs to somebody else").with("name", person.key())
}

fn unknown(person: &Person) -> Error {
    Error::new(ErrorKind::NotFound, OP, "there is no such person").with("name", person.key())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::action::Bare;

    fn person(name: &str) -> Person {
        Person::from_text(name).unwrap()
    }

    fn rights(list: &[&str]) -> Permissions {
        Permissions::parse(list).unwrap()
    }

    #[tokio::test]
    async fn names_lead_to_their_person_and_programs_do_not_count() {
        let people = StaticPrincipals::new();
        people.set(&person("Ann@site"), rights(&["miner:rw"])).unwrap();
        for (name, kind) in [
            ("ann.b@home", Kind::Alias),
            ("key-1", Kind::ApiKey),
            ("bot-1", Kind::Agent),
            ("meter-job", Kind::Service),
        ] {
            people.name(&person(name), kind, &person("ANN@site")).unwrap();
            let found = people.of(&person(name)).await.unwrap();
            assert_eq!((found.person.shown(), found.counts), ("Ann@site", kind.counts()), "{name}");
            assert!(found.rights.allows(Area::Miner, Access::Write));
        }
        let nobody = people.of(&person("eve")).await.unwrap();
        assert_eq!(nobody, Standing::nobody(person("eve")));
        assert!(!nobody.counts && nobody.rights == Permissions::NONE);
    }

    #[tokio::test]
    async fn a_name_has_one_owner_and_a_person_is_no_alias() {
        let people = StaticPrincipals::new();
        for name in ["ann", "bob"] {
            people.set(&person(name), rights(&["*:rw"])).unwrap();
        }
        people.name(&person("key-1"), Kind::ApiKey, &person("ann")).unwrap();
        let kind = |result: Result<()>| result.map_err(|e| e.kind());
        let key = person("Key-1 ");
        assert_eq!(kind(people.name(&key, Kind::ApiKey, &person("bob"))), Err(ErrorKind::Conflict));
        assert_eq!(kind(people.name(&person("bob"), Kind::Alias, &person("ann"))), Err(ErrorKind::Conflict));
        assert_eq!(kind(people.set(&key, Permissions::ALL)), Err(ErrorKind::Conflict));
        assert_eq!(kind(people.name(&person("x"), Kind::Alias, &key)), Err(ErrorKind::NotFound));
        assert_eq!(kind(people.lock(&key, true)), Err(ErrorKind::NotFound));
        people.name(&key, Kind::Agent, &person("ann")).unwrap();
        assert!(!people.of(&key).await.unwrap().counts, "what a name is may be changed");
    }

    #[tokio::test]
    async fn a_lock_and_a_removal_show_at_once() {
        let people = Arc::new(StaticPrincipals::new());
        let (ann, key) = (person("ann"), person("key-1"));
        people.set(&ann, rights(&["miner:w"])).unwrap();
        people.name(&key, Kind::ApiKey, &ann).unwrap();
        let source = RightsSource::Current(people.clone());
        let none = Claims::default();
        let voter = source.of(&key, &none).await.unwrap();
        assert!(voter.counts && voter.rights.allows_write("miner") && voter.person == ann);
        people.lock(&ann, true).unwrap();
        people.set(&ann, rights(&["miner:rw"])).unwrap();
        assert!(people.of(&key).await.unwrap().locked, "new rights end no lock");
        let voter = source.of(&key, &none).await.unwrap();
        assert!(!voter.counts && !voter.rights.allows_write("miner"));
        people.lock(&ann, false).unwrap();
        assert!(source.of(&ann, &none).await.unwrap().counts);
        people.remove(&ann);
        for name in [&ann, &key] {
            assert!(!source.of(name, &none).await.unwrap().counts);
        }
    }

    #[tokio::test]
    async fn claims_are_used_as_they_came() {
        let claims = Claims::parse(&json!(["miner:w"]), Bare::Refused).unwrap();
        let voter = RightsSource::Claims.of(&person("u1"), &claims).await.unwrap();
        assert!(
            voter.counts && voter.rights.allows_write("miner") && !voter.rights.allows_write("container")
        );
        assert!(voter.rights.allows(Area::Miner, Access::Write));
    }
}
