//! Simulated devices, for the tests of those who use the package.

use std::path::Path;

use headframe::{Error, Result, io::Ctx};
use headframe_binding::{asked::read, held::Held, past};
use headframe_sim::{Device, Fault, Fleet, FleetConf};
use pyo3::prelude::*;

use crate::{
    call::Call,
    process::Owned,
    told::{Class, Plain, plain, tell},
};

/// Simulated devices on real sockets.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeSimulator(Owned<Held<Fleet>>);

#[pymethods]
impl NativeSimulator {
    /// All devices.
    fn devices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let devices = |fleet: &Fleet| fleet.devices().iter().map(Device::describe).collect::<Vec<_>>();
        plain(py, &tell(py, || self.0.now(devices))?)
    }

    /// What is really so with a device, and what it was told.
    fn truth<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &tell(py, || self.device(index, Device::describe_truth))?)
    }

    /// Lets a device do something wrong, JSON.
    fn fault(&self, py: Python<'_>, index: usize, fault: &str) -> PyResult<()> {
        tell(py, || {
            let fault: Fault = read("fault", fault)?;
            self.device(index, |device| device.fault(fault))
        })
    }

    /// Ends what a device does wrong.
    fn clear(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        tell(py, || self.device(index, Device::clear))
    }

    /// Closes all ports.
    fn close(&self, py: Python<'_>) -> Call {
        let taken = self.0.take();
        Call::new(py, async move {
            if let Some(fleet) = taken.await {
                fleet.stop().await;
            }
            Ok(())
        })
    }
}

impl NativeSimulator {
    fn device<T>(&self, index: usize, look: impl FnOnce(&Device) -> T) -> Result<T> {
        self.0.now(|fleet| {
            let found = fleet.devices().get(index);
            Ok(look(found.ok_or_else(|| Error::invalid("simulator", "index", "there is no such device"))?))
        })?
    }
}

/// Starts devices, as JSON says.
#[pyfunction]
pub fn start_simulator(py: Python<'_>, conf: String) -> Call {
    Call::new(py, async move {
        let conf: FleetConf = read("conf", &conf)?;
        let fleet = conf.builder()?.start(&Ctx::system()).await?;
        Ok(Class(NativeSimulator(Owned::new(Held::new(fleet)))))
    })
}

/// Makes a site in an empty folder whose past is simulated, as JSON says; gives what is in it.
#[pyfunction]
pub fn simulate_history(py: Python<'_>, folder: String, conf: String) -> Call {
    Call::new(py, async move { past::simulate(Path::new(&folder), read("conf", &conf)?).await.map(Plain) })
}
