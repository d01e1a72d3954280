//! What was proposed of late, so that many small actions count as one large.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{action::Person, io::Timestamp, model::Text};

/// Into how many parts a window is divided: sums reach back by one part more at most, never less.
const PARTS: i64 = 60;
/// People whose sums are kept apart. Those beyond share one, which is never too small.
const MAX_CREATORS: usize = 4_096;

/// How much an action touches, or several.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Targets.
    pub targets: u64,
    /// The most that the power of those of which it is known can change by, kW.
    pub kw: f64,
    /// Targets of which nobody can say.
    pub unknown: u64,
}

impl Sums {
    /// Of targets whose power can change by so many W each at most; `None` where nobody can say.
    pub fn of(powers_w: impl IntoIterator<Item = Option<f64>>) -> Self {
        let mut all = Self::default();
        for power in powers_w {
            all.targets += 1;
            match power.filter(|w| w.is_finite()) {
                Some(w) => all.kw += w.abs() / 1_000.0,
                None => all.unknown += 1,
            }
        }
        all
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            targets: self.targets.saturating_add(other.targets),
            kw: self.kw + other.kw,
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }
}

/// What was proposed before, within the window, in actions of the same class that can still be carried out or were.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Recent {
    /// By the same creator.
    pub creator: Sums,
    /// By everybody.
    pub site: Sums,
}

/// Sums over a window of time that moves on, of one class of actions. Its memory is bounded, and what it says is never
/// too small: it may count up to a sixtieth of the window longer than asked, and where more than 4,096 people proposed
/// something within it, those that came last have a sum in common.
#[derive(Debug, Clone)]
pub struct RollingWindow {
    window_ms: i64,
    part_ms: i64,
    site: Parts,
    creators: BTreeMap<Text, Parts>,
    rest: Parts,
}

impl RollingWindow {
    /// A window of `window_s` seconds, 1 at least, in which nothing was proposed.
    pub fn new(window_s: u32) -> Self {
        let window_ms = i64::from(window_s.max(1)) * 1_000;
        let part_ms = (window_ms / PARTS).max(1);
        Self { window_ms, part_ms, site: Parts::default(), creators: BTreeMap::new(), rest: Parts::default() }
    }

    /// Adds what `creator` proposed at `at`. Times that go back count as the latest so far.
    pub fn push(&mut self, at: Timestamp, creator: &Person, size: Sums) {
        let part = at.0.div_euclid(self.part_ms);
        self.expire(at);
        self.site.add(part, size);
        if let Some(own) = self.creators.get_mut(creator.key()) {
            own.add(part, size);
        } else if self.creators.len() < MAX_CREATORS {
            let mut own = Parts::default();
            own.add(part, size);
            self.creators.insert(creator.key().into(), own);
        } else {
            self.rest.add(part, size);
        }
    }

    /// Forgets what is older than the window.
    pub fn expire(&mut self, now: Timestamp) {
        // A part is forgotten once its last moment is.
        let first = now.0.saturating_sub(self.window_ms).div_euclid(self.part_ms);
        self.site.forget(first);
        self.rest.forget(first);
        self.creators.retain(|_, parts| {
            parts.forget(first);
            !parts.0.is_empty()
        });
    }

    /// What was proposed within the window that ends `now`.
    pub fn sums(&mut self, now: Timestamp, creator: &Person) -> Recent {
        self.expire(now);
        let own = self.creators.get(creator.key()).map_or_else(Sums::default, Parts::sum);
        Recent { creator: own.and(self.rest.sum()), site: self.site.sum() }
    }
}

/// Sums by part of the window, oldest first.
#[derive(Debug, Clone, Default)]
struct Parts(VecDeque<(i64, Sums)>);

impl Parts {
    fn add(&mut self, part: i64, size: Sums) {
        match self.0.back_mut() {
            Some((last, sums)) if *last >= part => *sums = sums.and(size),
            _ => self.0.push_back((part, size)),
        }
    }

