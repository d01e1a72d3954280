use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::record::ThingRecord;
use crate::ThingId;

/// Documents that a rack keeps. One has 2 to 3 KB; a rack with more things makes the rest anew for each question.
const KEPT: usize = 16_384;

/// The documents that questions are asked of, kept as long as their records stay the same: making them costs ten times
/// what a question costs.
#[derive(Default)]
pub(super) struct Docs(Mutex<HashMap<ThingId, (u64, Arc<Value>)>>);

impl fmt::Debug for Docs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docs").finish_non_exhaustive()
    }
}

impl Docs {
    /// The documents of `records`, in their order.
    pub fn of(&self, records: &[Arc<ThingRecord>]) -> Vec<Arc<Value>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut docs = Vec::with_capacity(records.len());
        for record in records {
            let revision = record.revision();
            match kept.get(&record.id) {
                Some((at, doc)) if *at == revision => docs.push(Arc::clone(doc)),
                other => {
                    let replaces = other.is_some();
                    let doc = Arc::new(record.listing());
                    if replaces || kept.len() < KEPT {
                        kept.insert(record.id.clone(), (revision, Arc::clone(&doc)));
                    }
                    docs.push(doc);
                }
            }
        }
        docs
    }

    /// Drops the documents of things that are not among `records` any more.
    pub fn prune(&self, records: &[Arc<ThingRecord>]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > records.len() {
            let ids: BTreeSet<&ThingId> = records.iter().map(|record| &record.id).collect();
            kept.retain(|id, _| ids.contains(id));
        }
    }
}
