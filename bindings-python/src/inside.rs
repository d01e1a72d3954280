//! Python's own code beneath ours, and the end of the interpreter.
//!
//! Before Python 3.14 a thread that wants the interpreter while that ends is torn, through our frames too, which ends the
//! process. `PyO3` lets it hang where we ask for the interpreter ourselves; where code of Python beneath us has to ask for it
//! again nobody can. So the end waits for those who are there, and holds up who comes later until it has begun.

use std::{
    cell::Cell,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use pyo3::prelude::*;

/// How long the end waits, and is waited for. It is not sure to come: handlers of the program may run first, and they may wait
/// for the very threads that are held up.
const WITHIN: Duration = Duration::from_secs(1);

static STATE: Mutex<State> = Mutex::new(State { inside: 0, ends: None });
static LEFT: Condvar = Condvar::new();
static ENDED: Condvar = Condvar::new();

thread_local! {
    /// How many of them are this thread's.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

struct State {
    /// How many let Python run code of its own.
    inside: usize,
    /// Who ends the interpreter.
    ends: Option<ThreadId>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody lets Python run code of its own.
pub struct Inside(());

impl Inside {
    pub fn enter(py: Python<'_>) -> Self {
        let is_first = DEPTH.replace(DEPTH.get() + 1) == 0;
        let ends = state().ends;
        if is_first && ends.is_some_and(|who| who != thread::current().id()) {
            // Nobody tells: with the interpreter's end this thread hangs.
            py.detach(|| drop(ENDED.wait_timeout(state(), WITHIN)));
        }
        state().inside += 1;
        Self(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
        let mut state = state();
        state.inside -= 1;
        if state.ends.is_some() {
            LEFT.notify_all();
        }
    }
}

/// The interpreter ends soon, by this thread.
pub fn end(py: Python<'_>) {
    state().ends = Some(thread::current().id());
    py.detach(|| drop(LEFT.wait_timeout_while(state(), WITHIN, |state| state.inside > 0)));
}
