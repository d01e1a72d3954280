//! Errors and JSON on their way to JavaScript.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use headframe::{Error, ErrorKind, Sent};
use headframe_core::planted::{Bug, planted};
use napi::{
    Env,
    bindgen_prelude::{AsyncBlock, AsyncBlockBuilder, ToNapiValue},
};
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

/// What a call gives, for JavaScript. A panic in it is an error like any other: on the way out of a call it would end the
/// process.
pub fn tell<T>(call: impl FnOnce() -> Ours<T>) -> napi::Result<T> {
    guarded(call).and_then(|told| told).map_err(|e| raise(&e))
}

/// The same of a call that waits. It owns what it works on: a thread of JavaScript that is ended takes its objects with it,
/// also those whose calls are under way. Of a call that panicked nobody knows how far it came.
pub fn promise<T>(
    env: &Env,
    call: impl Future<Output = Ours<T>> + Send + 'static,
) -> napi::Result<AsyncBlock<T>>
where
    T: ToNapiValue + Send + 'static,
{
    AsyncBlockBuilder::new(async move { settled(call).await.map_err(|e| raise(&e)) }).build(env)
}

async fn settled<T>(call: impl Future<Output = Ours<T>>) -> Ours<T> {
    let mut call = pin!(call);
    let told = poll_fn(|cx| match guarded(|| call.as_mut().poll(cx)) {
        Ok(polled) => polled,
        Err(e) => Poll::Ready(Err(e.maybe_sent())),
    });
    told.await
}

/// What `work` gives, or an error where it panicked.
fn guarded<T>(work: impl FnOnce() -> T) -> Ours<T> {
    if planted(Bug::UnguardedPanic) {
        return Ok(work());
    }
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| panicked(&*payload))
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
    Error::new(ErrorKind::Internal, "node", format!("a defect of Headframe: {text}"))
}

/// The JSON of what a call gives.
pub fn write<T: Serialize>(value: &T) -> Ours<String> {
    serde_json::to_string(value).map_err(|e| {
        Error::new(ErrorKind::Internal, "node.write", "an answer cannot be written as JSON").caused_by(e)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn a_panic_is_an_error() {
        let e = tell(|| -> Ours<()> { panic!("of {}", 7) }).unwrap_err();
        let told: serde_json::Value = serde_json::from_str(&e.reason).unwrap();
        assert_eq!(
            (&told["kind"], &told["code"], &told["sent"]),
            (&json!("Internal"), &json!("ERR_INTERNAL"), &json!("no"))
        );
        assert_eq!(told["message"], "a defect of Headframe: of 7");
    }

    #[test]
    fn a_call_that_panics_while_it_waits_may_have_sent_something() {
        let call = async {
            tokio::task::yield_now().await;
            Ok("late".parse::<u8>().unwrap())
        };
        let e = run(settled(call)).unwrap_err();
        assert_eq!(
            (e.kind(), e.sent(), e.message().starts_with("a defect of Headframe: called")),
            (ErrorKind::Internal, Sent::Maybe, true)
        );
        assert_eq!(run(settled(async { Ok(7) })).unwrap(), 7);
    }
}
