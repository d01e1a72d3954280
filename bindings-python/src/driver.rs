//! Drivers that are written in Python: their own event loop is asked for everything.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use headframe::driver::Registry;
use headframe_binding::{
    driver::{self, Foreign},
    site,
};
use pyo3::prelude::*;
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::{
    call::Call,
    device::NativeDevice,
    process::{is_forked, tell_python, with_python},
    site::NativeSite,
    told::{Class, tell},
};

/// The drivers of a program: those of the library, and its own.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeDrivers(Mutex<Registry>);

#[pymethods]
impl NativeDrivers {
    /// Those of the library.
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        tell(py, || Ok(Self(Mutex::new(headframe::registry()))))
    }

    /// Adds one, which is JSON `{id, kind, make, docs, probes}`: `ask(op, thing, json, answer)` is asked `open`, `snapshot`,
    /// `observe`, `execute` and `close`, from any thread, and calls `answer` with JSON, which says whether anybody waits for
    /// it. It gives what takes the question back.
    fn add(&self, py: Python<'_>, about: &str, ask: Py<PyAny>) -> PyResult<()> {
        tell(py, || {
            let mut drivers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            driver::add(&mut drivers, about, Loop::new(ask))
        })
    }

    /// Opens the site in a folder, makes one, or does whichever is needed: `how` is `open`, `create` or `openOrCreate`.
    fn open_site(&self, py: Python<'_>, folder: String, conf: String, how: String) -> Call {
        let drivers = self.registry();
        Call::new(py, async move {
            let site = site::open(drivers, Path::new(&folder), &conf, &how).await?;
            Ok(Class(NativeSite::new(site)))
        })
    }

    /// Opens a device with a driver and its options, JSON.
    fn open_device(&self, py: Python<'_>, driver: String, opts: String) -> Call {
        let drivers = self.registry();
        Call::new(
            py,
            async move { Ok(Class(NativeDevice::new(driver::open(&drivers, &driver, &opts).await?))) },
        )
    }
}

impl NativeDrivers {
    pub fn registry(&self) -> Registry {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The event loop that a driver lives on.
pub struct Loop(Arc<Py<PyAny>>);

impl Loop {
    /// By what it is asked: see [`NativeDrivers::add`].
    pub fn new(ask: Py<PyAny>) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop").finish_non_exhaustive()
    }
}

/// Where an answer goes.
#[pyclass(frozen)]
struct Reply(Mutex<Option<oneshot::Sender<String>>>);

#[pymethods]
impl Reply {
    /// Whether somebody still waits for it.
    fn __call__(&self, json: String) -> bool {
        let reply = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        reply.is_some_and(|reply| reply.send(json).is_ok())
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if is_forked() {
            // Whoever waits for it is the parent's.
            std::mem::forget(self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

/// How a question is taken back. The loop is told when whoever asked has given up.
#[derive(Default)]
struct Question(Arc<Mutex<Asked>>);

#[derive(Default)]
enum Asked {
    #[default]
    Begins,
    /// What takes it back.
    Open(Py<PyAny>),
    Over,
}

impl Question {
    fn is_open(asked: &Mutex<Asked>, take_back: Py<PyAny>) -> Option<Py<PyAny>> {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*asked, Asked::Over) {
            return Some(take_back);
        }
        *asked = Asked::Open(take_back);
        None
    }

    fn end(&self) -> Asked {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Asked::Over)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Asked::Open(take_back) = self.end() {
            // A loop that has ended has nothing to take back.
            tell_python(move |py| drop(take_back.call0(py)));
        }
    }
}

#[async_trait]
impl Foreign for Loop {
    async fn ask(&self, op: &'static str, thing: u32, with: String) -> Result<String, String> {
        let (reply, answer) = oneshot::channel();
        let (question, driver) = (Question::default(), Arc::clone(&self.0));
        let asked = Arc::clone(&question.0);
        let begun = spawn_blocking(move || {
            with_python(|py| {
                let reply = Py::new(py, Reply(Mutex::new(Some(reply))))?;
                let take_back = driver.call1(py, (op, thing, with, reply))?;
                // Whoever asked may have given up already.
                match Question::is_open(&asked, take_back) {
                    Some(take_back) => take_back.call0(py).map(drop),
                    None => Ok(()),
                }
            })
        });
        match begun.await {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(e))) => return Err(format!("the driver's event loop cannot be asked: {e}")),
            Ok(None) => return Err("the interpreter ends".to_owned()),
            Err(e) => return Err(format!("the driver could not be asked: {e}")),
        }
        let answered = answer.await;
        question.end();
        answered.map_err(|_| "the driver's event loop has ended".to_owned())
    }
}
