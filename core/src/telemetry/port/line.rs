//! One line of an import: JSON of a bounded length and number of rows.

use std::{fmt, io};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, value::RawValue};

use crate::history::MAX_TS;

/// Longest line, bytes.
pub(super) const MOST_LINE: usize = 64 << 20;
/// Longest row of a line, bytes.
const MOST_ROW: usize = 4 << 20;
/// Most rows of a line.
const MOST_ROWS: usize = 1 << 20;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Line,
    TooLong,
    End,
}

/// Reads a line without its end. One that is too long is read over.
pub(super) fn read(from: &mut dyn io::BufRead, most: usize, out: &mut Vec<u8>) -> io::Result<Read> {
    out.clear();
    let (mut any, mut too_long) = (false, false);
    loop {
        let piece = match from.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            piece => piece?,
        };
        if piece.is_empty() {
            break;
        }
        any = true;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let text = &piece[..end.unwrap_or(piece.len())];
        too_long |= out.len() + text.len() > most;
        if too_long {
            *out = Vec::new();
        } else {
            out.extend_from_slice(text);
        }
        let used = end.map_or(piece.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok(if too_long {
        Read::TooLong
    } else if any {
        Read::Line
    } else {
        Read::End
    })
}

/// A line, as it stands in the input.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    pub thing: Option<String>,
    #[serde(rename = "type")]
    pub thing_type: Option<String>,
    pub key: Option<String>,
    pub tag: Option<String>,
    #[serde(borrow)]
    pub rows: Rows<'a>,
}

/// The rows of a line, not read yet.
#[derive(Debug)]
pub(super) struct Rows<'a>(pub Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Rows<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rows")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = seq.next_element()? {
                    if rows.len() == MOST_ROWS {
                        return Err(de::Error::custom("a line has at most 1,048,576 rows"));
                    }
                    rows.push(row);
                }
                Ok(rows)
            }
        }
        from.deserialize_seq(Visitor).map(Self)
    }
}

/// A row whose time is known, with its place in the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed<'a> {
    pub ts: i64,
    pub at: usize,
    pub raw: &'a RawValue,
}

/// The rows in the order of their times; those that have none, or one that cannot be, with the reason.
pub(super) fn timed<'a>(rows: &[&'a RawValue]) -> (Vec<Timed<'a>>, Vec<String>) {
    let (mut found, mut bad) = (Vec::with_capacity(rows.len()), Vec::new());
    for (at, raw) in rows.iter().copied().enumerate() {
        match time(raw) {
            Ok(ts) => found.push(Timed { ts, at, raw }),
            Err(why) => bad.push(of_row(at, &why)),
        }
    }
    found.sort_by_key(|row| (row.ts, row.at));
    (found, bad)
}

/// A reason, with the row that it is of, counted from 1.
pub(super) fn of_row(at: usize, why: &str) -> String {
    format!("row {}: {why}", at + 1)
}

fn time(raw: &RawValue) -> Result<i64, String> {
    #[derive(Deserialize)]
    struct Row {
        ts: Value,
    }
    if raw.get().len() > MOST_ROW {
        return Err("a row has at most 4 MiB".into());
    }
    let row: Row = serde_json::from_str(raw.get()).map_err(|e| format!("it is no row with a time: {e}"))?;
    #[allow(clippy::cast_possible_truncation, reason = "whole and within the range")]
    let whole = |x: f64| (x.fract() == 0.0 && x.abs() <= MAX_TS as f64).then_some(x as i64);
    let ts = row.ts.as_i64().or_else(|| row.ts.as_f64().and_then(whole));
    let ts = ts.filter(|ts| (0..=MAX_TS).contains(ts));
    ts.ok_or_else(|| "its ts is no time in ms within 1970 to 9999".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_within_their_bound() {
        let mut from = io::BufReader::with_capacity(3, &b"ab\n\n123456789\nxyz"[..]);
        let mut out = Vec::new();
        let mut found = Vec::new();
        loop {
            match read(&mut from, 8, &mut out).unwrap() {
                Read::End => break,
                Read::TooLong => found.push("?".to_owned()),
                Read::Line => found.push(String::from_utf8(out.clone()).unwrap()),
            }
        }
        assert_eq!(found, ["ab", "", "?", "xyz"]);
    }

    #[test]
    fn times_are_whole_ms_within_their_range() {
        let of = |text: &str| time(serde_json::from_str::<&RawValue>(text).unwrap()).ok();
        assert_eq!(of(r#"{"ts": 1764158400000}"#), Some(1_764_158_400_000));
        assert_eq!(of(r#"{"ts": 1.7641584e12, "snap": null}"#), Some(1_764_158_400_000));
        for bad in [
            r#"{"ts":-1}"#,
            r#"{"ts":0.5}"#,
            r#"{"ts":"5"}"#,
            "{}",
            "[]",
            "5",
            r#"{"ts":1e99}"#,
            r#"{"ts":null}"#,
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
