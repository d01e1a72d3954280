//! Looking for devices.

use std::{sync::Arc, time::Duration};

use headframe::{
    discover::{AddressRange, FoundDevice, Scan, ScanEvent, ScanStream, UnknownHost},
    driver::Ports,
    io::Ctx,
};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use crate::told::{Ours, promise, read};

/// How is looked.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ScanOptions {
    ports: Ports,
    deadline_ms: Option<u64>,
    concurrency: Option<usize>,
}

/// A scan under way.
#[napi]
pub struct NativeScan(Arc<UnderWay>);

struct UnderWay {
    stream: Mutex<Option<ScanStream>>,
    /// Beside the stream, which is held by whoever waits for its next event.
    stop: watch::Sender<bool>,
}

#[napi]
impl NativeScan {
    /// The next event as JSON: a device, an unknown host, or at last the report; `null` after that.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn next(&self, env: &Env) -> Result<AsyncBlock<Option<String>>> {
        let scan = Arc::clone(&self.0);
        promise(env, async move { scan.event().await })
    }

    /// Ends it early: the report comes next.
    #[napi]
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Drop for NativeScan {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl UnderWay {
    fn stop(&self) {
        self.stop.send_replace(true);
        // Nobody may ask for the next event any more.
        if let Ok(mut held) = self.stream.try_lock()
            && let Some(stream) = held.as_mut()
        {
            stream.stop();
        }
    }

    async fn event(&self) -> Ours<Option<String>> {
        let mut held = self.stream.lock().await;
        let Some(stream) = held.as_mut() else { return Ok(None) };
        if let Some(event) = event(stream, self.stop.subscribe()).await {
            return Ok(Some(event.to_string()));
        }
        let Some(stream) = held.take() else { return Ok(None) };
        let report = stream.finish().await;
        Ok(Some(json!({"event": "summary", "report": report}).to_string()))
    }
}

/// The next device or unknown host; `None` at the end.
async fn event(stream: &mut ScanStream, mut stop: watch::Receiver<bool>) -> Option<Value> {
    let mut told = false;
    loop {
        let next = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop), if !told => {
                told = true;
                stream.stop();
                continue;
            }
            next = stream.next() => next?,
        };
        match next {
            ScanEvent::Found(found) => return Some(device(&found)),
            ScanEvent::Unknown { host, unknown, .. } => {
                let UnknownHost { answers, reason, .. } = unknown;
                return Some(
                    json!({"event": "unknown", "address": host, "answers": answers, "reason": reason}),
                );
            }
            _ => {}
        }
    }
}

/// Begins to look at a range of addresses.
#[napi]
pub fn start_scan(env: &Env, range: String, options: String) -> Result<AsyncBlock<NativeScan>> {
    promise(env, async move { start(&range, &options) })
}

fn start(range: &str, options: &str) -> Ours<NativeScan> {
    let options: ScanOptions = read("options", options)?;
    let range: AddressRange = range.parse()?;
    let mut scan = Scan::new(Arc::new(headframe::registry()), Ctx::system(), range).ports(options.ports);
    if let Some(ms) = options.deadline_ms {
        scan = scan.deadline(Duration::from_millis(ms));
    }
    if let Some(addresses) = options.concurrency {
        scan = scan.concurrency(addresses);
    }
    let stream = Mutex::new(Some(scan.start()?));
    Ok(NativeScan(Arc::new(UnderWay { stream, stop: watch::Sender::new(false) })))
}

fn device(found: &FoundDevice) -> Value {
    let FoundDevice { host, device, .. } = found;
    json!({
        "event": "device", "address": host, "driver": device.driver, "make": device.make, "model": device.model,
        "firmware": device.firmware, "mac": device.mac, "opts": device.opts,
    })
}
