use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error, ErrorKind, Result,
    action::{Kind, Person, Principals, Standing},
    auth::{Access, Area, Permissions},
    store::{Batch, ControlStore, Expect, Key, Space},
};

const OP: &str = "action.principal";
/// Most permissions of one person.
const MOST_PERMISSIONS: usize = 64;

/// A name that the site knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrincipalRecord {
    /// The name.
    pub name: Person,
    /// What the person may do: `["miner:rw", "actions:rw"]`. Of another name than a person's own: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
    /// The person that an alias, API key, agent or service belongs to; absent for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Person>,
    /// What it is beside a person's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// A locked person is known, and may do nothing but take back: the own vote, and the own action before it begins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

impl PrincipalRecord {
    /// Reads and checks one.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with `ERR_PRINCIPAL_INVALID`, naming the field.
    pub fn parse(json: &Value) -> Result<Self> {
        let wrong = |field: &str, why: &str| Error::invalid(OP, field, why).code_as("ERR_PRINCIPAL_INVALID");
        let record: Self = serde_path_to_error::deserialize(json)
            .map_err(|e| wrong(&e.path().to_string(), "has another form than a principal's"))?;
        if record.permissions.len() > MOST_PERMISSIONS {
            return Err(wrong("permissions", "takes at most 64"));
        }
        Permissions::parse(&record.permissions).map_err(|e| wrong("permissions", e.message()))?;
        if record.owner.is_some() != record.kind.is_some() {
            return Err(wrong("kind", "stands with an owner, and only there"));
        }
        if record.owner.is_some() && !record.permissions.is_empty() {
            return Err(wrong("permissions", "belong to the owner"));
        }
        if record.owner.as_ref() == Some(&record.name) {
            return Err(wrong("owner", "is somebody else"));
        }
        Ok(record)
    }

    pub(super) const PREFIX: &str = "principal/";

    pub(super) fn key(name: &Person) -> Key {
        format!("{}{}", Self::PREFIX, name.key()).into()
    }

    /// Whether the person may say who may what.
    pub(super) fn may_change_people(&self) -> bool {
        let rights = Permissions::parse(&self.permissions).unwrap_or_default();
        self.owner.is_none() && !self.locked && rights.allows(Area::Users, Access::Write)
    }
}

/// The people that a site's store knows. They are changed by the actions `setPrincipal` and `removePrincipal`.
#[derive(Debug, Clone)]
pub struct StoredPrincipals(ControlStore);

impl StoredPrincipals {
    /// The people in this store.
    pub const fn new(store: ControlStore) -> Self {
        Self(store)
    }

    /// Makes the first people of a site that has none yet. Later ones come by actions; where these need a second person's
    /// vote, as they do under [`Rules::safe`](crate::action::policy::Rules::safe), two of the first have to have
    /// `users:w`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when nobody among them may change people, or a name stands there twice;
    /// [`Conflict`](ErrorKind::Conflict) when the site knows somebody already; those of the store.
    pub async fn first(&self, people: &[PrincipalRecord]) -> Result<()> {
        const FIRST: &str = "principals";
        if !self.0.scan_prefix(Space::Users, PrincipalRecord::PREFIX).is_empty() {
            let e =
                Error::new(ErrorKind::Conflict, OP, "the site knows its people: they change it by actions");
            return Err(e.code_as("ERR_PRINCIPALS_EXIST"));
        }
        let names: BTreeSet<&Person> = people.iter().map(|record| &record.name).collect();
        if names.len() != people.len() || !people.iter().any(PrincipalRecord::may_change_people) {
            let why = "each name once, and one at least with users:w";
            return Err(Error::invalid(OP, "people", why).code_as("ERR_PRINCIPAL_INVALID"));
        }
        let batch =
            Batch::new().require(Space::Meta, FIRST, Expect::Absent).put(Space::Meta, FIRST, &people.len());
        let batch = people
            .iter()
            .fold(batch, |batch, record| batch.put(Space::Users, PrincipalRecord::key(&record.name), record));
        self.0.commit(batch).await.map(|_| ())
    }

    fn record(&self, name: &Person) -> Result<Option<PrincipalRecord>> {
        Ok(self.0.get(Space::Users, PrincipalRecord::key(name))?.map(|held| held.value))
    }
}

#[async_trait]
impl Principals for StoredPrincipals {
    async fn of(&self, person: &Person) -> Result<Standing> {
        let (mut record, mut counts) = (self.record(person)?, true);
        if let Some(PrincipalRecord { owner: Some(owner), kind, .. }) = &record {
            counts = kind.is_some_and(Kind::counts);
            record = self.record(owner)?.filter(|owner| owner.owner.is_none());
        }
        let Some(record) = record else { return Ok(Standing::nobody(person.clone())) };
        let standing = Standing::new(record.name, counts, Permissions::parse(&record.permissions)?);
        Ok(if record.locked { standing.but_locked() } else { standing })
    }
}
