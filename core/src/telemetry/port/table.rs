//! Readings as one table: whose, which members, and the cells of each reading.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Peekable,
    ops::Range,
    sync::Arc,
    vec,
};

use serde_json::{Map, Value};

use super::{
    DAY_MS, code,
    export::{ExportQuery, Exported},
    there::last,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    history::{History, HistoryRow, RowsQuery, TextChange},
    io::Timestamp,
};

pub(super) const OP: &str = "telemetry.export";

/// Most members of a table.
const MOST_COLUMNS: usize = 1 << 14;

/// A thing's readings of one day.
struct Day {
    thing: ThingId,
    members: Vec<Box<str>>,
    rows: Vec<HistoryRow>,
    texts: Vec<TextChange>,
    removed_before: Option<Timestamp>,
}

/// Goes through the days on which things have readings, one thing after the other.
#[derive(Debug)]
struct Days {
    things: vec::IntoIter<ThingId>,
    range: Range<Timestamp>,
    texts: bool,
    /// The thing whose turn it is, from when on and until when it is still to be read.
    now: Option<(ThingId, Range<i64>)>,
}

impl Days {
    fn new(query: &ExportQuery, texts: bool) -> Self {
        let mut seen = BTreeSet::new();
        let things: Vec<_> =
            query.things.iter().filter(|thing| seen.insert(thing.as_str())).cloned().collect();
        Self { things: things.into_iter(), range: query.range.clone(), texts, now: None }
    }

    fn next(&mut self, history: &History) -> Result<Option<Day>> {
        loop {
            let Some((thing, left)) = &mut self.now else {
                let Some(thing) = self.things.next() else { return Ok(None) };
                if let Some(newest) = last(history, thing.as_str())? {
                    let end = self.range.end.0.min(newest.saturating_add(1));
                    self.now = Some((thing, self.range.start.0.max(0)..end));
                }
                continue;
            };
            if left.is_empty() {
                self.now = None;
                continue;
            }
            let until = ((left.start / DAY_MS + 1) * DAY_MS).min(left.end);
            let range = Timestamp(left.start)..Timestamp(until);
            left.start = until;
            let rows = history.rows(thing.as_str(), range.clone(), RowsQuery::default())?;
            if rows.rows.is_empty() && rows.removed_before.is_none() {
                continue;
            }
            let texts = if self.texts { history.texts(thing.as_str(), range)? } else { Vec::new() };
            let (members, removed_before) = (rows.members, rows.removed_before);
            return Ok(Some(Day { thing: thing.clone(), members, rows: rows.rows, texts, removed_before }));
        }
    }
}

/// Members that things say: as numbers, and as texts; some as both.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub numbers: BTreeSet<String>,
    pub texts: BTreeSet<String>,
}

impl Seen {
    /// Looks for members, as the query names them. Texts are looked for only where it asks for them.
    pub fn of(history: &History, query: &ExportQuery) -> Result<Self> {
        let mut out = Self::default();
        let named: Option<BTreeSet<&str>> =
            query.members.as_ref().map(|members| members.iter().map(String::as_str).collect());
        let wants = |name: &str| named.as_ref().is_none_or(|named| named.contains(name));
        for thing in query.things.iter().collect::<BTreeSet<_>>() {
            let members = history.members(thing.as_str(), query.range.clone())?;
            out.numbers.extend(members.iter().filter(|name| wants(name)).map(ToString::to_string));
            check(out.numbers.len())?;
        }
        let mut days = Days::new(query, true);
        while query.with_texts
            && let Some(day) = days.next(history)?
        {
            for (_, text) in &day.texts {
                out.texts.extend(parse(text)?.into_iter().map(|(name, _)| name).filter(|name| wants(name)));
            }
            check(out.texts.len())?;
        }
        Ok(out)
    }

    /// Numeric ones first, then those that are texts alone.
    pub fn names(&self) -> Vec<String> {
        let texts = self.texts.iter().filter(|name| !self.numbers.contains(*name));
        self.numbers.iter().chain(texts).cloned().collect()
    }
}

