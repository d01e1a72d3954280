use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Identity, Observed};
use crate::{
    Error, ErrorKind, Result,
    planted::{Bug, planted},
};

/// Proof that a write was allowed, and to whom. There is no public way to make one: an approved action has one, and
/// the site-less handle [`Direct`](super::Direct). A rack has none, so no write of a fleet goes around approval.
///
/// [`Thing::execute`](super::Thing::execute) asks the device who it is right before it sends, and calls
/// [`prove`](Self::prove); a write that rewrites a whole section of the device's settings calls
/// [`unchanged`](Self::unchanged) with what it has just read.
#[derive(Debug)]
pub struct Permit {
    identity: Identity,
    version: Option<u64>,
    halted: Option<Arc<AtomicBool>>,
}

impl Permit {
    /// For the device that was observed, in the state in which it was observed.
    pub(crate) fn of(observed: &Observed) -> Self {
        Self { identity: observed.identity.clone(), version: observed.version, halted: None }
    }

    /// The same, void as soon as `halted` is set.
    #[cfg(feature = "store")]
    pub(crate) fn unless(mut self, halted: &Arc<AtomicBool>) -> Self {
        self.halted = Some(Arc::clone(halted));
        self
    }

    /// Refuses any other device than the one that the write is meant for.
    ///
    /// # Errors
    /// As [`Identity::prove`]; [`Conflict`](ErrorKind::Conflict) with `ERR_ACTION_HELD` when the site was halted
    /// meanwhile.
    pub fn prove(&self, shown: &Identity) -> Result<()> {
        if self.halted.as_ref().is_some_and(|halted| halted.load(Ordering::SeqCst)) {
            let e = Error::new(ErrorKind::Conflict, "permit.prove", "the site was halted: nothing was sent");
            return Err(e.code_as("ERR_ACTION_HELD"));
        }
        if planted(Bug::TrustAddress) {
            return Ok(());
        }
        self.identity.prove(shown)
    }

    /// Refuses to rewrite settings that someone else changed since they were looked at.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict).
    pub fn unchanged(&self, version: u64) -> Result<()> {
        match self.version {
            Some(seen) if seen != version => {
                let text = "the device's settings were changed since they were looked at: nothing was sent";
                Err(Error::new(ErrorKind::Conflict, "permit.unchanged", text).code_as("ERR_SETTINGS_CHANGED"))
            }
            _ => Ok(()),
        }
    }
}
