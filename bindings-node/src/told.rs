//! Errors and JSON on their way to JavaScript.

use headframe::{Error, Sent};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, json};

/// A result of the library. What JavaScript is told is napi's `Result`, by whose name its macro knows it: JSON, or an error
/// whose message is the JSON of ours.
pub type Ours<T> = headframe::Result<T>;

/// An error as JSON: what `lib/error.js` makes its class of.
pub fn raise(e: &Error) -> napi::Error {
    let context: Map<_, _> = e.context().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let told = json!({
        "code": e.code(),
        "kind": format!("{:?}", e.kind()),
        "op": e.op(),
        "message": e.message(),
        "sent": if e.sent() == Sent::Maybe { "maybe" } else { "no" },
        "retryable": e.retryable(),
        "context": context,
        "text": e.to_string(),
    });
    napi::Error::from_reason(told.to_string())
}

/// A result for JavaScript.
pub fn tell<T>(result: Ours<T>) -> napi::Result<T> {
    result.map_err(|e| raise(&e))
}

/// The JSON of what a call gives.
pub fn write<T: Serialize>(value: &T) -> Ours<String> {
    serde_json::to_string(value).map_err(|e| {
        Error::new(headframe::ErrorKind::Internal, "node.write", "an answer cannot be written as JSON")
            .caused_by(e)
    })
}

/// Reads what JavaScript gave for `what`.
pub fn read<T: DeserializeOwned>(what: &'static str, text: &str) -> Ours<T> {
    serde_json::from_str(text).map_err(|e| Error::invalid("node.read", what, e.to_string()).caused_by(e))
}

/// An error in a list of results.
pub fn as_json(e: &Error) -> serde_json::Value {
    json!({"code": e.code(), "kind": format!("{:?}", e.kind()), "message": e.to_string()})
}
