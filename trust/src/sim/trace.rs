//! Everything that can be observed of a run, in one number.

use std::{
    collections::hash_map::DefaultHasher,
    hash::Hasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use headframe_core::io::Mono;

/// How much of a minute is kept in words.
const LINES: usize = 20_000;

/// Notes whatever happens, with its simulated time. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// Begins with the same keys in every process.
    hash: DefaultHasher,
    /// The hash at the end of each simulated minute, and how many events there were by then.
    minutes: Vec<(u64, u64)>,
    events: u64,
    /// The minute that is told in words.
    wanted: Option<usize>,
    lines: Vec<String>,
}

impl Trace {
    /// A trace that keeps one minute in words.
    pub fn telling(minute: usize) -> Self {
        let trace = Self::default();
        trace.lock().wanted = Some(minute);
        trace
    }

    /// Something happened.
    pub fn note(&self, at: Mono, what: &str, of: &[u8]) {
        let mut inner = self.lock();
        let since = at.since_origin();
        inner.hash.write_u64(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        inner.hash.write(what.as_bytes());
        inner.hash.write(of);
        inner.events += 1;
        let minute = usize::try_from(since.as_secs() / 60).unwrap_or(0);
        let now = (inner.hash.finish(), inner.events);
        let last = inner.minutes.last().copied().unwrap_or_default();
        let minutes = inner.minutes.len().max(minute + 1);
        inner.minutes.resize(minutes, last);
        inner.minutes[minute] = now;
        if inner.wanted == Some(minute) && inner.lines.len() < LINES {
            let shown = String::from_utf8_lossy(&of[..of.len().min(300)]).replace(['\r', '\n'], " ");
            inner.lines.push(format!("{since:?} {what} {shown}"));
        }
    }

    /// The number of all of it.
    pub fn hash(&self) -> u64 {
        self.lock().hash.finish()
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.lock().events
    }

    /// The first minute in which two runs differ.
    pub fn differs(&self, other: &Self) -> Option<usize> {
        let (one, two) = (self.lock().minutes.clone(), other.lock().minutes.clone());
        let first = one.iter().zip(&two).position(|(a, b)| a != b);
        first.or_else(|| (one.len() != two.len()).then(|| one.len().min(two.len())))
    }

    /// The first line in which two runs differ that kept the same minute in words.
    pub fn difference(&self, other: &Self) -> String {
        let (one, two) = (self.lock().lines.clone(), other.lock().lines.clone());
        let at = one.iter().zip(&two).position(|(a, b)| a != b).unwrap_or(one.len().min(two.len()));
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "nothing".into());
        format!("'{}' or '{}'", line(&one), line(&two))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn two_traces_differ_from_the_first_event_that_does() {
        let at = |s| Mono::from_origin(Duration::from_secs(s));
        let (one, two) = (Trace::telling(1), Trace::telling(1));
        for trace in [&one, &two] {
            trace.note(at(5), "same", b"x");
        }
        assert_eq!((one.hash(), one.differs(&two)), (two.hash(), None));
        one.note(at(61), "write", b"a");
        two.note(at(61), "write", b"b");
        assert_ne!(one.hash(), two.hash());
        assert_eq!(one.differs(&two), Some(1));
        assert_eq!(one.difference(&two), "'61s write a' or '61s write b'");
    }
}
