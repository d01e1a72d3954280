//! What became of a push.

use serde::Serialize;

use crate::{
    Error, ErrorKind, Result,
    action::{ActionId, catalogue},
};

const OP: &str = "action.push";
/// The last entry whenever nothing was stored.
pub(super) const EMPTY: &str = "ERR_ORK_ACTION_CALLS_EMPTY";

/// Why a push can store nothing, beside wrong parameters of things.
const REASONS: &[&str] = &[
    "ERR_ACTION_DENIED",
    "ERR_RACK_UNREACHABLE",
    "ERR_ACTION_UNKOWN",
    catalogue::MISSING_RACK,
    catalogue::MISSING_ID,
    catalogue::QUERY_ID,
    "ERR_UNSUPPORTED",
];

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Pushed {
    /// The action; `None` when nothing was stored.
    pub id: Option<ActionId>,
    /// What fell out, and why: `<rack>: <code>`, `<rack>: <code>: <thing>`, or a bare code.
    pub errors: Vec<String>,
}

impl Pushed {
    /// The action's id, or the reason why there is none as an error.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected); the code is the reason when all reasons are the same.
    pub fn into_id(self) -> Result<ActionId> {
        let Some(id) = self.id else {
            let e = Error::new(
                ErrorKind::Rejected,
                OP,
                format!("nothing was stored: {}", self.errors.join("; ")),
            );
            return Err(e.code_as(only_reason(&self.errors).unwrap_or(EMPTY)));
        };
        Ok(id)
    }
}

/// The code that every reason has; `None` when they differ, or there is none.
fn only_reason(errors: &[String]) -> Option<&'static str> {
    let mut codes = errors.iter().filter(|error| *error != EMPTY).filter_map(|error| code_in(error));
    let first = codes.next()?;
    if codes.any(|code| code != first) {
        return None;
    }
    // An error's code is a constant, and what things say of themselves need not be one.
    let of_actions = catalogue::ACTIONS.iter().map(|row| row.code);
    REASONS.iter().copied().chain(of_actions).find(|code| *code == first)
}

/// The code in `<rack>: <code>`, `<rack>: <code>: <thing>` or a bare code.
fn code_in(error: &str) -> Option<&str> {
    let mut parts = error.split(": ");
    let first = parts.next();
    parts.next().or(first).filter(|code| !code.contains(' '))
}
