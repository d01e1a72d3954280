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
    history::{History, MAX_MEMBER_BYTES, TextChange},
    io::Timestamp,
};

pub(super) const OP: &str = "telemetry.export";

/// Most members of a table.
const MOST_COLUMNS: usize = 1 << 14;
/// So many members are read one by one; with more, all of a reading's are read at once.
const FEW: usize = 32;

/// A thing's readings of one day.
struct Day {
    thing: ThingId,
    members: Vec<Box<str>>,
    ts: Vec<i64>,
    columns: Vec<Vec<f64>>,
    texts: Vec<TextChange>,
}

/// Goes through the days on which things have readings, one thing after the other.
#[derive(Debug)]
struct Days {
    things: vec::IntoIter<ThingId>,
    range: Range<Timestamp>,
    /// The only numbers that are wanted, where these are few.
    members: Option<Vec<String>>,
    texts: bool,
    /// Before when samples were removed, where the range reaches into that time.
    removed_before: Option<Timestamp>,
    /// The thing whose turn it is, from when on and until when it is still to be read.
    now: Option<(ThingId, Range<i64>)>,
}

impl Days {
    fn new(query: &ExportQuery, texts: bool) -> Self {
        let mut seen = BTreeSet::new();
        let things: Vec<_> =
            query.things.iter().filter(|thing| seen.insert(thing.as_str())).cloned().collect();
        let named = query.members.as_ref().filter(|members| members.len() <= FEW);
        // No member is called otherwise.
        let can_be = |name: &&String| (1..=MAX_MEMBER_BYTES).contains(&name.len());
        let members = named.map(|members| members.iter().filter(can_be).cloned().collect());
        Self {
            things: things.into_iter(),
            range: query.range.clone(),
            members,
            texts,
            removed_before: None,
            now: None,
        }
    }

    fn next(&mut self, history: &History) -> Result<Option<Day>> {
        let removed = history.begins().1.filter(|before| *before > self.range.start);
        self.removed_before = self.removed_before.max(removed);
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
            // Most of a long range may be time of which nobody said anything.
            let day = history.next_day(Timestamp(left.start)).map_or(left.end, |day| day.0.min(left.end));
            if day > left.start {
                left.start = day;
                continue;
            }
            let until = ((left.start / DAY_MS + 1) * DAY_MS).min(left.end);
            let range = Timestamp(left.start)..Timestamp(until);
            left.start = until;
            let wanted: Option<Vec<&str>> =
                self.members.as_ref().map(|members| members.iter().map(String::as_str).collect());
            let read = history.columns(thing.as_str(), range.clone(), wanted.as_deref())?;
            if read.ts.is_empty() {
                continue;
            }
            let texts = if self.texts { history.texts(thing.as_str(), range)? } else { Vec::new() };
            return Ok(Some(Day {
                thing: thing.clone(),
                members: read.members,
                ts: read.ts,
                columns: read.values,
                texts,
            }));
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
    /// Where each column of the table stands in the day's.
    places: Vec<Option<usize>>,
    ts: Vec<i64>,
    columns: Vec<Vec<f64>>,
    /// The row that comes next.
    at: usize,
    texts: Peekable<vec::IntoIter<TextChange>>,
}

impl Open {
    fn column(&self, place: usize) -> Option<&[f64]> {
        self.places.get(place).copied().flatten().and_then(|at| self.columns.get(at)).map(Vec::as_slice)
    }
}

/// Rows of a thing that follow one another.
#[cfg(feature = "arrow")]
pub(super) struct Block<'a> {
    day: &'a Open,
    rows: Range<usize>,
}

#[cfg(feature = "arrow")]
impl Block<'_> {
    /// Whose they are.
    pub fn thing(&self) -> &str {
        self.day.thing.as_str()
    }

    /// When each poll began, ms.
    pub fn ts(&self) -> &[i64] {
        &self.day.ts[self.rows.clone()]
    }

    /// What a member says in each row, NaN where it says nothing; `None` where it never says a number.
    pub fn numbers(&self, place: usize) -> Option<&[f64]> {
        self.day.column(place).map(|column| &column[self.rows.clone()])
    }
}

