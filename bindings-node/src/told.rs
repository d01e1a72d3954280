//! Errors and JSON on their way to JavaScript.

use std::future::Future;

use headframe::{Error, ErrorKind};
use headframe_binding::guard::{guarded, settled};
use napi::{
    Env,
    bindgen_prelude::{AsyncBlock, AsyncBlockBuilder, ToNapiValue},
};
use serde::Serialize;

/// A result of the library. What JavaScript is told is napi's `Result`, by whose name its macro knows it: JSON, or an error
/// whose message is the JSON of ours.
pub type Ours<T> = headframe::Result<T>;

/// An error as JSON: what `lib/error.js` makes its class of.
pub fn raise(e: &Error) -> napi::Error {
    // All of it is texts: it can always be written.
    napi::Error::from_reason(serde_json::to_string(e).unwrap_or_else(|_| e.to_string()))
}

/// What a call gives, for JavaScript.
pub fn tell<T>(call: impl FnOnce() -> Ours<T>) -> napi::Result<T> {
    guarded(call).map_err(|e| raise(&e))
}

/// The same of a call that waits. It owns what it works on: a thread of JavaScript that is ended takes its objects with it,
/// also those whose calls are under way.
pub fn promise<T>(
    env: &Env,
    call: impl Future<Output = Ours<T>> + Send + 'static,
) -> napi::Result<AsyncBlock<T>>
where
    T: ToNapiValue + Send + 'static,
{
    AsyncBlockBuilder::new(async move { settled(call).await.map_err(|e| raise(&e)) }).build(env)
}

/// The JSON of what a call gives.
pub fn write<T: Serialize>(value: &T) -> Ours<String> {
    serde_json::to_string(value).map_err(|e| {
        Error::new(ErrorKind::Internal, "node.write", "an answer cannot be written as JSON").caused_by(e)
    })
}
