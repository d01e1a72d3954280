//! Headframe's core: seams, model, codecs, discovery and collection. It knows no vendor, no HTTP server and no
//! language binding.

#[cfg(feature = "store")]
pub mod action;
#[cfg(feature = "store")]
pub mod audit;
pub mod auth;
pub mod codec;
pub mod discover;
pub mod driver;
pub mod error;
#[cfg(feature = "history")]
pub mod history;
mod id;
pub mod io;
pub mod metrics;
pub mod model;
#[cfg(feature = "store")]
pub mod ork;
#[doc(hidden)]
pub mod planted;
pub mod query;
pub mod rack;
mod secret;
#[cfg(feature = "store")]
pub mod site;
pub mod stats;
#[cfg(feature = "store")]
pub mod store;
#[cfg(feature = "history")]
pub mod telemetry;
#[cfg(feature = "conformance")]
pub mod testkit;
pub mod units;

pub use error::{Error, ErrorKind, Result, Sent};
pub use id::ThingId;
pub use secret::Secret;

/// Examples of the documents that stand beside the crates; they are compiled with the other ones.
#[cfg(all(doctest, feature = "store"))]
mod pages {
    #[doc = include_str!("../../docs/actions.md")]
    pub struct Actions;
    #[doc = include_str!("../../docs/policy.md")]
    pub struct Policy;
    #[doc = include_str!("../../docs/backup.md")]
    pub struct Backup;
    #[doc = include_str!("../../docs/counters.md")]
    pub struct Counters;
    #[cfg(feature = "history")]
    #[doc = include_str!("../../docs/telemetry.md")]
    pub struct Telemetry;
}
