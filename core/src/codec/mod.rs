//! Byte codecs shared by drivers.

pub mod cgminer;
mod digest;
pub mod http;
mod json_repair;
pub mod lenient;

pub use json_repair::repair;
