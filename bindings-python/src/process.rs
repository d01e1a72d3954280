//! What there is once in a process: the runtime, and its end.

use std::{
    ops::Deref,
    process,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use headframe::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use tokio::{runtime::Runtime, sync::watch};

/// The process that loaded the library. A child that was forked has none of its threads.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// Set when the interpreter ends: nobody is told anything any more.
static ENDING: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));
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
        ENDING.send_replace(true);
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

/// Returns when the interpreter ends.
pub async fn ended() {
    // It is never dropped.
    let mut ending = ENDING.subscribe();
    let _ended = ending.wait_for(|ending| *ending).await;
}

pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<&'static Runtime> = OnceLock::new();
    RUNTIME.get_or_init(pyo3_async_runtimes::tokio::get_runtime)
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
