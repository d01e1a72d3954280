//! What was done, by whom and why: a log that cannot be changed without being noticed.
//!
//! Every [`Entry`] is one line of JSON that holds the hash of the line before. The same hashes are the leaves of an RFC
//! 6962 Merkle tree; a [`Checkpoint`] signs size and root of the tree as a C2SP note, and a [`Witness`] off the
//! machine keeps it. Whoever has the exported lines, a checkpoint and the public key can [`verify`] them, with this
//! module, with `docs/audit-verify.py`, or after `docs/audit.md` with a program of their own.
//!
//! ```
//! # use headframe_core::{Result, audit::{self, AuditKey, Draft, Log, verify}, store::{Batch, ControlStore}};
//! # async fn example(store: &ControlStore, key: &AuditKey) -> Result<()> {
//! let log = Log::open(store)?;
//! let draft = Draft::new(1_760_000_000_000, "ada", "push").why("heat wave");
//! let (batch, next) = log.stage(Batch::new(), vec![draft])?;
//! store.commit(batch).await?; // on an error `log` is still the head
//! let note = key.checkpoint(&next);
//! let checkpoint = key.verifier().open(note.as_bytes())?;
//! let mut lines = Vec::new();
//! audit::export(store, &mut lines)?;
//! assert!(verify(audit::lines(&lines), &[checkpoint]).is_ok());
//! # Ok(())
//! # }
//! ```

mod checkpoint;
mod diagnose;
mod entry;
mod export;
mod frontier;
mod hash;
mod key;
mod log;
mod note;
mod page;
mod proof;
mod rows;
mod stored;
mod tree;
mod verify;
mod witness;

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

pub use checkpoint::Checkpoint;
pub use diagnose::{Fault, Why};
pub use entry::{Draft, Entry};
pub use export::{export, lines};
pub use hash::Hash;
pub use key::{AuditKey, VerifierKey};
pub use log::Log;
pub use page::{Page, page};
pub use proof::{verify_consistency, verify_inclusion};
pub use rows::Rows;
pub use tree::Tree;
pub(crate) use verify::verify_records;
pub use verify::{Verified, verify, verify_stored};
pub use witness::{FileWitness, Witness};

/// The stable codes of this module's errors.
pub mod code {
    /// The log in the store is not whole, or not the one that was witnessed.
    pub const CORRUPT: &str = "AUDIT_CORRUPT";
    /// The key that signs checkpoints is missing, wrong or readable by others.
    pub const KEY: &str = "AUDIT_KEY";
    /// A text is not a signed checkpoint.
    pub const NOTE: &str = "AUDIT_NOTE";
    /// A checkpoint is not signed with the key that was asked for.
    pub const SIGNATURE: &str = "AUDIT_SIGNATURE";
    /// A checkpoint contradicts one that the witness has: the log was rolled back, or shows different people
    /// different things.
    pub const SPLIT: &str = "AUDIT_SPLIT";
    /// A witness failed to read or write its file.
    pub const IO: &str = "AUDIT_IO";
}