    fn forget(&mut self, first: i64) {
        while self.0.front().is_some_and(|(part, _)| *part < first) {
            self.0.pop_front();
        }
    }

    fn sum(&self) -> Sums {
        self.0.iter().fold(Sums::default(), |all, (_, sums)| all.and(*sums))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn person(name: &str) -> Person {
        Person::from_text(name).unwrap()
    }

    fn size(targets: u64) -> Sums {
        Sums { targets, kw: 0.5, unknown: 1 }
    }

    #[test]
    fn sums_are_of_the_window_and_of_whom() {
        let mut window = RollingWindow::new(3_600);
        let (ann, bob) = (person("Ann"), person("bob"));
        window.push(Timestamp(0), &ann, size(1));
        window.push(Timestamp(1_800_000), &bob, size(2));
        window.push(Timestamp(1_800_001), &person(" ANN"), size(4));
        let recent = window.sums(Timestamp(1_800_002), &ann);
        assert_eq!(recent.creator, Sums { targets: 5, kw: 1.0, unknown: 2 });
        assert_eq!(recent.site, Sums { targets: 7, kw: 1.5, unknown: 3 });
        let recent = window.sums(Timestamp(3_660_000), &ann);
        assert_eq!((recent.creator.targets, recent.site.targets), (4, 6));
        assert_eq!(window.sums(Timestamp(10_000_000), &ann), Recent::default());
        assert!(window.creators.is_empty());
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_sum_smaller() {
        let mut window = RollingWindow::new(60);
        let ann = person("ann");
        window.push(Timestamp(1_000_000), &ann, size(1));
        window.push(Timestamp(5), &ann, size(1));
        assert_eq!(window.sums(Timestamp(5), &ann).creator.targets, 2);
        assert_eq!(window.sums(Timestamp(1_059_000), &ann).creator.targets, 2);
        assert_eq!(window.sums(Timestamp(i64::MAX), &ann), Recent::default());
        assert_eq!(window.sums(Timestamp(i64::MIN), &ann), Recent::default());
    }

    #[test]
    fn many_people_cost_bounded_memory() {
        let mut window = RollingWindow::new(60);
        for i in 0..MAX_CREATORS + 10 {
            window.push(Timestamp(0), &person(&format!("u{i}")), size(1));
        }
        assert_eq!(window.creators.len(), MAX_CREATORS);
        let recent = window.sums(Timestamp(1), &person(&format!("u{}", MAX_CREATORS + 1)));
        assert_eq!((recent.creator.targets, recent.site.targets), (10, MAX_CREATORS as u64 + 10));
    }

    #[test]
    fn power_is_known_or_counted_as_unknown() {
        let all = Sums::of([Some(3_500.0), None, Some(-500.0), Some(f64::NAN), Some(f64::INFINITY)]);
        assert_eq!(all, Sums { targets: 5, kw: 4.0, unknown: 3 });
    }

    proptest! {
        #[test]
        fn a_sum_is_never_too_small_and_hardly_too_large(
            steps in prop::collection::vec((0i64..400_000, 0usize..3), 1..60),
        ) {
            let (mut window, mut all, mut now) = (RollingWindow::new(600), Vec::new(), 0);
            let names = ["a", "b", "c"].map(person);
            for (wait, who) in steps {
                now += wait;
                window.push(Timestamp(now), &names[who], size(1));
                all.push((now, who));
                let count = |since: i64, who: Option<usize>| {
                    let within = |(at, by): &&(i64, usize)| *at > since && who.is_none_or(|who| who == *by);
                    all.iter().filter(within).count() as u64
                };
                for (i, name) in names.iter().enumerate() {
                    let recent = window.sums(Timestamp(now), name);
                    let (least, most) = (now - 600_000, now - 610_001);
                    prop_assert!((count(least, Some(i))..=count(most, Some(i))).contains(&recent.creator.targets));
                    prop_assert!((count(least, None)..=count(most, None)).contains(&recent.site.targets));
                }
            }
            prop_assert!(window.site.0.len() <= PARTS as usize + 2);
        }
    }
}
