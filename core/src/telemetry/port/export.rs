//! Readings as one table.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    DAY_MS, code,
    csv::{Csv, OP},
    there::last,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    history::{History, RowsQuery, TextChange},
    io::Timestamp,
    telemetry::Telemetry,
};

/// Most members of a table.
const MOST_COLUMNS: usize = 1 << 14;

/// Which readings [`Telemetry::export_csv`] writes.
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
    /// Readings, one line each; the header is not counted.
    pub rows: u64,
    /// Things that had readings.
    pub things: u64,
    /// The members, in the order of their columns.
    pub members: Vec<String>,
    /// Bytes.
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
    /// [`Invalid`](ErrorKind::Invalid) for members that come twice, `ERR_EXPORT_COLUMNS` for more than 16,384,
    /// `ERR_EXPORT_OUTPUT` when the output could not be written; those of the history. What was written stays.
    pub fn export_csv(&self, query: &ExportQuery, out: &mut dyn io::Write) -> Result<Exported> {
        let history = &self.0.raw;
        let mut things: Vec<&ThingId> = Vec::new();
        let mut seen = BTreeSet::new();
        things.extend(query.things.iter().filter(|thing| seen.insert(thing.as_str())));
        let columns = columns(history, query, &things)?;
        let mut csv = Csv::new(out);
        ["ts", "ts_ms", "thing"].into_iter().for_each(|name| csv.plain(name));
        columns.names.iter().for_each(|name| csv.text(name));
        csv.end()?;
        let mut done = Exported::default();
        for thing in things {
            let before = done.rows;
            each_day(history, thing, query, columns.texts, |day| {
                done.removed_before = done.removed_before.max(day.removed_before);
                columns.write(thing, day, &mut csv, &mut done.rows)
            })?;
            done.things += u64::from(done.rows > before);
        }
        csv.flush()?;
        Ok(Exported { members: columns.names, bytes: csv.bytes, ..done })
    }
}

/// A thing's readings of one day.
struct Day {
    members: Vec<Box<str>>,
    rows: Vec<crate::history::HistoryRow>,
    texts: Vec<TextChange>,
    removed_before: Option<Timestamp>,
}

/// Goes through the days on which a thing has readings.
fn each_day(
    history: &History,
    thing: &ThingId,
    query: &ExportQuery,
    texts: bool,
    mut each: impl FnMut(Day) -> Result<()>,
) -> Result<()> {
    let Some(newest) = last(history, thing.as_str())? else { return Ok(()) };
    let end = query.range.end.0.min(newest.saturating_add(1));
    let mut from = query.range.start.0.max(0);
    while from < end {
        let until = ((from / DAY_MS + 1) * DAY_MS).min(end);
        let range = Timestamp(from)..Timestamp(until);
        from = until;
        let rows = history.rows(thing.as_str(), range.clone(), RowsQuery::default())?;
        if rows.rows.is_empty() && rows.removed_before.is_none() {
            continue;
        }
        let texts = if texts { history.texts(thing.as_str(), range)? } else { Vec::new() };
        each(Day { members: rows.members, rows: rows.rows, texts, removed_before: rows.removed_before })?;
    }
    Ok(())
}

/// The members of the table.
struct Columns {
    names: Vec<String>,
    places: BTreeMap<String, usize>,
    texts: bool,
}

fn columns(history: &History, query: &ExportQuery, things: &[&ThingId]) -> Result<Columns> {
    let names = match &query.members {
        Some(members) => members.clone(),
        None => seen(history, query, things)?,
    };
    check(names.len())?;
    let mut places = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        if places.insert(name.clone(), at).is_some() {
            return Err(Error::invalid(OP, "members", "a member comes twice").with("member", name));
        }
    }
    Ok(Columns { names, places, texts: query.with_texts })
}

fn check(columns: usize) -> Result<()> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    let text = "the table would have more than 16,384 members: name members, or fewer things";
    Err(Error::new(ErrorKind::RateLimited, OP, text).code_as(code::COLUMNS))
}

/// All members of the things: numeric ones first, then texts.
fn seen(history: &History, query: &ExportQuery, things: &[&ThingId]) -> Result<Vec<String>> {
    let (mut numbers, mut texts) = (BTreeSet::new(), BTreeSet::new());
    for thing in things {
        let members = history.members(thing.as_str(), query.range.clone())?;
        numbers.extend(members.iter().map(ToString::to_string));
        check(numbers.len())?;
        if query.with_texts {
            each_day(history, thing, query, true, |day| {
                for (_, text) in &day.texts {
                    texts.extend(parse(text)?.into_iter().map(|(name, _)| name));
                }
                check(texts.len())
            })?;
        }
    }
    let texts: Vec<String> = texts.into_iter().filter(|name| !numbers.contains(name)).collect();
    Ok(numbers.into_iter().chain(texts).collect())
}

fn parse(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text)
        .map_err(|e| Error::new(ErrorKind::Corrupt, OP, "the texts are not a JSON object").caused_by(e))
}

impl Columns {
    fn write(&self, thing: &ThingId, day: Day, csv: &mut Csv<'_>, rows: &mut u64) -> Result<()> {
        let place = |name: &str| self.places.get(name).copied();
        let places: Vec<Option<usize>> = day.members.iter().map(|name| place(name)).collect();
        let mut texts = day.texts.into_iter().peekable();
        let mut said: Vec<Option<Value>> = vec![None; self.names.len()];
        let mut values = vec![f64::NAN; self.names.len()];
        for row in day.rows {
            let mut newest: Option<Arc<str>> = None;
            while let Some((_, text)) = texts.next_if(|(ts, _)| *ts <= row.ts) {
                newest = Some(text);
            }
            if let Some(text) = newest {
                said.fill(None);
                for (name, value) in parse(&text)? {
                    self.places.get(&name).into_iter().for_each(|at| said[*at] = Some(value.clone()));
                }
            }
            values.fill(f64::NAN);
            for (at, value) in places.iter().zip(&row.values) {
                at.iter().for_each(|at| values[*at] = *value);
            }
            csv.plain(&time(row.ts));
            csv.plain(&row.ts.0.to_string());
            csv.text(thing.as_str());
            for (value, said) in values.iter().zip(&said) {
                field(csv, *value, said.as_ref());
            }
            csv.end()?;
            *rows += 1;
        }
        Ok(())
    }
}

fn field(csv: &mut Csv<'_>, value: f64, said: Option<&Value>) {
    match said {
        _ if value.is_finite() => csv.number(value),
        None | Some(Value::Null) => csv.empty(),
        Some(Value::String(text)) => csv.text(text),
        Some(Value::Number(number)) => csv.plain(&number.to_string()),
        Some(other) => csv.text(&other.to_string()),
    }
}

/// RFC 3339 in UTC with ms; the history holds times of 1970 to 9999.
fn time(ts: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(ts.0).unwrap_or_default();
    format!("{at:.3}")
}
