//! Collection: every thing polled once per interval, evenly spread, through bounded lanes.
//!
//! `schedule` and `lanes` are pure: they say when and in which order, and never wait. `state` joins them with
//! what is known of each thing, under one lock. `runner` is the task that waits, starts polls and takes their
//! ends. `hub` hands readings on without ever waiting for a reader. `writer` lends opened things to whoever may write to
//! them.

mod collector;
mod counts;
mod hub;
mod lanes;
mod options;
mod reading;
mod runner;
mod schedule;
mod slot;
mod state;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;
#[cfg(feature = "store")]
mod writer;

pub use collector::{Collector, ShutdownReport};
pub use counts::Counts;
pub use hub::{Event, NullSink, SnapshotSink, Subscription};
pub use options::CollectorOptions;
pub use reading::{Good, Link, Reading, ThingState};
