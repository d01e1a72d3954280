use std::{borrow::Borrow, fmt, sync::Arc};

use crate::{Error, Result, ThingId};

/// Longest key in bytes.
const MAX_KEY_BYTES: usize = 512;

/// The kinds of record in a [`ControlStore`](super::ControlStore). A new kind is a new format version: an older
/// release refuses a file that holds a kind it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Space {
    /// Things, by id.
    Things,
    /// Racks, by id.
    Racks,
    /// Comments on things.
    Comments,
    /// Settings and limits.
    Settings,
    /// Headers of actions, by id.
    Actions,
    /// Targets of actions.
    Targets,
    /// Journal of what was sent.
    Journal,
    /// The audit log.
    Audit,
    /// People, keys and roles.
    Users,
    /// What a site remembers about itself: counters, checkpoints, the highest clock seen.
    Meta,
}

impl Space {
    /// Every space there is.
    pub const ALL: [Self; 10] = [
        Self::Things,
        Self::Racks,
        Self::Comments,
        Self::Settings,
        Self::Actions,
        Self::Targets,
        Self::Journal,
        Self::Audit,
        Self::Users,
        Self::Meta,
    ];

    /// The space's name, as in exports and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Things => "things",
            Self::Racks => "racks",
            Self::Comments => "comments",
            Self::Settings => "settings",
            Self::Actions => "actions",
            Self::Targets => "targets",
            Self::Journal => "journal",
            Self::Audit => "audit",
            Self::Users => "users",
            Self::Meta => "meta",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// The number that stands for the space in the file; part of the format.
    pub(super) const fn number(self) -> u8 {
        self as u8 + 1
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.number() == number)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Key of a record within its space: 1 to 512 bytes of text without control characters, ordered bytewise. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// A key of `number` whose order is the numbers' order.
    pub fn number(number: u64) -> Self {
        Self(format!("{number:020}").into())
    }

    /// `self`, a slash and `child`: records that belong together stand together.
    #[must_use]
    pub fn join(&self, child: impl Into<Self>) -> Self {
        Self(format!("{}/{}", self.0, child.into().0).into())
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.0.is_empty() || self.0.len() > MAX_KEY_BYTES || self.0.chars().any(char::is_control) {
            let why = "a key has 1 to 512 bytes and no control characters";
            return Err(Error::invalid("store.key", "key", why));
        }
        Ok(())
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&ThingId> for Key {
    fn from(id: &ThingId) -> Self {
        Self(id.shared())
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_spaces_are_part_of_the_format() {
        let numbers: Vec<u8> = Space::ALL.iter().map(|s| s.number()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert!(Space::ALL.iter().enumerate().all(|(i, s)| s.index() == i));
        assert_eq!((Space::from_number(8), Space::from_number(0)), (Some(Space::Audit), None));
    }

    #[test]
    fn keys_sort_as_numbers_and_join() {
        assert!(Key::number(9) < Key::number(10));
        assert_eq!(Key::from("a1").join(Key::number(7)).as_str(), "a1/00000000000000000007");
        assert!(Key::from("").check().is_err());
        assert!(Key::from("a\nb").check().is_err());
        assert!(Key::from("x".repeat(513)).check().is_err());
        assert!(Key::from("ä/b c").check().is_ok());
    }
}
