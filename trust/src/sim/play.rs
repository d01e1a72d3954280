//! One case from its beginning to its verdict.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use headframe_core::{
    action::{ActionQuery, Bucket, Watched},
    store::CrashPlan,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    OPERATORS,
    desk::{Desk, PEOPLE},
    faults::{self, Agenda, Event},
    house::{House, Process},
    knobs::{Knobs, Scale},
    ledger::Ledger,
    oracle,
    people::{ACTIONS, Crew, params},
    trace::Trace,
};

/// What came of a case.
#[derive(Debug)]
pub struct Played {
    /// What was reached.
    pub hits: BTreeSet<&'static str>,
    /// Simulated time.
    pub time: Duration,
    /// The verdict.
    pub verdict: Result<(), String>,
}

/// See the module.
#[derive(Debug)]
pub struct Player {
    pub(super) house: House,
    pub(super) process: Option<Process>,
    pub(super) crew: Crew,
    pub(super) rng: fastrand::Rng,
    pub(super) index: usize,
    pub(super) deeds: JoinSet<()>,
    watch: JoinSet<()>,
    /// How many deeds there were, and faults of devices.
    done: usize,
    faulty: usize,
    /// Things whose devices changed places at some time.
    pub(super) swapped: BTreeSet<String>,
}

/// Plays a case.
pub async fn play(seed: u64, index: u64, scale: Scale, trace: &Trace) -> Result<Played, String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let knobs = Knobs::draw(&mut rng, index, scale);
    let house = House::new(rng.u64(..), knobs, trace.clone()).await?;
    let process = house.start().await?;
    let ledger = Ledger::default();
    let crew = Crew {
        desk: Desk::new(process.ork.clone(), house.knobs.mos),
        ledger,
        cx: house.cx.clone(),
        trace: trace.clone(),
        facts: Arc::new(house.facts.clone()),
    };
    let index = usize::try_from(index).unwrap_or(0);
    let (deeds, watch) = (JoinSet::new(), JoinSet::new());
    let mut player = Player {
        house,
        process: Some(process),
        crew,
        rng,
        index,
        deeds,
        watch,
        done: 0,
        faulty: 0,
        swapped: BTreeSet::new(),
    };
    player.watch();
    let verdict = player.case().await;
    let mut hits = player.crew.ledger.book().hits.clone();
    hits.extend(player.house.wires.hits());
    let time = player.house.cx.clock.mono().since_origin();
    Ok(Played { hits, time, verdict })
}

impl Player {
    async fn case(&mut self) -> Result<(), String> {
        let process = self.process.as_ref().ok_or("no process")?;
        self.house.register(process).await?;
        self.house.known(process).await?;
        self.story().await?;
        self.faults().await?;
        faults::off(&self.house);
        self.converge().await?;
        let process = self.process.as_ref().ok_or("no process")?;
        let reached = oracle::judge(&self.house, process, &self.crew.ledger)?;
        self.crew.ledger.book().hits.extend(reached);
        Ok(())
    }

    /// Time passes, s.
    pub(super) async fn pass(&self, seconds: u64) {
        self.house.pass(Duration::from_secs(seconds)).await;
    }

    /// Everything goes wrong.
    async fn faults(&mut self) -> Result<(), String> {
        let begun = self.house.cx.clock.mono();
        let end = begun + self.house.knobs.time;
        let mut agenda = Agenda::begin(&mut self.rng, begun, &self.house.knobs);
        while let Some((at, event)) = agenda.pop(end) {
            self.house.until(at).await;
            self.event(event, &mut agenda).await?;
            while self.deeds.try_join_next().is_some() {}
        }
        self.house.until(end).await;
        Ok(())
    }

