//! Windows longer than a minute, while they are filled.
//!
//! Each is filled with those of the next shorter length as they end: a minute costs one addition for each set, however many
//! lengths there are. So an open window holds what has ended of the shorter ones in it, and nothing of the one that is open.

use super::sets::Sets;
use crate::{
    io::Timestamp,
    stats::live::{Layout, Window},
};

/// Totals of a window that has ended, by set.
pub(super) struct Ended {
    pub window: Window,
    pub end: Timestamp,
    pub sets: Sets,
}

/// The window of one length that is being filled.
#[derive(Debug)]
struct Open {
    window: Window,
    sets: Sets,
}

/// The windows that are being filled, one of each length.
#[derive(Debug)]
pub(super) struct Filling {
    /// All minutes before it have ended.
    from: Timestamp,
    /// Those that `from` lies in, shorter ones first.
    open: Vec<Open>,
}

impl Filling {
    /// Empty windows, when the first minute to come begins at `from`.
    pub fn new(layout: Layout, from: Timestamp) -> Self {
        let open = |window| Open { window, sets: Sets::new(layout) };
        Self { from, open: Window::ALL.into_iter().skip(1).map(open).collect() }
    }

    /// Takes a minute that has ended, with all before it: it goes to `ended`, then the windows that end with it. Minutes
    /// come in order; those with nothing in them can be left out.
    pub fn minute(&mut self, start: Timestamp, sets: Sets, ended: &mut Vec<Ended>) {
        self.advance(start, ended);
        // What a site takes shows in its first minutes, not when the first of its longest windows is filled.
        self.open.iter_mut().for_each(|open| open.sets.make_room(&sets));
        if let Some(open) = self.open.first_mut() {
            open.add(Window::M1, &sets);
        }
        let end = Window::M1.end_of(start);
        ended.push(Ended { window: Window::M1, end, sets });
        self.advance(end, ended);
    }

    /// All minutes before `from` have ended. Windows that end by that go to `ended`, shorter ones first, and into the next
    /// longer ones.
    pub fn advance(&mut self, from: Timestamp, ended: &mut Vec<Ended>) {
        let before = self.from;
        self.from = before.max(from);
        let mut open = self.open.iter_mut().peekable();
        while let Some(Open { window, sets }) = open.next() {
            if window.start_of(self.from) == window.start_of(before) {
                // Longer ones have not ended either.
                return;
            }
            let sets = sets.take();
            if sets.is_empty() {
                continue;
            }
            if let Some(longer) = open.peek_mut() {
                longer.add(*window, &sets);
            }
            ended.push(Ended { window: *window, end: window.end_of(before), sets });
        }
    }

    /// Up to when windows of this length have ended, and are in the open ones of the next longer length.
    pub fn ended(&self, window: Window) -> Timestamp {
        window.start_of(self.from)
    }

    /// What is in the window of this length that begins at `start`, if it is being filled.
    pub fn open(&mut self, window: Window, start: Timestamp) -> Option<&mut Sets> {
        let is_open = |open: &&mut Open| open.window == window && window.start_of(self.from) == start;
        self.open.iter_mut().find(is_open).map(|open| &mut open.sets)
    }
}

