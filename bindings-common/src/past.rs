//! A simulated site's past: a site with history and statistics of days that never were, for notebooks, demonstrations and
//! tests.
//!
//! It is a real one. Real drivers polled simulated devices over a network in memory, in simulated time, on a thread of its
//! own. What happened there (a night's sleep, a board that was lost, a switch that failed) follows from the seed.

mod clock;
mod events;
mod folder;
mod life;

use std::{
    net::Ipv4Addr,
    ops::{Range, RangeInclusive},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use headframe::{
    Error, ErrorKind, Result,
    io::{Ctx, Timestamp},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{runtime::Builder, sync::oneshot};

use self::{
    clock::SimulatedClock,
    events::{DAY, Kind},
    folder::Folder,
};

const OP: &str = "site.simulate";
const MOST_DAYS: u32 = 366;
/// Shortest and longest time between two polls of a miner, ms.
const INTERVALS: RangeInclusive<u64> = 1_000..=3_600_000;
/// Most polls: some minutes of work in a release build.
const MOST_POLLS: u64 = 2_000_000;

/// A past as JSON describes it: `{days?, whatsminers?, antminers?, intervalMs?, seed?, base?, end?}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PastConf {
    /// So many days, 1 to 366; 7 without it.
    pub days: u32,
    /// Whatsminers, which have the first addresses; 10 without it.
    pub whatsminers: usize,
    /// Antminers, which have the next addresses.
    pub antminers: usize,
    /// Time between two polls of a miner, ms; 300,000 without it.
    pub interval_ms: u64,
    /// What miners do and what happens to them follows from this.
    pub seed: u64,
    /// First address; those of [simulated devices](headframe_sim::FleetConf) without it, which are on this machine.
    pub base: Option<Ipv4Addr>,
    /// When the past ends, ms since 1970; now without it.
    pub end: Option<i64>,
}

impl Default for PastConf {
    fn default() -> Self {
        let (days, whatsminers, interval_ms) = (7, 10, 300_000);
        Self { days, whatsminers, antminers: 0, interval_ms, seed: 0, base: None, end: None }
    }
}

impl PastConf {
    /// From when until when, ms since 1970.
    fn time(&self, now: Timestamp) -> Result<Range<i64>> {
        let invalid = |field, why: String| Err(Error::invalid(OP, field, why));
        if !(1..=MOST_DAYS).contains(&self.days) {
            return invalid("days", format!("takes 1 to {MOST_DAYS}"));
        }
        if !INTERVALS.contains(&self.interval_ms) {
            return invalid("intervalMs", format!("takes {} to {}", INTERVALS.start(), INTERVALS.end()));
        }
        let length = i64::from(self.days) * DAY;
        let end = self.end.unwrap_or(now.0);
        if !(length..=now.0).contains(&end) {
            return invalid("end", "is a time that has passed, ms since 1970".into());
        }
        let miners = self.whatsminers.saturating_add(self.antminers);
        if miners == 0 {
            return invalid("whatsminers", "there has to be a miner".into());
        }
        let each = length.unsigned_abs() / self.interval_ms;
        let polls = each.saturating_mul(u64::try_from(miners).unwrap_or(u64::MAX));
        if polls > MOST_POLLS {
            let why = format!(
                "this would be {polls} polls, {MOST_POLLS} may be: take fewer days or miners, or a longer interval"
            );
            return invalid("intervalMs", why);
        }
        Ok(end - length..end)
    }

    /// The configuration that opens the site.
    fn site(&self) -> Value {
        let kinds = [(self.whatsminers, RackOf::WHATSMINERS), (self.antminers, RackOf::ANTMINERS)];
        let racks = kinds.iter().filter(|(count, _)| *count > 0).map(|(_, rack)| {
            json!({
                "type": rack.thing_type, "name": rack.name, "driver": rack.driver, "intervalMs": self.interval_ms,
            })
        });
        json!({ "racks": racks.collect::<Vec<_>>() })
    }
}

/// The rack of a family of devices, and what its things have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RackOf {
    driver: &'static str,
    thing_type: &'static str,
    name: &'static str,
    /// What the ids of its things begin with.
    prefix: &'static str,
    /// Of simulated devices.
    password: &'static str,
}

