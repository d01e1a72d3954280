//! Looking for devices.

use std::sync::Arc;

use headframe_binding::{asked::read, scan::UnderWay};
use pyo3::prelude::*;

use crate::{
    call::Call,
    process::Owned,
    told::{Class, Plain},
};

/// A scan under way.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeScan(Owned<Arc<UnderWay>>);

#[pymethods]
impl NativeScan {
    /// The next event: a device, an unknown host, or at last the summary; None after that.
    fn next(&self, py: Python<'_>) -> Call {
        let scan = Arc::clone(&self.0);
        Call::new(py, async move { Ok(scan.next().await.map(Plain)) })
    }

    /// Ends it early: the summary comes next.
    fn stop(&self) {
        self.0.stop();
    }
}

impl Drop for NativeScan {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Begins to look at a range of addresses.
#[pyfunction]
pub fn start_scan(py: Python<'_>, range: String, options: String) -> Call {
    Call::new(py, async move {
        let scan = UnderWay::start(&range, &read("options", &options)?)?;
        Ok(Class(NativeScan(Owned::new(Arc::new(scan)))))
    })
}
