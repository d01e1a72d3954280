use std::{collections::BTreeSet, time::Duration};

use crate::io::Mono;

/// 2^64 divided by the golden ratio: multiples of it, modulo 2^64, always split the largest gaps left.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// Distance of the first polls of things that were added together.
const PACE: Duration = Duration::from_millis(2);
const FIRST_POLL_SLACK: Duration = Duration::from_secs(1);
/// Polls fall on multiples of this time, or of a hundredth of the interval: waking up costs more than a poll.
const GRAIN: Duration = Duration::from_millis(10);

/// Which place in the schedule a thing has; places that became free are given again.
pub(super) type Place = u32;

/// When each thing is polled next. It never waits and reads no clock.
///
/// A place fixes a phase, and polls fall on `origin + phase + n × interval` whatever happened before. The phases of
/// the first n places are spread evenly for every n, so things can come at any time.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    grain: Duration,
    origin: Mono,
    queue: BTreeSet<(Mono, Place)>,
    planned: Vec<Option<Mono>>,
    free: BTreeSet<Place>,
    pace: Mono,
}

impl Schedule {
    pub fn new(interval: Duration, origin: Mono) -> Self {
        let (queue, planned, free) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        let grain = GRAIN.min(interval / 100);
        Self { interval, grain, origin, queue, planned, free, pace: origin }
    }

    /// Gives a place; nothing is planned for it yet. `None` when there are 2^32 already.
    pub fn take_place(&mut self) -> Option<Place> {
        if let Some(place) = self.free.pop_first() {
            return Some(place);
        }
        let place = Place::try_from(self.planned.len()).ok()?;
        self.planned.push(None);
        Some(place)
    }

    /// Forgets what is planned and lets the place be given again.
    pub fn give_back(&mut self, place: Place) {
        self.cancel(place);
        self.free.insert(place);
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.planned.len() - self.free.len()
    }

    /// Forgets what is planned.
    pub fn cancel(&mut self, place: Place) {
        if let Some(at) =
            self.planned.get_mut(usize::try_from(place).unwrap_or(usize::MAX)).and_then(Option::take)
        {
            self.queue.remove(&(at, place));
        }
    }

    fn plan(&mut self, place: Place, at: Mono) {
        self.cancel(place);
        if let Some(planned) = self.planned.get_mut(usize::try_from(place).unwrap_or(usize::MAX)) {
            *planned = Some(at);
            self.queue.insert((at, place));
        }
    }

    /// Plans the first poll: on the thing's own tick or one [`PACE`] after the newcomer before it, and always
    /// within [`Self::first_poll_bound`].
    pub fn plan_first(&mut self, place: Place, now: Mono) {
        let tick = self.tick_from(place, now);
        let paced = self.pace.max(now);
        if paced < tick {
            self.pace = paced + PACE;
        }
        let at = tick.min(self.grain_from(paced)).min(now + self.first_poll_bound());
        self.plan(place, at);
    }

    /// Plans a poll some time `after` now.
    pub fn plan_after(&mut self, place: Place, now: Mono, after: Duration) {
        self.plan(place, self.grain_from(now + after));
    }

    /// The longest time until the first poll of a thing that is added now.
    pub fn first_poll_bound(&self) -> Duration {
        let per_thing = PACE.saturating_mul(u32::try_from(self.taken()).unwrap_or(u32::MAX));
        self.interval.min(FIRST_POLL_SLACK.saturating_add(per_thing))
    }

    /// Plans the poll after the one that was `due` and ended `now`: on the place's next tick that has not passed
    /// and is at least half an interval after `due`. Gives how many ticks were missed.
    pub fn plan_tick(&mut self, place: Place, due: Mono, now: Mono) -> u64 {
        let wanted = self.tick_from(place, due + self.interval / 2);
        let next = self.tick_from(place, now).max(wanted);
        self.plan(place, next);
        let missed = next.since(wanted).as_nanos() / self.interval.as_nanos().max(1);
        u64::try_from(missed).unwrap_or(u64::MAX)
    }

    /// Takes out the earliest poll that is due.
    pub fn pop_due(&mut self, now: Mono) -> Option<(Place, Mono)> {
        let &(at, place) = self.queue.first().filter(|(at, _)| *at <= now)?;
        self.cancel(place);
        Some((place, at))
    }

    /// When the next poll is due.
    pub fn next_due(&self) -> Option<Mono> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// The place's first tick that is not before `at`.
    fn tick_from(&self, place: Place, at: Mono) -> Mono {
        step_from(self.origin + self.phase(place), self.interval, at)
    }

    fn grain_from(&self, at: Mono) -> Mono {
        step_from(self.origin, self.grain, at)
    }

    fn phase(&self, place: Place) -> Duration {
        let fraction = u128::from(u64::from(place).wrapping_mul(GOLDEN));
        let phase = (fraction * self.interval.as_nanos()) >> 64;
        nanos(phase - phase % self.grain.as_nanos().max(1))
    }
}

/// The first of `first`, `first + step`, `first + 2 × step`… that is not before `at`.
fn step_from(first: Mono, step: Duration, at: Mono) -> Mono {
    let step = step.as_nanos().max(1);
    let steps = at.since(first).as_nanos().div_ceil(step);
    first + nanos(steps.saturating_mul(step))
}

fn nanos(n: u128) -> Duration {
    Duration::from_nanos(u64::try_from(n).unwrap_or(u64::MAX))
}

