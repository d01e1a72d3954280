//! Headframe's drivers: one folder and one feature for each vendor family.

#[cfg(feature = "antminer")]
pub mod antminer;
#[cfg(feature = "whatsminer")]
pub mod whatsminer;

use headframe_core::driver::Registry;

/// Adds every driver of this build to `registry`.
pub fn register_all(registry: &mut Registry) {
    #[cfg(feature = "antminer")]
    registry.register(antminer::Antminer::new());
    #[cfg(feature = "whatsminer")]
    registry.register(whatsminer::Whatsminer::new());
    #[cfg(not(any(feature = "antminer", feature = "whatsminer")))]
    let _unused = registry;
}
