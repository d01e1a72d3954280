//! The cases of `w-model` that go through the whole engine: a few actions on devices of every mood, with restarts.

use headframe_core::{
    Error,
    action::{ActionId, Draft, Engine, RightsSource, Settled, policy::Rules},
    io::Clock as _,
    model::RackId,
};
use serde_json::json;

use super::model::agree;
use crate::{
    rig::needed,
    run::Case,
    site::{Act, Heap, Mood, Reference, Site, Terms, by, code, header, name, thing, vote},
};

const RACK: &str = "miner-wm-1";
const ACTIONS: usize = 3;
const EVENTS: usize = 30;
const PEOPLE: usize = 5;
/// After so long nothing moves without an answer from a device, ms.
const QUIET_MS: u64 = 20_000;
/// The engine looks at what ran out so often, ms.
const TICK_MS: u64 = 1_100;

/// One action: the engine's, what it should be, and where each of its calls lies.
#[derive(Debug)]
struct One {
    id: ActionId,
    model: Reference,
    calls: Vec<Heap>,
}

/// The site and what its devices will do.
struct Lab {
    site: Site,
    engine: Engine,
    moods: Vec<(Mood, bool)>,
    actions: Vec<One>,
}

/// One case.
pub async fn one(case: &mut Case) -> Result<(), String> {
    case.hit("through the engine");
    let mut lab = Lab::new(case).await?;
    for _ in 0..EVENTS {
        let at = case.rng.usize(..lab.actions.len());
        let who = case.rng.usize(..PEOPLE);
        match case.rng.u8(..24) {
            0..=8 => lab.vote(at, who, case.rng.u8(..5) > 0).await?,
            9 | 10 => lab.withdraw(at, who).await?,
            11 => lab.cancel(at, if case.rng.bool() { 0 } else { who }).await?,
            12 => lab.hold(at, true).await?,
            13 | 14 => lab.hold(at, false).await?,
            15 => lab.site.pass(case.rng.u64(..120_000)).await,
            16..=18 => lab.begin().await?,
            19 => lab.stop(at).await?,
            20 | 21 => {
                case.hit("restarted");
                lab = lab.restart().await?;
            }
            _ => lab.settle(case, at).await?,
        }
        lab.look().await?;
    }
    lab.actions.iter().for_each(|one| case.hit(one.model.status));
    // Nothing was sent twice, whatever happened.
    for one in &lab.actions {
        if let Some(twice) = lab.site.plant.received(one.id).into_iter().find(|(_, times)| *times > 1) {
            return Err(format!("{twice:?} was sent again"));
        }
    }
    Ok(())
}

impl Lab {
    async fn new(case: &mut Case) -> Result<Self, String> {
        let things = case.rng.u32(1..5);
        let mut rules = Rules::mos();
        let rule = &mut rules.default;
        (rule.expires_s, rule.begin_within_s, rule.max_in_flight) = (600, 300, Some(1));
        rule.votes_against = case.rng.u32(1..3);
        rule.own_vote = case.rng.bool();
        let (no, own) = (rule.votes_against as usize, rule.own_vote);
        let mut site = Site::new(case, &[(RACK, things)], rules, RightsSource::Claims).await?;
        site.options.begin_by_itself = false;
        let kinds = [Mood::Well, Mood::Refuses, Mood::Away, Mood::Mumbles, Mood::Hangs, Mood::Silent];
        let mut moods = Vec::new();
        for n in 0..things {
            let mood = if case.rng.bool() { Mood::Well } else { kinds[case.rng.usize(..6)] };
            let mute = case.rng.u8(..3) == 0;
            site.plant.set(&thing(RACK, n), mood, mute);
            moods.push((mood, mute));
        }
        let engine = site.start().await?;
        let mut lab = Self { site, engine, moods, actions: Vec::new() };
        for n in 0..ACTIONS {
            let yes = case.rng.usize(1..4);
            let draft = Draft::new(&format!("needs-{yes}"), vec![json!({"n": n})], json!({}));
            let pushed = lab.engine.push(needed("no draft", draft)?, &by(&name(0))?).await;
            let id = needed("not pushed", needed("not pushed", pushed)?.into_id())?;
            let now = lab.now();
            let terms = Terms { yes, no, own, expires: now + 600_000, within: 300_000 };
            let calls = vec![Heap::Waiting; things as usize];
            lab.actions.push(One { id, model: Reference::pushed(terms, things, now), calls });
            lab.site.pass(case.rng.u64(..40_000)).await;
        }
        lab.look().await?;
        Ok(lab)
    }

    fn now(&self) -> i64 {
        self.site.clock.wall().0
    }

    /// What ran out is ended; then everything is as it should be.
    async fn look(&mut self) -> Result<(), String> {
        if self.actions.iter().any(|one| one.model.is_over(self.now())) {
            self.site.pass(TICK_MS).await;
        }
        let now = self.now();
        for one in &mut self.actions {
            if one.model.is_over(now) {
                one.model = one.model.after(&Act::Time, now)?;
            }
            agree(&*header(&self.engine, one.id)?, &one.model)?;
        }
        Ok(())
    }

    /// Does the same to the model as was done to the engine; both have to say the same.
    fn same<T: std::fmt::Debug>(
        &mut self,
        at: usize,
        act: &Act,
        told: &Result<T, Error>,
    ) -> Result<(), String> {
        let now = self.now();
        let one = &mut self.actions[at];
        match one.model.after(act, now) {
            Ok(model) if told.is_ok() => one.model = model,
            Err(expected) if code(told) == expected => {}
            expected => return Err(format!("{act:?} on {:?}: {told:?} instead of {expected:?}", one.model)),
        }
        Ok(())
    }

