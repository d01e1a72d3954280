//! Cases of a device that misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a failed case ends its test"
)]

use std::time::Duration;

use super::{
    Rig, RigFault,
    cases::{DEADLINE, open, read},
};
use crate::{Error, ErrorKind};

/// The error of a newly opened thing, and of one that was read before, under `fault`.
async fn errors_under(rig: &impl Rig, fault: RigFault) -> Vec<Error> {
    let cx = rig.cx();
    let known = open(rig).await;
    read(&cx, &*known).await.expect("a healthy device is read");
    rig.fault(fault);
    let new = open(rig).await;
    let mut errors = Vec::new();
    for thing in [known, new] {
        let start = cx.clock.mono();
        let outcome = read(&cx, &*thing).await;
        let took = cx.clock.mono().since(start);
        assert!(took <= DEADLINE + rig.slack(), "{fault:?}: took {took:?}");
        errors.push(outcome.expect_err("a device that says nothing usable is an error, not a snapshot"));
    }
    errors
}

async fn all_are(rig: impl Rig, fault: RigFault, kinds: &[ErrorKind]) {
    for e in errors_under(&rig, fault).await {
        assert!(kinds.contains(&e.kind()), "{fault:?}: {e:?}");
        assert!(e.to_string().len() < 1000, "errors stay short: {e}");
    }
}

/// Nothing listens: `Unreachable`, at once.
pub async fn refused_connection_is_unreachable(rig: impl Rig) {
    let cx = rig.cx();
    rig.fault(RigFault::Refuse);
    // The device closes its ports a moment later.
    rig.pass(Duration::from_millis(100)).await;
    let thing = open(&rig).await;
    let start = cx.clock.mono();
    let e = read(&cx, &*thing).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable);
    assert!(cx.clock.mono().since(start) < Duration::from_secs(1) + rig.slack());
}

/// It connects and never answers: `Timeout` at the deadline.
pub async fn hanging_device_is_a_timeout(rig: impl Rig) {
    all_are(rig, RigFault::Hang, &[ErrorKind::Timeout]).await;
}

/// It answers too slowly: `Timeout` at the deadline.
pub async fn slow_replies_end_at_the_deadline(rig: impl Rig) {
    all_are(rig, RigFault::Drip, &[ErrorKind::Timeout]).await;
}

/// It closes within the reply.
pub async fn cut_replies_are_typed_errors(rig: impl Rig) {
    all_are(rig, RigFault::Cut, &[ErrorKind::BadReply, ErrorKind::Unreachable]).await;
}

/// It answers what is no JSON.
pub async fn garbage_is_a_bad_reply(rig: impl Rig) {
    all_are(rig, RigFault::Garbage, &[ErrorKind::BadReply]).await;
}

/// It ends in the middle of the JSON.
pub async fn half_json_is_a_bad_reply(rig: impl Rig) {
    all_are(rig, RigFault::HalfJson, &[ErrorKind::BadReply]).await;
}

/// It never stops sending: an error at the bound, in bounded memory.
pub async fn endless_replies_are_bounded(rig: impl Rig) {
    all_are(rig, RigFault::Flood, &[ErrorKind::BadReply, ErrorKind::Timeout]).await;
}

/// After each fault the same handle reads again.
pub async fn a_device_recovers_after_a_fault(rig: impl Rig) {
    let (cx, thing) = (rig.cx(), open(&rig).await);
    for fault in [RigFault::Refuse, RigFault::Hang, RigFault::Garbage, RigFault::Cut] {
        rig.fault(fault);
        read(&cx, &*thing).await.expect_err("a fault shows");
        rig.clear();
        // Within this time every fall-back is over and the first choice is tried again.
        rig.pass(Duration::from_secs(601)).await;
        let snapshot = read(&cx, &*thing).await.expect("a healthy device is read");
        assert!(snapshot.miner().is_some_and(|m| m.success), "after {fault:?}");
    }
}
