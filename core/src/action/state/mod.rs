//! The life of an action, as a pure function of what happens to it.
//!
//! | status | event | becomes | if |
//! |---|---|---|---|
//! | – | pushed | `VOTING` | more votes are needed |
//! | – | pushed | `APPROVED` | the creator's own vote is enough |
//! | – | shed | `EXECUTING` | always: it is the emergency stop |
//! | `VOTING` | vote | `VOTING`, `APPROVED` or `DENIED` | as the tally says |
//! | `VOTING` | vote taken back | `VOTING` | the person voted, and is not the creator |
//! | `VOTING`, `APPROVED` | cancel | `CANCELLED` | by the creator |
//! | `VOTING`, `APPROVED` | its time ran out | `EXPIRED` | |
//! | `APPROVED` | begin | `EXECUTING` | the votes that still hold are enough |
//! | `APPROVED` | begin | `VOTING` | they are not: void votes are struck out |
//! | `EXECUTING` | journal | `EXECUTING` | calls are left |
//! | `EXECUTING` | journal | `COMPLETED`, `PARTIAL`, `FAILED` | every call ended |
//! | `EXECUTING` | journal | `INTERRUPTED` | every call ended, and the fate of some is unknown since a crash |
//! | `EXECUTING` | pause, resume | `EXECUTING` | |
//! | `EXECUTING` | restart of the engine | `INTERRUPTED` | |
//! | `INTERRUPTED` | journal | `INTERRUPTED` | a call that was sent before the crash is reconciled |
//! | `INTERRUPTED` | reconciled | `EXECUTING`, or as it ends | calls that never began are left, or not |
//! | `INTERRUPTED` | settled | as it ends, or `INTERRUPTED` | a person says what became of unknown calls |
//! | ended by its calls | settled | `COMPLETED`, `PARTIAL`, `FAILED` | the same, later |
//!
//! Every other pair is refused with `ERR_ACTION_DECIDED` and changes nothing.

mod event;
mod header;
mod step;
#[cfg(test)]
mod tests;

pub use event::{Effect, Event};
pub use header::{Counts, Digest, Fixed, Header, Hold, Order, RackCalls, Ramp, Vote};
pub use step::step;
pub(super) use step::{first, is_over};
