use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

const PLACES: usize = 1024;

/// Values of late, so that equal ones are kept once. A value has one place by its hash, and takes it from the one that
/// was there: what is common is nearly always found, what is rare costs nothing, and it never grows.
pub(super) struct Recent<T: ?Sized>(Mutex<[Option<Arc<T>>; PLACES]>);

impl<T: ?Sized + Eq + Hash> Recent<T> {
    pub const fn new() -> Self {
        Self(Mutex::new([const { None }; PLACES]))
    }

    /// The value, shared with those equal ones that are found.
    pub fn of(&self, value: &T) -> Arc<T>
    where
        Arc<T>: for<'a> From<&'a T>,
    {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or_default();
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = places.get_mut(place) else { return value.into() };
        match place {
            Some(known) if **known == *value => Arc::clone(known),
            _ => Arc::clone(place.insert(value.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_values_are_shared_and_rare_ones_push_each_other_out() {
        static RECENT: Recent<str> = Recent::new();
        let common = RECENT.of("the same for all");
        assert!(Arc::ptr_eq(&common, &RECENT.of("the same for all")));
        for n in 0..PLACES * 20 {
            assert_eq!(&*RECENT.of(&n.to_string()), n.to_string());
        }
        assert_eq!((&*common, Arc::strong_count(&common)), ("the same for all", 1));
        assert!(!Arc::ptr_eq(&common, &RECENT.of("the same for all")));
    }
}
