//! What there is once in a process: the runtime, and its end.

use std::{
    ops::Deref,
    process,
    sync::{
        Arc, LazyLock, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use headframe::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

/// The process that loaded the library. A child that was forked has none of its threads.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// Whether the interpreter can be asked. Whoever does holds it for that time.
static GATE: RwLock<Gate> = RwLock::new(Gate::Open);

#[derive(Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
}

/// How long the end of the interpreter waits for sites to end in order.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// Remembers the process; to be called once, when the package is loaded.
#[pyfunction]
pub fn set_up() {
    OWNER.store(process::id(), Ordering::Release);
}

/// Ends all sites in order, and lets nobody be told anything any more: for the end of the interpreter.
#[pyfunction]
pub fn end(py: Python<'_>) {
    if is_forked() {
        return;
    }
    py.detach(|| {
        runtime().block_on(crate::site::end_all(ENDED_WITHIN));
        // It waits for those who ask now: a thread that came later would find half an interpreter.
        *GATE.write().unwrap_or_else(PoisonError::into_inner) = Gate::Closed;
    });
}

pub fn is_forked() -> bool {
    OWNER.load(Ordering::Acquire) != process::id()
}

/// # Errors
/// `ERR_FORKED` in a child that was forked.
pub fn not_forked() -> Result<()> {
    if !is_forked() {
        return Ok(());
    }
    let why = "the process was forked after headframe was loaded: start it anew, such as with spawn";
    Err(Error::new(ErrorKind::Closed, "process", why).code_as("ERR_FORKED"))
}

/// Asks the interpreter from a thread of ours; `None` once it ends.
pub fn with_python<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let gate = GATE.read().unwrap_or_else(PoisonError::into_inner);
    (*gate == Gate::Open).then(|| Python::attach(work))
}

/// Asks it beside the threads that poll: it may have to be waited for.
pub fn tell_python(work: impl FnOnce(Python<'_>) + Send + 'static) {
    runtime().spawn_blocking(move || with_python(work));
}

pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        #[allow(clippy::expect_used, reason = "without threads nothing of the package can work")]
        Builder::new_multi_thread().enable_all().thread_name("headframe").build().expect("threads")
    });
    &RUNTIME
}

/// Something that a child that was forked leaves as it is: its locks and files are the parent's.
#[derive(Debug)]
pub struct Owned<T>(Arc<T>);

impl<T> Owned<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if is_forked() {
            std::mem::forget(Arc::clone(&self.0));
        }
    }
}
