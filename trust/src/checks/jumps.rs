//! `x-clock`: the wall clock jumps, forward and back, and the process sleeps: nothing begins early, nothing is sent twice,
//! nothing that ran out is revived, no run ends before its time, and ids are unique and rise. Nor do windows of local time
//! mind the days when clocks are changed.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    action::{ActionId, Engine, RightsSource, policy::Rules},
    io::{Clock as _, Mono},
    store::Space,
    testkit::MemArchive,
};
use serde_json::Value;

use super::{Check, machine, summer::summer_time};
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
    site::{Mood, Site, header, name, push, thing, vote},
    telemetry,
};

pub const CHECK: Check = Check {
    name: "x-clock",
    bug: "wall-deadline",
    ci: 464,
    long: 2_320,
    probes: &[
        "forward",
        "back",
        "ten years",
        "a second",
        "the process slept",
        "restarted",
        "waited for its time",
        "ran out",
        "a vote for what ran out",
        "executed",
        "archived",
        "ran until its time was over",
        "an id after a jump back",
        "summer time begins",
        "summer time ends",
        "began when its window opened",
        "the change swallowed its window",
        "telemetry restarted",
        "a reading of a time that had passed before",
        "a reading too late for its minute",
        "minutes made anew",
    ],
    run,
};

const RACK: &str = "miner-wm-1";
const THINGS: u32 = 6;
const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
const JUMPS: [i64; 8] = [SECOND, 61 * SECOND, HOUR, DAY, 8 * DAY, 40 * DAY, 365 * DAY, 3_652 * DAY];
const STEPS: usize = 16;
const EXPIRES_S: u32 = 2 * 3_600;
const WAIT_S: u32 = 30;
/// How long an action may run.
const RUN_S: u64 = 600;
/// What the engine takes for a step of its own.
const SLACK: Duration = Duration::from_secs(3);

/// An action, and what was seen of it.
#[derive(Debug)]
struct One {
    id: ActionId,
    /// When votes for it end, by the wall clock, ms.
    expires: i64,
    /// Since when it is approved.
    approved: Option<Mono>,
    /// Since when it runs.
    begun: Option<Mono>,
    expired: bool,
}

/// What is told of an action, wherever it is.
struct Told {
    status: String,
    begun: bool,
    /// When it was pushed, decided, begun, ended, ms, as far as it was.
    times: Vec<i64>,
    wait: Duration,
}

fn told(engine: &Engine, id: ActionId) -> Result<Told, String> {
    let view = needed("not told", engine.get(id))?.ok_or_else(|| format!("the action {id} is gone"))?.0;
    let times = ["pushedAt", "decidedAt", "begunAt", "endedAt"].map(|name| view[name].as_i64());
    let wait = view["terms"]["wait_s"].as_u64().ok_or_else(|| format!("no whole action: {view}"))?;
    Ok(Told {
        status: view["status"].as_str().unwrap_or_default().into(),
        begun: times[2].is_some(),
        times: times.into_iter().flatten().collect(),
        wait: Duration::from_secs(wait),
    })
}

/// A time of the wall clock that goes on by the other clock, ms.
#[derive(Debug, Clone, Copy)]
struct Time {
    wall: i64,
    at: Mono,
}

impl Time {
    fn now(self, mono: Mono) -> i64 {
        self.wall + i64::try_from(mono.since(self.at).as_millis()).unwrap_or(i64::MAX)
    }

    /// Whichever is later of this and another.
    fn or(self, wall: i64, at: Mono) -> Self {
        if self.now(at) < wall { Self { wall, at } } else { self }
    }
}

struct Lab {
    site: Site,
    engine: Engine,
    actions: Vec<One>,
    /// What time it is for the engine: no earlier than the first, which it has seen, and no later than the second, which it
    /// may have seen.
    times: [Time; 2],
    restarted: bool,
    things: u32,
}

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("engine");
    run.until(run.n(), |case| match case.index % 4 {
        _ if case.is_over_telemetry() => simulate(telemetry::clock_life(case)),
        0 => simulate(summer_time(case)),
        1 => simulate(long_run(case)),
        _ => simulate(one(case)),
    });
    if !run.enough() {
        machine::runs(run)?;
    }
    Ok(())
}

