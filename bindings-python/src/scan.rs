//! Looking for devices.

use std::sync::Arc;

use headframe_binding::{
    asked::read,
    scan::{Told, UnderWay},
};
use pyo3::prelude::*;
use tokio::sync::Mutex;

use crate::{
    ahead::Ahead,
    call::Call,
    driver::NativeDrivers,
    process::{Owned, is_forked},
    told::{Class, plain},
};

/// A scan under way.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeScan {
    scan: Owned<Arc<UnderWay>>,
    events: Arc<Mutex<Ahead<Arc<UnderWay>, Told>>>,
}

#[pymethods]
impl NativeScan {
    /// Waits for an event; False after the summary. Nothing is taken: a wait that is given up loses nothing.
    fn ready(&self, py: Python<'_>) -> Call {
        let events = Arc::clone(&self.events);
        Call::new(py, async move {
            Ok(events.lock().await.ready(async |scan: &mut Arc<UnderWay>| scan.next().await).await)
        })
    }

    /// The event that is there: a device, an unknown host, or at last the summary; None when there is none.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let taken = self.events.try_lock().ok().and_then(|mut events| events.take());
        taken.map(|told| plain(py, &told)).transpose()
    }

    /// Ends it early: the summary comes next.
    fn stop(&self) {
        if !is_forked() {
            self.scan.stop();
        }
    }
}

impl Drop for NativeScan {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Begins to look at a range of addresses, for the devices of the library's drivers or of these.
#[pyfunction]
#[pyo3(signature = (range, options, drivers=None))]
pub fn start_scan(
    py: Python<'_>,
    range: String,
    options: String,
    drivers: Option<&Bound<'_, NativeDrivers>>,
) -> Call {
    let drivers = drivers.map_or_else(headframe::registry, |drivers| drivers.get().registry());
    Call::new(py, async move {
        let scan = Arc::new(UnderWay::start(drivers, &range, &read("options", &options)?)?);
        let events = Arc::new(Mutex::new(Ahead::new(Arc::clone(&scan))));
        Ok(Class(NativeScan { scan: Owned::new(scan), events }))
    })
}
