//! The Whatsminer driver against scripted replies and against simulated devices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod asking;
mod bench;
mod device;
mod firmware;
mod simulated;
mod tokens;
mod v1;
mod values;
mod vectors;
mod writes;
