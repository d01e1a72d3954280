//! The simulated Antminer seen from outside: hand-written bytes, and digest arithmetic of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking, in its helpers too")]

mod auth;
mod client;
mod faults;
mod generations;
mod reads;
mod rpc;
mod writes;
