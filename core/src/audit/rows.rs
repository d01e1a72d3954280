use sha2::{Digest, Sha256};

use super::Hash;
use crate::store::{Key, Space};

/// The rows of a commit that an entry vouches for.
///
/// Their hash is SHA-256 over each row in the order in which they were added: space, slash, key, a line break, the row's
/// JSON as it is stored, a line break. Neither keys nor stored JSON have line breaks, so rows cannot run into each other.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Rows(Sha256);

impl Rows {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row; `json` is its text as it is stored.
    pub fn add(mut self, space: Space, key: &Key, json: &[u8]) -> Self {
        for part in [space.as_str().as_bytes(), b"/", key.as_str().as_bytes(), b"\n", json, b"\n"] {
            self.0.update(part);
        }
        self
    }

    /// Their hash.
    pub fn hash(self) -> Hash {
        Hash::from_bytes(self.0.finalize().into())
    }
}
