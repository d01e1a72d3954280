//! Random series with gaps, late samples, clock jumps, unknown values, moves and removals, against the oracle.

use std::collections::{BTreeMap, BTreeSet};

use super::{oracle::truths, *};

/// The engine's default grace, ms.
const GRACE: i64 = 10_000;

pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From 0 to `n` - 1.
    pub fn below(&mut self, n: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from((self.0 >> 11) % u64::try_from(n.max(1)).unwrap()).unwrap()
    }

    pub fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}

/// A sample on its way: when it comes, by a clock that never jumps.
struct Coming {
    at: i64,
    sample: Sample,
}

/// What the wall clock shows at the true time `at`.
fn wall(jumps: &[(i64, i64)], at: i64) -> i64 {
    at + jumps.iter().filter(|(when, _)| *when <= at).map(|(_, by)| by).sum::<i64>()
}

fn value(dice: &mut Dice) -> f64 {
    match dice.below(8) {
        0 => f64::NAN,
        1 => 0.0,
        2 => 2e8 + f64::from(i32::try_from(dice.below(1_000_000_000)).unwrap()) * 0.01,
        _ => f64::from(i32::try_from(dice.below(2_000_001)).unwrap() - 500_000) * 1.7e-3,
    }
}

fn sample(dice: &mut Dice, thing: u32, cell: u32, ts: i64, interval: i64) -> Sample {
    let hold = match dice.below(10) {
        0 => ts,
        1 => ts + dice.below(600_000),
        _ => ts + interval * 5 / 2,
    };
    let (values, max) = ([value(dice), value(dice)], [value(dice)]);
    let predicates = u64::try_from(dice.below(8)).unwrap();
    Sample { thing, cell, ts, hold, values, predicates, max, removed: dice.one_in(40) }
}

fn series(dice: &mut Dice, start: i64) -> (Vec<Coming>, Vec<(i64, i64)>) {
    let most = if dice.one_in(20) { 60 } else { 14 };
    let length = 60_000 * (2 + dice.below(most));
    let mut jumps = Vec::new();
    while dice.one_in(3) {
        let by = if dice.one_in(2) { -dice.below(400_000) } else { dice.below(5_000_000) };
        jumps.push((start + dice.below(length), by));
    }
    let cells = 1 + dice.below(4);
    let mut all = Vec::new();
    for thing in 0..u32::try_from(1 + dice.below(6)).unwrap() {
        let interval = [1000, 5000, 20_000, 60_000, 180_000][usize::try_from(dice.below(5)).unwrap()];
        let (mut at, mut cell) = (start + dice.below(interval), dice.below(cells));
        while at < start + length && all.len() < 150 {
            if dice.one_in(10) {
                cell = dice.below(cells);
            }
            let taken = sample(dice, thing, u32::try_from(cell).unwrap(), wall(&jumps, at), interval);
            let delay = match dice.below(20) {
                0 => dice.below(200_000),
                1..4 => dice.below(10_000),
                _ => dice.below(1500),
            };
            all.push(Coming { at: at + delay, sample: taken });
            at += if dice.one_in(15) { dice.below(500_000) } else { interval - dice.below(interval / 3) };
        }
    }
    all.sort_by_key(|coming| coming.at);
    (all, jumps)
}

/// A caller: it gives samples, keeps what the engine says, and rebuilds what was late.
struct Caller {
    engine: Engine,
    came: Vec<Sample>,
    told: BTreeMap<(Window, i64), BTreeMap<u32, Totals>>,
    dirty: BTreeSet<i64>,
    /// Windows that were told before a rebuild of a minute within them: a caller rebuilds these too.
    stale: BTreeSet<(Window, i64)>,
    /// Windows whose maxima a rebuild may have lowered.
    unsure: BTreeSet<(Window, i64)>,
}

impl Caller {
    fn close(&mut self, now: i64) {
        // As late as it can be: right before the next windows are given out.
        if now - GRACE >= self.engine.open_from().0 + 60_000 {
            self.rebuild_closed();
        }
        for closed in close(&mut self.engine, now) {
            let cells = closed.cells.iter().map(|(cell, view)| {
                let mut totals = Totals::new(layout());
                totals.add(view);
                (cell, totals)
            });
            self.told.insert((closed.window, closed.start.0), cells.collect());
        }
    }

    fn rebuild_closed(&mut self) {
        let open = self.engine.open_from().0;
        let dirty: Vec<i64> = self.dirty.iter().copied().filter(|start| *start < open).collect();
        for start in dirty {
            self.dirty.remove(&start);
            self.rebuild(start);
        }
    }

    fn rebuild(&mut self, start: i64) {
        let new = fold_all(&self.came, Window::M1, start);
        let old = self.told.insert((Window::M1, start), new.clone()).unwrap_or_default();
        let cells: BTreeSet<u32> = old.keys().chain(new.keys()).copied().collect();
        let totals = |from: &BTreeMap<u32, Totals>, cell| {
            from.get(&cell).cloned().unwrap_or_else(|| Totals::new(layout()))
        };
        let changes: Vec<Change> = cells
            .into_iter()
            .map(|cell| Change { cell, old: totals(&old, cell), new: totals(&new, cell) })
            .collect();
        let replaced = self.engine.replace(Timestamp(start), &changes);
        assert_ne!(replaced, Replaced::StillOpen);
        for window in Window::COARSE {
            let key = (window, window.start_of(Timestamp(start)).0);
            match replaced {
                Replaced::Into { window: into, max_unsure } if window >= into => {
                    if max_unsure {
                        self.unsure.insert(key);
                    }
                }
                _ => {
                    self.stale.insert(key);
                }
            }
        }
    }
}