    async fn event(&mut self, event: Event, agenda: &mut Agenda) -> Result<(), String> {
        let now = self.house.cx.clock.mono();
        let knobs = self.house.knobs.clone();
        let ledger = self.crew.ledger.clone();
        let secs = Duration::from_secs;
        self.house.trace.note(now, "event", format!("{event:?}").as_bytes());
        match event {
            Event::Deed => {
                agenda.next(&mut self.rng, now, knobs.often.deed, event);
                self.deed();
            }
            Event::Rounds => {
                agenda.next(&mut self.rng, now, 20, event);
                self.rounds();
            }
            Event::Device => {
                agenda.next(&mut self.rng, now, knobs.often.device, event);
                self.device(agenda);
            }
            Event::Heal(thing) => self.house.devices()[thing].clear(),
            Event::Unswap => self.house.wires.unswap(),
            Event::Clogging => {
                agenda.next(&mut self.rng, now, knobs.often.clog, event);
                faults::swizzle(&mut self.rng, &self.house, agenda);
            }
            Event::Clog(ip) => {
                ledger.hit("a link clogs");
                self.house.wires.clog(ip, true);
            }
            Event::Unclog(ip) => {
                ledger.hit("a link is let through again");
                self.house.wires.clog(ip, false);
            }
            Event::Store => {
                agenda.next(&mut self.rng, now, knobs.often.store, event);
                let time = faults::store(&mut self.rng, &self.house, &ledger);
                agenda.at(now + secs(time), Event::StoreWell);
            }
            Event::StoreWell => self.house.disk.plan(CrashPlan::default()),
            Event::Crash => {
                agenda.next(&mut self.rng, now, knobs.often.crash, event);
                self.crash().await?;
            }
            Event::Jump => {
                agenda.next(&mut self.rng, now, knobs.often.jump, event);
                ledger.hit("the clock jumps");
                let far = [1, 60, 3_600, 86_400][self.rng.usize(..4)] * 1_000;
                self.house.clock.jump(if self.rng.bool() { far } else { -far });
            }
            Event::Weather(bad) => {
                agenda.next(&mut self.rng, now, if bad { 240 } else { 60 }, Event::Weather(!bad));
                let weather = if bad { knobs.weather } else { super::net::Weather::default() };
                self.house.wires.weather(weather);
            }
        }
        Ok(())
    }

    /// A device goes wrong, or changes places with the next.
    fn device(&mut self, agenda: &mut Agenda) {
        let now = self.house.cx.clock.mono();
        let secs = Duration::from_secs;
        let things = self.house.facts.len();
        let thing = self.rng.usize(..things);
        if things > 1 && self.rng.u8(..8) == 0 {
            self.swap(thing, (thing + 1) % things);
            agenda.at(now + secs(self.rng.u64(10..300)), Event::Unswap);
            return;
        }
        self.faulty += 1;
        let name = faults::device(&mut self.rng, &self.house, thing, self.faulty);
        self.crew.ledger.hit(name);
        agenda.at(now + secs(self.rng.u64(5..400)), Event::Heal(thing));
    }

    /// Two devices change their places.
    pub(super) fn swap(&mut self, one: usize, two: usize) {
        self.house.wires.swap(self.house.ip(one), self.house.ip(two));
        let ids = [one, two].map(|thing| self.house.facts[thing].id.clone());
        self.swapped.extend(ids);
        self.crew.ledger.hit("devices change places");
    }

    /// The process dies with all that people were about to ask, and is started again.
    pub(super) async fn crash(&mut self) -> Result<(), String> {
        self.deeds.shutdown().await;
        let process = self.process.take().ok_or("no process")?;
        let executing = [Bucket::Executing].iter().any(|bucket| {
            process.engine.query(&ActionQuery::new(*bucket)).is_ok_and(|found| !found.is_empty())
        });
        self.watch.shutdown().await;
        {
            let mut book = self.crew.ledger.book();
            book.hits.insert("a crash");
            book.half_halted = false;
            if executing {
                book.hits.insert("a crash while executing");
            }
        }
        // Nobody but the process holds what it is made of.
        self.crew.desk.serve(None);
        self.house.crash(process).await?;
        let started = self.house.start().await?;
        self.crew.desk.serve(Some(started.ork.clone()));
        self.process = Some(started);
        self.watch();
        Ok(())
    }

    /// Notes every change of an action.
    fn watch(&mut self) {
        let Some(process) = &self.process else { return };
        let (mut watch, trace, cx) =
            (process.engine.watch(), self.house.trace.clone(), self.house.cx.clone());
        let ledger = self.crew.ledger.clone();
        self.watch.spawn(async move {
            while let Some(change) = watch.next().await {
                trace.note(cx.clock.mono(), "change", format!("{change:?}").as_bytes());
                if let Watched::Changed(summary) = change {
                    ledger.hit(summary.status.as_str());
                }
            }
        });
    }

