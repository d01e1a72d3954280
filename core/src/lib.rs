//! Headframe's core: seams, model, codecs, discovery and collection. It knows no vendor, no HTTP server and no
//! language binding.

pub mod codec;
pub mod driver;
pub mod error;
mod id;
pub mod io;
pub mod model;
mod secret;
pub mod units;

pub use error::{Error, ErrorKind, Result, Sent};
pub use id::ThingId;
pub use secret::Secret;
