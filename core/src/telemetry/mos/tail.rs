//! Rows that were stored as MiningOS does, as they are asked for.

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Map, Value, json};

use super::{How, Mos};
use crate::{
    Error, ErrorKind, Result,
    io::Timestamp,
    model::RackId,
    rack::{LogKey, TailQuery},
    stats::live::Window,
    telemetry::{Inner, OP, Telemetry, name},
};

/// The windows that are added up where days are asked for: MiningOS takes samples of a day, not the one at its end.
const OF_DAYS: Window = Window::H3;

impl Telemetry {
    /// Rows of a log as MiningOS stores them, oldest first; `None` where they are not stored so.
    pub(in crate::telemetry) fn mos_tail(
        &self,
        rack: &RackId,
        query: &TailQuery,
    ) -> Result<Option<Vec<Value>>> {
        let inner = &*self.0;
        let Some(mos) = &inner.mos else { return Ok(None) };
        let how = mos.how(rack).ok_or_else(|| crate::telemetry::read::unknown(rack))?;
        match query.key {
            LogKey::Stat(_) if query.spans.is_some() => inner.mos_rows(rack, OF_DAYS, query),
            LogKey::Stat(window) => inner.mos_rows(rack, window, query),
            LogKey::Now => Ok(inner.mos_now(mos, rack, &how, &query.tag)),
            LogKey::Startup => {
                let rows = inner.mos_rows(rack, Window::M5, query)?;
                Ok(rows.iter().map(startup).collect())
            }
            LogKey::Shares(_) | LogKey::Thing => return Ok(None),
        }
        .map(Some)
    }
}

/// Whether a rack mines, as MiningOS tells it by the counts of its things.
fn startup(row: &Value) -> Value {
    let count = |name: &str| row.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let mining = count("online_or_minor_error_miners_cnt");
    let all = count("offline_or_sleeping_miners_cnt") + mining + count("error_miners_cnt");
    json!({"ts": row.get("ts"), "startupStatus": u8::from(mining / all > 0.5)})
}

impl Inner {
    /// What things say now: one row without a time, for the tag of the family alone.
    fn mos_now(&self, mos: &Mos, rack: &RackId, how: &How, tag: &str) -> Vec<Value> {
        if tag.strip_prefix("t-") != Some(&*how.family) {
            return Vec::new();
        }
        let things = self.things.of_rack(rack);
        let readings = self.lasts(rack, &things);
        let mut rows = self.fold_tags(mos, rack, how, &things, &readings);
        rows.remove(tag).map(Value::Object).into_iter().collect()
    }

    fn mos_rows(&self, rack: &RackId, window: Window, query: &TailQuery) -> Result<Vec<Value>> {
        let owner = name::mos(window, rack, &query.tag);
        let end = Timestamp(query.to.0.saturating_add(1));
        let Some(newest) = query.newest else { return self.stored(&owner, query.from..end) };
        let mut back = window.length_ms().saturating_mul(i64::try_from(newest).unwrap_or(i64::MAX));
        loop {
            back = back.saturating_mul(4).max(1);
            let from = Timestamp(query.to.0.saturating_sub(back).max(query.from.0));
            let mut rows = self.stored(&owner, from..end)?;
            if rows.len() >= newest || from == query.from {
                rows.drain(..rows.len().saturating_sub(newest));
                return Ok(rows);
            }
        }
    }

    /// Rows in a range. Of two of one time the one that was stored last counts.
    fn stored(&self, owner: &str, range: Range<Timestamp>) -> Result<Vec<Value>> {
        let texts = self.rows.texts(owner, range.clone())?;
        // The first can be from before the range.
        let texts: BTreeMap<Timestamp, _> = texts.into_iter().filter(|(ts, _)| range.contains(ts)).collect();
        let row = |text: &str| {
            let row: Result<Map<String, Value>, _> = serde_json::from_str(text);
            let bad = |e| Error::new(ErrorKind::Corrupt, OP, "a stored row is no JSON object").caused_by(e);
            row.map(Value::Object).map_err(bad)
        };
        texts.into_values().map(|text| row(&text)).collect()
    }
}
