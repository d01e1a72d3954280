//! What goes wrong, and when.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use headframe_core::{io::Mono, store::CrashPlan};
use headframe_sim::{Fault, Lie};

use super::{house::House, knobs::Knobs, ledger::Ledger, net::Weather};

/// Something that happens at its time.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// Somebody does something.
    Deed,
    /// Somebody sees what there is to decide.
    Rounds,
    /// A device goes wrong.
    Device,
    /// It is well again.
    Heal(usize),
    /// Links begin to clog.
    Clogging,
    /// One link does.
    Clog(IpAddr),
    /// It is let through again.
    Unclog(IpAddr),
    /// Everybody is at home again.
    Unswap,
    /// The store gets into trouble.
    Store,
    /// It is well again.
    StoreWell,
    /// The process dies.
    Crash,
    /// Somebody sets the clock.
    Jump,
    /// The network gets bad, or good.
    Weather(bool),
}

/// What is to happen.
#[derive(Debug, Default)]
pub struct Agenda {
    events: BTreeMap<(Mono, u64), Event>,
    count: u64,
}

impl Agenda {
    /// Puts something on it.
    pub fn at(&mut self, at: Mono, event: Event) {
        self.events.insert((at, self.count), event);
        self.count += 1;
    }

    /// Something that comes about every so many seconds, the next time.
    pub fn next(&mut self, rng: &mut fastrand::Rng, now: Mono, every_s: u64, event: Event) {
        if every_s > 0 {
            let ms = every_s * 1_000;
            self.at(now + Duration::from_millis(rng.u64(ms / 4..=ms * 7 / 4)), event);
        }
    }

    /// What comes first, if it comes before `end`.
    pub fn pop(&mut self, end: Mono) -> Option<(Mono, Event)> {
        let entry = self.events.first_entry().filter(|entry| entry.key().0 < end)?;
        let (at, _) = *entry.key();
        Some((at, entry.remove()))
    }

    /// Everything that the knobs ask for.
    pub fn begin(rng: &mut fastrand::Rng, now: Mono, knobs: &Knobs) -> Self {
        let mut agenda = Self::default();
        agenda.next(rng, now, knobs.often.deed, Event::Deed);
        agenda.next(rng, now, 20, Event::Rounds);
        agenda.next(rng, now, knobs.often.device, Event::Device);
        agenda.next(rng, now, knobs.often.clog, Event::Clogging);
        agenda.next(rng, now, knobs.often.store, Event::Store);
        agenda.next(rng, now, knobs.often.crash, Event::Crash);
        agenda.next(rng, now, knobs.often.jump, Event::Jump);
        agenda.next(rng, now, 60, Event::Weather(true));
        agenda
    }
}

/// A device goes wrong in the way whose turn it is; gives how that is called.
pub fn device(rng: &mut fastrand::Rng, house: &House, thing: usize, turn: usize) -> &'static str {
    let secs = Duration::from_secs;
    let (fault, name) = match turn % 12 {
        0 | 1 => (Fault::Hang, "a device hangs"),
        2 => (Fault::Reboot { down: secs(rng.u64(20..180)) }, "a device reboots"),
        3 => (Fault::Refuse, "a device refuses"),
        4 => (Fault::IgnoreWrites, "a device lies about success"),
        5 => (Fault::Mute, "a device is mute"),
        6 => (Fault::Cut { after: rng.usize(..200) }, "a device cuts"),
        7 => (Fault::Garbage, "a device talks garbage"),
        8 => (Fault::Slow { delay: secs(rng.u64(1..40)) }, "a device is slow"),
        9 => (Fault::Lie(Lie::Frozen), "a device lies"),
        10 => (Fault::HalfJson, "a device talks garbage"),
        _ => (Fault::Drip { bytes: 16, every: Duration::from_millis(rng.u64(1..400)) }, "a device is slow"),
    };
    house.devices()[thing].fault(fault);
    name
}

/// A random set of links stops one by one, and comes back in another order.
pub fn swizzle(rng: &mut fastrand::Rng, house: &House, agenda: &mut Agenda) {
    let now = house.cx.clock.mono();
    let mut links: Vec<IpAddr> = (0..house.facts.len()).map(|thing| house.ip(thing)).collect();
    rng.shuffle(&mut links);
    links.truncate(rng.usize(1..=links.len()));
    let mut at = now;
    for ip in &links {
        agenda.at(at, Event::Clog(*ip));
        at = at + Duration::from_millis(rng.u64(..4_000));
    }
    at = at + Duration::from_secs(rng.u64(1..120));
    rng.shuffle(&mut links);
    for ip in links {
        agenda.at(at, Event::Unclog(ip));
        at = at + Duration::from_millis(rng.u64(..8_000));
    }
}

/// The store gets into trouble; gives for how long, s.
pub fn store(rng: &mut fastrand::Rng, house: &House, ledger: &Ledger) -> u64 {
    // Each at least once in two times.
    let hits = ledger.book().hits.clone();
    let full = match (hits.contains("a full disk"), hits.contains("a failing disk")) {
        (true, false) => false,
        (false, true) => true,
        _ => rng.bool(),
    };
    if full {
        ledger.hit("a full disk");
        let capacity = Some(house.disk.used());
        house.disk.plan(CrashPlan { capacity, ..CrashPlan::default() });
    } else {
        ledger.hit("a failing disk");
        let fail_at = Some(rng.u64(..60));
        house.disk.plan(CrashPlan { fail_at, fail_for: rng.u64(1..60), ..CrashPlan::default() });
    }
    rng.u64(1..60)
}

/// Everything that went wrong is over.
pub fn off(house: &House) {
    house.wires.weather(Weather::default());
    house.wires.unswap();
    house.disk.plan(CrashPlan::default());
    for thing in 0..house.facts.len() {
        house.devices()[thing].clear();
        house.wires.clog(house.ip(thing), false);
    }
}
