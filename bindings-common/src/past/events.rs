//! What goes on at a simulated site: what people do, and what breaks. All of it follows from the seed.

use std::ops::Range;

use headframe::io::{Rng as _, SeededRng};
use headframe_sim::Fault;
use serde::Serialize;

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
/// How long a part of the past is that has each kind of event once.
const WEEK: i64 = 7 * DAY;
/// When people send miners to sleep, and for how long; UTC.
const EVENING: i64 = 22 * HOUR;
const NIGHT: i64 = 8 * HOUR;
/// From when on a switch may fail, by day: nobody tells a miner anything then.
const MORNING: i64 = 9 * HOUR;
/// What can break in one miner, in turn; the last of each turn stay sound.
const TURN: &[Option<Kind>] = &[Some(Kind::BoardLost), Some(Kind::Hang), Some(Kind::Overheat), None];

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// People send miners to sleep for a night.
    Sleep,
    /// A hash board is lost, until it is replaced.
    BoardLost,
    /// A miner accepts connections and never answers.
    Hang,
    /// The cooling fails, and the miner protects itself.
    Overheat,
    /// A switch fails: no miner can be reached. They mine on.
    Outage,
}

impl Kind {
    /// What goes wrong in a device; `None` for what people do.
    pub const fn fault(self) -> Option<Fault> {
        match self {
            Self::Sleep => None,
            Self::BoardLost => Some(Fault::BoardLost { slot: 1 }),
            Self::Hang => Some(Fault::Hang),
            Self::Overheat => Some(Fault::Overheat),
            Self::Outage => Some(Fault::Refuse),
        }
    }

    /// How long it lasts: at least, and at most.
    const fn lasts(self) -> (i64, i64) {
        match self {
            Self::Sleep => (NIGHT, NIGHT),
            Self::BoardLost => (10 * HOUR, 30 * HOUR),
            Self::Hang => (3 * HOUR, 7 * HOUR),
            Self::Overheat => (HOUR / 2, HOUR),
            Self::Outage => (HOUR, 2 * HOUR),
        }
    }
}

/// Something that happens to devices, from one wall time until another, ms since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: Kind,
    /// Their places in the fleet.
    pub devices: Vec<usize>,
    pub time: Range<i64>,
}

/// What happens to so many devices in the time.
pub fn events(seed: u64, devices: usize, time: Range<i64>) -> Vec<Event> {
    let mut draws = Draws(SeededRng::new(seed));
    let mut all = Vec::new();
    let mut from = time.start;
    while from < time.end {
        let week = from..time.end.min(from + WEEK);
        from = week.end;
        draws.week(devices, &week, &mut all);
    }
    all
}

struct Draws(SeededRng);

impl Draws {
    fn below(&self, n: i64) -> i64 {
        i64::try_from(self.0.u64() >> 1).unwrap_or_default() % n.max(1)
    }

    /// Half of the devices sleep for a night; of the others each has its turn; a switch fails once.
    fn week(&mut self, devices: usize, week: &Range<i64>, all: &mut Vec<Event>) {
        let mut order: Vec<usize> = (0..devices).collect();
        for last in (1..devices).rev() {
            let other = self.below(i64::try_from(last + 1).unwrap_or(i64::MAX));
            order.swap(last, usize::try_from(other).unwrap_or_default());
        }
        let (sleepers, others) = order.split_at_mut(devices.div_ceil(2));
        sleepers.sort_unstable();
        all.extend(self.by_day(Kind::Sleep, EVENING, sleepers.to_vec(), week));
        for (device, kind) in others.iter().zip(TURN.iter().cycle()) {
            all.extend(kind.and_then(|kind| self.at_any_time(kind, *device, week)));
        }
        all.extend(self.by_day(Kind::Outage, MORNING, (0..devices).collect(), week));
    }

    /// At an hour of one of the days on which it fits.
    fn by_day(&self, kind: Kind, hour: i64, devices: Vec<usize>, week: &Range<i64>) -> Option<Event> {
        let lasts = self.lasts(kind);
        let first = week.start.div_euclid(DAY) * DAY + hour;
        let fits = |from: &i64| *from > week.start && *from + lasts < week.end;
        let days: Vec<i64> = (0..=WEEK / DAY).map(|day| first + day * DAY).filter(fits).collect();
        let day = self.below(i64::try_from(days.len()).ok()?);
        let from = *days.get(usize::try_from(day).ok()?)?;
        Some(Event { kind, devices, time: from..from + lasts })
    }

    fn at_any_time(&self, kind: Kind, device: usize, week: &Range<i64>) -> Option<Event> {
        let lasts = self.lasts(kind);
        let room = week.end - week.start - lasts - 2 * HOUR;
        let from = week.start + HOUR + self.below(room);
        (room > 0).then(|| Event { kind, devices: vec![device], time: from..from + lasts })
    }

    fn lasts(&self, kind: Kind) -> i64 {
        let (least, most) = kind.lasts();
        least + self.below(most - least + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_764_115_200_000 + 13 * HOUR;

    fn kinds(events: &[Event], kind: Kind) -> Vec<&Event> {
        events.iter().filter(|event| event.kind == kind).collect()
    }

    #[test]
    fn a_week_of_ten_miners_has_everything() {
        for seed in 0..200 {
            let all = events(seed, 10, START..START + WEEK);
            assert_eq!(all, events(seed, 10, START..START + WEEK));
            let [night] = kinds(&all, Kind::Sleep)[..] else { panic!("{seed}: one night") };
            assert_eq!((night.devices.len(), night.time.start % DAY), (5, EVENING));
            let [outage] = kinds(&all, Kind::Outage)[..] else { panic!("{seed}: one outage") };
            assert_eq!(outage.devices.len(), 10);
            let count = |kind| kinds(&all, kind).len();
            assert_eq!([count(Kind::BoardLost), count(Kind::Hang), count(Kind::Overheat)], [2, 1, 1]);
            // What is told to a device reaches it, and it is told nothing while it has trouble of its own.
            let broken = all.iter().filter(|event| !matches!(event.kind, Kind::Sleep | Kind::Outage));
            for event in broken {
                assert!(event.devices.iter().all(|device| !night.devices.contains(device)));
            }
            assert!(all.iter().all(|e| START < e.time.start && e.time.end < START + WEEK));
        }
        assert_ne!(events(1, 10, START..START + WEEK), events(2, 10, START..START + WEEK));
    }

    #[test]
    fn each_week_has_its_own_and_little_time_may_have_none() {
        assert_eq!(kinds(&events(1, 4, START..START + 4 * WEEK), Kind::Sleep).len(), 4);
        assert!(events(1, 4, START..START + HOUR).is_empty());
        let day = events(1, 1, START..START + DAY);
        assert_eq!(kinds(&day, Kind::Sleep).len(), 1);
        assert_eq!(day.iter().map(|event| event.devices.len()).max(), Some(1));
    }
}
