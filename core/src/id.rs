use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, io::Rng};

const RANDOM_CHARS: usize = 15;
const ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
const MAX_CHARS: usize = 128;

/// Stable identity of a thing. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThingId(Arc<str>);

impl ThingId {
    /// Checks and keeps `text`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it is empty, longer than 128 characters or holds white space
    /// or control characters.
    pub fn new(text: &str) -> Result<Self> {
        let bad = text.is_empty()
            || text.chars().count() > MAX_CHARS
            || text.chars().any(|c| c.is_whitespace() || c.is_control());
        if bad {
            let why = "an id has 1 to 128 characters and no white space";
            return Err(Error::invalid("thing.id", "id", why));
        }
        Ok(Self(text.into()))
    }

    /// A random id of 15 characters, the form MiningOS gives to miners.
    pub fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; RANDOM_CHARS];
        rng.fill(&mut bytes);
        let text: String =
            bytes.iter().map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])).collect();
        Self(text.into())
    }

    /// What comes before every id in their order, and is none.
    #[cfg(feature = "store")]
    pub(crate) fn before_all() -> Self {
        Self(Arc::default())
    }

    /// The id's text, not copied.
    #[cfg(feature = "store")]
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ThingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ThingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
