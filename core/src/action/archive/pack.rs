use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use sha2::{Digest as _, Sha256};

use super::{ArchiveDocument, HEADERS, key, rows_name};
use crate::{
    Error, ErrorKind, Result,
    action::{
        ActionId, Status, catalogue,
        hex::hex,
        note::Note,
        record,
        state::{Digest, Fixed, Header},
    },
    model::Text,
    store::{ControlStore, Key, Record, Space},
};

/// What stays in the control store of an action in the archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::action) struct Moved {
    /// What was voted for.
    pub digest: Digest,
    pub status: Status,
    /// The time under which it was archived, ms.
    pub at: i64,
    /// SHA-256 of the document with its header.
    pub header: Text,
    /// SHA-256 of the document with its targets and journal.
    pub rows: Text,
}

/// Targets and journal of an action, as they were stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rows<T, J> {
    pub targets: Vec<T>,
    pub journal: Vec<J>,
}

/// An action on its way into the archive.
#[derive(Debug)]
pub(in crate::action) struct Packed {
    pub id: ActionId,
    /// The state that was packed.
    pub rev: u64,
    pub moved: Moved,
    /// Its records, which go.
    pub keys: Vec<(Space, Key)>,
}

impl Packed {
    /// What the audit log says of it.
    pub fn note(&self) -> Note {
        let Moved { digest, at, header, rows, .. } = &self.moved;
        let data = serde_json::json!({"digest": digest, "at": at, "header": header, "rows": rows});
        Note::own("archive").data(data)
    }

    /// The key and the value of what stays.
    pub fn stays(&self) -> Result<(Key, Value)> {
        let value = serde_json::to_value(&self.moved).map_err(|e| unwritable(&e))?;
        Ok((key(self.id), value))
    }
}

/// Packs an action that ended: what stays of it, and its two documents. Secrets in its parameters are sealed with the key of
/// the site, which may be changed; nothing needs them any more, so they are left out.
pub(in crate::action) fn pack(
    store: &ControlStore,
    header: &Header,
    at: i64,
) -> Result<(Packed, [ArchiveDocument; 2])> {
    let id = header.id;
    let prefix = record::prefix(id);
    let [targets, journal] = [Space::Targets, Space::Journal].map(|space| store.scan_prefix(space, &prefix));
    let mut keys = Vec::with_capacity(targets.len() + journal.len());
    keys.extend(targets.iter().map(|record| (Space::Targets, record.key.clone())));
    keys.extend(journal.iter().map(|record| (Space::Journal, record.key.clone())));
    let rows = Rows { targets: raw(&targets)?, journal: raw(&journal)? };
    let write = |json: serde_json::Result<String>| json.map_err(|e| unwritable(&e));
    let (header_json, rows_json) =
        (write(serde_json::to_string(&without_secrets(header)?))?, write(serde_json::to_string(&rows))?);
    let moved = Moved {
        digest: header.digest.clone(),
        status: header.status,
        at,
        header: fingerprint(&header_json),
        rows: fingerprint(&rows_json),
    };
    let documents = [
        ArchiveDocument { name: HEADERS.into(), json: header_json },
        ArchiveDocument { name: rows_name(id), json: rows_json },
    ];
    Ok((Packed { id, rev: header.rev, moved, keys }, documents))
}

fn raw(records: &[Record]) -> Result<Vec<Box<RawValue>>> {
    records.iter().map(Record::parse).collect()
}

fn without_secrets(header: &Header) -> Result<Header> {
    let order = &header.order;
    let shown = catalogue::redact(&order.action, &order.params);
    let mut plain = header.clone();
    if let Value::Array(shown) = shown
        && shown != order.params
    {
        let mut order = (**order).clone();
        order.params = shown;
        plain.order = Fixed::new(order)?;
    }
    Ok(plain)
}

pub(super) fn fingerprint(json: &str) -> Text {
    hex(&Sha256::digest(json)).into()
}

fn unwritable(e: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "action.archive", format!("an action cannot be written as JSON: {e}"))
}
