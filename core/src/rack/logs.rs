use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    Error, Result,
    io::Timestamp,
    stats::{Row, fold::Span, live::Window},
};

/// Which log of a rack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogKey {
    /// `stat-1m`, `stat-5m`, …: statistics by window.
    Stat(Window),
    /// `stat-rtd`: what things say now.
    Now,
    /// `thing-5m`: readings of one thing, whose id is the tag.
    Thing,
    /// `stat-startup`: whether more than half of the miners that are known mine, by five minutes.
    Startup,
    /// `stat-shares-1m`, `stat-shares-30m`: shares of miners by window, added.
    Shares(Window),
}

impl LogKey {
    /// The log with MiningOS's name `key`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_LOG_KEY_NOTFOUND`.
    pub fn parse(key: &str) -> Result<Self> {
        match key {
            "stat-rtd" => Ok(Self::Now),
            "thing-5m" => Ok(Self::Thing),
            "stat-startup" => Ok(Self::Startup),
            "stat-shares-1m" => Ok(Self::Shares(Window::M1)),
            "stat-shares-30m" => Ok(Self::Shares(Window::M30)),
            _ => Window::named(key).map(Self::Stat).ok_or_else(|| {
                let windows: Vec<&str> = Window::ALL.into_iter().map(Window::name).collect();
                let others = "stat-rtd, thing-5m, stat-startup, stat-shares-1m, stat-shares-30m";
                let why = format!("takes {others} or one of {}", windows.join(", "));
                Error::invalid("rack.tail", "key", why).code_as("ERR_LOG_KEY_NOTFOUND")
            }),
        }
    }
}

/// What is asked of a rack's log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TailQuery {
    /// Which log.
    pub key: LogKey,
    /// Of things with this tag; of readings the thing's id.
    pub tag: String,
    /// The first time stamp that counts.
    pub from: Timestamp,
    /// The last time stamp that counts.
    pub to: Timestamp,
    /// Only so many rows, the newest.
    pub newest: Option<usize>,
    /// Only these results of statistics; all without.
    pub wanted: Option<BTreeSet<String>>,
    /// One row for each of these spans, whose time stamp is the span's end, in place of one for each window: what was held
    /// over the span, as if it were one window. Only for statistics by window.
    pub spans: Option<Vec<Span>>,
    /// Neither a begin nor an end was asked for: MiningOS gives the newest hundred rows then.
    pub open: bool,
}

impl TailQuery {
    /// All rows of a log with time stamps from `from` to `to`, both included.
    pub fn new(key: LogKey, tag: &str, from: Timestamp, to: Timestamp) -> Self {
        Self { key, tag: tag.into(), from, to, newest: None, wanted: None, spans: None, open: false }
    }

    /// Whether a result of statistics is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(name))
    }

    /// Whether a result is wanted by its name, and not only because all are.
    pub fn names(&self, name: &str) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.contains(name))
    }
}

/// Rows of a log, oldest first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Tail {
    /// Statistics, with how many things each number is of.
    Rows(Vec<Row>),
    /// Readings in MiningOS's form.
    Documents(Vec<Value>),
    /// Results as MiningOS stores them, `{ts, <name>: …}`, to be folded as MiningOS does. Where spans were asked for, these
    /// are the rows from the first to the last of them, which are still to be cut.
    Mos(Vec<Value>),
}

/// Where a rack's logs are.
#[async_trait]
pub trait RackLogs: fmt::Debug + Send + Sync + 'static {
    /// Rows of a log. Empty where there is none.
    async fn tail(&self, query: &TailQuery) -> Result<Tail>;
}
