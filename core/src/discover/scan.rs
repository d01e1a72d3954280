use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::mpsc, task::JoinSet};

use super::{
    AddressRange, Budgets, ScanStream,
    connect::open_file_limit,
    probe::Examiner,
    stream::{Options, Shared, work},
};
use crate::{
    Error, ErrorKind, Result,
    driver::{Ports, Registry},
    io::Ctx,
};

const OP: &str = "discover.scan";
/// More at a time makes switches and neighbour tables lose packets rather than a scan faster.
const MOST_AT_ONCE: usize = 2048;
/// A second look is never slowed down below this many at a time.
const SECOND_AT_ONCE: usize = 256;
/// The most that a caller can ask for: a task for every address of a large range would fill memory.
const MOST_ON_DEMAND: usize = 16_384;
/// Outcomes that wait for the reader; a slower reader slows the scan down rather than filling memory.
const WAITING_EVENTS: usize = 256;

/// A look at every address of a range: which device is there, if any.
///
/// Ports are tried in parallel. At an open one every distinct question of the registry's drivers is sent once,
/// without any password. An address where something did not answer in time gets a second, slower look at the
/// end, so that what a cold or busy network lost is still found.
#[derive(Debug)]
#[must_use = "a scan does nothing until it is started"]
pub struct Scan {
    registry: Arc<Registry>,
    cx: Ctx,
    range: AddressRange,
    ports: Ports,
    concurrency: Option<usize>,
    budgets: Budgets,
    second_look: bool,
    silent_events: bool,
}

impl Scan {
    /// A scan of `range` for the devices of `registry`, on their usual ports. A deadline of `cx` holds.
    pub fn new(registry: Arc<Registry>, cx: Ctx, range: AddressRange) -> Self {
        Self {
            registry,
            cx,
            range,
            ports: Ports::default(),
            concurrency: None,
            budgets: Budgets::default(),
            second_look: true,
            silent_events: false,
        }
    }

    /// Sets the ports to ask.
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Ends the scan `after` from now at the latest: connections, questions and recognition included. What has
    /// no outcome by then is listed in [`ScanReport::not_reached`](super::ScanReport::not_reached).
    pub fn deadline(mut self, after: Duration) -> Self {
        self.cx = self.cx.deadline_in(after);
        self
    }

    /// Sets how many addresses are looked at side by side. Without it the number follows from the size of the range
    /// and the limit of open files, 2048 at most; 16384 is the most that can be asked for.
    pub fn concurrency(mut self, addresses: usize) -> Self {
        self.concurrency = Some(addresses);
        self
    }

    /// Sets how long one address may take.
    pub fn budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// Whether an address that did not answer in time is looked at once more; on unless told.
    pub fn second_look(mut self, on: bool) -> Self {
        self.second_look = on;
        self
    }

    /// Whether addresses where nothing listens are streamed too; off unless told. They are always counted.
    pub fn silent_events(mut self, on: bool) -> Self {
        self.silent_events = on;
        self
    }

    /// Starts it. It ends early when the stream is dropped.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), naming the field, for a concurrency or port of 0 or a registry without
    /// drivers; [`Internal`](ErrorKind::Internal) outside of a tokio runtime.
    pub fn start(self) -> Result<ScanStream> {
        let no_runtime =
            |e| Error::new(ErrorKind::Internal, OP, "must be started in a tokio runtime").caused_by(e);
        let runtime = Handle::try_current().map_err(no_runtime)?;
        let examiner = Examiner::new(Registry::clone(&self.registry), self.ports, self.budgets)?;
        let at_once = match self.concurrency {
            Some(0) => return Err(Error::invalid(OP, "concurrency", "must be at least 1")),
            Some(n) => n.min(MOST_ON_DEMAND).min(usize::try_from(self.range.len()).unwrap_or(n).max(1)),
            None => usual_concurrency(self.range.len(), examiner.width(), open_file_limit()),
        };
        let options = Options {
            second_look: self.second_look,
            silent_events: self.silent_events,
            second_at_once: at_once.min(SECOND_AT_ONCE.max(at_once / 2)),
        };
        let shared = Arc::new(Shared::new(self.cx, examiner, &self.range, options));
        let (sender, events) = mpsc::channel(WAITING_EVENTS);
        let mut workers = JoinSet::new();
        for _ in 0..at_once {
            workers.spawn_on(work(shared.clone(), sender.clone()), &runtime);
        }
        Ok(ScanStream::new(events, workers, shared))
    }
}

/// A quarter of the files is left to the rest of the program.
fn usual_concurrency(addresses: u64, connections_each: usize, open_files: usize) -> usize {
    let by_files = (open_files - open_files / 4) / connections_each.max(1);
    let by_addresses = usize::try_from(addresses).unwrap_or(usize::MAX);
    MOST_AT_ONCE.min(by_files).min(by_addresses).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrency_follows_addresses_and_files() {
        assert_eq!(usual_concurrency(254, 2, 1024), 254);
        assert_eq!(usual_concurrency(65_534, 2, 1024), 384);
        assert_eq!(usual_concurrency(65_534, 4, 256), 48);
        assert_eq!(usual_concurrency(u64::MAX, 2, usize::MAX), 2048);
        assert_eq!(usual_concurrency(0, 2, 3), 1);
    }
}
