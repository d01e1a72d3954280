use crate::driver::{Observed, Permit};

/// A permit for the device that was observed, as the action engine makes one for an approved action. For tests of what
/// stands below the engine.
pub fn permit_of(observed: &Observed) -> Permit {
    Permit::of(observed)
}
