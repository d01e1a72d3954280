use std::{fmt, net::Ipv4Addr, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::{Map, Value};

use super::{
    Reading, ThingRecord,
    logs::{Tail, TailQuery},
};
pub use crate::model::RackId;
use crate::{
    Error, Result, ThingId,
    model::Members,
    query::{Filter, Query, QueryPage, Row},
};

/// What a rack is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RackInfo {
    /// Its identity.
    pub id: RackId,
    /// Type of its things, for example `miner-wm-m56s`; the family is what stands before the first dash.
    #[serde(rename = "type")]
    pub thing_type: String,
}

impl RackInfo {
    /// The rack called `name` for things of `thing_type`.
    ///
    /// # Errors
    /// As [`RackId::new`]; with `ERR_RACK_TYPE_INVALID` for a type that has no family.
    pub fn new(thing_type: &str, name: &str) -> Result<Self> {
        if family_of(thing_type).is_empty() {
            let why = "a type begins with its family, as in miner-wm-m56s";
            return Err(Error::invalid("rack.id", "type", why).code_as("ERR_RACK_TYPE_INVALID"));
        }
        Ok(Self { id: RackId::new(&format!("{thing_type}-{name}"))?, thing_type: thing_type.into() })
    }

    /// `miner`, `container`, …
    pub fn family(&self) -> &str {
        family_of(&self.thing_type)
    }
}

/// What stands before a type's first dash.
pub(super) fn family_of(thing_type: &str) -> &str {
    thing_type.split('-').next().unwrap_or_default()
}

/// Who asks. It stands in the audit and beside comments; what it may do is decided before a rack is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The person or program, as the site's principals know it.
    pub user: String,
}

impl Caller {
    /// The caller called `user`.
    pub fn new(user: &str) -> Self {
        Self { user: user.into() }
    }
}

/// A thing to be registered, with MiningOS's members.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ThingDraft {
    /// Made when absent.
    pub id: Option<String>,
    /// `PREFIX-NNNN`; the next free one when absent.
    pub code: Option<String>,
    /// The driver's options: address, ports, credentials.
    pub opts: Option<Members<Value>>,
    /// Free facts: `pos`, `container`, `macAddress`, `serialNum`, …
    pub info: Map<String, Value>,
    /// Tags to be added to those that are made.
    pub tags: Vec<String>,
    /// First comment.
    pub comment: Option<String>,
    /// The driver; taken from the rack's type when absent.
    pub driver: Option<String>,
    /// Never written to, whatever is approved.
    #[serde(rename = "readOnly")]
    pub read_only: bool,
}

/// A change to a thing.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct ThingChange {
    /// Merged member by member, or replacing all with `force_overwrite`.
    pub opts: Option<Members<Value>>,
    /// Merged member by member, or replacing all with `force_overwrite`.
    pub info: Option<Map<String, Value>>,
    /// Replaces the tags that people gave; those that are made from type, id, code and place stay.
    pub tags: Option<Vec<String>>,
    /// Whether `opts` and `info` replace instead of being merged.
    pub force_overwrite: bool,
    /// Comment to add.
    pub comment: Option<String>,
    /// Whether it is never written to, whatever is approved.
    pub read_only: Option<bool>,
    /// Action that this change belongs to.
    pub action_id: Option<u64>,
    /// Only if the record still has this revision; else [`Conflict`](crate::ErrorKind::Conflict).
    pub if_revision: Option<u64>,
    /// What the rack's own addressing makes of it.
    #[serde(skip)]
    pub(super) address: Option<Option<Ipv4Addr>>,
}

/// Which things to forget.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Which {
    /// Those that match. An empty filter is refused: say [`Which::All`].
    Matching(Filter),
    /// Every thing of the rack.
    All,
}

/// A comment on a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comment {
    /// Identity, unique in the thing.
    pub id: String,
    /// When it was written, ms.
    pub ts: i64,
    /// Its text.
    pub comment: String,
    /// Who wrote it.
    pub user: String,
    /// The place in the rack that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pos: Option<String>,
}

/// Names one comment of a thing: by id when given, else by its time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommentRef {
    /// Identity.
    pub id: Option<String>,
    /// When it was written.
    pub ts: Option<i64>,
}

