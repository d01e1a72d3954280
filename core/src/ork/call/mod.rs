//! MiningOS's methods, over the typed interface: [`Orchestrator::call`].
//!
//! Each method is one row of [`methods`], and a row says what it needs: none can be added that anybody may call.

mod actions;
mod audit;
mod ext;
mod files;
mod lists;
mod map;
mod mos;
mod params;
mod racks;
mod range_aggr;
mod site;
mod stops;
mod table;
mod tail;
mod things;

pub use table::methods;

use std::{fmt, future::Future, pin::Pin};

use serde_json::Value;

use crate::{
    Error, ErrorKind, Result,
    auth::{Access, Principal, Scope},
    planted::{Bug, planted},
    rack::{Caller, Partial, RackId},
};

use super::Orchestrator;
use params::Params;
pub(super) use params::code_of_member;

const OP: &str = "ork.call";
/// How much of an unknown method's name an error repeats.
const SHOWN_CHARS: usize = 64;

/// A method.
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// Whether it reads or writes.
    pub op: Access,
    /// What the caller needs a permission for.
    pub needs: Scope,
    /// Its parameters, for people.
    pub params: &'static str,
    /// Its result, for people.
    pub gives: &'static str,
    run: Run,
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.name, self.needs, self.op)
    }
}

type Run = for<'a> fn(Call<'a>) -> Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>;

/// One call, as a method sees it.
struct Call<'a> {
    ork: &'a Orchestrator,
    who: &'a Principal,
    params: Params<'a>,
}

impl Call<'_> {
    fn caller(&self) -> Caller {
        Caller::new(&self.who.user)
    }
}

/// The result of a call.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The result in MiningOS's shape.
    pub value: Value,
    /// Racks and sources that contributed nothing to it, with their errors.
    pub failed: Vec<(RackId, Error)>,
    /// Where the next page of a list of things begins: the parameter `cursor` takes it.
    pub next: Option<String>,
}

impl Reply {
    fn of(value: impl Into<Value>) -> Self {
        Self::named(value, Vec::new())
    }

    fn named(value: impl Into<Value>, failed: Vec<(RackId, Error)>) -> Self {
        Self { value: value.into(), failed, next: None }
    }

    /// What the racks answered; an error when there are racks and none of them answered.
    fn partial<T>(answered: bool, all: Partial<T>, value: impl FnOnce(T) -> Value) -> Result<Self> {
        let Partial { items, mut failed } = all;
        if answered || failed.is_empty() {
            return Ok(Self::named(value(items), failed));
        }
        let (_, first) = failed.swap_remove(0);
        Err(first.with("others_failed", failed.len()))
    }
}

/// What reads much of the store, beside the tasks that must not wait; in a simulation in its turn, like all else there.
async fn blocking<T: Send + 'static>(
    ork: &Orchestrator,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if ork.0.store.is_inline() {
        return work();
    }
    let ended = |e| Error::new(ErrorKind::Internal, OP, "reading the store came to a bad end").caused_by(e);
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

impl Orchestrator {
    /// Calls `method` with `params`, JSON text, for `who`. Racks that failed are only logged: see
    /// [`ask`](Self::ask).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with `UNKNOWN_METHOD`; [`Forbidden`](ErrorKind::Forbidden);
    /// [`Invalid`](ErrorKind::Invalid) with the field that is wrong, nothing changed; the method's own.
    pub async fn call(&self, who: &Principal, method: &str, params: &str) -> Result<Value> {
        let reply = self.ask(who, method, params).await?;
        for (rack, error) in &reply.failed {
            tracing::warn!(%rack, %error, method, "a rack or a source is missing in an answer");
        }
        Ok(reply.value)
    }

    /// As [`call`](Self::call), and says which racks failed.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn ask(&self, who: &Principal, method: &str, params: &str) -> Result<Reply> {
        let Some(row) = methods().iter().find(|row| row.name == method) else {
            let shown: String = method.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
            let e = Error::new(ErrorKind::NotFound, OP, format!("there is no method '{shown}'"));
            return Err(e.code_as("UNKNOWN_METHOD"));
        };
        if !(planted(Bug::OpenRoute) && row.name == "setGlobalConfig") {
            who.permissions.check(OP, row.needs, row.op).map_err(|e| e.with("method", row.name))?;
        }
        let params = Params::parse(params)?;
        (row.run)(Call { ork: self, who, params }).await.map_err(|e| e.with("method", row.name))
    }
}
