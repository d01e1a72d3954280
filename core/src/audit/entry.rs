use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Hash, Rows, code};
use crate::{Error, ErrorKind, Result};

const OP: &str = "audit.entry";
/// Longest line of an entry, in bytes.
pub(super) const MAX_LINE_BYTES: usize = 64 << 10;
/// How a line begins and ends: the number is its first member, the hash before its last.
const BEGIN: &[u8] = b"{\"seq\":";
const BEFORE_PREV: &[u8] = b",\"prev\":\"";
const HEX: usize = 64;
const END: &[u8] = b"\"}";
/// Records with this text are rewritten when a site's key is changed ([`ControlStore::rotate_key`]); an entry must
/// never be.
///
/// [`ControlStore::rotate_key`]: crate::store::ControlStore::rotate_key
const SEALED: &[u8] = b"\"$sealed\"";

/// One entry of the audit log. Its line holds the members in this order; what is absent is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its number, from 0.
    pub seq: u64,
    /// When, ms since 1970.
    pub ts: i64,
    /// Who did it: a person, or `headframe`.
    pub by: String,
    /// What was done, a short verb such as `push`, `vote` or `outcome`.
    pub what: String,
    /// The reason that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The action that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<u64>,
    /// Details, without secrets.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// Hash of the rows that were written in the same commit and that the entry vouches for: see [`Rows`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Hash of the entry before; 64 zeros in the first.
    pub prev: String,
}

impl Entry {
    /// Reads an entry's line.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when it is none.
    pub fn parse(line: &[u8]) -> Result<Self> {
        serde_json::from_slice(line).map_err(|e| {
            // The error's own text can quote the line.
            let why = format!("a line is not an audit entry ({:?} at column {})", e.classify(), e.column());
            Error::new(ErrorKind::Corrupt, OP, why).code_as(code::CORRUPT)
        })
    }
}

/// An entry before it has a place in the log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Draft {
    /// When, ms since 1970.
    pub ts: i64,
    /// Who did it: a person, or `headframe`.
    pub by: String,
    /// What was done, a short verb.
    pub what: String,
    /// The reason that was given.
    pub why: Option<String>,
    /// The action that it belongs to.
    pub action: Option<u64>,
    /// Details, without secrets.
    pub data: Value,
    /// Hash of the rows that the entry vouches for.
    pub rows: Option<String>,
}

impl Draft {
    /// An entry that says when, who and what.
    pub fn new(ts: i64, by: impl Into<String>, what: impl Into<String>) -> Self {
        Self { ts, by: by.into(), what: what.into(), why: None, action: None, data: Value::Null, rows: None }
    }

    /// The reason that was given.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The action that it belongs to.
    #[must_use]
    pub fn action(mut self, id: u64) -> Self {
        self.action = Some(id);
        self
    }

    /// Details, without secrets.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// The rows of the same commit that it vouches for.
    #[must_use]
    pub fn rows(mut self, rows: Rows) -> Self {
        self.rows = Some(rows.hash().to_string());
        self
    }

    /// Its line at a place of the log.
    pub(super) fn line(self, seq: u64, prev: &Hash) -> Result<Vec<u8>> {
        let Self { ts, by, what, why, action, data, rows } = self;
        let entry = Entry { seq, ts, by, what, why, action, data, rows, prev: prev.to_string() };
        let refused = |why: String| Error::invalid(OP, "data", why).with("what", &entry.what);
        let line = serde_json::to_vec(&entry)
            .map_err(|e| refused(format!("the entry cannot be written as JSON ({:?})", e.classify())))?;
        if line.len() > MAX_LINE_BYTES {
            return Err(refused(
                "an audit entry has at most 64 KiB: give its details a place of their own".into(),
            ));
        }
        if line.windows(SEALED.len()).any(|part| part == SEALED) {
            return Err(refused("an audit entry holds no sealed secret: leave it out".into()));
        }
        Ok(line)
    }
}

/// What verifying takes from a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub seq: u64,
    pub prev: Hash,
}

impl Link {
    /// Number and hash before of a line; `None` when it is not an entry. They stand at the line's two ends, so that no
    /// two readers of JSON can disagree about them.
    pub fn of(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Both {
            seq: u64,
            prev: String,
        }
        let (head, prev) = split(line)?;
        let prev = Hash::from_hex(prev)?;
        let digits = head.strip_prefix(BEGIN)?;
        let end = digits.iter().position(|b| !b.is_ascii_digit())?;
        let seq: u64 = std::str::from_utf8(&digits[..end]).ok()?.parse().ok()?;
        let both: Both = serde_json::from_slice(line).ok()?;
        (line.len() <= MAX_LINE_BYTES && both.seq == seq && both.prev == prev.to_string())
            .then_some(Self { seq, prev })
    }
}

/// The hash of a line with another hash before in it.
pub(super) fn hash_with(line: &[u8], prev: &Hash) -> Option<Hash> {
    let (head, _) = split(line)?;
    Some(Hash::leaf(&[head, prev.to_string().as_bytes(), END].concat()))
}

/// A line up to the hexadecimal digits of `prev`, and those.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_suffix(END)?;
    let (head, prev) = rest.split_at_checked(rest.len().checked_sub(HEX)?)?;
    head.ends_with(BEFORE_PREV).then_some((head, prev))
}