    async fn vote(&mut self, at: usize, who: usize, yes: bool) -> Result<(), String> {
        let told = vote(&self.engine, self.actions[at].id, yes, &name(who)).await?;
        self.same(at, &Act::Vote(who, yes), &told)
    }

    async fn withdraw(&mut self, at: usize, who: usize) -> Result<(), String> {
        let told = self.engine.withdraw(self.actions[at].id, &by(&name(who))?).await;
        self.same(at, &Act::Withdraw(who), &told)
    }

    async fn cancel(&mut self, at: usize, who: usize) -> Result<(), String> {
        let told = self.engine.cancel(self.actions[at].id, &by(&name(who))?).await;
        self.same(at, &Act::Cancel(who), &told)
    }

    async fn hold(&mut self, at: usize, pause: bool) -> Result<(), String> {
        let (id, who) = (self.actions[at].id, by(&name(1))?);
        let told =
            if pause { self.engine.pause(id, None, &who).await } else { self.engine.resume(id, &who).await };
        self.same(at, if pause { &Act::Pause } else { &Act::Resume }, &told)?;
        self.go_on().await
    }

    async fn begin(&mut self) -> Result<(), String> {
        let now = self.now();
        needed("not begun", self.engine.begin_ready().await)?;
        for one in &mut self.actions {
            if one.model.status == "APPROVED"
                && let Ok(model) = one.model.after(&Act::Begin(Vec::new()), now)
            {
                one.model = model;
            }
        }
        self.go_on().await
    }

    /// What has not begun does not begin.
    async fn stop(&mut self, at: usize) -> Result<(), String> {
        let told = self.engine.stop(self.actions[at].id, None, &by(&name(1))?).await;
        let one = &mut self.actions[at];
        let executing = one.model.status == "EXECUTING";
        if executing != told.is_ok() || !(executing || code(&told) == "ERR_ACTION_DECIDED") {
            return Err(format!("stopping {:?} gave {told:?}", one.model));
        }
        if executing {
            for n in 0..one.calls.len() {
                if one.calls[n] == Heap::Waiting {
                    one.shift(n, Heap::Failed)?;
                }
            }
        }
        Ok(())
    }

    /// Everything moves as far as it can: the calls of an action one after the other, up to one that hangs.
    async fn go_on(&mut self) -> Result<(), String> {
        self.site.pass(QUIET_MS).await;
        for one in &mut self.actions {
            while one.model.status == "EXECUTING" && !one.model.held && !one.calls.contains(&Heap::Open) {
                let Some(n) = one.calls.iter().position(|heap| *heap == Heap::Waiting) else { break };
                let to = match self.moods[n] {
                    (Mood::Well, _) | (Mood::Mumbles, false) => Heap::Ok,
                    (Mood::Refuses | Mood::Away, _) => Heap::Failed,
                    (Mood::Mumbles, true) => Heap::Unknown,
                    (Mood::Hangs | Mood::Silent, _) => Heap::Open,
                };
                one.shift(n, to)?;
            }
        }
        Ok(())
    }

    async fn restart(mut self) -> Result<Self, String> {
        self.engine = self.site.restart(self.engine).await?;
        let now = self.site.clock.wall().0;
        for one in &mut self.actions {
            if one.model.status == "EXECUTING" {
                one.model = one.model.after(&Act::Restart, now)?;
            }
            for n in 0..one.calls.len() {
                if one.calls[n] == Heap::Open {
                    one.shift(
                        n,
                        match self.moods[n] {
                            (_, true) => Heap::Lost,
                            (Mood::Hangs, false) => Heap::Ok,
                            _ => Heap::Failed,
                        },
                    )?;
                }
            }
            if one.model.status == "INTERRUPTED" {
                one.model = one.model.after(&Act::Looked, now)?;
            }
        }
        self.go_on().await?;
        Ok(self)
    }

    /// A person says what became of a call, of which it has to be unknown.
    async fn settle(&mut self, case: &mut Case, at: usize) -> Result<(), String> {
        let rack = needed("no rack", RackId::new(RACK))?;
        let one = &mut self.actions[at];
        let unknown = |heap: &Heap| matches!(heap, Heap::Unknown | Heap::Lost);
        let n = one.calls.iter().position(unknown).unwrap_or(case.rng.usize(..one.calls.len()));
        let (said, to) =
            [(Settled::Ok, Heap::Ok), (Settled::Failed, Heap::Failed), (Settled::Unknown, Heap::Unknown)]
                [case.rng.usize(..3)];
        let id = thing(RACK, u32::try_from(n).unwrap_or_default());
        let told = self.engine.settle(one.id, (&rack, &id), said, None, &by(&name(2))?).await;
        let known = !unknown(&one.calls[n]);
        case.hit_if(!known, "settled");
        match &told {
            Ok(_) if !known => one.shift(n, to),
            Err(e) if known && e.code() == "ERR_CALL_DECIDED" => Ok(()),
            other => Err(format!("settling {n} of {one:?} gave {other:?}")),
        }
    }
}

impl One {
    fn shift(&mut self, n: usize, to: Heap) -> Result<(), String> {
        self.model = self.model.after(&Act::Move(self.calls[n], to), 0)?;
        self.calls[n] = to;
        Ok(())
    }
}
