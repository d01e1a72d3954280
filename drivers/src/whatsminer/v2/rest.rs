//! What need not be asked in every poll of a unit that is asked singly: while it hashes on, its status and its errors
//! seldom change, and each would cost a connection.

use std::time::Duration;

use headframe_core::{io::Mono, model::PowerMode};

use super::{
    map,
    reply::{ErrorList, Status, Summary},
    wire::{Ask, Got, Replies},
};

/// A reply that stays the same is asked for again after this time.
const REST: Duration = Duration::from_secs(15);

/// Replies that were asked for singly, and what the machine did then.
#[derive(Debug, Default)]
pub(super) struct Rest {
    status: Option<Kept<Status>>,
    errors: Option<Kept<ErrorList>>,
    course: Option<Course>,
}

/// A reply, when it came, and whether the one before it said the same.
#[derive(Debug)]
struct Kept<T> {
    value: T,
    read_at: Mono,
    steady: bool,
}

/// What the summary shows of that which status and errors go along with.
#[derive(Debug, Clone, Copy)]
struct Course {
    elapsed: Option<f64>,
    mode: Option<PowerMode>,
}

impl Course {
    /// Of a machine that hashes. One that does not may be stopping, starting or failing: it has none.
    fn of(summary: &Summary) -> Option<Self> {
        let rate = summary.hs_rt.or(summary.mhs_5s).or(summary.mhs_1m)?;
        let mode = map::mode(summary.power_mode.as_ref()).ok();
        (rate > 0.0).then_some(Self { elapsed: summary.elapsed, mode })
    }

    /// Whether a machine on this course has stayed on it until `now`.
    fn leads_to(self, now: Self) -> bool {
        let restarted = matches!((self.elapsed, now.elapsed), (Some(before), Some(now)) if now < before);
        !restarted && self.mode == now.mode
    }
}

impl<T: Clone + PartialEq> Kept<T> {
    fn rests(&self, now: Mono) -> bool {
        self.steady && now.since(self.read_at) < REST
    }

    /// What to keep of what was just asked for.
    fn after(before: Option<&Self>, got: Option<&Got<T>>, now: Mono) -> Option<Self> {
        let value = got?.as_ref().ok()?.clone();
        let steady = before.is_some_and(|before| before.value == value);
        Some(Self { value, read_at: now, steady })
    }
}

impl Rest {
    /// Whether `ask` is of the kind that rests.
    pub fn may(ask: Ask) -> bool {
        matches!(ask, Ask::Status | Ask::Errors)
    }

    /// Whether `ask` need not be asked now, if the machine goes on as before.
    pub fn has(&self, ask: Ask, now: Mono) -> bool {
        match ask {
            Ask::Status => self.status.as_ref().is_some_and(|kept| kept.rests(now)),
            Ask::Errors => self.errors.as_ref().is_some_and(|kept| kept.rests(now)),
            _ => false,
        }
    }

    /// Whether the machine goes on as before.
    pub fn holds(&self, summary: Option<&Summary>) -> bool {
        let now = summary.and_then(Course::of);
        matches!((self.course, now), (Some(before), Some(now)) if before.leads_to(now))
    }

    /// Puts what was kept of `ask` in the place of its reply.
    pub fn give(&self, ask: Ask, replies: &mut Replies) {
        match ask {
            Ask::Status => replies.status = self.status.as_ref().map(|kept| Ok(kept.value.clone())),
            Ask::Errors => replies.errors = self.errors.as_ref().map(|kept| Ok(kept.value.clone())),
            _ => {}
        }
    }

    /// Takes what was `asked` singly, at the end of a poll. What neither was asked nor was `given` is forgotten.
    pub fn take(&mut self, asked: &[Ask], given: &[Ask], replies: &Replies, now: Mono) {
        self.course = replies.summary().and_then(Course::of);
        if !given.contains(&Ask::Status) {
            let got = replies.status.as_ref().filter(|_| asked.contains(&Ask::Status));
            self.status = Kept::after(self.status.as_ref(), got, now);
        }
        if !given.contains(&Ask::Errors) {
            let got = replies.errors.as_ref().filter(|_| asked.contains(&Ask::Errors));
            self.errors = Kept::after(self.errors.as_ref(), got, now);
        }
    }

    /// How old each reply is.
    pub fn ages(&self, now: Mono) -> [(&'static str, Option<Duration>); 2] {
        [
            ("status", self.status.as_ref().map(|kept| now.since(kept.read_at))),
            ("errors", self.errors.as_ref().map(|kept| now.since(kept.read_at))),
        ]
    }
}
