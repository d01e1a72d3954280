//! Panics as errors: on the way out of a call into another language one would end the process.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use headframe::{Error, ErrorKind, Result};
use headframe_core::planted::{Bug, planted};

/// What `call` gives, or an error where it panicked.
///
/// # Errors
/// Its own, and [`Internal`](ErrorKind::Internal) for a panic.
pub fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(call).and_then(|told| told)
}

/// The same of a call that waits. Of one that panicked nobody knows how far it came.
///
/// # Errors
/// Its own, and [`Internal`](ErrorKind::Internal) for a panic, perhaps sent.
pub async fn settled<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let mut call = pin!(call);
    let told = poll_fn(|cx| match caught(|| call.as_mut().poll(cx)) {
        Ok(polled) => polled,
        Err(e) => Poll::Ready(Err(e.maybe_sent())),
    });
    told.await
}

fn caught<T>(work: impl FnOnce() -> T) -> Result<T> {
    if planted(Bug::UnguardedPanic) {
        return Ok(work());
    }
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| panicked(&*payload))
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    Error::new(ErrorKind::Internal, "call", format!("a defect of Headframe: {}", why(payload)))
}

/// What a panic says.
pub(crate) fn why(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it does not say why")
}

#[cfg(test)]
mod tests {
    use headframe::Sent;

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn a_panic_is_an_error() {
        let e = guarded(|| -> Result<()> { panic!("of {}", 7) }).unwrap_err();
        assert_eq!((e.kind(), e.code(), e.sent()), (ErrorKind::Internal, "ERR_INTERNAL", Sent::No));
        assert_eq!(e.message(), "a defect of Headframe: of 7");
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
