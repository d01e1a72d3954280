//! The wall clock jumps, forward and back, while things say something and windows close, with restarts in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use headframe_core::{
    ThingId,
    history::MemDisk,
    io::Timestamp,
    telemetry::{Aggregate, Over, SeriesQuery, Step, ThingsOf},
};

use super::{
    lab::{DAY, HOUR, IDS, Lab, MINUTE, Pair, Run, START, Say, kept, options},
    rows::{self, Numbers, RowKey},
};
use crate::{rig::needed, run::Case, site::Jumping};

const SECOND: i64 = 1_000;
const JUMPS: [i64; 8] = [SECOND, 61 * SECOND, 10 * MINUTE, HOUR, DAY, 40 * DAY, 365 * DAY, 3_652 * DAY];
const STEPS: usize = 14;
const TOOK: i64 = 700;
/// Minutes and what follows from them are made anew within this: of two days, four with each commit.
const SETTLES: i64 = 70 * MINUTE;
struct Site {
    lab: Lab,
    clock: Arc<Jumping>,
    disks: [MemDisk; 2],
    /// All that came and has to be there, in the order in which it came.
    heard: Vec<Say>,
    /// Rows that were durable once.
    durable: BTreeSet<RowKey>,
    /// The latest time that the clock has shown.
    latest: i64,
}

/// One rack whose clock jumps.
pub async fn life(case: &mut Case) -> Result<(), String> {
    let clock = Arc::new(Jumping::starting_at(Timestamp(START)));
    let lab = Lab::new(clock.clone()).await?;
    let disks = [MemDisk::new(case.seed), MemDisk::new(case.seed ^ 1)];
    let mut site = Site { lab, clock, disks, heard: Vec::new(), durable: BTreeSet::new(), latest: START };
    let mut run = site.open()?;
    for _ in 0..STEPS {
        match case.rng.u8(..8) {
            0..=4 => site.talk(case, &run).await?,
            5 | 6 => site.jump(case),
            _ => run = site.restart(case, run).await?,
        }
    }
    site.ends(case, run).await
}

impl Site {
    fn open(&self) -> Result<Run, String> {
        let [readings, rows] = &self.disks;
        let disks: Pair = (Arc::new(readings.clone()), Arc::new(rows.clone()));
        needed("no telemetry", self.lab.run(disks, &options(&kept(), Duration::from_secs(5))))
    }

    fn seen(&mut self) {
        self.latest = self.latest.max(self.lab.now());
    }

    /// Things say something for some minutes.
    async fn talk(&mut self, case: &mut Case, run: &Run) -> Result<(), String> {
        for _ in 0..case.rng.usize(2..24) {
            self.lab.pass(case.rng.i64(2_000..25_000)).await;
            self.say(case, run).await?;
        }
        Ok(())
    }

    /// A thing says something now.
    async fn say(&mut self, case: &mut Case, run: &Run) -> Result<(), String> {
        let (thing, ts) = (case.rng.usize(..IDS.len()), self.lab.now() - TOOK);
        if self.heard.iter().any(|say| say.ts == ts && say.thing == thing) {
            return Ok(());
        }
        case.hit_if(self.heard.iter().any(|say| say.ts >= ts), "a reading of a time that had passed before");
        let power = f64::from(case.rng.i32(0..140_000)) / 40.0;
        let say = Say { thing, ts, power: (case.rng.u8(..9) > 0).then_some(power) };
        run.hear(&say).await?;
        self.heard.push(say);
        self.seen();
        Ok(())
    }

    fn jump(&mut self, case: &mut Case) {
        let by = JUMPS[case.rng.usize(..JUMPS.len())];
        let back = case.rng.bool();
        // Not before 1990.
        let by = if back && self.lab.now() - by > 20 * 365 * DAY { -by } else { by };
        case.hit(if by < 0 { "back" } else { "forward" });
        case.hit_if(by.abs() == SECOND, "a second");
        case.hit_if(by.abs() == 3_652 * DAY, "ten years");
        self.clock.jump(by);
        self.seen();
    }

