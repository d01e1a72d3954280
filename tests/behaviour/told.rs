//! What the library gives, as JSON with the names that all languages tell it by.

use headframe::{
    Error, Sent,
    discover::FoundDevice,
    query::QueryPage,
    rack::{Event, Partial},
    site::{FindReport, Site},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The JSON of a type that has one.
pub fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

pub fn error(e: &Error) -> Value {
    let context: Map<_, _> = e.context().map(|(key, value)| (key.to_owned(), value.into())).collect();
    json!({
        "code": e.code(), "kind": format!("{:?}", e.kind()), "op": e.op(), "message": e.to_string(),
        "sent": if e.sent() == Sent::Maybe { "maybe" } else { "no" }, "retryable": e.retryable(), "context": context,
    })
}

/// An error in a list of results.
pub fn row(e: &Error) -> Value {
    json!({"code": e.code(), "kind": format!("{:?}", e.kind()), "message": e.to_string()})
}

pub fn found(FoundDevice { host, device, .. }: &FoundDevice) -> Value {
    json!({
        "address": host, "driver": device.driver, "make": device.make, "model": device.model,
        "firmware": device.firmware, "mac": device.mac, "opts": device.opts,
    })
}

pub fn report(report: &FindReport) -> Value {
    let refused = report.refused.iter().map(|(address, e)| json!({"address": address, "error": row(e)}));
    json!({
        "scan": report.scan, "registered": report.registered, "known": report.known, "moved": report.moved,
        "refused": refused.collect::<Vec<_>>(),
    })
}

pub fn page(Partial { items, failed, .. }: Partial<QueryPage>) -> Value {
    let failed: Vec<_> = failed.iter().map(|(rack, e)| json!({"rack": rack, "error": row(e)})).collect();
    let things: Vec<_> = items.items.into_iter().map(|item| item.value.into_value()).collect();
    json!({"items": things, "matched": items.matched, "next": items.next, "failed": failed})
}

pub fn reading(Event { reading, missed, .. }: &Event) -> Value {
    json!({
        "thing": reading.thing, "ts": reading.ts, "missed": missed, "seq": reading.seq, "link": reading.link,
        "tookMs": u64::try_from(reading.took.as_millis()).unwrap(),
        "error": reading.outcome.as_ref().err().map(|e| row(e)), "snapshot": *reading.snapshot(),
    })
}

pub fn counts(site: &Site) -> Value {
    let counts = site.counts();
    json!({
        "things": site.things().len(), "online": counts.online, "pollsDone": counts.polls_done,
        "pollsFailed": counts.polls_failed, "sinkDropped": counts.sink_dropped,
    })
}