fn check(columns: usize) -> Result<()> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    let text = "the table would have more than 16,384 members: name members, or fewer things";
    Err(Error::new(ErrorKind::RateLimited, OP, text).code_as(code::COLUMNS))
}

fn parse(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text)
        .map_err(|e| Error::new(ErrorKind::Corrupt, OP, "the texts are not a JSON object").caused_by(e))
}

/// The day that is gone through.
#[derive(Debug)]
struct Open {
    thing: ThingId,
    /// The place in the table of each member.
    places: Vec<Option<usize>>,
    rows: vec::IntoIter<HistoryRow>,
    texts: Peekable<vec::IntoIter<TextChange>>,
}

/// The lines of the table, one at a time. A thing's day is in memory.
#[derive(Debug)]
pub(super) struct Lines {
    places: BTreeMap<String, usize>,
    days: Days,
    day: Option<Open>,
    /// Of the line: what its members say as numbers, NaN where they say none, and as texts.
    values: Vec<f64>,
    said: Vec<Option<Value>>,
    ts: Timestamp,
    /// Bytes of all texts that were read.
    pub text_bytes: usize,
    /// What came so far.
    pub done: Exported,
    /// The thing that was counted last.
    counted: Option<ThingId>,
}

impl Lines {
    /// A table with these members.
    pub fn new(query: &ExportQuery, names: Vec<String>) -> Result<Self> {
        check(names.len())?;
        let mut places = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            if places.insert(name.clone(), at).is_some() {
                return Err(Error::invalid(OP, "members", "a member comes twice").with("member", name));
            }
        }
        Ok(Self {
            places,
            days: Days::new(query, query.with_texts),
            day: None,
            values: vec![f64::NAN; names.len()],
            said: vec![None; names.len()],
            ts: Timestamp(0),
            text_bytes: 0,
            done: Exported { members: names, ..Exported::default() },
            counted: None,
        })
    }

    /// Goes to the next line; `false` when there is none.
    pub fn next(&mut self, history: &History) -> Result<bool> {
        loop {
            if let Some(mut day) = self.day.take()
                && let Some(row) = day.rows.next()
            {
                self.line(&mut day, &row)?;
                self.day = Some(day);
                return Ok(true);
            }
            let Some(day) = self.days.next(history)? else { return Ok(false) };
            self.done.removed_before = self.done.removed_before.max(day.removed_before);
            self.said.fill(None);
            self.day = Some(Open {
                places: day.members.iter().map(|name| self.places.get(&**name).copied()).collect(),
                thing: day.thing,
                rows: day.rows.into_iter(),
                texts: day.texts.into_iter().peekable(),
            });
        }
    }

    fn line(&mut self, day: &mut Open, row: &HistoryRow) -> Result<()> {
        let mut newest: Option<Arc<str>> = None;
        while let Some((_, text)) = day.texts.next_if(|(ts, _)| *ts <= row.ts) {
            newest = Some(text);
        }
        if let Some(text) = newest {
            self.said.fill(None);
            self.text_bytes += text.len();
            for (name, value) in parse(&text)? {
                if let Some(at) = self.places.get(&name) {
                    self.said[*at] = Some(value);
                }
            }
        }
        self.values.fill(f64::NAN);
        for (at, value) in day.places.iter().zip(&row.values) {
            at.iter().for_each(|at| self.values[*at] = *value);
        }
        self.ts = row.ts;
        self.done.rows += 1;
        if self.counted.as_ref() != Some(&day.thing) {
            self.done.things += 1;
            self.counted = Some(day.thing.clone());
        }
        Ok(())
    }

    /// When the line's poll began.
    pub fn ts(&self) -> Timestamp {
        self.ts
    }

    /// Whose the line is.
    pub fn thing(&self) -> &str {
        self.counted.as_ref().map_or("", ThingId::as_str)
    }

    /// What a member says as a number.
    pub fn number(&self, at: usize) -> Option<f64> {
        self.values.get(at).copied().filter(|value| value.is_finite())
    }

    /// What a member says as a text; `null` is nothing.
    pub fn said(&self, at: usize) -> Option<&Value> {
        self.said.get(at)?.as_ref().filter(|value| !value.is_null())
    }
}
