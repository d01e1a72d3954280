//! Rows of a log by hours, days, weeks or months (`groupRange`).
//!
//! These are blocks of one size counted from 1970, as MiningOS's are: a week begins on Thursday and a month has 30 days.
//! Blocks of the calendar are `range::Buckets`, which [`over`] takes as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    Semantics,
    fold::{Edges, Span},
    row::{Cell, Merge, Row, Stat},
    source,
};
use crate::{Error, Result, io::Timestamp};

const OP: &str = "stats.group";
const HOUR: i64 = 3_600_000;
/// The longest count: what is beyond is a mistake.
const MOST: u32 = 9_999;

/// The unit of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `H`
    Hour,
    /// `D`
    Day,
    /// `W`
    Week,
    /// `M`: 30 days here, a month in the calendar.
    Month,
}

impl Unit {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'H' => Self::Hour,
            'D' => Self::Day,
            'W' => Self::Week,
            'M' => Self::Month,
            _ => return None,
        })
    }

    fn letter(self) -> char {
        match self {
            Self::Hour => 'H',
            Self::Day => 'D',
            Self::Week => 'W',
            Self::Month => 'M',
        }
    }

    fn ms(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
            Self::Month => 30 * 24 * HOUR,
        }
    }
}

/// The size of blocks: a count and a unit, such as `6H`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupRange {
    count: u32,
    unit: Unit,
}

impl fmt::Display for GroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.letter())
    }
}

fn refused(text: &str, why: &str) -> Error {
    let shown: String = text.chars().take(40).collect();
    Error::invalid(OP, "groupRange", why).code_as("ERR_INVALID_GROUP_RANGE_FORMAT").with("given", shown)
}

impl GroupRange {
    /// Reads `<n>` with `H`, `D`, `W` or `M`, such as `6H` or `2 Ds`. A lower-case `m` is refused, because it looks like
    /// minutes.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_INVALID_GROUP_RANGE_FORMAT`.
    pub fn parse(text: &str) -> Result<Self> {
        let (count, letter) = split(text)?;
        if letter == 'm' {
            let why = "m could mean minutes, and there is no unit for minutes; months are a capital M";
            return Err(refused(text, why));
        }
        Self::new(text, count, letter)
    }

    /// Reads it as MiningOS does: `m` is a month, too.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_mos(text: &str) -> Result<Self> {
        let (count, letter) = split(text)?;
        Self::new(text, count, letter)
    }

    fn new(text: &str, count: u32, letter: char) -> Result<Self> {
        let Some(unit) = Unit::of(letter.to_ascii_uppercase()) else {
            return Err(refused(text, "the unit is H, D, W or M: hours, days, weeks, months"));
        };
        if !(1..=MOST).contains(&count) {
            return Err(refused(text, "the count is from 1 to 9,999"));
        }
        Ok(Self { count, unit })
    }

    /// How many units.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Which unit.
    pub fn unit(self) -> Unit {
        self.unit
    }

    /// The size, ms.
    pub fn ms(self) -> i64 {
        i64::from(self.count) * self.unit.ms()
    }

    /// The block that a row of this time is in.
    pub fn span(self, ts: Timestamp, edges: Edges) -> Span {
        let size = self.ms();
        let inside = match edges {
            Edges::Instants => ts.0,
            Edges::WindowEnds => ts.0.saturating_sub(1),
        };
        let start = inside.saturating_sub(inside.rem_euclid(size));
        Span::ms(start, start.saturating_add(size))
    }
}

/// The count and the letter of the unit.
fn split(text: &str) -> Result<(u32, char)> {
    let form = || refused(text, "a group range is a number and a unit, such as 6H");
    let trimmed = text.trim();
    let (digits, rest) =
        trimmed.split_at(trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len()));
    let mut letters = rest.trim_start().chars();
    let (Some(letter), plural, None) = (letters.next(), letters.next(), letters.next()) else {
        return Err(form());
    };
    if !matches!(plural, None | Some('s' | 'S')) || digits.is_empty() || digits.len() > 9 {
        return Err(form());
    }
    Ok((digits.parse().map_err(|_| form())?, letter))
}

/// Rows of statistics by blocks of one size. Blocks without rows are left out. See [`over`].
pub fn rows(rows: &[Row], size: GroupRange, edges: Edges, mean: bool) -> Vec<(Span, Row)> {
    let starts: BTreeSet<i64> = rows.iter().filter_map(|r| Some(size.span(r.ts?, edges).start.0)).collect();
    let span = |start: i64| Span::ms(start, start.saturating_add(size.ms()));
    let spans: Vec<Span> = starts.into_iter().map(span).collect();
    over(rows, &spans, edges, mean)
}

/// Rows of statistics by spans, which are in order and do not overlap; rows in none, and spans without rows, are left out.
///
/// Numbers that are added over things become their sum over the rows or, with `mean`, their mean over those rows that have
/// them. Averages are weighted by those who contributed, maxima are the greatest, of all else the latest counts. What no
/// row has is absent.
pub fn over(rows: &[Row], spans: &[Span], edges: Edges, mean: bool) -> Vec<(Span, Row)> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| row.ts);
    let each = spans.iter().map(|span| (*span, span.of(&rows, |row| row.ts, edges)));
    each.filter(|(_, rows)| !rows.is_empty()).map(|(span, rows)| (span, one(rows, mean))).collect()
}

