use std::{collections::BTreeSet, time::Duration};

use super::schedule::Place;
use crate::{
    io::Mono,
    planted::{Bug, planted},
};

/// How long a poll may take, as a multiple of the usual, before it gives way to polls that wait.
const PATIENCE: u32 = 8;
const LEAST_PATIENCE: Duration = Duration::from_millis(500);
const USUAL_AT_FIRST: Duration = Duration::from_millis(250);

/// How a thing did so far, which decides where it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It answered its last poll.
    Proven,
    /// It has not answered yet; nobody knows whether it will.
    New,
    /// It missed its last poll.
    Slow,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Start {
        place: Place,
        due: Mono,
        slow: bool,
    },
    /// End this poll: others wait for its lane. The lane is free when the poll has ended.
    Cut {
        place: Place,
    },
}

type Ordered = BTreeSet<(Mono, Place)>;

/// Polls in flight, ordered by their start; those told to end still count.
#[derive(Debug)]
struct Lane {
    limit: usize,
    flying: Ordered,
    ending: Ordered,
}

impl Lane {
    fn new(limit: usize) -> Self {
        Self { limit, flying: Ordered::new(), ending: Ordered::new() }
    }

    fn len(&self) -> usize {
        self.flying.len() + self.ending.len()
    }

    fn has_room(&self) -> bool {
        self.len() < self.limit
    }

    fn remove(&mut self, entry: (Mono, Place)) {
        if !self.flying.remove(&entry) {
            self.ending.remove(&entry);
        }
    }
}

/// Bounded lanes of polls. `proven` and `new` share the healthy lanes, `new` at most half of them; `slow` has its
/// own. It never waits and reads no clock.
///
/// Whether a thing hangs shows only in time. So when a healthy thing waits and all lanes are taken, the oldest
/// poll that took several times the usual goes on in the slow lane, or is ended when that is full too.
#[derive(Debug)]
pub(super) struct Lanes {
    limit: usize,
    proven: Lane,
    new: Lane,
    slow: Lane,
    waiting_proven: Ordered,
    waiting_new: Ordered,
    waiting_slow: Ordered,
    usual: Duration,
    deadline: Duration,
}

impl Lanes {
    pub fn new(lanes: usize, slow_lanes: usize, deadline: Duration) -> Self {
        Self {
            limit: lanes,
            proven: Lane::new(lanes),
            new: Lane::new(lanes.div_ceil(2)),
            slow: Lane::new(slow_lanes),
            waiting_proven: Ordered::new(),
            waiting_new: Ordered::new(),
            waiting_slow: Ordered::new(),
            usual: USUAL_AT_FIRST,
            deadline,
        }
    }

    /// Puts a poll that was `due` in the queue of its class.
    pub fn wait(&mut self, class: Class, due: Mono, place: Place) {
        // The planted bug: whoever hangs waits, and stays, where the healthy ones are.
        let class = if planted(Bug::SharedSemaphore) { Class::Proven } else { class };
        match class {
            Class::Proven => self.waiting_proven.insert((due, place)),
            Class::New => self.waiting_new.insert((due, place)),
            Class::Slow => self.waiting_slow.insert((due, place)),
        };
    }

    /// Takes a poll out of the queues.
    pub fn unwait(&mut self, due: Mono, place: Place) {
        for queue in [&mut self.waiting_proven, &mut self.waiting_new, &mut self.waiting_slow] {
            queue.remove(&(due, place));
        }
    }

    /// What to do next; ask until there is nothing.
    pub fn next(&mut self, now: Mono) -> Option<Move> {
        if self.slow.has_room()
            && let Some((due, place)) = self.waiting_slow.pop_first()
        {
            self.slow.flying.insert((now, place));
            return Some(Move::Start { place, due, slow: true });
        }
        loop {
            if let Some(start) = self.start_healthy(now) {
                return Some(start);
            }
            let new = self.crowded()?;
            let patience = self.patience();
            let lane = if new { &mut self.new } else { &mut self.proven };
            let &oldest = lane.flying.first().filter(|(started, _)| *started + patience <= now)?;
            lane.flying.remove(&oldest);
            if self.slow.has_room() {
                self.slow.flying.insert(oldest);
                continue;
            }
            lane.ending.insert(oldest);
            return Some(Move::Cut { place: oldest.1 });
        }
    }

