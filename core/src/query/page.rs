use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    hex, limits, refused,
    row::Row,
    sort::{Sort, SortKey},
};
use crate::{Error, Result};

const OP: &str = "query.page";

/// Which part of the sorted result is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many to pass over.
    pub offset: u64,
    /// How many to give at most; 0 gives none, and still counts.
    pub limit: u64,
    /// Where the page before this one ended.
    pub cursor: Option<Cursor>,
}

impl Page {
    /// The limit where none is given: MiningOS's.
    pub const DEFAULT_LIMIT: u64 = 100;

    /// Everything.
    pub const ALL: Self = Self { offset: 0, limit: u64::MAX, cursor: None };
}

impl Default for Page {
    /// The first [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT).
    fn default() -> Self {
        Self { offset: 0, limit: Self::DEFAULT_LIMIT, cursor: None }
    }
}

/// A position in a sorted result, after one document.
///
/// It holds the document's place in the order and its id, so the next page begins behind it whatever was added or
/// removed meanwhile. It is text without meaning for its holder, good for the same sort only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    sort: u64,
    pub(super) key: SortKey,
    pub(super) id: String,
}

const VERSION: u8 = 1;
const WORD: usize = size_of::<u64>();

impl Cursor {
    /// The position after the document with this place and id.
    pub fn after(sort: &Sort, key: SortKey, id: impl Into<String>) -> Self {
        Self { sort: sort.fingerprint(), key, id: id.into() }
    }

    /// Refuses a cursor that was made under another sort.
    pub(super) fn check(&self, sort: &Sort) -> Result<()> {
        if self.sort == sort.fingerprint() {
            return Ok(());
        }
        Err(refused(OP, "cursor", "the cursor belongs to another sort"))
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = Some(text).filter(|t| t.len() <= limits::CURSOR_CHARS).and_then(hex::decode)?;
        let (body, sum) = bytes.split_last_chunk::<WORD>()?;
        if Fnv::of(body) != u64::from_be_bytes(*sum) {
            return None;
        }
        let (version, rest) = body.split_first()?;
        let (sort, rest) = rest.split_first_chunk::<WORD>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (key, id) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let id = String::from_utf8(id.to_vec()).ok()?;
        (*version == VERSION).then(|| Self { sort: u64::from_be_bytes(*sort), key: SortKey::new(key), id })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(self.sort.to_be_bytes());
        bytes.extend((self.key.bytes().len() as u32).to_be_bytes());
        bytes.extend(self.key.bytes());
        bytes.extend(self.id.as_bytes());
        bytes.extend(Fnv::of(&bytes).to_be_bytes());
        f.write_str(&hex::encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::decode(text).ok_or_else(|| refused(OP, "cursor", "not a cursor of this release, or damaged"))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One document of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its id; unique over everything that is queried together.
    pub id: String,
    /// What the projection gives of it.
    pub value: Row,
    /// Its place in the order.
    pub key: SortKey,
}

/// One page of a result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryPage {
    /// The documents, in order.
    pub items: Vec<Item>,
    /// How many documents pass the filter, on this page or not.
    pub matched: u64,
    /// Where the next page begins; `None` when there is none, and for a page of limit 0.
    pub next: Option<Cursor>,
}

/// The two numbers of a page as counts of rows.
pub(super) fn counts(page: &Page) -> (usize, usize) {
    let rows = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    (rows(page.offset), rows(page.limit))
}

/// Cuts the wanted part out of sorted rows, and says whether some follow.
pub(super) fn cut<T>(mut rows: Vec<T>, page: &Page) -> (Vec<T>, bool) {
    let (offset, limit) = counts(page);
    rows.drain(..offset.min(rows.len()));
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}

/// Where the page after these rows begins.
pub(super) fn next(items: &[Item], more: bool, sort: &Sort) -> Option<Cursor> {
    let last = items.last().filter(|_| more)?;
    Some(Cursor::after(sort, last.key.clone(), last.id.as_str()))
}

/// The FNV-1a hash: it finds damage and mix-ups, it does not authenticate.
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Self::default();
        hash.write(bytes);
        hash.finish()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn finish(&self) -> u64 {
        self.0
    }
}
