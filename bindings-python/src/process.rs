//! What there is once in a process: the runtime, and its end.

use std::{
    ops::Deref,
    process,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use headframe::{Error, ErrorKind, Result};
use headframe_binding::guard::guarded;
use pyo3::{exceptions::PyImportError, prelude::*};
use tokio::runtime::{Builder, Runtime};

use crate::inside;

/// The process that loaded the library. A child that was forked has none of its threads.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// The interpreter that loaded it.
static INTERPRETER: AtomicUsize = AtomicUsize::new(0);
/// Whether the interpreter can be asked. Whoever does holds it for that time.
static GATE: RwLock<Gate> = RwLock::new(Gate::Open);
static THREADS: OnceLock<Runtime> = OnceLock::new();

#[derive(Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
}

/// How long the end of the interpreter waits for sites to end in order.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// Remembers the process; to be called once, when the package is loaded.
#[pyfunction]
pub fn set_up(py: Python<'_>) -> PyResult<()> {
    // A child that was forked and loads the package anew has no more threads for that.
    let _owned = OWNER.compare_exchange(0, process::id(), Ordering::AcqRel, Ordering::Acquire);
    // Each interpreter has a module of that name of its own. What is once in a process would end with any of them.
    let here = py.import("sys")?.as_ptr() as usize;
    match INTERPRETER.compare_exchange(0, here, Ordering::AcqRel, Ordering::Acquire) {
        Err(owner) if owner != here => {
            Err(PyImportError::new_err("headframe runs in one interpreter of a process"))
        }
        _ => Ok(()),
    }
}

/// Ends all sites in order, and lets nobody be told anything any more: for the end of the interpreter.
#[pyfunction]
pub fn end(py: Python<'_>) {
    if is_forked() {
        return;
    }
    py.detach(|| {
        // Without threads nothing was opened.
        if let Some(threads) = THREADS.get() {
            threads.block_on(crate::site::end_all(ENDED_WITHIN));
        }
        // It waits for those who ask now: a thread that came later would find half an interpreter.
        *GATE.write().unwrap_or_else(PoisonError::into_inner) = Gate::Closed;
    });
    inside::end(py);
}

/// # Errors
/// [`Closed`](ErrorKind::Closed) once nobody is told anything any more: an event loop would wait for ever.
pub fn not_ended() -> Result<()> {
    // Whoever asks has the interpreter, for which those may wait who hold the gate: it must not wait for them. Only the end
    // keeps it from being looked at.
    if GATE.try_read().is_ok_and(|gate| *gate == Gate::Open) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Closed, "process", "the interpreter ends"))
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
    // Who has something to tell is on one of them.
    if let Some(threads) = THREADS.get() {
        threads.spawn_blocking(move || with_python(work));
    }
}

/// The threads that everything runs on; made with the first call.
///
/// # Errors
/// `ERR_NO_THREADS` where the system has none, or no files for them; a later call looks again.
pub fn runtime() -> Result<&'static Runtime> {
    static MAKES: Mutex<()> = Mutex::new(());
    if let Some(made) = THREADS.get() {
        return Ok(made);
    }
    let _alone = MAKES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = THREADS.get() {
        return Ok(made);
    }
    let none = |e: Error| {
        let why = "the system has no threads or files left for the library: raise the limits of the process";
        Error::new(ErrorKind::RateLimited, "process", why).code_as("ERR_NO_THREADS").caused_by(e)
    };
    // It panics where a thread cannot be started.
    let made = guarded(|| {
        let threads = Builder::new_multi_thread().enable_all().thread_name("headframe").build();
        threads.map_err(|e| Error::new(ErrorKind::RateLimited, "process", e.to_string()))
    });
    let made = made.map_err(none)?;
    Ok(THREADS.get_or_init(|| made))
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