fn one(rows: &[&Row], mean: bool) -> Row {
    let mut out = Row::new(None);
    rows.iter().for_each(|row| out.merge(row));
    if !mean {
        return out;
    }
    let cells = out.cells().filter_map(|(name, cell)| {
        let each = rows.iter().filter_map(|row| row.get(name));
        Some((Arc::clone(name), meaned(cell, each)?))
    });
    cells.collect()
}

/// Divides sums by the number of rows that have them, and their contributors too.
fn meaned<'r>(sum: &Cell, each: impl Iterator<Item = &'r Cell>) -> Option<Cell> {
    let part = |stat: Stat, count: f64| Stat::new(stat.value() / count, stat.weight() / count);
    Some(match sum {
        Cell::Number(Merge::Sum, stat) => Cell::Number(Merge::Sum, part(*stat, each.count() as f64)?),
        Cell::Groups(Merge::Sum, groups) => {
            let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
            for cell in each {
                let Cell::Groups(_, groups) = cell else { continue };
                groups.keys().for_each(|name| *counts.entry(name).or_default() += 1.0);
            }
            let mean = |(name, stat): (&Arc<str>, &Stat)| {
                Some((Arc::clone(name), part(*stat, *counts.get(&**name)?)?))
            };
            Cell::Groups(Merge::Sum, groups.iter().filter_map(mean).collect())
        }
        other => other.clone(),
    })
}

/// JSON rows of any log by blocks, in MiningOS's shape: `ts` is the text `<start>-<end>` with the last millisecond inside.
///
/// A block of one row is that row. Else numbers are added or, with `mean`, averaged over the rows that have them, so are
/// those one level below; of everything else the first value counts. What is `null` in all rows is `null` in MiningOS's
/// semantics and absent in the corrected ones, which also leave out rows without a time.
///
/// # Errors
/// As [`GroupRange::parse`] and, for MiningOS's semantics, [`GroupRange::parse_mos`]. Without rows the range is not read.
pub fn json(
    rows: &[Value],
    size: &str,
    mean: bool,
    edges: Edges,
    semantics: Semantics,
) -> Result<Vec<Map<String, Value>>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let (size, edges) = match semantics {
        Semantics::Corrected => (GroupRange::parse(size)?, edges),
        Semantics::MiningOs => (GroupRange::parse_mos(size)?, Edges::Instants),
    };
    let ts = |row: &Value| row.get("ts").and_then(Value::as_f64).map(|ts| ts as i64);
    let mut rows: Vec<(i64, &Map<String, Value>)> =
        rows.iter().filter_map(|row| Some((ts(row)?, row.as_object()?))).collect();
    rows.sort_by_key(|(ts, _)| *ts);
    let start = |ts: i64| size.span(Timestamp(ts), edges).start.0;
    let blocks = rows.chunk_by(|(a, _), (b, _)| start(*a) == start(*b)).map(|rows| {
        let Span { start, end } = size.span(Timestamp(rows[0].0), edges);
        let mut out = match rows {
            [(_, row)] => (*row).clone(),
            rows => block(rows, mean, semantics),
        };
        out.insert("ts".into(), format!("{}-{}", start.0, end.0.saturating_sub(1)).into());
        out
    });
    Ok(blocks.collect())
}

fn block(rows: &[(i64, &Map<String, Value>)], mean: bool, semantics: Semantics) -> Map<String, Value> {
    let names: BTreeSet<&String> = rows.iter().flat_map(|(_, row)| row.keys()).collect();
    let field = |name: &String| {
        let known: Vec<&Value> =
            rows.iter().filter_map(|(_, row)| row.get(name)).filter(|v| !v.is_null()).collect();
        let folded = match known.first() {
            Some(Value::Number(_)) => folded(&known, mean),
            Some(Value::Object(_)) => Some(members(&known, mean)),
            Some(first) => Some((*first).clone()),
            None => (semantics == Semantics::MiningOs).then_some(Value::Null),
        };
        Some((name.clone(), folded?))
    };
    names.into_iter().filter(|name| *name != "ts").filter_map(field).collect()
}

/// Numbers, added or averaged.
fn folded(values: &[&Value], mean: bool) -> Option<Value> {
    let numbers: Vec<f64> = values.iter().filter_map(|v| v.as_f64()).collect();
    let sum: f64 = numbers.iter().sum();
    source::number(if mean { sum / numbers.len() as f64 } else { sum })
}

