//! What racks collect, kept: every reading in a history, and statistics over windows of time in another.
//!
//! A rack's readings go to its [sink](Telemetry::sink). Each is appended to the history of readings and counted in the
//! statistics of its rack. Once a second all is made durable, and windows that have ended become rows. Rows are kept as
//! totals of sets of things (a rack, a container, a PDU rack, a tag), not as results: a result is computed when it is asked
//! for, so that racks and windows add up exactly. A row that was given out too early is made anew, see `rebuild`.

mod each;
mod filling;
mod holds;
mod intake;
mod kept;
mod last;
mod logs;
mod look;
mod members;
mod mos;
mod name;
mod options;
mod owners;
mod port;
mod rack;
mod read;
mod rebuild;
mod series;
mod sets;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;
mod texts;
mod tick;
mod write;

pub use each::{MAX_EACH, MAX_EACH_SAMPLES};
pub use options::{Disks, TelemetryOptions};
#[cfg(feature = "arrow")]
pub use port::arrow;
pub use port::{ExportQuery, Exported, ImportOptions, Imported, TelemetryBackup, code as port_code};
pub use rack::RackFacts;
pub use series::{
    Aggregate, Column, MAX_POINTS, MAX_SAMPLES, MAX_THINGS, MAX_THREADS, Over, Point, RawSample,
    SeriesAnswer, SeriesQuery, Step, ThingsOf, Values, code,
};

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Error, ErrorKind, Result,
    history::{History, HistoryStats},
    io::{Ctx, Timestamp},
    model::RackId,
    rack::{SnapshotSink, Things},
};
use intake::{Intake, RackSink};
use rack::RackStats;
use rebuild::Rebuilds;

const OP: &str = "telemetry";

/// History and statistics of the racks of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cx: Ctx,
    options: TelemetryOptions,
    things: Arc<Things>,
    /// What things said.
    raw: History,
    /// Totals of sets of things over windows.
    rows: History,
    racks: Mutex<BTreeMap<RackId, RackStats>>,
    intake: Mutex<Intake>,
    /// Rows as MiningOS stores them, where they are wanted.
    mos: Option<mos::Mos>,
    dropped: AtomicU64,
    of_gone: AtomicU64,
    failures: AtomicU64,
    /// Rebuilds that are under way. Windows are closed under this lock too; it is taken before that of the racks.
    rebuilds: Mutex<Rebuilds>,
}

/// What became of readings and rows; see [`Telemetry::counters`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TelemetryCounters {
    /// Readings that could not be kept, because the disk did not take what had come before them.
    pub dropped: u64,
    /// Readings that were not kept, because their thing had left the rack when they came.
    pub of_gone: u64,
    /// Commits and other work on the disk that failed; what waits is tried again.
    pub failures: u64,
    /// Readings that came too late for the statistics of the minute to which they belong.
    pub late: u64,
    /// Minutes whose rows were made anew from the readings that were kept: some had come late, or a restart had cut the
    /// minute.
    pub rebuilt: u64,
    /// Minutes that should have been made anew, and were not: too many waited, or what they are made of is not there any
    /// more or could not be read, again and again. Their rows stay as they were.
    pub rebuilds_dropped: u64,
    /// The history of readings.
    pub readings: HistoryStats,
    /// The history of rows.
    pub rows: HistoryStats,
}

impl Telemetry {
    /// Makes the histories of a new site, or opens those that there are.
    ///
    /// # Errors
    /// Those of [`History::open`] and [`History::create`].
    pub fn open(cx: &Ctx, things: Arc<Things>, disks: Disks, options: TelemetryOptions) -> Result<Self> {
        options.check()?;
        let now = cx.clock.wall();
        let raw = History::open_or_create(disks.readings, options.readings.clone(), now)?;
        let rows = History::open_or_create(disks.rows, options.rows.clone(), now)?;
        let mos = options.mos_compatible.then(mos::Mos::default);
        Ok(Self(Arc::new(Inner {
            cx: cx.clone(),
            options,
            things,
            raw,
            rows,
            racks: Mutex::default(),
            intake: Mutex::default(),
            mos,
            dropped: AtomicU64::new(0),
            of_gone: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            rebuilds: Mutex::default(),
        })))
    }

    /// Where the readings of a rack go. Its windows that are open go on where they were before a restart; minutes that the
    /// restart cut, or for which it left no row, are made anew from the readings that were kept.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when the rack has one already; those of the history.
    pub fn sink(&self, facts: RackFacts) -> Result<Arc<dyn SnapshotSink>> {
        let inner = &self.0;
        let (rack, info) = (facts.info.id.clone(), facts.info.clone());
        let now = inner.cx.clock.wall();
        let mut stats = RackStats::new(facts, inner.options.grace, now)?;
        for thing in inner.things.of_rack(&rack) {
            stats.place(&thing, Timestamp(i64::MIN));
        }
        inner.seed(&rack, &mut stats)?;
        inner.after_restart(&rack, &mut stats)?;
        inner.mark_pending(&rack, &mut stats)?;
        let mut racks = inner.racks();
        if racks.contains_key(&rack) {
            let e = Error::new(ErrorKind::Conflict, OP, "the rack's readings are kept already");
            return Err(e.with("rack", &rack));
        }
        if let Some(mos) = &inner.mos {
            stats.members.expect(mos.begin(&info, now));
        }
        racks.insert(rack.clone(), stats);
        Ok(Arc::new(RackSink { inner: Arc::clone(inner), rack }))
    }

    /// Every reading of the rack whose poll began at or before this moment is durable, but for those that were
    /// [dropped](TelemetryCounters::dropped). 0 while nothing is. It goes back when the clock was set back, and when a reading
    /// comes later than polls may take.
    pub fn durable_until(&self, rack: &RackId) -> Timestamp {
        self.0.racks().get(rack).map_or(Timestamp(0), |stats| stats.until.durable)
    }

    /// Whether files are read and written here and now, as a simulation has it, instead of beside the tasks.
    pub(crate) fn is_inline(&self) -> bool {
        self.0.things.store().is_inline()
    }

    /// The history of readings, by the ids of things.
    pub fn readings(&self) -> &History {
        &self.0.raw
    }

    /// The history of rows, whose names are Headframe's own.
    pub fn statistics(&self) -> &History {
        &self.0.rows
    }

    /// What became of readings and rows.
    pub fn counters(&self) -> TelemetryCounters {
        let inner = &self.0;
        let (late, rebuilt, rebuilds_dropped) = {
            let racks = inner.racks();
            let sum = |count: fn(&RackStats) -> u64| racks.values().map(count).sum();
            (sum(|rack| rack.late), sum(|rack| rack.dirty.rebuilt), sum(|rack| rack.dirty.dropped))
        };
        TelemetryCounters {
            dropped: inner.dropped.load(Ordering::Relaxed),
            of_gone: inner.of_gone.load(Ordering::Relaxed),
            failures: inner.failures.load(Ordering::Relaxed),
            late,
            rebuilt,
            rebuilds_dropped,
            readings: inner.raw.stats(),
            rows: inner.rows.stats(),
        }
    }
}

impl Inner {
    fn racks(&self) -> MutexGuard<'_, BTreeMap<RackId, RackStats>> {
        self.racks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rebuilds(&self) -> MutexGuard<'_, Rebuilds> {
        self.rebuilds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &Error, what: &'static str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%error, what, "telemetry could not be written; it is tried again");
    }
}
