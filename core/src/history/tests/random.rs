use super::*;
use crate::history::DiskPlan;

/// What a run does next, from a seed.
struct Run {
    seed: u64,
    rng: fastrand::Rng,
    disk: MemDisk,
    history: Option<History>,
    model: Model,
    /// How many samples of the model are certainly durable.
    durable: usize,
    now: i64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let disk = MemDisk::new(seed);
        let history = Some(create(&disk, small()));
        let rng = fastrand::Rng::with_seed(seed);
        Self { seed, rng, disk, history, model: Model::default(), durable: 0, now: NOON }
    }

    fn history(&self) -> &History {
        self.history.as_ref().unwrap()
    }

    /// One step; false when the disk failed.
    fn step(&mut self) -> bool {
        match self.rng.u32(0..12) {
            0..=4 => {
                let history = self.history.take().unwrap();
                append(&history, &mut self.model, &mut self.rng, self.now);
                self.history = Some(history);
            }
            5 | 6 => {
                if self.history().commit().is_err() {
                    return false;
                }
                self.durable = self.model.0.len();
            }
            7..=9 => {
                for _ in 0..self.rng.u32(1..60) {
                    match self.history().maintain(Timestamp(self.now)) {
                        Err(_) => return false,
                        Ok(None) => break,
                        Ok(_) => {}
                    }
                }
            }
            10 => self.now += self.rng.i64(0..2 * 3_600_000),
            _ => self.now += if self.rng.u32(0..6) == 0 { self.rng.i64(0..DAY_MS) } else { 1_000 },
        }
        true
    }

    fn range(&mut self) -> std::ops::Range<Timestamp> {
        if self.rng.bool() {
            return ALL;
        }
        let from = self.now - self.rng.i64(0..2 * DAY_MS);
        Timestamp(from)..Timestamp(from + self.rng.i64(0..DAY_MS))
    }

    /// Power is lost; what was acknowledged is there exactly once, and nothing that was not appended.
    fn lose_power(&mut self) {
        self.history = None;
        self.disk = self.disk.cut();
        let history = open(&self.disk, small(), self.now);
        let mut kept = Vec::new();
        for owner in self.model.owners() {
            let mut found = rows(&history, &owner, &ALL);
            for (i, sample) in self.model.0.iter().enumerate().filter(|(_, k)| k.owner == owner) {
                let at = found.iter().position(|(ts, seq, values)| {
                    (*ts, *seq, values) == (sample.ts, sample.seq, &sample.values)
                });
                match at {
                    Some(at) => {
                        found.remove(at);
                        kept.push((i, sample.clone()));
                    }
                    None => assert!(i >= self.durable, "seed {}: {sample:?} is lost", self.seed),
                }
            }
            assert_eq!(found, [], "seed {}: rows of {owner} that nobody appended", self.seed);
        }
        kept.sort_by_key(|(i, _)| *i);
        self.model = Model(kept.into_iter().map(|(_, kept)| kept).collect());
        self.durable = self.model.0.len();
        self.history = Some(history);
    }
}

#[test]
fn every_answer_is_the_models() {
    for seed in 0..20 {
        let mut run = Run::new(seed);
        for step in 0..250 {
            assert!(run.step());
            if step % 25 == 0 {
                let range = run.range();
                run.model.compare(run.history(), &range);
            }
        }
        run.history().commit().unwrap();
        run.history = None;
        run.history = Some(open(&run.disk, small(), run.now));
        run.model.compare(run.history(), &ALL);
        run.now += 3 * DAY_MS;
        settle(run.history(), run.now);
        run.model.compare(run.history(), &ALL);
        let range = run.range();
        run.model.compare(run.history(), &range);
        let names: Vec<String> =
            crate::history::Disk::list(&run.disk).unwrap().into_iter().map(|f| f.0).collect();
        let stats = run.history().stats();
        assert_eq!(names.iter().filter(|name| name.ends_with(".day")).count(), stats.days, "{names:?}");
        assert_eq!((stats.bytes, stats.samples), (run.disk.used(), run.model.0.len() as u64));
        assert!(run.history().verify().unwrap().iter().all(|file| file.problems.is_empty()));
    }
}

#[test]
fn power_cuts_at_any_call_lose_nothing_that_was_acknowledged() {
    for seed in 0..60 {
        let mut run = Run::new(seed);
        for _ in 0..8 {
            let cut_at = run.rng.u64(0..400);
            run.disk.plan(DiskPlan { cut_at: Some(cut_at), ..DiskPlan::default() });
            for _ in 0..120 {
                if !run.step() {
                    break;
                }
            }
            run.lose_power();
        }
        let range = run.range();
        run.model.compare(run.history(), &range);
        run.now += 3 * DAY_MS;
        settle(run.history(), run.now);
        run.model.compare(run.history(), &ALL);
    }
}

#[test]
fn failing_calls_are_survived_and_a_power_cut_after_them_too() {
    for seed in 0..40 {
        let mut run = Run::new(seed);
        for _ in 0..6 {
            for _ in 0..40 {
                run.disk.plan(DiskPlan {
                    fail_at: Some(run.rng.u64(0..150)),
                    fail_for: run.rng.u64(1..6),
                    ..DiskPlan::default()
                });
                run.step();
            }
            run.disk.plan(DiskPlan::default());
            run.model.compare(run.history(), &ALL);
            if run.rng.bool() {
                run.lose_power();
            }
        }
        run.now += 3 * DAY_MS;
        settle(run.history(), run.now);
        run.model.compare(run.history(), &ALL);
        assert_eq!(run.history().stats().bytes, run.disk.used(), "seed {seed}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_passes() {
    for seed in 0..10 {
        let mut run = Run::new(seed);
        run.disk.plan(DiskPlan { capacity: Some(run.disk.used() + 20_000), ..DiskPlan::default() });
        let mut refused = 0;
        for _ in 0..400 {
            refused += u32::from(!run.step());
        }
        assert!(refused > 0);
        run.disk.plan(DiskPlan::default());
        run.model.compare(run.history(), &ALL);
        run.history().commit().unwrap();
        run.durable = run.model.0.len();
        run.lose_power();
        settle(run.history(), run.now + 3 * DAY_MS);
        run.model.compare(run.history(), &ALL);
    }
}
