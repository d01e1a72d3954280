//! The Antminer driver against simulated machines, over the network in memory.

#![cfg(feature = "antminer")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod failures;
mod polls;
mod probe;
mod rig;
mod values;
