use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::record::ThingRecord;
use crate::ThingId;

/// Documents that a rack keeps. One has 2 to 3 KB; of more things at once only what a question looks at is made, each time
/// anew.
pub(super) const KEPT: usize = if cfg!(test) { 1_024 } else { 16_384 };

/// The documents that questions are asked of, kept as long as their records stay the same: making them costs ten times
/// what a question costs.
#[derive(Default)]
pub(super) struct Docs(Mutex<Vec<Kept>>);

/// A document, and the record that it was made of. They stand in order of ids, as records come: a question goes along
/// both instead of looking each up.
struct Kept {
    id: ThingId,
    revision: u64,
    doc: Arc<Value>,
}

impl fmt::Debug for Docs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docs").finish_non_exhaustive()
    }
}

impl Docs {
    /// The documents of `records`, which are in order of ids and all that the rack has between the first and the last.
    pub fn of(&self, records: &[Arc<ThingRecord>]) -> Vec<Arc<Value>> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Vec::new() };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = kept.partition_point(|one| one.id < first.id);
        let known = kept.get(start..).unwrap_or_default();
        let same = |(one, record): &(&Kept, &Arc<ThingRecord>)| one.is_of(record);
        let docs: Vec<_> =
            known.iter().zip(records).take_while(same).map(|(one, _)| one.doc.clone()).collect();
        if docs.len() == records.len() {
            return docs;
        }
        let end = start + known.partition_point(|one| one.id <= last.id);
        let rest = kept.len() - (end - start);
        let old: Vec<Kept> = kept.splice(start..end, []).collect();
        let (made, docs) = renewed(old, records);
        let room = KEPT.saturating_sub(rest).min(made.len());
        kept.splice(start..start, made.into_iter().take(room));
        docs
    }

    /// Drops the documents of things that are not among `records` any more, all of the rack in order of ids.
    pub fn prune(&self, records: &[Arc<ThingRecord>]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > records.len() {
            kept.retain(|one| records.binary_search_by(|record| record.id.cmp(&one.id)).is_ok());
        }
    }
}

impl Kept {
    fn is_of(&self, record: &ThingRecord) -> bool {
        // The same text nearly always stands in the same place: then it need not be fetched.
        let same_id = || std::ptr::eq(self.id.as_str(), record.id.as_str()) || self.id == record.id;
        self.revision == record.revision() && same_id()
    }
}

/// The documents of all records, made where there is none of the same record among the old ones.
fn renewed(old: Vec<Kept>, records: &[Arc<ThingRecord>]) -> (Vec<Kept>, Vec<Arc<Value>>) {
    let mut old = old.into_iter().peekable();
    let mut new = Vec::with_capacity(records.len());
    for record in records {
        while old.next_if(|one| one.id < record.id).is_some() {}
        // Before the document, so that one of a record that gets its revision now is not taken for finished.
        let revision = record.revision();
        let one = old.next_if(|one| one.is_of(record));
        new.push(one.unwrap_or_else(|| Kept {
            id: record.id.clone(),
            revision,
            doc: Arc::new(record.listing()),
        }));
    }
    let docs = new.iter().map(|one| Arc::clone(&one.doc)).collect();
    (new, docs)
}
