//! Errors and values on their way to Python.

use headframe::{Error, ErrorKind};
use headframe_binding::guard::guarded;
use pyo3::{PyClass, prelude::*, pyclass_init::PyClassInitializer, sync::PyOnceLock};
use serde::Serialize;

use crate::inside::Inside;

/// An error of the package, as its `_errors.made` makes it of ours.
pub fn raise(py: Python<'_>, e: &Error) -> PyErr {
    static MADE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let _inside = Inside::enter(py);
    let raised = MADE.import(py, "headframe._errors", "made").and_then(|made| made.call1((plain(py, e)?,)));
    match raised {
        Ok(raised) => PyErr::from_value(raised),
        Err(other) => other,
    }
}

/// What a call gives at once.
pub fn tell<T>(py: Python<'_>, call: impl FnOnce() -> headframe::Result<T>) -> PyResult<T> {
    guarded(|| {
        crate::process::not_forked()?;
        call()
    })
    .map_err(|e| raise(py, &e))
}

/// Dicts, lists, texts and numbers.
pub fn plain<'py>(py: Python<'py>, value: &(impl Serialize + ?Sized)) -> PyResult<Bound<'py, PyAny>> {
    // What is made may let the collector run, and that destructors.
    let _inside = Inside::enter(py);
    pythonize::pythonize(py, value).map_err(PyErr::from)
}

/// The JSON of a value.
pub fn json(py: Python<'_>, value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|e| raise(py, &unwritten(e)))
}

fn unwritten(e: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "python.write", "it cannot be written as JSON").caused_by(e)
}

/// What becomes a value of Python once its thread is there.
pub trait Give: Send + 'static {
    fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

/// A value that is made of plain ones.
#[derive(Debug)]
pub struct Plain<T>(pub T);

impl<T: Serialize + Send + 'static> Give for Plain<T> {
    fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        plain(py, &self.0).map(Bound::unbind)
    }
}

impl Give for bool {
    fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        plain(py, &self).map(Bound::unbind)
    }
}

impl Give for () {
    fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }
}

impl<T: Give> Give for Option<T> {
    fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.map_or_else(|| Ok(py.None()), |value| value.give(py))
    }
}

/// A value that may be long. It is written as JSON beside the interpreter, whose own reader makes it: that knows names of
/// members again, and takes half of the time for which it holds all others up.
#[derive(Debug)]
pub struct Long(String);

impl Long {
    /// Of so many bytes on what is made is so much that the collector of cycles comes again and again.
    const MUCH: usize = 1 << 16;

    pub fn of(value: impl Serialize) -> headframe::Result<Self> {
        serde_json::to_string(&value).map(Self).map_err(unwritten)
    }
}

impl Give for Long {
    fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let _inside = Inside::enter(py);
        let _paused = (self.0.len() > Self::MUCH).then(|| Paused::new(py)).transpose()?;
        LOADS.import(py, "json", "loads")?.call1((self.0,)).map(Bound::unbind)
    }
}

/// Python's collector of cycles is not at work: nothing of what is made meanwhile can be let go of.
struct Paused<'py>(Option<Bound<'py, PyModule>>);

impl<'py> Paused<'py> {
    fn new(py: Python<'py>) -> PyResult<Self> {
        let collector = py.import("gc")?;
        if !collector.call_method0("isenabled")?.is_truthy()? {
            return Ok(Self(None));
        }
        collector.call_method0("disable")?;
        Ok(Self(Some(collector)))
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if let Some(collector) = &self.0 {
            // It takes nothing, and fails never.
            let _on = collector.call_method0("enable");
        }
    }
}

/// A class of ours.
#[derive(Debug)]
pub struct Class<T>(pub T);

impl<T: PyClass + Into<PyClassInitializer<T>> + Send + 'static> Give for Class<T> {
    fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, self.0)?.into_any())
    }
}