async fn one(case: &mut Case) -> Result<(), String> {
    let mut lab = Lab::new(case, THINGS, WAIT_S).await?;
    for _ in 0..STEPS {
        match case.rng.u8(..12) {
            0..=2 => lab.push(case).await?,
            3..=6 => lab.vote(case).await?,
            7 | 8 => lab.jump(case),
            9 => lab.sleep(case).await,
            10 if case.rng.bool() => {
                case.hit("restarted");
                lab.engine = lab.site.restart(lab.engine).await?;
                lab.restarted = true;
                lab.times = [Time { wall: lab.recorded()?, at: lab.now() }; 2];
            }
            _ => lab.site.pass(case.rng.u64(100..90_000)).await,
        }
        lab.look(case)?;
    }
    // It becomes quiet: what may be executed is.
    lab.site.pass(120_000).await;
    lab.look(case)?;
    if case.rng.bool() {
        lab.site.clock.jump(40 * DAY);
        // The engine looks once an hour for what ended long ago.
        tokio::time::advance(Duration::from_millis(HOUR.unsigned_abs())).await;
        lab.site.pass(5_000).await;
        lab.look(case)?;
    }
    for one in &lab.actions {
        let received = lab.site.plant.received(one.id);
        let status = told(&lab.engine, one.id)?.status;
        case.hit_if(lab.engine.header(one.id).is_none(), "archived");
        case.hit_if(status == "COMPLETED", "executed");
        case.hit_if(status == "EXPIRED", "ran out");
        if received.values().any(|times| *times > 1) || (one.expired && !received.is_empty()) {
            return Err(format!("{one:?}, {status}: {received:?}"));
        }
    }
    Ok(())
}

impl Lab {
    async fn new(case: &mut Case, things: u32, wait_s: u32) -> Result<Self, String> {
        let mut rules = Rules::mos();
        rules.default.expires_s = EXPIRES_S;
        rules.default.begin_within_s = 3_600;
        rules.default.wait_s = if case.rng.bool() { wait_s } else { 0 };
        let mut site = Site::new(case, &[(RACK, things)], rules, RightsSource::Claims).await?;
        site.options.run_within = Duration::from_secs(RUN_S);
        site.options.archive = Some(Arc::<MemArchive>::default());
        let engine = site.start().await?;
        // It need not have looked at the clock yet.
        let times = [0, site.clock.wall().0].map(|wall| Time { wall, at: site.clock.mono() });
        Ok(Self { site, engine, actions: Vec::new(), times, restarted: false, things })
    }

    fn now(&self) -> Mono {
        self.site.clock.mono()
    }

    /// The engine looks at the clock.
    fn sees(&mut self) {
        let (wall, at) = (self.site.clock.wall().0, self.now());
        self.times = self.times.map(|time| time.or(wall, at));
    }

    /// It may have looked.
    fn may_see(&mut self) {
        self.times[1] = self.times[1].or(self.site.clock.wall().0, self.now());
    }

    /// The latest time that stands in an action, or in what is left of one: an engine that starts knows no later one.
    fn recorded(&self) -> Result<i64, String> {
        let mut latest = i64::MIN;
        for one in &self.actions {
            latest = told(&self.engine, one.id)?.times.into_iter().fold(latest, i64::max);
        }
        for left in self.engine.store().scan_prefix(Space::Meta, "action.moved/") {
            let at = needed("unreadable", left.parse::<Value>())?["at"].as_i64();
            latest = latest.max(at.ok_or("no time")?);
        }
        Ok(latest)
    }

    async fn push(&mut self, case: &mut Case) -> Result<(), String> {
        let wall = self.site.clock.wall().0;
        self.sees();
        let [least, most] = self.times.map(|time| time.now(self.now()));
        let id = push(&self.engine, 2, &name(0)).await?;
        let last = self.actions.last().map(|one| one.id);
        case.hit_if(wall < least, "an id after a jump back");
        if last.is_some_and(|last| last >= id) {
            return Err(format!("the id {id} came after {last:?}"));
        }
        let header = header(&self.engine, id)?;
        let expires = header.order.terms.expires_at_ms;
        let pushed = header.order.pushed_ms;
        if expires != pushed + i64::from(EXPIRES_S) * SECOND || !(least..=most).contains(&pushed) {
            return Err(format!("at {least} to {most} it was pushed at {pushed}, and runs out at {expires}"));
        }
        self.actions.push(One { id, expires, approved: None, begun: None, expired: false });
        Ok(())
    }

