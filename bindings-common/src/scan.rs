//! A scan that can be stopped by another than the one who reads it.

use std::{sync::Arc, time::Duration};

use headframe::{
    Result,
    discover::{AddressRange, Scan, ScanEvent, ScanReport, ScanStream},
    driver::Registry,
    io::Ctx,
};
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use crate::asked::ScanOptions;

/// A scan under way.
#[derive(Debug)]
pub struct UnderWay {
    stream: Mutex<Option<ScanStream>>,
    /// Beside the stream, which is held by whoever waits for its next event.
    stop: watch::Sender<bool>,
}

/// What comes of a scan: devices, unknown hosts, and at last what was done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// A device or an unknown host.
    Event(ScanEvent),
    /// The end: `{event: "summary", report}`.
    Summary(Summary),
}

/// See [`Told::Summary`].
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "summary")]
pub struct Summary {
    report: ScanReport,
}

impl UnderWay {
    /// Begins to look at a range of addresses for the devices of these drivers.
    ///
    /// # Errors
    /// Those of the range and of [`Scan::start`].
    pub fn start(drivers: Registry, range: &str, options: &ScanOptions) -> Result<Self> {
        let range: AddressRange = range.parse()?;
        let mut scan = Scan::new(Arc::new(drivers), Ctx::system(), range).ports(options.ports);
        if let Some(ms) = options.deadline_ms {
            scan = scan.deadline(Duration::from_millis(ms));
        }
        if let Some(addresses) = options.concurrency {
            scan = scan.concurrency(addresses);
        }
        Ok(Self { stream: Mutex::new(Some(scan.start()?)), stop: watch::Sender::new(false) })
    }

    /// Ends it early: the summary comes next.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        // Nobody may ask for the next event any more.
        if let Ok(mut held) = self.stream.try_lock()
            && let Some(stream) = held.as_mut()
        {
            stream.stop();
        }
    }

    /// What comes next; `None` after the summary.
    pub async fn next(&self) -> Option<Told> {
        let mut held = self.stream.lock().await;
        if let Some(event) = event(held.as_mut()?, self.stop.subscribe()).await {
            return Some(Told::Event(event));
        }
        // It has ended: nothing waits from here on, so that whoever gives up loses nothing.
        let report = held.take()?.report()?.clone();
        Some(Told::Summary(Summary { report }))
    }
}

/// The next device or unknown host; `None` at the end.
async fn event(stream: &mut ScanStream, mut stop: watch::Receiver<bool>) -> Option<ScanEvent> {
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
        if matches!(next, ScanEvent::Found(_) | ScanEvent::Unknown { .. }) {
            return Some(next);
        }
    }
}
