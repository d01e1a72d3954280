//! What is drawn for a case: how large the site is, how it works, and what goes wrong how often.

use std::time::Duration;

use super::net::Weather;

/// How much of a case there is.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Things, at most.
    pub things: u32,
    /// Simulated minutes with faults.
    pub minutes: u64,
    /// Whether things are that many, instead of up to that many.
    pub full: bool,
}

/// Which stories a case tells for certain, beside what chance brings.
pub const STORIES: u64 = 4;

/// How the site works.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Polls at a time.
    pub lanes: usize,
    /// Calls under way at a time, and to one rack.
    pub in_flight: (usize, usize),
    /// How often a call is tried.
    pub attempts: u16,
    /// How long a look at a target may take.
    pub look: Duration,
    /// How long a call may take.
    pub call: Duration,
    /// How long its effect may be looked for.
    pub confirm: Duration,
    /// How long an action may run.
    pub run: Duration,
    /// How long votes are taken, s.
    pub expires_s: u32,
}

/// Seconds between two of something, on the average; 0 for never.
#[derive(Debug, Clone)]
pub struct Often {
    /// Deeds of people.
    pub deed: u64,
    /// Faults of devices.
    pub device: u64,
    /// Groups of links that clog.
    pub clog: u64,
    /// Faults of the store.
    pub store: u64,
    /// Crashes of the process.
    pub crash: u64,
    /// Jumps of the wall clock.
    pub jump: u64,
}

/// The knobs of a case.
#[derive(Debug, Clone)]
pub struct Knobs {
    /// Which story.
    pub story: u64,
    /// MiningOS's rules instead of ours.
    pub mos: bool,
    /// Things of each rack.
    pub racks: Vec<u32>,
    /// Between two polls.
    pub poll: Duration,
    /// How the site works.
    pub limits: Limits,
    /// How bad the network is at its worst.
    pub weather: Weather,
    /// How often something happens.
    pub often: Often,
    /// Simulated time with faults.
    pub time: Duration,
}

impl Knobs {
    /// Draws them.
    pub fn draw(rng: &mut fastrand::Rng, index: u64, scale: Scale) -> Self {
        let story = index % STORIES;
        let things = if scale.full { scale.things } else { rng.u32(scale.things / 2..=scale.things) };
        let racks = if index.is_multiple_of(2) { 4 } else { rng.u32(2..=4) };
        let mut left = things;
        let sizes = (0..racks).map(|n| {
            let most = left - (racks - n - 1);
            let size = if n + 1 == racks { left } else { rng.u32(1..=(most / 2).max(1)) };
            left -= size;
            size
        });
        Self {
            story,
            mos: (index / STORIES) % 2 == 1,
            racks: sizes.collect(),
            poll: Duration::from_secs(rng.u64(if scale.full { 60..=120 } else { 10..=120 })),
            limits: Limits::draw(rng),
            weather: weather(rng, story == 0),
            often: Often::draw(rng, story, scale.minutes),
            time: Duration::from_secs(scale.minutes * 60),
        }
    }
}

impl Limits {
    fn draw(rng: &mut fastrand::Rng) -> Self {
        let secs = Duration::from_secs;
        Self {
            lanes: [4, 16, 256][rng.usize(..3)],
            in_flight: (rng.usize(1..=32), rng.usize(1..=16)),
            attempts: rng.u16(1..=3),
            look: secs(rng.u64(5..=30)),
            call: secs(rng.u64(60..=600)),
            confirm: secs(rng.u64(300..=1_200)),
            run: secs(rng.u64(300..=3_600)),
            expires_s: rng.u32(600..=7_200),
        }
    }
}

impl Often {
    /// Each kind of trouble is certain in one of the stories.
    fn draw(rng: &mut fastrand::Rng, story: u64, minutes: u64) -> Self {
        let total = minutes * 60;
        let mut often = |share: u8, from: u64, to: u64| match rng.u8(..100) < share {
            true => rng.u64(from..=to),
            false => 0,
        };
        Self {
            device: if story == 1 { 20 } else { often(80, 20, 240) },
            clog: if story == 2 { 150 } else { often(60, 120, 600) },
            store: often(50, 60, 900),
            crash: often(60, total / 6 + 60, total / 2 + 60),
            jump: often(30, 120, 1_200),
            deed: rng.u64(4..=30).max(minutes / 4),
        }
    }
}

/// How bad the network gets; when it is certain, in every way.
fn weather(rng: &mut fastrand::Rng, certain: bool) -> Weather {
    let mut some = |share: u8, n: u32| match rng.u8(..100) < share {
        _ if certain => rng.u32(25..=40),
        true => rng.u32(1..=n),
        false => 0,
    };
    Weather {
        refuse: some(50, 60),
        cut: some(50, 40),
        lose: some(50, 40),
        silence: some(50, 40),
        torn: some(50, 40),
        late: some(60, 200),
        late_ms: [200, 2_000, 15_000][rng.usize(..3)],
    }
}
