//! What the packages for other languages share: handles that close, panics that become errors, questions that come as JSON, and
//! drivers that are written elsewhere.
//!
//! It converts and nothing else, as they do. What Headframe gives has its own [`serde::Serialize`]; each package makes values of
//! its language of that.

pub mod actions;
pub mod asked;
pub mod driver;
pub mod guard;
pub mod held;
pub mod past;
pub mod readings;
pub mod scan;
pub mod site;
#[cfg(feature = "testkit")]
pub mod testkit;
