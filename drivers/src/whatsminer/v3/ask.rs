//! Asks one unit what changes from poll to poll: four requests over two connections at a time.

use std::{net::SocketAddr, time::Duration};

use headframe_core::{
    Error, ErrorKind, Result,
    codec::framed::{self, frame},
    io::Ctx,
};
use serde::de::DeserializeOwned;

use super::{
    reply::{Edev, Live, OfEdevs, OfPools, OfSummary, Pool, Summary},
    wire::{Failure, Got, READ, Reply, ask},
};

/// Upper bound of one poll, also where the caller sets no deadline.
const LIMIT: Duration = Duration::from_secs(30);

/// What one poll gave.
#[derive(Debug)]
pub(super) struct Polled {
    pub live: Got<Live>,
    /// The JSON that `live` was read from; the rest of it is read rarely.
    pub info_json: Vec<u8>,
    pub summary: Got<Summary>,
    pub edevs: Got<Vec<Edev>>,
    pub pools: Got<Vec<Pool>>,
}

/// The outcome of one request: contents, or why there are none with the error that says so.
struct Answer<T> {
    got: Got<T>,
    error: Option<Error>,
}

impl<T> Answer<T> {
    fn skipped() -> Self {
        Self { got: Err(Failure::Silent), error: None }
    }

    /// Whether nothing can be reached, so that more requests are of no use.
    fn is_gone(&self) -> bool {
        self.error.as_ref().is_some_and(|e| e.kind() == ErrorKind::Unreachable)
    }

    /// The member `pick` of the contents; without it they are not understood.
    fn only<M>(self, pick: fn(T) -> Option<M>) -> Answer<M> {
        let got = self.got.and_then(|contents| pick(contents).ok_or(Failure::Garbled));
        let lacks =
            || Error::new(ErrorKind::BadReply, READ, "the reply lacks the section that was asked for");
        let error = self.error.or_else(|| (got.as_ref().err() == Some(&Failure::Garbled)).then(lacks));
        Answer { got, error }
    }
}

/// Asks everything. What hangs leaves time for what comes behind it.
///
/// # Errors
/// Those of the connection, when nothing came that says how the unit does.
pub(super) async fn poll(cx: &Ctx, at: SocketAddr) -> Result<Polled> {
    let cx = &portion(cx, 7, 8);
    let first = &portion(cx, 1, 2);
    let about = async {
        let mut json = Vec::new();
        let live = request::<Live>(first, at, ask::INFO, &mut json).await;
        let pools = match live.is_gone() {
            true => Answer::skipped(),
            false => request::<OfPools>(cx, at, ask::POOLS, &mut Vec::new()).await,
        };
        (live, json, pools.only(|p| p.pools))
    };
    let status = async {
        let mut json = Vec::new();
        let summary = request::<OfSummary>(first, at, ask::SUMMARY, &mut json).await;
        let edevs = match summary.is_gone() {
            true => Answer::skipped(),
            false => request::<OfEdevs>(cx, at, ask::EDEVS, &mut json).await,
        };
        (summary.only(|s| s.summary), edevs.only(|e| e.edevs))
    };
    let ((live, info_json, pools), (summary, edevs)) = tokio::join!(about, status);
    if live.got.is_err() && summary.got.is_err() && edevs.got.is_err() {
        let none = || Error::new(ErrorKind::BadReply, READ, "it answers nothing").with("address", at);
        let first = [summary.error, live.error, edevs.error, pools.error].into_iter().flatten().next();
        return Err(first.unwrap_or_else(none));
    }
    Ok(Polled {
        live: live.got,
        info_json,
        summary: summary.got,
        edevs: edevs.got,
        pools: pools.got.map(in_order),
    })
}

/// Pools in the order of their priority; those without one come last.
pub(super) fn in_order(mut pools: Vec<Pool>) -> Vec<Pool> {
    pools.sort_by_key(|pool| pool.priority.unwrap_or(i64::MAX));
    pools
}

async fn request<T: DeserializeOwned>(cx: &Ctx, at: SocketAddr, what: &str, json: &mut Vec<u8>) -> Answer<T> {
    match contents(cx, at, what, json).await {
        Ok(contents) => Answer { got: Ok(contents), error: None },
        Err(error) => {
            let failure = match error.kind() {
                _ if error.fact("refused").is_some() && error.kind() == ErrorKind::BadReply => {
                    Failure::Refused
                }
                ErrorKind::BadReply if error.fact("empty").is_none() => Failure::Garbled,
                _ => Failure::Silent,
            };
            Answer { got: Err(failure), error: Some(error) }
        }
    }
}

/// Asks `what` and reads the contents of the reply, which stays in `json`.
///
/// # Errors
/// As [`framed::read`] and [`Reply::contents`]; all carry `address`.
pub(super) async fn contents<T: DeserializeOwned>(
    cx: &Ctx,
    at: SocketAddr,
    what: &str,
    json: &mut Vec<u8>,
) -> Result<T> {
    framed::read(cx, at, &frame(what), json).await?;
    let read = Reply::<T>::parse(json).and_then(Reply::contents);
    read.map_err(|e| e.with("request", what).with("address", at))
}

/// `cx` for a part of the work: it ends after this share of what is left, so that the rest can still be done.
fn portion(cx: &Ctx, of: u32, parts: u32) -> Ctx {
    let left = cx.remaining().map_or(LIMIT, |left| left / parts * of);
    cx.deadline_in(left.min(LIMIT))
}
