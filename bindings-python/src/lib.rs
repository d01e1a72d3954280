//! What the Python package `headframe` calls: Headframe's own types. Questions come as JSON text or plain values, and answers go
//! as Python's dicts and lists.
//!
//! It converts and nothing else. `python/headframe/` makes the classes of the package of it.

mod actions;
mod ahead;
mod call;
mod device;
mod driver;
mod inside;
mod process;
mod readings;
mod scan;
mod simulator;
mod site;
mod table;
mod testkit;
mod told;

use pyo3::prelude::*;

/// The native part.
#[pymodule(gil_used = false)]
mod _headframe {
    #[pymodule_export]
    use crate::{
        actions::NativeWatch,
        call::Call,
        device::NativeDevice,
        driver::NativeDrivers,
        process::{end, set_up},
        readings::{NativeReadings, Reading, Snapshot},
        scan::{NativeScan, start_scan},
        simulator::{NativeSimulator, simulate_history, start_simulator},
        site::{NativeSite, restore_site},
        table::Table,
        testkit::{cases, cases_left_out, run_case},
    };

    /// The version of the library.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
