use std::sync::{Arc, OnceLock};

use headframe::{model, rack::Event, site::Readings};
use headframe_binding::{held::Held, readings};
use pyo3::{exceptions::PyKeyError, prelude::*, sync::PyOnceLock};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    ahead::Ahead,
    call::Call,
    process::Owned,
    told::{json, plain, tell},
};

/// A reader of readings.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeReadings(Owned<Held<Mutex<Reader>>>);

type Reader = Ahead<Readings, Vec<Event>>;

impl NativeReadings {
    pub fn new(readings: Readings) -> Self {
        Self(Owned::new(Held::new(Mutex::new(Ahead::new(readings)))))
    }
}

#[pymethods]
impl NativeReadings {
    /// Waits for a reading; False at the end. Nothing is taken: a wait that is given up loses nothing.
    fn ready(&self, py: Python<'_>) -> Call {
        let ready = self.0.with(|reader| async move {
            Ok(reader.lock().await.ready(async |readings| readings::next(readings, 1).await).await)
        });
        // An error says that it was closed.
        Call::new(py, async move { Ok(ready.await.unwrap_or(false)) })
    }

    /// All readings that are there, `most` at a time; None when there is none, or somebody else waits.
    fn take(&self, py: Python<'_>, most: usize) -> PyResult<Option<Vec<Reading>>> {
        let take = |reader: &Mutex<Reader>| {
            let mut reader = reader.try_lock().ok()?;
            let mut batch = reader.take().unwrap_or_default();
            let more = most.saturating_sub(batch.len());
            batch.extend(readings::ready(&mut reader.source, more).unwrap_or_default());
            Some(batch).filter(|batch| !batch.is_empty())
        };
        let taken = tell(py, || Ok(self.0.now(take).ok().flatten()))?;
        let reading = |event| Reading { event, snapshot: PyOnceLock::new() };
        Ok(taken.map(|batch| batch.into_iter().map(reading).collect()))
    }

    /// Ends it; whoever waits for the next is told of the end.
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
pub struct Reading {
    event: Event,
    snapshot: PyOnceLock<Py<Snapshot>>,
}

#[pymethods]
impl Reading {
    /// Whose it is.
    #[getter]
    fn thing(&self) -> &str {
        self.event.reading.thing.as_str()
    }

    /// When the poll ended, ms since 1970.
    #[getter]
    fn ts(&self) -> i64 {
        self.event.reading.ts.0
    }

    /// How many readings this reader missed right before it, because it was too slow.
    #[getter]
    fn missed(&self) -> u64 {
        self.event.missed
    }

    /// Its number among those of the thing.
    #[getter]
    fn seq(&self) -> u64 {
        self.event.reading.seq
    }

    /// How the thing stood when the poll ended: online, error, offline, stale or never.
    #[getter]
    fn link(&self) -> String {
        self.event.reading.link.to_string()
    }

    /// How long the poll took, ms.
    #[getter]
    fn took_ms(&self) -> u64 {
        u64::try_from(self.event.reading.took.as_millis()).unwrap_or(u64::MAX)
    }

    /// Why the poll failed; None when it did not.
    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.event.reading.outcome.as_ref().err().map(|e| plain(py, e)).transpose()
    }

    /// The snapshot, under MiningOS's keys.
    #[getter]
    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<Snapshot>> {
        let made = || Py::new(py, Snapshot::new(self.event.reading.snapshot()));
        self.snapshot.get_or_try_init(py, made).map(|snapshot| snapshot.clone_ref(py))
    }

    /// All of it as a dict.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &self.event)
    }

    /// All of it as JSON.
    fn as_json(&self, py: Python<'_>) -> PyResult<String> {
        json(py, &self.event)
    }

    fn __repr__(&self) -> String {
        format!("<Reading of {} at {}, {}>", self.thing(), self.ts(), self.event.reading.link)
    }
}

/// What a thing said at one time. What is not known is absent, and `missing` says why.
#[pyclass(frozen, module = "headframe")]
pub struct Snapshot {
    told: Arc<model::Snapshot>,
    /// The same as it is looked into by paths.
    members: OnceLock<Value>,
}

#[pymethods]
impl Snapshot {
    /// All of it as a dict.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &*self.told)
    }

    /// All of it as JSON.
    fn as_json(&self, py: Python<'_>) -> PyResult<String> {
        json(py, &*self.told)
    }

    /// What stands at a path such as `stats.power_w` or `stats.fans.0.rpm`; the default where nothing does.
    #[pyo3(signature = (path, default=None))]
    fn get(&self, py: Python<'_>, path: &str, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        let found = self.at(py, path)?;
        found.map_or(Ok(default), |value| plain(py, value).map(|value| Some(value.unbind())))
    }

    fn __getitem__(&self, py: Python<'_>, path: &str) -> PyResult<Py<PyAny>> {
        let value = self.at(py, path)?.ok_or_else(|| PyKeyError::new_err(path.to_owned()))?;
        plain(py, value).map(Bound::unbind)
    }

    fn __contains__(&self, path: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(text) = path.extract::<String>() else { return Ok(false) };
        Ok(self.at(path.py(), &text)?.is_some())
    }

    fn __repr__(&self) -> String {
        format!("<Snapshot {:?}>", self.told.status())
    }
}

impl Snapshot {
    pub fn new(told: Arc<model::Snapshot>) -> Self {
        Self { told, members: OnceLock::new() }
    }

    fn members(&self, py: Python<'_>) -> PyResult<&Value> {
        if let Some(members) = self.members.get() {
            return Ok(members);
        }
        let members = tell(py, || {
            serde_json::to_value(&*self.told).map_err(|e| {
                let why = "the snapshot cannot be written as JSON";
                headframe::Error::new(headframe::ErrorKind::Internal, "snapshot", why).caused_by(e)
            })
        })?;
        Ok(self.members.get_or_init(|| members))
    }

    fn at(&self, py: Python<'_>, path: &str) -> PyResult<Option<&Value>> {
        fn below<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
            match value {
                Value::Object(members) => members.get(step),
                Value::Array(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => None,
            }
        }
        let members = self.members(py)?;
        Ok(path.split('.').try_fold(members, below))
    }
}
