use std::{borrow::Cow, fmt, marker::PhantomData, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use super::{MissingReason, recent::Recent};

/// Path of a member of a snapshot, such as `stats.power_w`; also the name of a group of members.
pub type Path = Cow<'static, str>;

/// Lists of names, which are the same for things of one kind, and of reasons.
static NAMES: Recent<[Path]> = Recent::new();
static REASONS: Recent<[MissingReason]> = Recent::new();

/// A small map from [`Path`]s, in the order of the paths. A snapshot has a few entries, and a site 100,000 snapshots:
/// a tree would reserve room for eleven entries in each.
#[derive(Clone)]
pub struct Members<V>(Entries<V>);

#[derive(Clone)]
enum Entries<V> {
    /// While it changes.
    Open(Vec<(Path, V)>),
    /// While it is kept: as long a list of names as of values. The names are those of other maps too.
    Packed(Arc<[Path]>, Arc<[V]>),
}

impl<V> Members<V> {
    /// Without entries.
    pub const fn new() -> Self {
        Self(Entries::Open(Vec::new()))
    }

    fn entry(&self, at: usize) -> Option<(&Path, &V)> {
        match &self.0 {
            Entries::Open(entries) => entries.get(at).map(|(path, value)| (path, value)),
            Entries::Packed(names, values) => names.get(at).zip(values.get(at)),
        }
    }

    /// The value at `path`.
    pub fn get(&self, path: &str) -> Option<&V> {
        self.place(path).ok().and_then(|at| self.entry(at)).map(|(_, value)| value)
    }

    /// Whether there is an entry for `path`.
    pub fn contains_key(&self, path: &str) -> bool {
        self.place(path).is_ok()
    }

    /// All entries in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        (0..self.len()).filter_map(|at| self.entry(at)).map(|(path, value)| (path.as_ref(), value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Entries::Open(entries) => entries.len(),
            Entries::Packed(names, _) => names.len(),
        }
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn place(&self, path: &str) -> Result<usize, usize> {
        match &self.0 {
            Entries::Open(entries) => entries.binary_search_by(|(name, _)| name.as_ref().cmp(path)),
            Entries::Packed(names, _) => names.binary_search_by(|name| name.as_ref().cmp(path)),
        }
    }
}

impl<V: Clone> Members<V> {
    /// Adds or replaces an entry; gives the value it had.
    pub fn insert(&mut self, path: impl Into<Path>, value: V) -> Option<V> {
        let path = path.into();
        let place = self.place(&path);
        self.change(|entries| match place {
            Ok(at) => entries.get_mut(at).map(|entry| std::mem::replace(&mut entry.1, value)),
            Err(at) => {
                entries.insert(at, (path, value));
                None
            }
        })
    }

    /// Removes an entry; gives the value it had.
    pub fn remove(&mut self, path: &str) -> Option<V> {
        let at = self.place(path).ok()?;
        Some(self.change(|entries| entries.remove(at).1))
    }

    fn change<R>(&mut self, change: impl FnOnce(&mut Vec<(Path, V)>) -> R) -> R {
        let mut entries = match std::mem::replace(&mut self.0, Entries::Open(Vec::new())) {
            Entries::Open(entries) => entries,
            Entries::Packed(names, values) => names.iter().cloned().zip(values.iter().cloned()).collect(),
        };
        let result = change(&mut entries);
        self.0 = Entries::Open(entries);
        result
    }

    /// Takes as little room as it can, to be kept.
    pub(super) fn pack(&mut self) {
        self.pack_with(Arc::from);
    }

    fn pack_with(&mut self, keep: impl FnOnce(Vec<V>) -> Arc<[V]>) {
        if let Entries::Open(entries) = &mut self.0 {
            if entries.is_empty() {
                *entries = Vec::new();
                return;
            }
            let (names, values): (Vec<_>, Vec<_>) = std::mem::take(entries).into_iter().unzip();
            self.0 = Entries::Packed(NAMES.of(&names), keep(values));
        }
    }
}

impl Members<MissingReason> {
    /// As [`pack`](Self::pack), sharing the reasons too: things of one model and firmware lack the same.
    pub(super) fn pack_shared(&mut self) {
        self.pack_with(|reasons| REASONS.of(&reasons));
    }
}

impl Members<Path> {
    /// As [`pack`](Self::pack), sharing the paths on both sides.
    pub(super) fn pack_shared(&mut self) {
        self.pack_with(|paths| NAMES.of(&paths));
    }
}

impl<V: PartialEq> PartialEq for Members<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
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

impl<P: Into<Path>, V: Clone> FromIterator<(P, V)> for Members<V> {
    fn from_iter<I: IntoIterator<Item = (P, V)>>(entries: I) -> Self {
        let mut members = Self::new();
        members.extend(entries);
        members
    }
}

impl<P: Into<Path>, V: Clone> Extend<(P, V)> for Members<V> {
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

impl<'de, V: Deserialize<'de> + Clone> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de> + Clone> Visitor<'de> for Object<V> {
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
        deserializer.deserialize_map(Object(PhantomData))
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

    #[test]
    fn what_is_kept_shares_its_names_until_it_changes() {
        let open: Members<u32> = [("a", 1), ("b", 2)].into_iter().collect();
        let (mut one, mut other) = (open.clone(), open.clone());
        one.pack();
        other.insert("b", 3);
        other.pack();
        let (Entries::Packed(names, _), Entries::Packed(same, _)) = (&one.0, &other.0) else {
            panic!("both were packed");
        };
        assert!(Arc::ptr_eq(names, same));
        assert_eq!((&one, one.get("b"), other.get("b"), other.get("c")), (&open, Some(&2), Some(&3), None));
        assert_eq!((one.insert("c", 3), one.remove("a"), one.len()), (None, Some(1), 2));
        assert_eq!(one.iter().collect::<Vec<_>>(), [("b", &2), ("c", &3)]);
        assert_eq!((size_of::<Members<u32>>(), other.len()), (32, 2));
        let mut reasons: Members<MissingReason> = [("a", MissingReason::Refused)].into_iter().collect();
        let before = reasons.clone();
        reasons.pack_shared();
        assert_eq!(reasons, before);
    }
}
