//! Python's own code beneath ours, and the end of the interpreter.
//!
//! Before Python 3.14 a thread that wants the interpreter while that ends is torn, through our frames too, which ends the
//! process. `PyO3` lets it hang where we ask for the interpreter ourselves; where code of Python beneath us has to ask for it
//! again nobody can. So the end waits for those who are there, and who comes later is held up until it has begun.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use pyo3::prelude::*;

/// How long somebody is held up. The end is not sure to come by then: handlers of the program run first, and they may wait for
/// the very threads that are held up.
const HELD_UP: Duration = Duration::from_secs(1);
/// How often the end looks whether everybody has left, and how long apart.
const LOOKS: usize = 1_000;
const APART: Duration = Duration::from_millis(1);

/// How many let Python run code of its own.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// Who ends the interpreter.
static ENDS: OnceLock<ThreadId> = OnceLock::new();

thread_local! {
    /// How many of them are in this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Somebody lets Python run code of its own.
pub struct Inside(());

impl Inside {
    pub fn enter(py: Python<'_>) -> Self {
        let is_first = DEPTH.replace(DEPTH.get() + 1) == 0;
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if is_first && ENDS.get().is_some_and(|who| *who != thread::current().id()) {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
            // With the interpreter's end it hangs where this returns.
            py.detach(|| thread::park_timeout(HELD_UP));
            INSIDE.fetch_add(1, Ordering::SeqCst);
        }
        Self(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The interpreter ends soon, by this thread.
pub fn end(py: Python<'_>) {
    let _first = ENDS.set(thread::current().id());
    py.detach(|| {
        for _ in 0..LOOKS {
            if INSIDE.load(Ordering::SeqCst) == 0 {
                break;
            }
            thread::park_timeout(APART);
        }
    });
}
