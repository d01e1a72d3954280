//! A client of its own, made of plain bytes and its own reading of the protocol, against simulated Whatsminers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

mod client;
mod faults;
mod joins;
mod reads;
mod tokens;
mod upgrades;
mod v1;
mod v3;
mod writes;
