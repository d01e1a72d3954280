//! Headframe's core: seams, model, codecs, discovery and collection. It knows no vendor, no HTTP server and no
//! language binding.

pub mod codec;
pub mod error;
pub mod io;
mod secret;

pub use error::{Error, ErrorKind, Result, Sent};
pub use secret::Secret;