impl RackOf {
    const WHATSMINERS: Self = Self {
        driver: "whatsminer",
        thing_type: "miner-wm-m50s",
        name: "hall-1",
        prefix: "wm",
        password: "admin",
    };
    const ANTMINERS: Self = Self {
        driver: "antminer",
        thing_type: "miner-am-s21",
        name: "hall-2",
        prefix: "am",
        password: "root",
    };
}

/// What was made: `{conf, things, start, end, polls, events}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Past {
    /// The configuration that opens the site.
    pub conf: Value,
    /// Ids of its things, in the order of the devices.
    pub things: Vec<String>,
    /// When the past begins, ms since 1970.
    pub start: i64,
    /// When it ends.
    pub end: i64,
    /// How many polls there were.
    pub polls: u64,
    /// What happened, in the order in which it began.
    pub events: Vec<Happened>,
}

/// What happened to things: `{kind, things, start, end}`, with `kind` one of `sleep`, `boardLost`, `hang`, `overheat` and
/// `outage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Happened {
    kind: Kind,
    /// To which.
    pub things: Vec<String>,
    /// From when on, ms since 1970.
    pub start: i64,
    /// Until when.
    pub end: i64,
}

/// Makes a new site in a folder, whose racks polled simulated miners for the days that end now. The site is closed then:
/// [`Past::conf`] opens it. Simulated devices of the same counts, base and seed are the same ones, for the site to go on with.
///
/// Whoever gives up waiting ends it soon. What did not come to its end leaves nothing behind.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid), naming the field; [`Conflict`](ErrorKind::Conflict) with `ERR_FOLDER_NOT_EMPTY`; what the
/// disk says.
pub async fn simulate(folder: &Path, conf: PastConf) -> Result<Past> {
    let time = conf.time(Ctx::system().clock.wall())?;
    let folder = Folder::take(folder)?;
    let (given_up, must_end) = oneshot::channel::<()>();
    let (told, answer) = oneshot::channel();
    let work = move || {
        // Nobody may wait for it any more.
        let _unheard = told.send(made(folder, &conf, time, must_end));
    };
    let thread = thread::Builder::new()
        .name("headframe-past".into())
        .spawn(work)
        .map_err(|e| Error::new(ErrorKind::Internal, OP, "no thread can be started").caused_by(e))?;
    let _under_way = UnderWay { given_up: Some(given_up), thread: Some(thread) };
    answer.await.map_err(|e| Error::new(ErrorKind::Internal, OP, "it came to a bad end").caused_by(e))?
}

/// The thread that makes a past. Letting go of it ends it.
#[derive(Debug)]
struct UnderWay {
    given_up: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        drop(self.given_up.take());
        // It looks between two polls; when this returns, what it had made is gone.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn made(folder: Folder, conf: &PastConf, time: Range<i64>, must_end: oneshot::Receiver<()>) -> Result<Past> {
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(time.start)));
    let jumps = Arc::clone(&clock);
    // Where nothing can run any more, time goes on.
    let runtime = Builder::new_current_thread().on_thread_park(move || jumps.jump()).build();
    let runtime =
        runtime.map_err(|e| Error::new(ErrorKind::Internal, OP, "no runtime can be made").caused_by(e))?;
    let lived = runtime.block_on(async {
        tokio::select! {
            biased;
            _ = must_end => Err(Error::new(ErrorKind::Closed, OP, "nobody waits for it")),
            past = life::live(conf, time, clock, folder.unfinished()) => past,
        }
    });
    // Files are open until all of its tasks are gone.
    drop(runtime);
    let past = lived?;
    folder.finish()?;
    Ok(past)
}

#[cfg(test)]
mod tests;
