//! What the npm package `headframe` calls: Headframe's own types, with JSON text going in and coming out.
//!
//! It converts and nothing else. `lib/` makes objects, errors and iterators of it for JavaScript.

#![cfg_attr(
    test,
    allow(dead_code, reason = "for tests nothing is registered: most are those of the package")
)]

mod device;
mod driver;
mod form;
mod scan;
mod simulator;
mod site;
mod told;

use napi_derive::napi;

/// The version of the library.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
