//! Actions that ended long ago leave the control store for an archive. Their digests, and the audit log, stay.

mod pack;
mod read;

pub(super) use pack::{Moved, Packed, pack};
pub(super) use read::{Old, rest};

use std::{fmt, ops::RangeInclusive};

use async_trait::async_trait;

use super::ActionId;
use crate::{
    Result,
    io::Timestamp,
    store::{ControlStore, Key, Space},
};

/// The name of the documents that hold headers: one for all, so that a list reads few places.
const HEADERS: &str = "actions";
const MOVED: &str = "action.moved/";

/// Where actions go that ended long ago: documents by name and time. A [`Site`](crate::site::Site) that keeps a history
/// has one of its own.
#[async_trait]
pub trait ActionArchive: fmt::Debug + Send + Sync + 'static {
    /// Keeps documents, all under the time `at`, which never goes back. They are durable when this returns `Ok`.
    ///
    /// # Errors
    /// What keeps them from being kept; the actions stay where they are then, and are tried again an hour later. What was
    /// kept in part is never asked for.
    async fn keep(&self, at: Timestamp, documents: Vec<ArchiveDocument>) -> Result<()>;

    /// The documents of a name from these times, ms, in the order in which they were kept. It may block, as files do. What
    /// was removed to keep a bound is left out.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for what is damaged.
    fn read(&self, name: &str, times: RangeInclusive<i64>) -> Result<Vec<(Timestamp, String)>>;
}

/// What an [`ActionArchive`] keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveDocument {
    /// What it is asked for by; several can have one name. At most 64 bytes.
    pub name: String,
    /// JSON without line breaks, of any length.
    pub json: String,
}

/// The key of what the control store says of an action that is not in it any more.
fn key(id: ActionId) -> Key {
    Key::from(format!("{MOVED}{}", id.key()))
}

/// The name of the document with the targets and journal of an action.
fn rows_name(id: ActionId) -> String {
    format!("action/{id}")
}

/// The actions that are in the archive, and since when.
pub(super) fn moved(store: &ControlStore) -> Result<Vec<(ActionId, i64)>> {
    let records = store.scan_prefix(Space::Meta, MOVED).into_iter();
    let id = |key: &Key| key.as_str().trim_start_matches(MOVED).parse::<u64>().ok().map(ActionId::new);
    records.filter_map(|r| Some((id(&r.key)?, r))).map(|(id, r)| Ok((id, r.parse::<Moved>()?.at))).collect()
}