    fn start_healthy(&mut self, now: Mono) -> Option<Move> {
        if self.proven.len() + self.new.len() >= self.limit {
            return None;
        }
        if let Some((due, place)) = self.waiting_proven.pop_first() {
            self.proven.flying.insert((now, place));
            return Some(Move::Start { place, due, slow: false });
        }
        if !self.new.has_room() {
            return None;
        }
        let (due, place) = self.waiting_new.pop_first()?;
        self.new.flying.insert((now, place));
        Some(Move::Start { place, due, slow: false })
    }

    /// Whether some poll should make room, and if so whether the oldest one that can help is among the `new`. Polls
    /// that are ending already make room each.
    fn crowded(&self) -> Option<bool> {
        if planted(Bug::SharedSemaphore) {
            return None;
        }
        let ending = self.proven.ending.len() + self.new.ending.len();
        if ending >= self.waiting_proven.len() + self.waiting_new.len() {
            return None;
        }
        if self.waiting_proven.is_empty() && !self.new.has_room() {
            return Some(true);
        }
        match (self.proven.flying.first(), self.new.flying.first()) {
            (None, None) => None,
            (Some(_), None) => Some(false),
            (None, Some(_)) => Some(true),
            (Some((proven, _)), Some((new, _))) => Some(new <= proven),
        }
    }

    fn patience(&self) -> Duration {
        self.usual.saturating_mul(PATIENCE).max(LEAST_PATIENCE).min(self.deadline)
    }

    /// Learns how long a good poll took.
    pub fn observe(&mut self, took: Duration) {
        self.usual = (self.usual.saturating_mul(15).saturating_add(took)) / 16;
    }

    /// Takes the oldest poll whose deadline passed; it must be ended, and is in flight until it has.
    pub fn pop_expired(&mut self, now: Mono, allowed: Duration) -> Option<Place> {
        for lane in [&mut self.proven, &mut self.new, &mut self.slow] {
            if let Some(&entry) = lane.flying.first().filter(|(started, _)| *started + allowed <= now) {
                lane.flying.remove(&entry);
                lane.ending.insert(entry);
                return Some(entry.1);
            }
        }
        None
    }

    /// A poll has been told to end by someone else; it is in flight until it has.
    pub fn ending(&mut self, started: Mono, place: Place) {
        for lane in [&mut self.proven, &mut self.new, &mut self.slow] {
            if lane.flying.remove(&(started, place)) {
                lane.ending.insert((started, place));
                return;
            }
        }
    }

    /// A poll ended: its lane is free.
    pub fn ended(&mut self, started: Mono, place: Place) {
        for lane in [&mut self.proven, &mut self.new, &mut self.slow] {
            lane.remove((started, place));
        }
    }

    /// When something has to be done although no poll ends before.
    pub fn wake_at(&self, allowed: Duration) -> Option<Mono> {
        let lanes = [&self.proven, &self.new, &self.slow];
        let oldest = lanes.iter().filter_map(|lane| lane.flying.first()).map(|(started, _)| *started).min();
        let expiry = oldest.map(|started| started + allowed);
        let relief = self.crowded().and_then(|new| {
            let lane = if new { &self.new } else { &self.proven };
            lane.flying.first().map(|(started, _)| *started + self.patience())
        });
        [expiry, relief].into_iter().flatten().min()
    }

    pub fn in_flight(&self) -> usize {
        self.proven.len() + self.new.len() + self.slow.len()
    }

