use std::fmt;

use serde::{Deserialize, Serialize};

use super::Text;
use crate::{Error, Result};

/// Identity of a rack: `<thing type>-<name>`, for example `miner-wm-m56s-rack3`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RackId(Text);

impl RackId {
    /// Checks and keeps `text`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with code `ERR_RACK_ID_INVALID` when it is empty, longer than 128
    /// characters or holds white space or control characters.
    pub fn new(text: &str) -> Result<Self> {
        let bad = text.is_empty()
            || text.chars().count() > 128
            || text.chars().any(|c| c.is_whitespace() || c.is_control());
        if bad {
            let why = "an id of a rack has 1 to 128 characters and no white space";
            return Err(Error::invalid("rack.id", "id", why).code_as("ERR_RACK_ID_INVALID"));
        }
        Ok(Self(text.into()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
