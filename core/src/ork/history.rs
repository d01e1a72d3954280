use serde_json::{Value, json};

use crate::{
    Error, ErrorKind, Result,
    query::Query,
    rack::{HistoryEntry, RackId, ThingRecord},
};

use super::{Orchestrator, fan::Target};

/// After so many things others have their turn.
const TURN: usize = 1_000;

impl Orchestrator {
    /// What was done to records of things in these racks, and of things that were forgotten there, newest first unless the query sorts. `start` and `end` are
    /// times in ms, both included.
    pub(super) async fn history_of(
        &self,
        targets: &[Target],
        span: (Option<i64>, Option<i64>),
        query: &Query,
    ) -> Result<Vec<Value>> {
        let Some(things) = &self.0.things else {
            let text = "the changes of things are not kept here";
            return Err(Error::new(ErrorKind::Unsupported, "ork.history", text));
        };
        let (start, end) = (span.0.unwrap_or(i64::MIN), span.1.unwrap_or(i64::MAX));
        let mut rows = Vec::new();
        let mut take = |rack: &RackId, n: usize, entry: &HistoryEntry, thing: &Value| {
            if entry.ts < start || entry.ts > end {
                return Ok(());
            }
            let mut row = serde_json::to_value(entry).map_err(|e| {
                Error::new(ErrorKind::Internal, "ork.history", "an entry is no JSON").caused_by(e)
            })?;
            row["rack"] = rack.as_str().into();
            row["thing"] = thing.clone();
            // Ids are the order where no other is wanted: the newest first.
            rows.push((format!("{:020}/{}/{n:08}", i64::MAX.saturating_sub(entry.ts), entry.id), row));
            Ok(())
        };
        let records = targets.iter().flat_map(|target| things.of_rack(&target.info.id));
        for (seen, record) in records.enumerate() {
            if seen % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            let thing = shown(&record);
            for (n, entry) in things.history(&record.id)?.iter().enumerate() {
                take(&record.rack, n, entry, &thing)?;
            }
        }
        for (n, entry) in things.history_of_forgotten()?.iter().enumerate() {
            // Without a rack nobody can tell who may see it.
            if let Some(rack) = entry.rack.as_ref().filter(|rack| targets.iter().any(|t| t.info.id == **rack))
            {
                take(rack, n, entry, &json!({"id": entry.id}))?;
            }
        }
        let page = query.run(rows.iter().map(|(id, row)| (id.as_str(), row)))?;
        Ok(page.items.into_iter().map(|item| item.value.into_value()).collect())
    }
}

/// The thing of an entry as it is now, as MiningOS's readers look for it.
fn shown(record: &ThingRecord) -> Value {
    json!({
        "id": record.id, "code": record.code, "type": record.thing_type, "tags": record.tags,
        "info": record.info.map(),
    })
}
