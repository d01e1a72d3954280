//! The engine of Whatsminer API v3 against a scripted device.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod device;
mod polls;
mod proofs;
mod snip;
mod values;
mod writes;