/// The pause after `misses` missed polls in a row: the interval, doubled for each further miss up to `most`, less
/// up to a quarter of it, so that things that died together do not come back together.
pub(super) fn backoff(interval: Duration, most: Duration, misses: u32, random: u64) -> Duration {
    let doubled = 1_u32.checked_shl(misses.saturating_sub(1)).map_or(most, |n| interval.saturating_mul(n));
    let full = doubled.min(most);
    full.saturating_sub(nanos((u128::from(random) * (full / 4).as_nanos()) >> 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn at(ms: u64) -> Mono {
        Mono::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn every_number_of_places_is_spread_evenly() {
        let schedule = Schedule::new(INTERVAL, at(0));
        for n in [10_u32, 37, 100, 1_000, 100_000] {
            let mut buckets = [0_u32; 10];
            for place in 0..n {
                buckets[usize::try_from(schedule.phase(place).as_secs() / 6).unwrap()] += 1;
            }
            let (least, most) = (*buckets.iter().min().unwrap(), *buckets.iter().max().unwrap());
            assert!(most - least <= 3, "{n} places: {buckets:?}");
        }
    }

    #[test]
    fn a_late_poll_shifts_no_later_one_and_missed_ticks_are_counted() {
        let mut schedule = Schedule::new(INTERVAL, at(0));
        let place = schedule.take_place().unwrap();
        schedule.plan_first(place, at(0));
        assert_eq!(schedule.pop_due(at(0)), Some((place, at(0))));
        assert_eq!(schedule.plan_tick(place, at(0), at(59_000)), 0);
        assert_eq!(schedule.pop_due(at(70_000)), Some((place, at(60_000))));
        assert_eq!(schedule.plan_tick(place, at(60_000), at(245_000)), 3);
        assert_eq!(schedule.next_due(), Some(at(300_000)));
    }

    #[test]
    fn things_added_together_start_paced_and_within_the_bound() {
        for n in [1_u32, 50, 1_000, 40_000] {
            let mut schedule = Schedule::new(INTERVAL, at(0));
            for _ in 0..n {
                let place = schedule.take_place().unwrap();
                schedule.plan_first(place, at(0));
            }
            let bound = schedule.first_poll_bound();
            let mut per_second = BTreeMap::<u64, u32>::new();
            while let Some((_, due)) = schedule.pop_due(at(60_000)) {
                assert!(due.since_origin() <= bound);
                *per_second.entry(due.since_origin().as_secs()).or_default() += 1;
            }
            assert_eq!(per_second.values().sum::<u32>(), n);
            let busiest = per_second.values().max().unwrap();
            assert!(*busiest <= 501 + n / 60 + 3, "{n} things: {busiest} in one second");
        }
    }

    #[test]
    fn the_pause_doubles_to_its_bound_and_varies_by_a_quarter() {
        let pause = |misses, random| backoff(INTERVAL, Duration::from_secs(300), misses, random).as_secs();
        assert_eq!([1, 2, 3, 4, 40, u32::MAX].map(|n| pause(n, 0)), [60, 120, 240, 300, 300, 300]);
        assert_eq!([pause(1, u64::MAX), pause(9, u64::MAX)], [45, 225]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add,
        Remove(usize),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Add),
            1 => any::<usize>().prop_map(Step::Remove),
            3 => (0_u64..90_000).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..80)
    }

    /// What a run of the schedule did: polls per place since it was last added, with the bound of the first.
    #[derive(Default)]
    struct Run {
        polls: BTreeMap<Place, (Mono, Duration, Vec<Mono>)>,
        done: Vec<(Mono, Duration, Vec<Mono>)>,
    }

    impl Run {
        fn advance(&mut self, schedule: &mut Schedule, to: Mono) {
            let mut before = Mono::default();
            while let Some((place, due)) = schedule.pop_due(to) {
                assert!(before <= due, "polls come in the order of time");
                before = due;
                self.polls.get_mut(&place).unwrap().2.push(due);
                assert_eq!(schedule.plan_tick(place, due, due), 0);
            }
        }
    }

    proptest! {
        #[test]
        fn each_thing_is_polled_once_per_interval(steps in steps()) {
            let mut schedule = Schedule::new(INTERVAL, at(5_000));
            let (mut now, mut run) = (at(5_000), Run::default());
            for step in steps {
                match step {
                    Step::Add => {
                        let place = schedule.take_place().unwrap();
                        schedule.plan_first(place, now);
                        let entry = (now, schedule.first_poll_bound(), Vec::new());
                        prop_assert!(run.polls.insert(place, entry).is_none());
                    }
                    Step::Remove(n) => {
                        let places: Vec<Place> = run.polls.keys().copied().collect();
                        if let Some(place) = places.get(n % places.len().max(1)) {
                            schedule.give_back(*place);
                            run.done.extend(run.polls.remove(place));
                        }
                    }
                    Step::Wait(ms) => {
                        now = now + Duration::from_millis(ms);
                        run.advance(&mut schedule, now);
                    }
                }
                prop_assert_eq!(schedule.taken(), run.polls.len());
            }
            now = now + INTERVAL;
            run.advance(&mut schedule, now);
            for (place, (added, bound, polls)) in &run.polls {
                prop_assert!(polls[0].since(*added) <= *bound);
                if let Some(second) = polls.get(1) {
                    let gap = second.since(polls[0]);
                    prop_assert!(gap >= INTERVAL / 2 && gap < INTERVAL * 3 / 2);
                }
                for tick in polls.iter().skip(1) {
                    prop_assert_eq!(schedule.tick_from(*place, *tick), *tick);
                }
            }
            for (_, _, polls) in run.polls.values().chain(&run.done) {
                for pair in polls.windows(2).skip(1) {
                    prop_assert_eq!(pair[1].since(pair[0]), INTERVAL);
                }
            }
        }
    }
}