    /// The process ends, as it should or by a power cut, and another begins.
    async fn restart(&mut self, case: &mut Case, run: Run) -> Result<Run, String> {
        case.hit("telemetry restarted");
        if case.rng.bool() {
            run.close()?;
        } else {
            let durable = run.durable_until(&self.lab);
            run.off();
            self.disks = [self.disks[0].cut(), self.disks[1].cut()];
            let run = self.open()?;
            let found = rows::readings(run.telemetry.readings())?;
            if let Some(say) = self.heard.iter().find(|say| say.ts <= durable && !found.contains(say)) {
                return Err(format!("{say:?} is lost, and all until {durable} was durable"));
            }
            self.heard.retain(|say| found.contains(say));
            run.close()?;
        }
        let run = self.open()?;
        self.compare(&run)?;
        Ok(run)
    }

    /// Readings of all passes are there once, rows that were there still are, and nothing was removed.
    fn compare(&mut self, run: &Run) -> Result<BTreeMap<RowKey, Numbers>, String> {
        let found = rows::readings(run.telemetry.readings())?;
        if let Some(say) = self.heard.iter().find(|say| found.iter().filter(|f| f == say).count() != 1) {
            return Err(format!("{say:?} came, and is not there once"));
        }
        if found.len() != self.heard.len() {
            return Err(format!("{} readings came, and {} are there", self.heard.len(), found.len()));
        }
        let rows = rows::rows(run.telemetry.statistics())?;
        if let Some((name, end)) = self.durable.iter().find(|key| !rows.contains_key(*key)) {
            return Err(format!("the row of {name:?} until {end} was there"));
        }
        self.durable.extend(rows.keys().cloned());
        let counters = run.telemetry.counters();
        let removed = (counters.readings.removed_days, counters.rows.removed_days);
        if removed != (0, 0) || (counters.failures, counters.dropped) != (0, 0) {
            return Err(format!("removed or failed: {counters:?}"));
        }
        Ok(rows)
    }

    /// In half of the cases the clock gets to where all is over; in the others what it ran ahead of stays to come.
    async fn ends(&mut self, case: &mut Case, run: Run) -> Result<(), String> {
        if case.rng.bool() {
            self.clock.jump((self.latest - self.lab.now()).max(0));
        }
        self.clock.jump(HOUR);
        let over = self.lab.now() - 10 * MINUTE;
        // Windows end when something is said after them.
        self.say(case, &run).await?;
        self.lab.pass(SETTLES).await;
        let counters = run.telemetry.counters();
        case.hit_if(counters.late > 0, "a reading too late for its minute");
        case.hit_if(counters.rebuilt > 0, "minutes made anew");
        needed("cannot be flushed", run.telemetry.flush())?;
        let rows = self.compare(&run)?;
        if counters.rebuilds_dropped == 0 {
            rows::windows(&rows, &rows::by_hand(&self.heard), over)?;
        }
        self.energy(&run)?;
        run.close()
    }

    /// Energy of each thing: no time counts twice, though the clock ran through it twice.
    fn energy(&self, run: &Run) -> Result<(), String> {
        // What the clock ran ahead of is not over.
        let now = self.lab.now() - self.lab.now().rem_euclid(MINUTE);
        for (thing, id) in IDS.iter().enumerate() {
            let of: Vec<Say> = self.heard.iter().filter(|say| say.thing == thing).copied().collect();
            let Some(first) = of.iter().map(|say| say.ts).min().filter(|first| *first < now) else {
                continue;
            };
            let range = Timestamp(first)..Timestamp(now);
            let mut query = SeriesQuery::new(
                ThingsOf::Ids(vec![ThingId::new(id).map_err(|e| e.to_string())?]),
                "stats.power_w",
                range,
            );
            (query.step, query.over, query.aggregate) = (Step::Whole, Over::Each, Aggregate::Energy);
            let answer = match run.telemetry.series(&query) {
                Ok(answer) => answer,
                // Of what only failed there is no such number.
                Err(_) if of.iter().all(|say| say.power.is_none()) => continue,
                Err(e) => return Err(format!("no energy of {id}: {e}")),
            };
            let found = answer.columns.first().and_then(|column| column.points().first());
            let found = found.and_then(|point| point.value).unwrap_or(0.0);
            let minutes = rows::by_hand(&of);
            let expected: f64 = minutes.range(..=now).map(|(_, minute)| minute.power / 60.0).sum();
            if !rows::close(found, expected) {
                return Err(format!("{id} took {expected} Wh, not {found}"));
            }
        }
        Ok(())
    }
}