    /// The ids of the actions of some lists.
    pub(super) fn ids(&self, buckets: &[Bucket]) -> Vec<(u64, Value)> {
        let Some(process) = &self.process else { return Vec::new() };
        let of = |bucket| process.engine.query(&ActionQuery::new(bucket)).unwrap_or_default();
        let all = buckets.iter().flat_map(|bucket| of(*bucket));
        all.map(|listed| (listed.id.get(), listed.view)).collect()
    }

    fn one_of(&mut self, buckets: &[Bucket]) -> Option<u64> {
        let ids = self.ids(buckets);
        (!ids.is_empty()).then(|| ids[self.rng.usize(..ids.len())].0)
    }

    /// Somebody does something.
    fn deed(&mut self) {
        let things = u32::try_from(self.house.facts.len()).unwrap_or(1);
        let who = PEOPLE[self.rng.usize(..4)];
        let target = (self.rng.usize(..OPERATORS.len()), self.rng.u32(..things));
        let crew = self.crew.clone();
        self.done += 1;
        match self.rng.u8(..24) {
            0..12 => {
                let action = ACTIONS[(self.done + self.index * 3) % ACTIONS.len()];
                let params = params(&mut self.rng, action);
                self.deeds.spawn(async move {
                    crew.push(who, action, params, target).await;
                });
            }
            12..14 => drop(self.deeds.spawn(async move { crew.ask(target.0, target.1).await })),
            14 => drop(self.deeds.spawn(async move { crew.list().await })),
            15 => {
                let seconds = Duration::from_secs(self.rng.u64(2..90));
                let rack = self.house.facts[target.1 as usize].rack_id.clone();
                let scope = match self.rng.u8(..5) {
                    0..2 if !self.crew.ledger.is_halted() => json!({"kind": "halt"}),
                    2 => json!({"kind": "freeze"}),
                    3 => json!({"kind": "person", "of": "ann"}),
                    _ => json!({"kind": "rack", "of": rack}),
                };
                self.deeds.spawn(async move { crew.stop_for(scope, seconds).await });
            }
            16 => {
                let ramp = self.rng.u32(5..200);
                self.deeds.spawn(async move { crew.shed(who, target, ramp).await });
            }
            _ => self.about_an_action(who),
        }
    }

    /// Somebody does something about an action that there is.
    fn about_an_action(&mut self, who: &'static str) {
        let crew = self.crew.clone();
        let open = [Bucket::Voting, Bucket::Ready, Bucket::Executing];
        match self.rng.u8(..7) {
            0 => {
                let Some(id) = self.one_of(&open[..1]) else { return };
                self.deeds.spawn(async move { drop(crew.vote(who, id, false).await) });
            }
            1 => {
                let Some(id) = self.one_of(&open[..1]) else { return };
                self.deeds.spawn(async move { crew.withdraw(who, id).await });
            }
            2 => {
                let Some(id) = self.one_of(&open[..2]) else { return };
                self.deeds.spawn(async move { crew.cancel(id).await });
            }
            3 => {
                let Some(id) = self.one_of(&open) else { return };
                let seconds = Duration::from_secs(self.rng.u64(1..60));
                self.deeds.spawn(async move {
                    if crew.hold(who, id, "pauseAction").await {
                        crew.pass(seconds).await;
                        crew.hold("dan", id, "resumeAction").await;
                    }
                });
            }
            4 => {
                let Some(id) = self.one_of(&open[2..]) else { return };
                self.deeds.spawn(async move {
                    crew.hold(who, id, "stopAction").await;
                });
            }
            5 => {
                let id = self.one_of(&open[..1]);
                self.deeds.spawn(async move { crew.outsider(id).await });
            }
            _ => {
                let Some(id) = self.one_of(&open[..1]) else { return };
                // Twice at once, by two people.
                let other = crew.clone();
                self.deeds.spawn(async move { drop(crew.vote(who, id, true).await) });
                self.deeds.spawn(async move { drop(other.vote("bob", id, true).await) });
            }
        }
    }

    /// Somebody votes for what waits, and settles what nobody knows.
    fn rounds(&mut self) {
        for (id, _) in self.ids(&[Bucket::Voting]) {
            if self.rng.u8(..3) == 0 {
                let (crew, who) = (self.crew.clone(), PEOPLE[self.rng.usize(..4)]);
                self.deeds.spawn(async move { drop(crew.vote(who, id, true).await) });
            }
        }
    }
}
