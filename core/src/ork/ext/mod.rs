//! What comes from outside the site: accounts at pools, the network and its prices, the supply of energy. Who fetches it
//! is a source of one type, and is asked by a key.

mod ask;
mod unite;

use std::fmt;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result, io::Timestamp, rack::Caller};

pub(super) use ask::ExtSlot;

const OP: &str = "ork.ext";
/// Code of the error for what has no source here.
pub(super) const NOT_CONFIGURED: &str = "ERR_NOT_CONFIGURED";
/// Most rows of one answer, as of tail logs.
const MOST_ROWS: usize = 100_000;

/// A source of one type of data from outside: `minerpool`, `mempool`, `electricity`, or with a name behind a dash.
///
/// It is asked for rows, JSON objects, as MiningOS's workers of that type answer. It keeps the units of the type: H/s and
/// BTC for pools, MWh for energy, times in ms of Unix. What it does not know it leaves out.
///
/// Each question has a deadline ([`read_deadline`](super::OrkOptions::read_deadline)), so a source answers from what it
/// fetched before. It is asked beside other sources of its type, whose rows stand in the same list:
///
/// * rows of one time are made one row where their members do not contradict each other: lists are joined, counts added;
/// * rows of the key `stats` of pools are the present. They become one row, of the newest time, in which every account has
///   its own `timestamp`.
#[async_trait]
pub trait ExtData: fmt::Debug + Send + Sync + 'static {
    /// What errors call it, `north` for example; no two sources of one type have the same name.
    fn name(&self) -> &str;

    /// The rows that answer a question, oldest first. At most 100,000 are taken.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a question that it cannot understand; whatever fetching gives. The list is
    /// given without this source then, or not at all when it is the only one.
    async fn rows(&self, query: &ExtQuery) -> Result<Vec<Map<String, Value>>>;

    /// Whether it can be told this key.
    fn takes(&self, _key: &str) -> bool {
        false
    }

    /// Tells it something; gives what the caller is told, `1` for nothing.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a value of the wrong form, nothing changed.
    async fn set(&self, key: &str, _value: Value, _by: &Caller) -> Result<Value> {
        let e = Error::new(ErrorKind::Unsupported, OP, "this source takes nothing");
        Err(e.code_as(NOT_CONFIGURED).with("key", key))
    }
}

/// A question to a source.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ExtQuery {
    /// What is asked for, `stats` for example; some types answer without.
    pub key: Option<String>,
    /// The begin of a range of time, included.
    pub start: Option<Timestamp>,
    /// Its end, included.
    pub end: Option<Timestamp>,
    /// One pool only.
    pub pool: Option<String>,
    /// The members of the question as they came, `groupRange`, `limit` and others among them.
    pub members: Map<String, Value>,
}

impl ExtQuery {
    /// The question for `key`.
    pub fn new(key: &str) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }

    /// The same, of a range of time.
    #[must_use]
    pub fn between(self, start: Timestamp, end: Timestamp) -> Self {
        Self { start: Some(start), end: Some(end), ..self }
    }

    /// The key, where there has to be one.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with `ERR_KEY_INVALID`.
    pub fn needs_key(&self) -> Result<&str> {
        let missing = || Error::invalid(OP, "query.key", "is needed").code_as("ERR_KEY_INVALID");
        self.key.as_deref().ok_or_else(missing)
    }

    /// Both ends of the range, where there have to be ones.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with `ERR_START_INVALID` or `ERR_END_INVALID`.
    pub fn needs_range(&self) -> Result<(Timestamp, Timestamp)> {
        let missing = |field, code| move || Error::invalid(OP, field, "is needed, in ms").code_as(code);
        Ok((
            self.start.ok_or_else(missing("query.start", "ERR_START_INVALID"))?,
            self.end.ok_or_else(missing("query.end", "ERR_END_INVALID"))?,
        ))
    }

    /// A member that is a text.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.members.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A member that counts something, as a number or as its text.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for anything else that is not `null`.
    pub fn count(&self, member: &str) -> Result<Option<usize>> {
        let Some(value) = self.members.get(member).filter(|value| !value.is_null()) else { return Ok(None) };
        let number = match value {
            Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            other => other.as_u64().and_then(|n| usize::try_from(n).ok()),
        };
        let wrong = || Error::invalid(OP, &format!("query.{member}"), "takes a whole number from 0 on");
        number.map(Some).ok_or_else(wrong)
    }
}
