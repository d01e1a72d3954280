//! Durable state: what was acknowledged survives `kill -9` and power loss, what is damaged is an error and never a
//! wrong value.
//!
//! [`ControlStore`] keeps registry, actions, audit and settings: state in memory, one file `control.redb` as its
//! durable log. [`LastStore`] keeps what every thing said last, in a file of its own, committed once a second.
//!
//! ```no_run
//! # use headframe_core::{Result, io::Ctx, store::{Batch, ControlStore, Expect, Space, StoreOptions}};
//! # async fn example(cx: Ctx) -> Result<()> {
//! let dir = std::path::Path::new("site");
//! // Once, by the operator's explicit command:
//! ControlStore::create(&cx, dir, &StoreOptions::default()).await?.close().await?;
//! // At every start:
//! let store = ControlStore::open(&cx, dir, &StoreOptions::default()).await?;
//! let batch = Batch::new()
//!     .require(Space::Settings, "ramp", Expect::Absent)
//!     .put(Space::Settings, "ramp", &serde_json::json!({"kw_per_s": 500}));
//! let revision = store.commit(batch).await?;
//! assert_eq!(store.get::<serde_json::Value>(Space::Settings, "ramp")?.unwrap().revision, revision);
//! # Ok(())
//! # }
//! ```
//!
//! A commit that fails says in [`Error::sent`](crate::Error::sent) whether it may have become durable all the same:
//! the store opens its file again by itself and looks, and answers [`Sent::Maybe`](crate::Sent::Maybe) only when it
//! could not.

mod backend;
mod backup;
mod batch;
mod contents;
mod control;
#[cfg(feature = "testkit")]
mod crash;
mod db;
mod dir;
mod doctor;
mod engine;
mod fault;
mod file;
mod group;
mod last;
mod migrate;
mod planted;
mod record;
mod reserve;
mod rotate;
mod salvage;
mod seal;
mod shield;
mod space;
mod state;

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

pub use backend::Backend;
pub use batch::{Batch, Expect, Revision};
pub(crate) use contents::Contents;
pub use control::{ControlStore, StoreHealth, StoreOptions, Writer};
#[cfg(feature = "testkit")]
pub use crash::{CrashBackend, CrashPlan};
pub(crate) use dir::sync_dir;
pub use dir::{CONTROL_FILE, KEY_FILE, LAST_FILE, SITE_FILE};
pub use doctor::{DoctorReport, FileReport, doctor};
pub use fault::code;
pub use file::FileBackend;
pub use last::{LastRow, LastStore, Restored};
pub use record::{Record, Versioned};
pub use rotate::RotationReport;
pub use salvage::{SalvageReport, salvage};
pub use seal::{Place, SealKey, Sealed, Sealer};
pub use space::{Key, Space};