/// Totals of a window from the history.
pub fn fold_all(samples: &[Sample], window: Window, start: i64) -> BTreeMap<u32, Totals> {
    let mut cells: BTreeMap<u32, Totals> = BTreeMap::new();
    for thing in 0..6 {
        let mut own: Vec<&Sample> = samples.iter().filter(|sample| sample.thing == thing).collect();
        own.sort_by_key(|sample| sample.ts);
        let own: Vec<Said<'_>> = own.into_iter().map(Sample::said).collect();
        let end = Timestamp(start + window.length_ms());
        for (cell, totals) in fold_series(layout(), &own, Timestamp(start), end) {
            cells.entry(cell).or_insert_with(|| Totals::new(layout())).add(totals.view());
        }
    }
    cells
}

/// Runs one series; gives how many windows were compared, and how many of them were late.
fn run(seed: u64) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let start = DAY - dice.below(1_200_000);
    let (coming, jumps) = series(&mut dice, start);
    let mut caller = Caller {
        engine: engine(start),
        came: Vec::new(),
        told: BTreeMap::new(),
        dirty: BTreeSet::new(),
        stale: BTreeSet::new(),
        unsure: BTreeSet::new(),
    };
    for Coming { at, sample } in coming {
        caller.close(wall(&jumps, at));
        match sample.give(&mut caller.engine) {
            Fate::Counted => {}
            Fate::Late(late) => caller.dirty.extend(late.minutes().map(|minute| minute.0)),
            Fate::Ahead => panic!("seed {seed}: all that ended was closed"),
        }
        caller.came.push(sample);
    }
    let late = caller.dirty.len() + caller.stale.len();
    caller.close(DAY + 3 * 86_400_000);
    caller.rebuild_closed();
    assert!(caller.dirty.is_empty(), "seed {seed}");
    (compare(seed, &caller), late)
}

fn compare(seed: u64, caller: &Caller) -> usize {
    let mut compared = 0;
    for window in Window::ALL {
        let truths = truths(&caller.came, window);
        let told: BTreeSet<(i64, u32)> = caller
            .told
            .iter()
            .filter(|((its, start), _)| *its == window && !caller.stale.contains(&(window, *start)))
            .flat_map(|((_, start), cells)| cells.keys().map(|cell| (*start, *cell)))
            .collect();
        assert!(told.iter().all(|key| truths.contains_key(key)), "seed {seed}: nobody was there");
        let (mut folded, mut fold) = (i64::MIN, BTreeMap::new());
        for ((start, cell), truth) in truths {
            if start != folded {
                (folded, fold) = (start, fold_all(&caller.came, window, start));
            }
            let check = |totals: Option<&Totals>, who: &str, with_max| {
                let totals = totals.unwrap_or_else(|| panic!("seed {seed} {window} {start} {cell}: {who}"));
                let wrong = truth.differs(totals.view(), with_max);
                assert_eq!(wrong, None, "seed {seed} {window} {start} {cell} {who} {truth:?}");
            };
            check(fold.get(&cell), "fold", true);
            if !caller.stale.contains(&(window, start)) {
                let unsure = caller.unsure.contains(&(window, start));
                check(
                    caller.told.get(&(window, start)).and_then(|cells| cells.get(&cell)),
                    "engine",
                    !unsure,
                );
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn ten_thousand_series_agree_with_the_oracle() {
    let (mut compared, mut late) = (0, 0);
    for seed in 1..=10_000 {
        let (windows, dirty) = run(seed);
        compared += windows;
        late += dirty;
    }
    assert!(compared > 200_000 && late > 5000, "{compared} {late}");
}

#[test]
fn the_order_among_things_changes_nothing() {
    for seed in 1..=300 {
        let mut dice = Dice::new(seed);
        let mut things: Vec<Vec<Sample>> = Vec::new();
        for thing in 0..5 {
            let mut ts = DAY;
            things.push(Vec::new());
            while ts < DAY + 230_000 {
                let cell = u32::try_from(dice.below(2)).unwrap();
                things.last_mut().unwrap().push(sample(&mut dice, thing, cell, ts, 20_000));
                ts += dice.below(30_000);
            }
        }
        let one: Vec<Sample> = things.iter().flatten().cloned().collect();
        let mut other = one.clone();
        other.sort_by_key(|sample| sample.ts);
        let [one, other] = [one, other].map(|samples| {
            let mut engine = engine(DAY);
            samples.iter().for_each(|sample| assert_eq!(sample.give(&mut engine), Fate::Counted));
            close(&mut engine, DAY + 86_500_000)
        });
        assert_eq!(told(&one), told(&other), "seed {seed}");
        assert!(!one.is_empty());
    }
}