    async fn vote(&mut self, case: &mut Case) -> Result<(), String> {
        if self.actions.is_empty() {
            return Ok(());
        }
        self.sees();
        let [least, most] = self.times.map(|time| time.now(self.now()));
        let at = case.rng.usize(..self.actions.len());
        let told = vote(&self.engine, self.actions[at].id, true, &name(1)).await?;
        let one = &mut self.actions[at];
        let over = |now: i64| now >= one.expires && one.approved.is_none();
        let (over, perhaps) = (over(least), over(most));
        case.hit_if(over, "a vote for what ran out");
        match told {
            Ok(_) if over || one.expired => Err(format!("a vote at {least} for what ran out: {one:?}")),
            Ok(_) => {
                one.approved = Some(self.site.clock.mono());
                Ok(())
            }
            Err(_) if perhaps || one.expired || one.approved.is_some() => Ok(()),
            Err(e) => Err(format!("a vote in time is refused: {e}")),
        }
    }

    fn jump(&mut self, case: &mut Case) {
        let far = JUMPS[case.rng.usize(..JUMPS.len())];
        case.hit_if(far == 3_652 * DAY, "ten years");
        case.hit_if(far == SECOND, "a second");
        let back = case.rng.bool();
        case.hit(if back { "back" } else { "forward" });
        self.site.clock.jump(if back { -far } else { far });
    }

    /// Time passes while nothing runs.
    async fn sleep(&mut self, case: &mut Case) {
        case.hit("the process slept");
        tokio::time::advance(Duration::from_millis(case.rng.u64(1_000..7_200_000))).await;
    }

    /// Nothing began early, and nothing that ended came back.
    fn look(&mut self, case: &mut Case) -> Result<(), String> {
        self.may_see();
        let (now, restarted) = (self.site.clock.mono(), self.restarted);
        for one in &mut self.actions {
            let Told { status, times, begun, wait } = told(&self.engine, one.id)?;
            if one.expired && status != "EXPIRED" {
                return Err(format!("{one:?} is {status} again"));
            }
            one.expired |= status == "EXPIRED";
            if !times.is_sorted() {
                return Err(format!("its times are {times:?}"));
            }
            if begun && one.begun.is_none() {
                one.begun = Some(now);
                let sent = self.site.plant.log().into_iter().filter(|sent| sent.id == one.id);
                let first = sent.map(|sent| sent.begun).min();
                let early = first.zip(one.approved).is_some_and(|(first, since)| first < since + wait);
                case.hit_if(!wait.is_zero() && first.is_some(), "waited for its time");
                // What is left to wait cannot be known over a restart but by the wall clock.
                if early && !restarted {
                    return Err(format!("{one:?} began before {wait:?} had passed"));
                }
            }
        }
        Ok(())
    }
}

/// An action that runs for long, under jumps: it has all of its time, and not more.
async fn long_run(case: &mut Case) -> Result<(), String> {
    let mut lab = Lab::new(case, 30, 0).await?;
    let slow = case.rng.bool();
    for n in 0..lab.things {
        // 30 one after the other: five minutes, or until the time of a run is over.
        lab.site.plant.weigh(&thing(RACK, n), if slow { 20_000 } else { 5_000 }, 3.0);
        lab.site.plant.set(&thing(RACK, n), Mood::Well, false);
    }
    lab.site.options.in_flight = 1;
    lab.engine = lab.site.restart(lab.engine).await?;
    lab.push(case).await?;
    let id = lab.actions[0].id;
    lab.vote(case).await?;
    let begun = lab.now();
    let wait = i64::from(header(&lab.engine, id)?.order.terms.wait_s);
    for _ in 0..case.rng.usize(1..8) {
        lab.site.pass(case.rng.u64(1_000..40_000)).await;
        if case.rng.u8(..4) > 0 && lab.now().since(begun).as_secs() > wait.unsigned_abs() + 2 {
            lab.jump(case);
        }
    }
    lab.site.pass(2 * RUN_S * 1_000).await;
    let header = header(&lab.engine, id)?;
    let last = lab.site.plant.log().into_iter().map(|sent| sent.begun).max().ok_or("nothing was sent")?;
    let ran = last.since(begun + Duration::from_secs(wait.unsigned_abs()));
    let all = Duration::from_secs(RUN_S);
    if !slow && header.status.as_str() != "COMPLETED" {
        return Err(format!("it ended early, after {ran:?}: {} {:?}", header.status.as_str(), header.counts));
    }
    case.hit_if(slow, "ran until its time was over");
    let call = Duration::from_secs(40);
    if slow && (ran > all + SLACK || ran + call + SLACK < all) {
        return Err(format!("it ran for {ran:?} instead of {all:?}"));
    }
    if lab.site.plant.received(id).values().any(|times| *times > 1) {
        return Err("something was sent twice".into());
    }
    Ok(())
}
