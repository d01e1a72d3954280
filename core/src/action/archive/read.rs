use std::{collections::BTreeMap, sync::Arc};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    ActionArchive, HEADERS, Moved, key,
    pack::{Rows, fingerprint},
    rows_name,
};
use crate::{
    Error, ErrorKind, Result,
    action::{
        ActionId,
        record::{Step, TargetRow},
        state::Header,
    },
    io::Timestamp,
    store::{ControlStore, Space},
};

/// Reads what is in the archive.
#[derive(Debug, Clone, Copy)]
pub(in crate::action) struct Old<'a> {
    store: &'a ControlStore,
    archive: Option<&'a Arc<dyn ActionArchive>>,
}

impl<'a> Old<'a> {
    pub const fn new(store: &'a ControlStore, archive: Option<&'a Arc<dyn ActionArchive>>) -> Self {
        Self { store, archive }
    }

    /// What the control store says of an action that is in the archive.
    pub fn moved(&self, id: ActionId) -> Result<Option<Moved>> {
        Ok(self.store.get::<Moved>(Space::Meta, key(id))?.map(|held| held.value))
    }

    /// Headers of actions that are in the archive; those that the archive does not have any more are left out.
    pub fn headers(&self, wanted: &[(ActionId, i64)]) -> Result<BTreeMap<ActionId, Header>> {
        let times = wanted.iter().map(|(_, at)| *at);
        let (Some(from), Some(to)) = (times.clone().min(), times.max()) else { return Ok(BTreeMap::new()) };
        let wanted: BTreeMap<ActionId, i64> = wanted.iter().copied().collect();
        let mut found = BTreeMap::new();
        for (at, json) in self.read(HEADERS, from, to)? {
            let header: Header = parse(&json)?;
            // One that was kept and not told of was kept again later.
            let Some(moved) = self.moved(header.id)?.filter(|moved| moved.at == at.0) else { continue };
            if wanted.contains_key(&header.id) {
                same(header.id, &moved.header, &json)?;
                found.insert(header.id, header);
            }
        }
        Ok(found)
    }

    /// Targets and journal of an action that is in the archive; nothing when the archive does not have it any more.
    pub fn rows(&self, id: ActionId, moved: &Moved) -> Result<(Vec<TargetRow>, Vec<Step>)> {
        let Some((_, json)) = self.read(&rows_name(id), moved.at, moved.at)?.pop() else {
            return Ok((Vec::new(), Vec::new()));
        };
        same(id, &moved.rows, &json)?;
        let rows: Rows<TargetRow, Vec<Step>> = parse(&json).map_err(|e| e.with("action", id))?;
        Ok((rows.targets, rows.journal.into_iter().flatten().collect()))
    }

    fn read(&self, name: &str, from: i64, to: i64) -> Result<Vec<(Timestamp, String)>> {
        self.archive.map_or_else(|| Ok(Vec::new()), |archive| archive.read(name, from..=to))
    }
}

/// What is left to say of an action whose archive is gone.
pub(in crate::action) fn rest(id: ActionId, moved: &Moved) -> Value {
    json!({"id": id, "status": moved.status, "digest": moved.digest, "archivedAt": moved.at})
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| unreadable().caused_by(e))
}

/// A document is the one that the audit log tells of.
fn same(id: ActionId, wanted: &str, json: &str) -> Result<()> {
    if fingerprint(json) == *wanted {
        return Ok(());
    }
    let text =
        "the archive holds something else of this action than the audit log says: restore a backup of it";
    Err(Error::new(ErrorKind::Corrupt, "action.archive", text)
        .code_as("ERR_ARCHIVE_CORRUPT")
        .with("action", id))
}

fn unreadable() -> Error {
    let text = "the archive of old actions holds what is none";
    Error::new(ErrorKind::Corrupt, "action.archive", text).code_as("ERR_ARCHIVE_CORRUPT")
}
