//! Readings as CSV.

use std::{io, ops::Range};

use serde_json::Value;

use super::{
    csv::Csv,
    table::{Lines, Seen},
};
use crate::{Result, ThingId, io::Timestamp, telemetry::Telemetry};

/// Which readings are given out: as CSV, as Arrow batches or as Parquet.
#[derive(Debug, Clone)]
pub struct ExportQuery {
    /// Whose, in this order.
    pub things: Vec<ThingId>,
    /// Which members, in this order; without it all numeric members of the range, by name. Members of readings shortly
    /// before and after the range can be among them.
    pub members: Option<Vec<String>>,
    /// From when until when; the end is not in it.
    pub range: Range<Timestamp>,
    /// Whether members that are texts are written too: after the numeric ones, by name, or as `members` names them.
    pub with_texts: bool,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Readings, one line each; the header of CSV is not counted.
    pub rows: u64,
    /// Things that had readings.
    pub things: u64,
    /// The members, in the order in which they stand in the table.
    pub members: Vec<String>,
    /// Bytes that were written; 0 for batches.
    pub bytes: u64,
    /// A part of the range was removed to keep the bound: what is earlier than this is not complete.
    pub removed_before: Option<Timestamp>,
}

impl Telemetry {
    /// Writes readings as CSV (RFC 4180, UTF-8): `ts` (RFC 3339, UTC), `ts_ms`, `thing`, and a column for each member. A
    /// member that a reading does not have is an empty field. A thing's day is in memory at one time. Blocks until it is
    /// done.
    ///
    /// A text that a spreadsheet would compute (`=`, `+`, `-`, `@`, tab or line end at its start) has a `'` before it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for members that come twice, `ERR_EXPORT_COLUMNS` for more than 16,384,
    /// `ERR_EXPORT_OUTPUT` when the output could not be written; those of the history. What was written stays.
    pub fn export_csv(&self, query: &ExportQuery, out: &mut dyn io::Write) -> Result<Exported> {
        let history = &self.0.raw;
        let names = match &query.members {
            Some(members) => members.clone(),
            None => Seen::of(history, query)?.names(),
        };
        let mut lines = Lines::new(query, names)?;
        let mut csv = Csv::new(out);
        ["ts", "ts_ms", "thing"].into_iter().for_each(|name| csv.plain(name));
        lines.done.members.iter().for_each(|name| csv.text(name));
        csv.end()?;
        while lines.next(history)? {
            csv.plain(&time(lines.ts()));
            csv.plain(&lines.ts().0.to_string());
            csv.text(lines.thing());
            for at in 0..lines.done.members.len() {
                field(&mut csv, lines.number(at), lines.said(at));
            }
            csv.end()?;
        }
        csv.flush()?;
        Ok(Exported { bytes: csv.bytes, ..lines.done })
    }
}

fn field(csv: &mut Csv<'_>, value: Option<f64>, said: Option<&Value>) {
    match (value, said) {
        (Some(value), _) => csv.number(value),
        (None, None) => csv.empty(),
        (None, Some(Value::String(text))) => csv.text(text),
        (None, Some(Value::Number(number))) => csv.plain(&number.to_string()),
        (None, Some(other)) => csv.text(&other.to_string()),
    }
}

/// RFC 3339 in UTC with ms; the history holds times of 1970 to 9999.
fn time(ts: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(ts.0).unwrap_or_default();
    format!("{at:.3}")
}
