//! Drivers that are written in Python: their own event loop is asked for everything.

use std::{
    fmt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use headframe::driver::Registry;
use headframe_binding::{
    driver::{self, Foreign},
    site,
};
use pyo3::prelude::*;
use tokio::sync::oneshot;

use crate::{
    call::Call,
    device::NativeDevice,
    process::{ended, runtime},
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

    /// Adds one: `ask(op, thing, json, answer)` is asked `open`, `snapshot`, `observe`, `execute` and `close`, from any thread, and
    /// calls `answer` with JSON.
    fn add(&self, py: Python<'_>, id: &str, kind: &str, make: &str, ask: Py<PyAny>) -> PyResult<()> {
        tell(py, || {
            let mut drivers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            driver::add(&mut drivers, id, kind, make, Loop(ask));
            Ok(())
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
    fn registry(&self) -> Registry {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The event loop that a driver lives on.
struct Loop(Py<PyAny>);

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
    fn __call__(&self, json: String) {
        if let Some(reply) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Whoever asked may have given up.
            let _gone = reply.send(json);
        }
    }
}

#[async_trait]
impl Foreign for Loop {
    async fn ask(&self, op: &'static str, thing: u32, with: String) -> Result<String, String> {
        let (reply, answer) = oneshot::channel();
        let ask = Python::try_attach(|py| self.0.clone_ref(py)).ok_or("the interpreter has ended")?;
        // It may have to wait for the interpreter: not on a thread that polls.
        let asked = runtime().spawn_blocking(move || {
            Python::try_attach(|py| {
                let reply = Py::new(py, Reply(Mutex::new(Some(reply))))?;
                ask.call1(py, (op, thing, with, reply)).map(drop)
            })
        });
        let answered = async {
            match asked.await {
                Ok(Some(Ok(()))) => answer.await.map_err(|_| "the driver's event loop has ended".to_owned()),
                Ok(Some(Err(e))) => Err(format!("the driver's event loop cannot be asked: {e}")),
                Ok(None) => Err("the interpreter has ended".to_owned()),
                Err(e) => Err(format!("the driver could not be asked: {e}")),
            }
        };
        tokio::select! {
            biased;
            answered = answered => answered,
            () = ended() => Err("the interpreter ends".to_owned()),
        }
    }
}
