#![doc = include_str!("../README.md")]
//!
//! ---
//!
//! This crate only re-exports: [`headframe_core`] and the drivers that are switched on as features.

pub use headframe_core::{
    Error, ErrorKind, Result, Secret, Sent, ThingId, action, audit, auth, discover, driver, error, io,
    metrics, model, ork, query, rack, site, stats, store, units,
};
#[cfg(feature = "history")]
pub use headframe_core::{history, telemetry};

/// The drivers of this build, one per vendor family.
pub mod drivers {
    pub use headframe_drivers::*;
}

/// A registry that holds every driver of this build.
pub fn registry() -> driver::Registry {
    let mut registry = driver::Registry::new();
    headframe_drivers::register_all(&mut registry);
    registry
}
