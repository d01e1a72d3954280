use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

/// Path of a member of a snapshot, such as `stats.power_w`; also the name of a group of members.
pub type Path = Cow<'static, str>;

/// A small map from [`Path`]s, in the order of the paths. A snapshot has a few entries, and a site 100,000 snapshots:
/// a tree would reserve room for eleven entries in each.
#[derive(Clone, PartialEq)]
pub struct Members<V>(Vec<(Path, V)>);

impl<V> Members<V> {
    /// Without entries.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds or replaces an entry; gives the value it had.
    pub fn insert(&mut self, path: impl Into<Path>, value: V) -> Option<V> {
        let path = path.into();
        match self.place(&path) {
            Ok(at) => self.0.get_mut(at).map(|entry| std::mem::replace(&mut entry.1, value)),
            Err(at) => {
                self.0.insert(at, (path, value));
                None
            }
        }
    }

    /// Removes an entry; gives the value it had.
    pub fn remove(&mut self, path: &str) -> Option<V> {
        self.place(path).ok().map(|at| self.0.remove(at).1)
    }

    /// The value at `path`.
    pub fn get(&self, path: &str) -> Option<&V> {
        self.place(path).ok().and_then(|at| self.0.get(at)).map(|entry| &entry.1)
    }

    /// Whether there is an entry for `path`.
    pub fn contains_key(&self, path: &str) -> bool {
        self.place(path).is_ok()
    }

    /// All entries in the order of their paths.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &V)> {
        self.0.iter().map(|(path, value)| (path.as_ref(), value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back room that is reserved for more entries.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    fn place(&self, path: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|entry| entry.0.as_ref().cmp(path))
    }
}

impl<V> Default for Members<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: fmt::Debug> fmt::Debug for Members<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<P: Into<Path>, V> FromIterator<(P, V)> for Members<V> {
    fn from_iter<I: IntoIterator<Item = (P, V)>>(entries: I) -> Self {
        let mut members = Self::new();
        members.extend(entries);
        members.0.shrink_to_fit();
        members
    }
}

impl<P: Into<Path>, V> Extend<(P, V)> for Members<V> {
    fn extend<I: IntoIterator<Item = (P, V)>>(&mut self, entries: I) {
        for (path, value) in entries {
            self.insert(path, value);
        }
    }
}

impl<V: Serialize> Serialize for Members<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Members<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<V>, A::Error> {
                let mut members = Members::new();
                while let Some((path, value)) = map.next_entry::<String, V>()? {
                    members.insert(path, value);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_as_a_map_in_order_of_paths() {
        let mut members: Members<u32> = [("stats.power_w", 2), ("info.mac", 1)].into_iter().collect();
        assert_eq!(members.insert("stats.power_w", 3), Some(2));
        assert_eq!(members.insert(String::from("raw_errors"), 4), None);
        assert_eq!(
            members.iter().collect::<Vec<_>>(),
            [("info.mac", &1), ("raw_errors", &4), ("stats.power_w", &3)]
        );
        assert_eq!((members.remove("raw_errors"), members.remove("raw_errors")), (Some(4), None));
        assert!(members.contains_key("info.mac") && !members.contains_key("raw_errors"));
        let json = serde_json::to_string(&members).unwrap();
        assert_eq!(json, r#"{"info.mac":1,"stats.power_w":3}"#);
        assert_eq!(serde_json::from_str::<Members<u32>>(&json).unwrap(), members);
    }
}
