use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result, store::Key};

/// Identity of an action: when it was pushed, in ms since 1970. Unique and rising, whatever the clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(u64);

impl ActionId {
    /// The id that is `ms`.
    pub const fn new(ms: u64) -> Self {
        Self(ms)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The key of the action's record, and the beginning of those of its targets and journal.
    pub(super) fn key(self) -> Key {
        Key::number(self.0)
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ActionId {
    type Err = Error;

    /// Reads the decimal text. Anything else is the id of no action.
    fn from_str(text: &str) -> Result<Self> {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = plain.then(|| text.parse().ok()).flatten();
        number.map(Self).ok_or_else(unknown)
    }
}

/// There is no such action.
pub(super) fn unknown() -> Error {
    Error::new(ErrorKind::NotFound, "action", "there is no action with this id")
        .code_as("ERR_ACTION_ID_NOT_FOUND")
}
