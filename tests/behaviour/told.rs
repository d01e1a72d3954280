//! What the library gives, as JSON with the names that all languages tell it by.

use serde::Serialize;
use serde_json::Value;

/// The JSON of a type.
pub fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}