    pub fn waiting(&self) -> usize {
        self.waiting_proven.len() + self.waiting_new.len() + self.waiting_slow.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    fn at(ms: u64) -> Mono {
        Mono::from_origin(Duration::from_millis(ms))
    }

    fn started(lanes: &mut Lanes, now: Mono) -> Vec<Place> {
        let mut places = Vec::new();
        while let Some(next) = lanes.next(now) {
            match next {
                Move::Start { place, .. } => places.push(place),
                Move::Cut { place } => panic!("{place} was cut"),
            }
        }
        places
    }

    #[test]
    fn newcomers_leave_half_of_the_lanes() {
        let mut lanes = Lanes::new(4, 1, DEADLINE);
        for place in 0..5 {
            lanes.wait(Class::New, at(0), place);
        }
        assert_eq!(started(&mut lanes, at(0)), [0, 1]);
        for place in 10..15 {
            lanes.wait(Class::Proven, at(1), place);
        }
        assert_eq!(started(&mut lanes, at(1)), [10, 11]);
        lanes.ended(at(0), 0);
        assert_eq!(started(&mut lanes, at(2)), [12], "who answered before goes first");
        assert_eq!((lanes.in_flight(), lanes.waiting()), (4, 5));
    }

    #[test]
    fn slow_things_have_their_own_lane() {
        let mut lanes = Lanes::new(1, 2, DEADLINE);
        for place in 0..4 {
            lanes.wait(Class::Slow, at(0), place);
        }
        lanes.wait(Class::Proven, at(0), 9);
        assert_eq!(started(&mut lanes, at(0)), [0, 1, 9]);
        lanes.ended(at(0), 9);
        assert_eq!(started(&mut lanes, at(0)), [] as [Place; 0]);
        lanes.unwait(at(0), 2);
        lanes.ended(at(0), 0);
        assert_eq!(started(&mut lanes, at(5)), [3]);
    }

    #[test]
    fn a_poll_that_lasts_makes_room_only_when_others_wait() {
        let mut lanes = Lanes::new(2, 1, DEADLINE);
        for place in 0..2 {
            lanes.wait(Class::Proven, at(0), place);
        }
        assert_eq!(started(&mut lanes, at(0)), [0, 1]);
        assert_eq!(lanes.next(at(20_000)), None);
        for place in 2..4 {
            lanes.wait(Class::Proven, at(20_000), place);
        }
        let start = Move::Start { place: 2, due: at(20_000), slow: false };
        assert_eq!(lanes.next(at(20_000)), Some(start), "0 goes on in the slow lane");
        assert_eq!(lanes.next(at(20_000)), Some(Move::Cut { place: 1 }));
        assert_eq!(lanes.next(at(20_000)), None, "one is ending for the one that waits");
        lanes.ended(at(0), 1);
        assert_eq!(started(&mut lanes, at(20_001)), [3]);
        assert_eq!(lanes.in_flight(), 3);
    }

    #[test]
    fn patience_follows_what_good_polls_take() {
        let mut lanes = Lanes::new(1, 1, DEADLINE);
        assert_eq!(lanes.patience(), Duration::from_secs(2));
        (0..200).for_each(|_| lanes.observe(Duration::from_millis(20)));
        assert_eq!(lanes.patience(), LEAST_PATIENCE);
        (0..200).for_each(|_| lanes.observe(Duration::from_secs(2)));
        assert!(lanes.patience() > Duration::from_secs(15));
        (0..200).for_each(|_| lanes.observe(DEADLINE));
        assert_eq!(lanes.patience(), DEADLINE);
    }

    #[test]
    fn expired_polls_are_told_once_and_count_until_they_end() {
        let mut lanes = Lanes::new(2, 1, DEADLINE);
        lanes.wait(Class::Proven, at(0), 7);
        assert_eq!(started(&mut lanes, at(0)), [7]);
        assert_eq!(lanes.wake_at(DEADLINE), Some(at(30_000)));
        assert_eq!(lanes.pop_expired(at(29_999), DEADLINE), None);
        assert_eq!(lanes.pop_expired(at(30_000), DEADLINE), Some(7));
        assert_eq!(lanes.pop_expired(at(30_000), DEADLINE), None);
        assert_eq!((lanes.in_flight(), lanes.wake_at(DEADLINE)), (1, None));
        lanes.ended(at(0), 7);
        assert_eq!(lanes.in_flight(), 0);
    }
}