fn members(values: &[&Value], mean: bool) -> Value {
    let objects: Vec<&Map<String, Value>> = values.iter().filter_map(|v| v.as_object()).collect();
    let names: BTreeSet<&String> = objects.iter().flat_map(|o| o.keys()).collect();
    let member = |name: &String| {
        let known: Vec<&Value> =
            objects.iter().filter_map(|o| o.get(name)).filter(|v| !v.is_null()).collect();
        let value = match known.first()? {
            Value::Number(_) => folded(&known, mean)?,
            first => (*first).clone(),
        };
        Some((name.clone(), value))
    };
    Value::Object(names.into_iter().filter_map(member).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn group_ranges_are_read() {
        for (text, shown, ms) in [
            ("1H", "1H", HOUR),
            (" 6 hs ", "6H", 6 * HOUR),
            ("2 Ds", "2D", 48 * HOUR),
            ("1w", "1W", 168 * HOUR),
            ("3M", "3M", 90 * 24 * HOUR),
        ] {
            let range = GroupRange::parse(text).unwrap();
            assert_eq!((range.to_string().as_str(), range.ms()), (shown, ms), "{text}");
        }
        assert_eq!(GroupRange::parse_mos("15m").unwrap().ms(), 450 * 24 * HOUR);
        let minutes = GroupRange::parse("15m").unwrap_err();
        assert!(minutes.message().contains("no unit for minutes"), "{minutes}");
        for bad in [
            "",
            "H",
            "0H",
            "00D",
            "10000D",
            "-1H",
            "1.5H",
            "2Y",
            "1Hx",
            "1 H s",
            "1HHs",
            "99999999999H",
            "１H",
        ] {
            for error in [GroupRange::parse(bad).unwrap_err(), GroupRange::parse_mos(bad).unwrap_err()] {
                assert_eq!(error.code(), "ERR_INVALID_GROUP_RANGE_FORMAT", "{bad}");
            }
        }
    }

    #[test]
    fn a_row_at_the_end_of_an_hour_belongs_to_it() {
        let hour = GroupRange::parse("1H").unwrap();
        assert_eq!(hour.span(Timestamp(HOUR), Edges::WindowEnds), Span::ms(0, HOUR));
        assert_eq!(hour.span(Timestamp(HOUR), Edges::Instants), Span::ms(HOUR, 2 * HOUR));
        assert_eq!(hour.span(Timestamp(-1), Edges::Instants), Span::ms(-HOUR, 0));
    }

    fn row(ts: i64, power: Option<f64>, (avg, weight): (f64, f64), bays: &[(&str, f64)]) -> Row {
        let mut row = Row::new(Some(Timestamp(ts)));
        if let Some(power) = power {
            row.set("power", Cell::Number(Merge::Sum, Stat::new(power, 2.0).unwrap()));
        }
        row.set("avg", Cell::Number(Merge::Mean, Stat::new(avg, weight).unwrap()));
        let bays = bays.iter().map(|(name, n)| ((*name).into(), Stat::new(*n, 1.0).unwrap()));
        row.set("bays", Cell::Groups(Merge::Sum, bays.collect()));
        row
    }

    #[test]
    fn an_absent_value_is_not_zero() {
        let minute = 60_000;
        let all = [
            row(5 * minute, Some(10.0), (60.0, 1.0), &[("a", 1.0), ("b", 2.0)]),
            row(10 * minute, None, (50.0, 3.0), &[("a", 3.0)]),
            row(60 * minute, Some(30.0), (0.0, 0.0), &[]),
        ];
        let hour = GroupRange::parse("1H").unwrap();
        let of = |mean| {
            let blocks = rows(&all, hour, Edges::WindowEnds, mean);
            assert_eq!(blocks.iter().map(|(span, _)| *span).collect::<Vec<_>>(), [Span::ms(0, HOUR)]);
            Value::Object(blocks[0].1.to_json())
        };
        assert_eq!(of(false), json!({"power": 40, "avg": 52.5, "bays": {"a": 4, "b": 2}}));
        assert_eq!(of(true), json!({"power": 20, "avg": 52.5, "bays": {"a": 2, "b": 2}}));
        let starts = rows(&all, hour, Edges::Instants, true);
        assert_eq!(starts.len(), 2);
        assert_eq!(starts[0].1.number("power").unwrap(), Stat::new(10.0, 2.0).unwrap());
    }

    #[test]
    fn a_field_without_any_value_is_absent() {
        let rows = [
            json!({"ts": 1, "a": null, "b": 1}),
            json!({"ts": 2, "a": null, "b": "x", "c": true}),
            json!({}),
        ];
        let of = |semantics| json(&rows, "1D", true, Edges::Instants, semantics).unwrap().remove(0);
        let expected = json!({"ts": "0-86399999", "b": 1, "c": true});
        assert_eq!(Value::Object(of(Semantics::Corrected)), expected);
        assert_eq!(of(Semantics::MiningOs)["a"], Value::Null);
        let far = [json!({"ts": 1e300, "a": 1}), json!({"ts": -1e300, "a": 2})];
        assert_eq!(json(&far, "9999M", false, Edges::WindowEnds, Semantics::Corrected).unwrap().len(), 2);
        assert!(json(&rows, "15m", true, Edges::Instants, Semantics::Corrected).is_err());
    }
}
