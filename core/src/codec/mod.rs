//! Byte codecs shared by drivers: the cgminer-style API, messages behind their length, HTTP with digest
//! authentication, and tolerant readers for what devices send as JSON.

pub mod cgminer;
mod digest;
mod excerpt;
pub mod framed;
pub mod http;
mod json_repair;
pub mod lenient;

use std::net::SocketAddr;

pub use json_repair::repair;

use crate::Error;

/// Adds the address where the network below has not named it.
fn located(e: Error, at: SocketAddr) -> Error {
    if e.fact("address").is_some() { e } else { e.with("address", at) }
}