/// The lines of the table, one at a time. A thing's day is in memory.
#[derive(Debug)]
pub(super) struct Lines {
    places: BTreeMap<String, usize>,
    days: Days,
    day: Option<Open>,
    /// What the members of the line say as texts.
    said: Vec<Option<Value>>,
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
            said: vec![None; names.len()],
            text_bytes: 0,
            done: Exported { members: names, ..Exported::default() },
            counted: None,
        })
    }

    /// Goes to the next line; `false` when there is none.
    pub fn next(&mut self, history: &History) -> Result<bool> {
        if !self.open(history)? {
            return Ok(false);
        }
        self.take(1);
        self.read_texts()?;
        Ok(true)
    }

    /// The next lines of one thing, at most so many; `None` when there is none. Texts are left out.
    #[cfg(feature = "arrow")]
    pub fn block(&mut self, history: &History, most: usize) -> Result<Option<Block<'_>>> {
        if !self.open(history)? {
            return Ok(None);
        }
        let rows = self.take(most);
        Ok(self.day.as_ref().map(|day| Block { day, rows }))
    }

    /// Whether there is a day with a row that comes next.
    fn open(&mut self, history: &History) -> Result<bool> {
        while self.day.as_ref().is_none_or(|day| day.at == day.ts.len()) {
            self.day = None;
            let day = self.days.next(history)?;
            self.done.removed_before = self.days.removed_before;
            let Some(day) = day else { return Ok(false) };
            self.said.fill(None);
            let mut places = vec![None; self.places.len()];
            for (at, name) in day.members.iter().enumerate() {
                if let Some(place) = self.places.get(&**name) {
                    places[*place] = Some(at);
                }
            }
            self.day = Some(Open {
                thing: day.thing,
                places,
                ts: day.ts,
                columns: day.columns,
                at: 0,
                texts: day.texts.into_iter().peekable(),
            });
        }
        Ok(true)
    }

    /// Goes over at most so many rows of the day, and counts them.
    fn take(&mut self, most: usize) -> Range<usize> {
        let Some(day) = &mut self.day else { return 0..0 };
        let rows = day.at..day.ts.len().min(day.at.saturating_add(most));
        day.at = rows.end;
        self.done.rows += rows.len() as u64;
        if self.counted.as_ref() != Some(&day.thing) {
            self.done.things += 1;
            self.counted = Some(day.thing.clone());
        }
        rows
    }

    /// What holds in the line of the texts that came up to it.
    fn read_texts(&mut self) -> Result<()> {
        let ts = self.ts();
        let Some(day) = &mut self.day else { return Ok(()) };
        let mut newest: Option<Arc<str>> = None;
        while let Some((_, text)) = day.texts.next_if(|(from, _)| *from <= ts) {
            newest = Some(text);
        }
        let Some(text) = newest else { return Ok(()) };
        self.said.fill(None);
        self.text_bytes += text.len();
        for (name, value) in parse(&text)? {
            if let Some(at) = self.places.get(&name) {
                self.said[*at] = Some(value);
            }
        }
        Ok(())
    }

    fn row(&self) -> Option<(&Open, usize)> {
        self.day.as_ref().and_then(|day| Some((day, day.at.checked_sub(1)?)))
    }

    /// When the line's poll began.
    pub fn ts(&self) -> Timestamp {
        Timestamp(self.row().map_or(0, |(day, row)| day.ts[row]))
    }

    /// Whose the line is.
    pub fn thing(&self) -> &str {
        self.row().map_or("", |(day, _)| day.thing.as_str())
    }

    /// What a member says as a number.
    pub fn number(&self, at: usize) -> Option<f64> {
        let (day, row) = self.row()?;
        day.column(at)?.get(row).copied().filter(|value| value.is_finite())
    }

    /// What a member says as a text; `null` is nothing.
    pub fn said(&self, at: usize) -> Option<&Value> {
        self.said.get(at)?.as_ref().filter(|value| !value.is_null())
    }
}