impl Open {
    /// Adds a window that is a part of this one.
    fn add(&mut self, window: Window, sets: &Sets) {
        self.sets.add(sets, window.length_ms() as f64 / self.window.length_ms() as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fastrand::Rng;

    use super::*;
    use crate::{stats::Member, telemetry::kept::Kept};

    /// 2025-11-26T23:50:00Z.
    const START: i64 = 1_764_201_000_000;
    const MINUTE: i64 = Window::M1.length_ms();
    const MEMBERS: [Member; 7] = [
        Member::Held,
        Member::Sum(0),
        Member::Known(0),
        Member::Sum(1),
        Member::Known(1),
        Member::Count(0),
        Member::Max(0),
    ];
    const SETS: u32 = 9;

    fn layout() -> Layout {
        Layout::new(2, 1, 1).unwrap()
    }

    /// What some of the sets hold, each number known or not.
    fn random(rng: &mut Rng) -> Sets {
        let mut sets = Sets::new(layout());
        for number in 0..SETS {
            if number > 0 && rng.u32(0..3) == 0 {
                continue;
            }
            let mut kept = Kept::new(layout());
            let held = 1.0 + rng.f64() * 40.0;
            kept.set(Member::Held, held);
            kept.set(Member::Count(0), held * rng.f64());
            for column in 0..2 {
                if rng.u32(0..4) > 0 {
                    kept.set(Member::Known(column), held * (0.1 + 0.9 * rng.f64()));
                    kept.set(Member::Sum(column), 4_000.0 * rng.f64());
                }
            }
            if rng.bool() {
                kept.set(Member::Max(0), 90.0 * rng.f64() - 5.0);
            }
            sets.set(number, &kept);
        }
        sets
    }

    /// Minutes after each other, now and then hours or days later.
    fn starts(rng: &mut Rng, count: usize) -> Vec<i64> {
        let mut at = START + rng.i64(0..3_000) * MINUTE;
        let mut next = || {
            at += match rng.u32(0..30) {
                0 => rng.i64(2..4_000) * MINUTE,
                1..4 => rng.i64(2..20) * MINUTE,
                _ => MINUTE,
            };
            at
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn windows_end_in_order_and_once() {
        let mut rng = Rng::with_seed(1);
        for seed in 0..200 {
            let starts = starts(&mut rng, 60);
            let (mut filling, mut ended) = (Filling::new(layout(), Timestamp(starts[0])), Vec::new());
            for start in &starts {
                filling.minute(Timestamp(*start), random(&mut rng), &mut ended);
                // Of a clock that went back nothing ends.
                let count = ended.len();
                filling.advance(Timestamp(start - rng.i64(0..100_000_000)), &mut ended);
                assert_eq!(ended.len(), count);
                assert!(ended.iter().all(|ended| ended.end.0 <= start + MINUTE));
            }
            filling.advance(Timestamp(starts[59] + 2 * Window::D1.length_ms()), &mut ended);
            let told: Vec<(Timestamp, Window)> =
                ended.iter().map(|ended| (ended.end, ended.window)).collect();
            assert!(told.is_sorted_by(|a, b| a < b), "{seed}: {told:?}");
            let of = |start: &i64| Window::ALL.map(|window| (window.end_of(Timestamp(*start)), window));
            let mut expected: Vec<_> = starts.iter().flat_map(of).collect();
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(told, expected, "{seed}");
        }
    }

    #[test]
    fn windows_have_room_from_the_first_minute_on() {
        let mut rng = Rng::with_seed(3);
        let (mut filling, mut ended) = (Filling::new(layout(), Timestamp(START)), Vec::new());
        let minute = random(&mut rng);
        let many = minute.iter().count();
        for n in 0..40 {
            filling.minute(Timestamp(START + n * MINUTE), minute.clone(), &mut ended);
            assert!(filling.open.iter().all(|open| open.sets.room() == many), "minute {n}");
        }
    }

    #[test]
    fn a_longer_window_is_the_mean_of_its_minutes() {
        let mut rng = Rng::with_seed(2);
        for seed in 0..40 {
            let starts = starts(&mut rng, 300);
            let (mut filling, mut ended) = (Filling::new(layout(), Timestamp(starts[0])), Vec::new());
            let mut expected: BTreeMap<(Window, i64, u32), Kept> = BTreeMap::new();
            for start in &starts {
                let sets = random(&mut rng);
                for ((number, kept), window) in
                    sets.iter().flat_map(|set| Window::ALL.map(|window| (set.clone(), window)))
                {
                    let key = (window, window.end_of(Timestamp(*start)).0, number);
                    let share = MINUTE as f64 / window.length_ms() as f64;
                    expected.entry(key).or_insert_with(|| Kept::new(layout())).add(&kept, share);
                }
                filling.minute(Timestamp(*start), sets, &mut ended);
            }
            filling.advance(Timestamp(starts[299] + 2 * Window::D1.length_ms()), &mut ended);
            let mut count = 0;
            for Ended { window, end, sets } in &ended {
                for (number, kept) in sets.iter() {
                    let other = &expected[&(*window, end.0, number)];
                    for member in MEMBERS {
                        let (ours, mean) = (member.of(&kept), member.of(other));
                        let same =
                            (ours.is_nan() && mean.is_nan()) || (ours - mean).abs() <= 1e-9 * mean.abs();
                        assert!(same, "{seed}: {window} {end:?} {number} {member:?}: {ours}, not {mean}");
                    }
                    count += 1;
                }
            }
            assert_eq!(count, expected.len(), "{seed}");
        }
    }

    #[test]
    fn an_open_window_holds_what_ended_in_it_and_can_be_set() {
        let (mut filling, mut ended) = (Filling::new(layout(), Timestamp(START)), Vec::new());
        let one = |held: f64| {
            let mut kept = Kept::new(layout());
            kept.set(Member::Held, held);
            kept
        };
        let mut minute = Sets::new(layout());
        minute.set(3, &one(1.0));
        for n in 0..7 {
            filling.minute(Timestamp(START + n * MINUTE), minute.clone(), &mut ended);
        }
        let five = Timestamp(START + 5 * MINUTE);
        let quarter = Window::M15.start_of(five);
        assert_eq!((filling.ended(Window::M1).0, filling.ended(Window::M5)), (START + 7 * MINUTE, five));
        assert!(filling.open(Window::M5, Timestamp(START)).is_none(), "it has ended");
        assert_eq!(filling.open(Window::M5, five).unwrap().get(3).unwrap().held(), 0.4);
        let open = filling.open(Window::M15, quarter).unwrap();
        assert!((open.get(3).unwrap().held() - 1.0 / 3.0).abs() < 1e-15, "without the one that is open");
        open.set(3, &one(2.0));
        open.set(7, &one(0.0));
        ended.clear();
        for n in 7..10 {
            filling.minute(Timestamp(START + n * MINUTE), minute.clone(), &mut ended);
        }
        let quarter = ended.iter().find(|ended| ended.window == Window::M15).unwrap();
        let held: Vec<_> = quarter.sets.iter().map(|(number, kept)| (number, kept.held())).collect();
        assert_eq!(held, [(3, 2.0 + 1.0 / 3.0)]);
    }
}
