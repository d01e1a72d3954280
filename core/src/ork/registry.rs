use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    Error, ErrorKind, Result,
    rack::{RackId, RackInfo},
    store::{Batch, ControlStore, Expect, Space},
};

const OP: &str = "ork.registry";
/// Keeps the registrations apart from what racks write about themselves.
const PREFIX: &str = "registered/";
/// How often a change is tried again that another one overtook.
const TRIES: usize = 8;

/// What was registered of a rack: MiningOS's `{id, type, info: {rpcPublicKey}}` and whatever else was sent with it.
#[derive(Debug, Clone, PartialEq)]
pub struct RackRecord(Map<String, Value>);

impl RackRecord {
    /// Checks a registration.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with `ERR_RACK_ID_INVALID`, `ERR_RACK_TYPE_INVALID` or
    /// `ERR_RACK_INFO_RPC_PUBKEY_INVALID`.
    pub fn new(members: Map<String, Value>) -> Result<Self> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).filter(|t| !t.is_empty()).is_some();
        let wrong = |field: &str, code| Err(Error::invalid(OP, field, "takes a text").code_as(code));
        if !text(members.get("id")) {
            return wrong("id", "ERR_RACK_ID_INVALID");
        }
        if !text(members.get("type")) {
            return wrong("type", "ERR_RACK_TYPE_INVALID");
        }
        if !text(members.get("info").and_then(|info| info.get("rpcPublicKey"))) {
            return wrong("info.rpcPublicKey", "ERR_RACK_INFO_RPC_PUBKEY_INVALID");
        }
        let record = Self(members);
        RackId::new(record.text("id"))?;
        Ok(record)
    }

    /// What the rack is.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for an id that is none.
    pub fn info(&self) -> Result<RackInfo> {
        Ok(RackInfo { id: RackId::new(self.text("id"))?, thing_type: self.text("type").into() })
    }

    /// Its public key.
    pub fn key(&self) -> &str {
        let key = self.0.get("info").and_then(|info| info.get("rpcPublicKey"));
        key.and_then(Value::as_str).unwrap_or_default()
    }

    /// The record as JSON; without `keys` the public key is left out.
    pub fn value(mut self, keys: bool) -> Value {
        if let Some(Value::Object(info)) = self.0.get_mut("info").filter(|_| !keys) {
            info.remove("rpcPublicKey");
        }
        Value::Object(self.0)
    }

    fn text(&self, member: &str) -> &str {
        self.0.get(member).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Racks that run elsewhere, as operators registered them; durable.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    store: ControlStore,
}

impl Registry {
    pub fn new(store: ControlStore) -> Self {
        Self { store }
    }

    /// Registers a rack, or replaces its registration.
    ///
    /// # Errors
    /// Those of [`ControlStore::commit`].
    pub async fn register(&self, record: RackRecord) -> Result<RackInfo> {
        let info = record.info()?;
        let put = Batch::new().put(Space::Racks, key(&info.id), &record.0);
        self.store.commit(put).await?;
        Ok(info)
    }

    /// Forgets racks, all of them or those named; gives the ids of those that were there.
    ///
    /// # Errors
    /// Those of [`ControlStore::commit`]; nothing is forgotten then.
    pub async fn forget(&self, ids: Option<&BTreeSet<RackId>>) -> Result<Vec<RackId>> {
        let mut tries = 0;
        loop {
            let known = self.list()?.into_iter().map(|record| Ok(record.info()?.id));
            let known = known.collect::<Result<Vec<_>>>()?;
            let gone: Vec<RackId> =
                known.into_iter().filter(|id| ids.is_none_or(|ids| ids.contains(id))).collect();
            if gone.is_empty() {
                return Ok(gone);
            }
            let batch = gone.iter().fold(Batch::new(), |batch, id| {
                batch.require(Space::Racks, key(id), Expect::Exists).delete(Space::Racks, key(id))
            });
            tries += 1;
            match self.store.commit(batch).await {
                Ok(_) => return Ok(gone),
                Err(e) if e.kind() == ErrorKind::Conflict && tries < TRIES => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// What is registered of one rack.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when the record is none.
    pub fn get(&self, id: &RackId) -> Result<Option<RackRecord>> {
        let found = self.store.get::<Map<String, Value>>(Space::Racks, key(id))?;
        found.map(|found| RackRecord::new(found.value)).transpose()
    }

    /// All registrations in the order of their ids.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when a record is none.
    pub fn list(&self) -> Result<Vec<RackRecord>> {
        let records = self.store.scan_prefix(Space::Racks, PREFIX);
        records.iter().map(|record| RackRecord::new(record.parse()?)).collect()
    }
}

fn key(id: &RackId) -> String {
    format!("{PREFIX}{id}")
}
