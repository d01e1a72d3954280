//! The Antminer driver against simulated machines, over the network in memory.

#![cfg(feature = "antminer")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod doors;
mod failures;
mod firmware;
mod polls;
mod probe;
mod rig;
mod scripted;
mod site;
mod values;
mod writes;