/// Owns a set of things. A local rack and a remote one are the same to an orchestrator.
///
/// A rack has no way to write to a device: see [`Permit`](crate::driver::Permit).
#[async_trait]
pub trait Rack: fmt::Debug + Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &RackInfo;

    /// Registers one thing. Checks hold over the whole site, and two registrations at once cannot both pass.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) or [`Invalid`](crate::ErrorKind::Invalid) with MiningOS's code
    /// (`ERR_THING_WITH_ID_ALREADY_EXISTS`, `ERR_THING_MACADDRESS_INVALID`, …) and the field; nothing changed.
    async fn register(&self, draft: ThingDraft, by: &Caller) -> Result<Arc<ThingRecord>>;

    /// Registers many, each judged alone, durable together.
    async fn register_many(&self, drafts: Vec<ThingDraft>, by: &Caller) -> Vec<Result<Arc<ThingRecord>>>;

    /// Changes one thing; its driver reconnects with the new options.
    async fn update(&self, id: &ThingId, change: ThingChange, by: &Caller) -> Result<Arc<ThingRecord>>;

    /// Forgets things, all or none; gives their ids.
    async fn forget(&self, which: &Which, by: &Caller) -> Result<Vec<ThingId>>;

    /// Lists things in MiningOS's form: with `last` when the query says `status`, never with `opts`.
    async fn list(&self, query: &Query) -> Result<QueryPage>;

    /// How many things match.
    async fn count(&self, filter: &Filter) -> Result<u64>;

    /// The record of one thing.
    async fn get(&self, id: &ThingId) -> Result<Option<Arc<ThingRecord>>>;

    /// The last reading of one thing, whatever its age; the age stands in it.
    async fn last(&self, id: &ThingId) -> Result<Option<Arc<Reading>>>;

    /// Adds a comment.
    async fn save_comment(&self, id: &ThingId, text: &str, pos: Option<&str>, by: &Caller)
    -> Result<Comment>;

    /// Changes a comment of the same user.
    async fn edit_comment(
        &self,
        id: &ThingId,
        which: &CommentRef,
        text: &str,
        by: &Caller,
    ) -> Result<Comment>;

    /// Deletes a comment of the same user.
    async fn delete_comment(&self, id: &ThingId, which: &CommentRef, by: &Caller) -> Result<()>;

    /// The rack's settings.
    async fn settings(&self) -> Result<Map<String, Value>>;

    /// Merges settings, member by member; a member of `null` is deleted. Gives all of them.
    async fn save_settings(&self, entries: Map<String, Value>, by: &Caller) -> Result<Map<String, Value>>;

    /// The code that the next thing registered without one gets. Where that depends on its facts, as for spare parts and
    /// work orders, [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn next_code(&self) -> Result<String>;

    /// Rows of one of its logs, oldest first. Empty where there are none.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) with `ERR_NOT_CONFIGURED` for a rack that keeps none.
    async fn tail(&self, query: &TailQuery) -> Result<Tail> {
        let _ = query;
        let e = Error::new(crate::ErrorKind::Unsupported, "rack.tail", "the rack keeps no logs");
        Err(e.code_as("ERR_NOT_CONFIGURED"))
    }
}

/// Answers of several racks: what was found, and which racks failed. A dead rack is named, never hidden.
#[derive(Debug)]
#[non_exhaustive]
pub struct Partial<T> {
    /// What the others answered.
    pub items: T,
    /// Racks that failed, with their errors.
    pub failed: Vec<(RackId, Error)>,
}

impl<T> Partial<T> {
    /// An answer that nobody failed.
    pub const fn whole(items: T) -> Self {
        Self { items, failed: Vec::new() }
    }
}

/// `{items, matched, next, failed}`: documents, how many pass the filter, the cursor of the next page, and of each rack that
/// failed `{rack, error}`.
impl Serialize for Partial<QueryPage> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Failed<'p> {
            rack: &'p RackId,
            error: &'p Error,
        }
        let Self { items: page, failed } = self;
        let items: Vec<&Row> = page.items.iter().map(|item| &item.value).collect();
        let failed: Vec<Failed<'_>> = failed.iter().map(|(rack, error)| Failed { rack, error }).collect();
        let mut told = serializer.serialize_struct("Partial", 4)?;
        told.serialize_field("items", &items)?;
        told.serialize_field("matched", &page.matched)?;
        told.serialize_field("next", &page.next)?;
        told.serialize_field("failed", &failed)?;
        told.end()
    }
}

/// The address by which a thing is owned: its options' `address`, when that is an IPv4 address.
pub fn ipv4_of(opts: &Members<Value>) -> Option<Ipv4Addr> {
    opts.get("address")?.as_str()?.parse().ok()
}
