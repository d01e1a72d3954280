//! One device, outside any site.

use std::time::Duration;

use headframe::{driver::Direct, io::Ctx};
use headframe_binding::{asked::read, held::Held};
use pyo3::prelude::*;

use crate::{
    call::Call,
    process::Owned,
    readings::Snapshot,
    told::{Class, Plain, plain, tell},
};

/// An opened device.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeDevice(Owned<Held<Direct>>);

impl NativeDevice {
    pub fn new(device: Direct) -> Self {
        Self(Owned::new(Held::new(device)))
    }
}

#[pymethods]
impl NativeDevice {
    /// What it says now.
    fn snapshot(&self, py: Python<'_>, within_ms: u32) -> Call {
        let cx = within(within_ms);
        let said = self.0.with(|device| async move { device.snapshot(&cx).await });
        Call::new(py, async move { said.await.map(|said| Class(Snapshot::new(said.into()))) })
    }

    /// What it can do.
    fn capability<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &*tell(py, || self.0.now(Direct::capability))?)
    }

    /// Carries out a write, JSON `{name, args}`, and gives what is known of it.
    fn execute(&self, py: Python<'_>, command: String, within_ms: u32) -> Call {
        let cx = within(within_ms);
        Call::new(
            py,
            self.0.with(
                |device| async move { device.execute(&cx, &read("command", &command)?).await.map(Plain) },
            ),
        )
    }

    /// Ends its connections.
    fn close(&self, py: Python<'_>) -> Call {
        let taken = self.0.take();
        Call::new(py, async move {
            if let Some(device) = taken.await {
                device.close().await;
            }
            Ok(())
        })
    }
}

fn within(ms: u32) -> Ctx {
    Ctx::system().deadline_in(Duration::from_millis(ms.into()))
}
