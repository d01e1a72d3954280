//! Power cuts while telemetry keeps readings and rows: what it told of as durable is there, and rows become those of a run
//! without a cut.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use headframe_core::{
    history::{MemDisk, code},
    io::Timestamp,
    telemetry::TelemetryOptions,
};

use super::{
    lab::{HOUR, IDS, Lab, MINUTE, Pair, Run, START, Say, kept, options},
    rows::{self, Numbers, RowKey},
};
use crate::{
    past::hooked::{Call, Hook, hooked},
    rig::needed,
    run::Case,
    site::Jumping,
};

/// Calls of both disks among which the power is cut.
const CALLS: u64 = 1_500;
/// The same of an opening.
const FIRST_CALLS: u64 = 80;
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How long before it comes a poll began, ms.
const TOOK: i64 = 700;

/// The power of both disks.
#[derive(Debug)]
struct Power {
    calls: AtomicU64,
    cut_at: AtomicU64,
}

impl Power {
    fn plan(&self, cut_at: Option<u64>) {
        self.calls.store(0, Ordering::Relaxed);
        self.cut_at.store(cut_at.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_off(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > self.cut_at.load(Ordering::Relaxed)
    }
}

impl Hook for Power {
    fn before(&self, _: Call<'_>) -> io::Result<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) >= self.cut_at.load(Ordering::Relaxed) {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }
}

struct Site {
    lab: Lab,
    disks: [MemDisk; 2],
    power: Arc<Power>,
    options: TelemetryOptions,
    /// What came and was not lost, in the order in which it came.
    heard: Vec<Say>,
    /// Times of which there may be rows that count a reading which was lost: rows are made durable first.
    doubtful: Vec<Range<i64>>,
}

/// One rack whose telemetry lives through several cuts.
pub async fn life(case: &mut Case) -> Result<(), String> {
    let clock = Arc::new(Jumping::starting_at(Timestamp(START)));
    let mut site = Site {
        lab: Lab::new(clock.clone()).await?,
        disks: [MemDisk::new(case.seed), MemDisk::new(case.seed ^ 1)],
        power: Arc::new(Power { calls: AtomicU64::new(0), cut_at: AtomicU64::new(u64::MAX) }),
        options: options(&kept(), COMMIT_EVERY),
        heard: Vec::new(),
        doubtful: Vec::new(),
    };
    let mut run = needed("no telemetry", site.open())?;
    for _ in 0..case.rng.usize(1..5) {
        run = site.round(case, run).await?;
        case.unit();
    }
    let until = ended(&site.lab, &clock, &run).await?;
    let counters = run.telemetry.counters();
    case.hit_if(counters.rebuilt > 0, "rows made anew");
    let ours = rows::rows(run.telemetry.statistics())?;
    run.off();
    let expected = whole(&site.heard, site.lab.now(), &site.options).await?;
    let sure = |mut all: BTreeMap<RowKey, Numbers>| {
        all.retain(|key, _| {
            let window = rows::window(key);
            window.end <= until && !site.doubtful.iter().any(|d| d.start < window.end && window.start < d.end)
        });
        all
    };
    rows::same(&sure(ours), &sure(expected))
}

/// Lets all windows of what was said end, and what waits be made anew; gives the end of the last one that counts.
async fn ended(lab: &Lab, clock: &Jumping, run: &Run) -> Result<i64, String> {
    clock.jump(2 * HOUR);
    let until = lab.now() - lab.now().rem_euclid(HOUR);
    // Windows end when something is said after them.
    run.hear(&Say { thing: 0, ts: lab.now() - TOOK, power: Some(1.0) }).await?;
    lab.pass(HOUR / 2).await;
    let counters = run.telemetry.counters();
    if (counters.failures, counters.dropped, counters.rebuilds_dropped, counters.of_gone) != (0, 0, 0, 0) {
        return Err(format!("failures without a reason: {counters:?}"));
    }
    Ok(until)
}

/// The rows of a run in which all came in order and nothing was cut.
async fn whole(
    heard: &[Say],
    now: i64,
    options: &TelemetryOptions,
) -> Result<BTreeMap<RowKey, Numbers>, String> {
    let clock = Arc::new(Jumping::starting_at(Timestamp(START)));
    let lab = Lab::new(clock.clone()).await?;
    let disks: Pair = (Arc::new(MemDisk::new(1)), Arc::new(MemDisk::new(2)));
    let run = needed("no telemetry", lab.run(disks, options))?;
    let mut says = heard.to_vec();
    says.sort_by_key(|say| say.ts);
    for say in &says {
        lab.pass((say.ts + TOOK - lab.now()).max(0)).await;
        run.hear(say).await?;
    }
    lab.pass(6 * MINUTE).await;
    clock.jump((now - HOUR / 2 - lab.now()).max(0));
    run.hear(&Say { thing: 0, ts: lab.now() - TOOK, power: Some(1.0) }).await?;
    lab.pass(HOUR / 2).await;
    let counters = run.telemetry.counters();
    if counters.failures > 0 {
        return Err(format!("failures without a cut: {counters:?}"));
    }
    let rows = rows::rows(run.telemetry.statistics());
    run.off();
    rows
}

impl Site {
    fn open(&self) -> headframe_core::Result<Run> {
        let [readings, rows] = &self.disks;
        let disks = (hooked(readings.clone(), self.power.clone()), hooked(rows.clone(), self.power.clone()));
        self.lab.run(disks, &self.options)
    }

    /// Things say something until the power goes; what stands then is judged.
    async fn round(&mut self, case: &mut Case, run: Run) -> Result<Run, String> {
        self.power.plan((case.rng.u8(..6) > 0).then(|| case.rng.u64(..CALLS)));
        for _ in 0..case.rng.usize(4..60) {
            self.lab.pass(case.rng.i64(2_000..25_000)).await;
            if self.power.is_off() {
                break;
            }
            let say = self.draw(case);
            run.hear(&say).await?;
            self.heard.push(say);
        }
        let durable = run.durable_until(&self.lab);
        run.off();
        self.cut();
        if case.rng.u8(..3) == 0 {
            self.cut_again(case)?;
        }
        if case.rng.bool() {
            self.lab.pass(case.rng.i64(0..50 * MINUTE)).await;
        }
        self.power.plan(None);
        let run = needed("refused after a cut", self.open())?;
        self.compare(case, &run, durable)?;
        Ok(run)
    }

    /// What a thing says next; sometimes it comes late. No two polls of a thing begin at one time.
    fn draw(&self, case: &mut Case) -> Say {
        let thing = case.rng.usize(..IDS.len());
        let late = case.rng.u8(..12) == 0;
        case.hit_if(late, "a reading came late");
        let mut ts = self.lab.now() - TOOK - if late { case.rng.i64(10_000..4 * MINUTE) } else { 0 };
        while self.heard.iter().any(|say| say.ts == ts) {
            ts -= 1;
        }
        let power = f64::from(case.rng.i32(0..140_000)) / 40.0;
        Say { thing, ts, power: (case.rng.u8(..9) > 0).then_some(power) }
    }

    fn cut(&mut self) {
        for disk in &mut self.disks {
            *disk = disk.cut();
        }
    }

    /// The power is cut again while telemetry is opened.
    fn cut_again(&mut self, case: &mut Case) -> Result<(), String> {
        self.power.plan(Some(case.rng.u64(..FIRST_CALLS)));
        match self.open() {
            Ok(run) => run.off(),
            Err(e) if e.code() == code::IO => case.hit("cut while telemetry was opened"),
            Err(e) => return Err(format!("no error of a disk: {e} [{}]", e.code())),
        }
        self.cut();
        Ok(())
    }

    /// What was told as durable is there, and nothing else than what came; goes on with that.
    fn compare(&mut self, case: &mut Case, run: &Run, durable: i64) -> Result<(), String> {
        let found = rows::readings(run.telemetry.readings())?;
        if let Some(say) = found.iter().find(|say| !self.heard.contains(say)) {
            return Err(format!("{say:?} was never said"));
        }
        for say in &self.heard {
            let times = found.iter().filter(|other| *other == say).count();
            case.hit_if(times == 0, "readings were lost");
            case.hit_if(times == 1 && say.ts <= durable, "readings were durable");
            if times > 1 || (times == 0 && say.ts <= durable) {
                return Err(format!("{say:?} is there {times} times, and all until {durable} was durable"));
            }
        }
        // A minute that ended before the cut may have a row, and what was lost is counted in it.
        let rows = rows::rows(run.telemetry.statistics())?;
        let last = rows.keys().filter(|(name, _)| name.starts_with("stat-1m")).map(|(_, end)| *end).max();
        let last = last.unwrap_or(i64::MIN);
        let lost = self.heard.iter().filter(|say| say.ts < last && !found.contains(say));
        self.doubtful.extend(lost.map(|say| say.ts..last));
        self.heard.retain(|say| found.contains(say));
        Ok(())
    }
}
