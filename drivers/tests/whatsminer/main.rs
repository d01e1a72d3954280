//! The Whatsminer driver against scripted replies and against simulated devices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod asking;
mod device;
mod simulated;
mod values;
mod vectors;
