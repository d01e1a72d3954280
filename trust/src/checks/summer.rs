//! A part of `x-clock`: a window of local time on the day when clocks are changed. What waits for it begins when it
//! opens, never outside it, and once.

use headframe_core::{
    action::{RightsSource, policy::Rules},
    io::Clock as _,
};
use serde_json::json;

use crate::{
    rig::needed,
    run::Case,
    site::{Site, header, name, push, vote},
};

const RACK: &str = "miner-wm-1";
const THINGS: u32 = 3;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// What the engine takes for a step of its own, ms.
const SLACK: i64 = 3_000;

/// A Sunday on which clocks are changed.
struct Change {
    zone: &'static str,
    /// When the local Sunday begins, ms.
    midnight: i64,
    /// When the change is, ms.
    at: i64,
    /// Minutes that local time is before UTC until then, and from then on.
    offset: (i64, i64),
}

/// By the calendars of the zones: both changes of 2026 in Berlin, New York, and on Lord Howe Island, which changes by half
/// an hour.
const CHANGES: [Change; 6] = [
    Change { zone: "Europe/Berlin", midnight: 1_774_738_800_000, at: 1_774_746_000_000, offset: (60, 120) },
    Change { zone: "Europe/Berlin", midnight: 1_792_879_200_000, at: 1_792_890_000_000, offset: (120, 60) },
    Change {
        zone: "America/New_York",
        midnight: 1_772_946_000_000,
        at: 1_772_953_200_000,
        offset: (-300, -240),
    },
    Change {
        zone: "America/New_York",
        midnight: 1_793_505_600_000,
        at: 1_793_512_800_000,
        offset: (-240, -300),
    },
    Change {
        zone: "Australia/Lord_Howe",
        midnight: 1_775_307_600_000,
        at: 1_775_314_800_000,
        offset: (660, 630),
    },
    Change {
        zone: "Australia/Lord_Howe",
        midnight: 1_791_034_200_000,
        at: 1_791_041_400_000,
        offset: (630, 660),
    },
];

impl Change {
    /// The local minute of the Sunday at `ms`; `None` on another day.
    fn minute(&self, ms: i64) -> Option<i64> {
        let offset = if ms < self.at { self.offset.0 } else { self.offset.1 };
        let local = ms + offset * MINUTE;
        let midnight = self.midnight + self.offset.0 * MINUTE;
        (0..DAY).contains(&(local - midnight)).then_some((local - midnight) / MINUTE)
    }

    /// From which local minute to which something may begin.
    fn window(&self, case: &mut Case, swallows: bool) -> (i64, i64) {
        let (changed, missing) = ((self.at - self.midnight) / MINUTE, self.offset.1 - self.offset.0);
        if missing > 0 && swallows {
            // Within what is missing.
            return (changed + case.rng.i64(0..10), changed + case.rng.i64(10..=missing));
        }
        // Around the hours that are missing or there twice, more often than elsewhere.
        let from = if case.rng.bool() { case.rng.i64(60..200) } else { case.rng.i64(0..600) };
        (from, from + case.rng.i64(5..200))
    }
}

/// See the module.
pub async fn summer_time(case: &mut Case) -> Result<(), String> {
    // They take turns; in every second round what is missing is the whole window.
    let turn = usize::try_from(case.index / 4).unwrap_or(0);
    let change = &CHANGES[turn % CHANGES.len()];
    let swallows = turn % (2 * CHANGES.len()) < CHANGES.len();
    let (from, to) = change.window(case, swallows);
    let local = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
    let window = json!({"days": ["sun"], "from": local(from), "to": local(to), "zone": change.zone});
    let mut rules = Rules::mos();
    rules.default.expires_s = 7 * 24 * 3_600;
    rules.default.begin_within_s = 24 * 3_600;
    rules.default.wait_s = 0;
    rules.default.windows = vec![serde_json::from_value(window.clone()).map_err(|e| e.to_string())?];
    let site = Site::new(case, &[(RACK, THINGS)], rules, RightsSource::Claims).await?;
    let start = change.midnight + case.rng.i64(-90..240) * MINUTE + case.rng.i64(0..MINUTE);
    site.clock.jump(start - site.clock.wall().0);
    let mut engine = site.start().await?;
    let id = push(&engine, 2, &name(0)).await?;
    needed("not approved", vote(&engine, id, true, &name(1)).await?)?;
    let approved = site.clock.wall().0;
    let open = |ms: i64| change.minute(ms).is_some_and(|minute| (from..to).contains(&minute));
    // Windows open and close at whole minutes.
    let minutes = (approved / MINUTE + 1..).map(|minute| minute * MINUTE).take(24 * 60 - 1);
    let opens = if open(approved) { Some(approved) } else { minutes.clone().find(|ms| open(*ms)) };
    case.hit(if change.offset.0 < change.offset.1 { "summer time begins" } else { "summer time ends" });
    let wait = opens.map_or(12 * HOUR, |ms| ms - approved).clamp(0, 23 * HOUR);
    site.pass(wait.unsigned_abs() / 2).await;
    // One that ends while it sends is another matter.
    if wait > MINUTE && case.rng.bool() {
        engine = site.restart(engine).await?;
    }
    site.pass((wait - wait / 2 + 10 * MINUTE).unsigned_abs()).await;
    let seen = header(&engine, id)?;
    match (opens, seen.begun_ms) {
        (Some(opens), Some(begun)) => {
            // It may close again before the engine looks.
            if !open(begun) || !(opens..=opens + SLACK).contains(&begun) {
                return Err(format!("{window}: it opened at {opens}, and {id} began at {begun}"));
            }
            case.hit("began when its window opened");
        }
        (Some(opens), None) => return Err(format!("{window}: it opened at {opens}, and {id} did not begin")),
        (None, Some(begun)) => return Err(format!("{window}: it did not open, and {id} began at {begun}")),
        (None, None) => case.hit("the change swallowed its window"),
    }
    let sent = site.plant.log();
    let twice = site.plant.received(id).values().any(|times| *times > 1);
    if twice || sent.len() != if opens.is_some() { THINGS as usize } else { 0 } {
        let (status, hold, counts) = (seen.status.as_str(), &seen.hold, &seen.counts);
        let view = needed("no view", engine.get(id))?.map(|view| view.0["targets"].to_string());
        return Err(format!("{window}: {status}, {hold:?}, {counts:?}, {view:?}: {sent:?}"));
    }
    Ok(())
}
