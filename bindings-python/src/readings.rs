use std::sync::Arc;

use headframe::{model, rack::Event, site::Readings};
use headframe_binding::{held::Held, readings};
use pyo3::{exceptions::PyKeyError, prelude::*, types::PyList};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    call::Call,
    process::Owned,
    told::{Give, json, plain, tell},
};

/// A reader of readings.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeReadings(Owned<Held<Mutex<Readings>>>);

impl NativeReadings {
    pub fn new(readings: Readings) -> Self {
        Self(Owned::new(Held::new(Mutex::new(readings))))
    }
}

/// Readings that came together.
struct Batch(Vec<Event>);

impl Give for Batch {
    fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let readings = self.0.into_iter().map(|event| Py::new(py, Reading(event)));
        Ok(PyList::new(py, readings.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
    }
}

#[pymethods]
impl NativeReadings {
    /// Waits for a reading, and gives it with all that are there already; None at the end.
    fn next(&self, py: Python<'_>, most: usize) -> Call {
        let most = most.max(1);
        let next = self
            .0
            .with(move |reader| async move { Ok(readings::next(&mut *reader.lock().await, most).await) });
        // An error says that it was closed.
        Call::new(py, async move { Ok(next.await.ok().flatten().map(Batch)) })
    }

    /// Ends it; whoever waits for the next gets None.
    fn close(&self, py: Python<'_>) -> Call {
        let taken = self.0.take();
        Call::new(py, async move {
            drop(taken.await);
            Ok(())
        })
    }
}

/// What one poll of a thing brought. Its parts are made when they are asked for.
#[pyclass(frozen, module = "headframe")]
pub struct Reading(Event);

#[pymethods]
impl Reading {
    /// Whose it is.
    #[getter]
    fn thing(&self) -> &str {
        self.0.reading.thing.as_str()
    }

    /// When the poll ended, ms since 1970.
    #[getter]
    fn ts(&self) -> i64 {
        self.0.reading.ts.0
    }

    /// How many readings this reader missed right before it, because it was too slow.
    #[getter]
    fn missed(&self) -> u64 {
        self.0.missed
    }

    /// Its number among those of the thing.
    #[getter]
    fn seq(&self) -> u64 {
        self.0.reading.seq
    }

    /// How the thing stood when the poll ended: online, error, offline, stale or never.
    #[getter]
    fn link(&self) -> String {
        self.0.reading.link.to_string()
    }

    /// How long the poll took, ms.
    #[getter]
    fn took_ms(&self) -> u64 {
        u64::try_from(self.0.reading.took.as_millis()).unwrap_or(u64::MAX)
    }

    /// Why the poll failed; None when it did not.
    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.reading.outcome.as_ref().err().map(|e| plain(py, e)).transpose()
    }

    /// The snapshot, under MiningOS's keys.
    #[getter]
    fn snapshot(&self) -> Snapshot {
        Snapshot(self.0.reading.snapshot())
    }

    /// All of it as a dict.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &self.0)
    }

    /// All of it as JSON.
    fn as_json(&self, py: Python<'_>) -> PyResult<String> {
        json(py, &self.0)
    }

    fn __repr__(&self) -> String {
        format!("<Reading of {} at {}, {}>", self.thing(), self.ts(), self.0.reading.link)
    }
}

/// What a thing said at one time. What is not known is absent, and `missing` says why.
#[pyclass(frozen, module = "headframe")]
pub struct Snapshot(pub Arc<model::Snapshot>);

#[pymethods]
impl Snapshot {
    /// All of it as a dict.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &*self.0)
    }

    /// All of it as JSON.
    fn as_json(&self, py: Python<'_>) -> PyResult<String> {
        json(py, &*self.0)
    }

    /// What stands at a path such as `stats.power_w` or `stats.fans.0.rpm`; the default where nothing does.
    #[pyo3(signature = (path, default=None))]
    fn get(&self, py: Python<'_>, path: &str, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        let found = self.at(py, path)?;
        found.map_or(Ok(default), |value| plain(py, &value).map(|value| Some(value.unbind())))
    }

    fn __getitem__(&self, py: Python<'_>, path: &str) -> PyResult<Py<PyAny>> {
        let value = self.at(py, path)?.ok_or_else(|| PyKeyError::new_err(path.to_owned()))?;
        plain(py, &value).map(Bound::unbind)
    }

    fn __contains__(&self, path: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(text) = path.extract::<String>() else { return Ok(false) };
        Ok(self.at(path.py(), &text)?.is_some())
    }

    fn __repr__(&self) -> String {
        format!("<Snapshot {:?}>", self.0.status())
    }
}

impl Snapshot {
    fn at(&self, py: Python<'_>, path: &str) -> PyResult<Option<Value>> {
        let mut value = tell(py, || {
            serde_json::to_value(&*self.0).map_err(|e| {
                let why = "the snapshot cannot be written as JSON";
                headframe::Error::new(headframe::ErrorKind::Internal, "snapshot", why).caused_by(e)
            })
        })?;
        for step in path.split('.') {
            let below = match &mut value {
                Value::Object(members) => members.remove(step),
                Value::Array(items) => {
                    step.parse::<usize>().ok().and_then(|at| items.get_mut(at)).map(Value::take)
                }
                _ => None,
            };
            let Some(below) = below else { return Ok(None) };
            value = below;
        }
        Ok(Some(value))
    }
}
