//! The conformance kit, for drivers that are written in Python.

use headframe_binding::testkit;
use pyo3::prelude::*;

use crate::{
    call::Call,
    driver::{Loop, NativeDrivers},
    told::{Plain, plain},
};

/// The names of the cases.
#[pyfunction]
pub fn cases() -> Vec<&'static str> {
    testkit::cases()
}

/// The cases that are left out, and why.
#[pyfunction]
pub fn cases_left_out(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    plain(py, &testkit::left_out())
}

/// Runs a case with one of the drivers and a rig, of which `about` is JSON and `ask` is asked the rest, as a driver is. Gives
/// why it failed; None if it did not.
#[pyfunction]
pub fn run_case(
    py: Python<'_>,
    drivers: &Bound<'_, NativeDrivers>,
    driver: String,
    case: String,
    about: String,
    ask: Py<PyAny>,
) -> Call {
    let (drivers, rig) = (drivers.get().registry(), Loop::new(ask));
    Call::new(py, async move {
        testkit::run(&case, drivers.driver(&driver)?.clone(), &about, rig).await.map(Plain)
    })
}
