//! What people ask of the engine, drawn.

use std::sync::Arc;

use headframe_core::{
    action::{
        ActionId, Ballot, Bucket, Draft, Engine, Pushed, Settled, Shed, Status, StopScope, state::Header,
    },
    model::RackId,
};
use serde_json::{Value, json};

use super::{Answer, PEOPLE, RACKS, THINGS, World, by, look::Push, patient, rules};
use crate::{rig::needed, run::Case, site::thing};

/// How often is looked whether everything ended, 5 s apart: devices that hang keep others waiting.
const ROUNDS: u32 = 400;
/// The question that no thing answers: for actions of the site itself.
const NOTHING: &str = "nothing";

impl World {
    /// Somebody asks for something; gives whether the store is well.
    pub async fn step(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        self.n += 1;
        let healthy = match case.rng.u8(..32) {
            0..8 => self.push_some(case, engine).await?,
            8..14 => self.vote(case, engine).await?,
            14 => self.crowd(case, engine).await?,
            15..18 => self.withdraw(case, engine).await?,
            18 | 19 => self.cancel(case, engine).await?,
            20 => self.hold(case, engine).await?,
            21 => self.begin_stop(case, engine).await?,
            22..25 => self.lift(case, engine).await?,
            25 => self.settle(case, engine).await?,
            26 => self.change_site(case, engine).await?,
            27 => self.shed(case, engine).await?,
            _ => {
                self.site.pass(case.rng.u64(1..400)).await;
                true
            }
        };
        self.told.look(engine)?;
        Ok(healthy)
    }

    /// One more push, of the usual kind.
    async fn push_some(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let votes = case.rng.u32(1..4);
        let query = match case.rng.u8(..4) {
            0 => json!({}),
            1 => json!({"id": thing(RACKS[case.rng.usize(..2)], case.rng.u32(..THINGS))}),
            _ => {
                let rack = RACKS[case.rng.usize(..2)];
                let some: Vec<String> =
                    (0..THINGS).filter(|_| case.rng.bool()).map(|n| thing(rack, n)).collect();
                json!({"id": {"$in": some}})
            }
        };
        let size = if case.rng.u8(..12) == 0 { case.rng.usize(4_000..20_000) } else { case.rng.usize(..200) };
        self.push(case, engine, &format!("needs-{votes}"), "x".repeat(size).into(), query).await
    }

    /// Pushes an action whose first parameter is its number.
    pub async fn push(
        &mut self,
        case: &mut Case,
        engine: &Engine,
        action: &str,
        more: Value,
        query: Value,
    ) -> Result<bool, String> {
        Ok(self.push_told(case, engine, action, more, query).await?.is_healthy())
    }

    /// The same; gives what was told.
    pub async fn push_told(
        &mut self,
        case: &mut Case,
        engine: &Engine,
        action: &str,
        more: Value,
        query: Value,
    ) -> Result<Answer<Pushed>, String> {
        self.n += 1;
        let n = self.n;
        let who = PEOPLE[case.rng.usize(..PEOPLE.len())];
        let push = Push::new(who, action, vec![json!(n), more], query);
        self.make(engine, n, push).await
    }

    /// Makes a push, and takes note of what was told.
    async fn make(&mut self, engine: &Engine, n: u64, push: Push) -> Result<Answer<Pushed>, String> {
        let mut draft =
            needed("no draft", Draft::new(&push.action, push.params.clone(), push.query.clone()))?;
        draft.client_key = Some(format!("push-{n}").as_str().into());
        let answer = patient(engine.push(draft, &by(push.who)?)).await?;
        self.told.pushed(n, push, &answer)?;
        Ok(answer)
    }

    /// Asks again for every push of which nobody knows whether it was stored.
    pub async fn retry(&mut self, case: &mut Case, engine: &Engine) -> Result<(), String> {
        for (n, push) in self.told.doubtful() {
            case.hit("pushed again with its key");
            let answer = self.make(engine, n, push).await?;
            if !answer.is_healthy() {
                return Err(format!("the push {n} is refused again: {answer:?}"));
            }
        }
        Ok(())
    }

    /// Some action that may take a vote, or any.
    fn some(&self, case: &mut Case, status: &[Status]) -> Option<Arc<Header>> {
        let all: Vec<_> = self.told.headers().collect();
        let fit: Vec<_> = all.iter().filter(|header| status.contains(&header.status)).collect();
        if case.rng.u8(..10) == 0 {
            return case.rng.choice(&all).map(|header| Arc::clone(header));
        }
        case.rng.choice(&fit).map(|header| Arc::clone(header))
    }

    async fn vote(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let Some(header) = self.some(case, &[Status::Voting]) else { return Ok(true) };
        let (who, yes) = (PEOPLE[case.rng.usize(..PEOPLE.len())], case.rng.u8(..6) > 0);
        let mut ballot = Ballot::new(yes);
        ballot.client_key = Some(format!("vote-{}", self.n).as_str().into());
        let answer = patient(engine.vote(header.id, ballot, &by(who)?)).await?;
        if let Answer::Yes(now) = &answer {
            case.hit("voted");
            self.told.voted(header.id, who, now)?;
        }
        Ok(answer.is_healthy())
    }

    /// Everybody votes at once for something new: many changes share a commit.
    async fn crowd(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let Some(header) = self.some(case, &[Status::Voting]) else { return Ok(true) };
        let mut voters = tokio::task::JoinSet::new();
        for who in PEOPLE {
            let (engine, id, by) = (engine.clone(), header.id, by(who)?);
            voters.spawn(async move {
                let vote = engine.vote(id, Ballot::new(true), &by);
                (who, patient(vote).await)
            });
        }
        let mut healthy = true;
        while let Some(ended) = voters.join_next().await {
            let (who, answer) = ended.map_err(|e| format!("a voter ended: {e}"))?;
            let answer = answer?;
            healthy &= answer.is_healthy();
            if let Answer::Yes(now) = answer {
                self.told.voted(header.id, who, &now)?;
            }
        }
        case.hit("several votes at once");
        Ok(healthy)
    }

    async fn withdraw(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let Some(header) = self.some(case, &[Status::Voting]) else { return Ok(true) };
        let voters: Vec<&str> = header
            .votes
            .iter()
            .map(|v| v.person.shown())
            .filter(|v| *v != header.order.creator.shown())
            .collect();
        let who = case.rng.choice(&voters).copied().unwrap_or(PEOPLE[0]);
        self.told.withdraws(header.id, who)?;
        let answer = patient(engine.withdraw(header.id, &by(who)?)).await?;
        case.hit_if(matches!(answer, Answer::Yes(_)), "taken back");
        Ok(answer.is_healthy())
    }

    async fn cancel(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let Some(header) = self.some(case, &[Status::Voting, Status::Approved]) else { return Ok(true) };
        let who = header.order.creator.shown().to_owned();
        let answer = patient(engine.cancel(header.id, &by(&who)?)).await?;
        if let Answer::Yes(now) = &answer {
            case.hit("cancelled");
            self.told.saw(now)?;
        }
        Ok(answer.is_healthy())
    }

    /// Holds an action, lets it go on, or ends it early.
    async fn hold(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let running = [Status::Approved, Status::Executing];
        let Some(header) = self.some(case, &running) else { return Ok(true) };
        let who = by("bob")?;
        let answer = match (header.hold.is_some(), case.rng.bool()) {
            (true, _) => patient(engine.resume(header.id, &who)).await?,
            (false, true) => patient(engine.pause(header.id, Some("look"), &who)).await?,
            (false, false) => patient(engine.stop(header.id, Some("enough"), &who)).await?,
        };
        Ok(answer.is_healthy())
    }

    async fn begin_stop(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let scope = match case.rng.u8(..4) {
            0 => StopScope::Freeze,
            1 => StopScope::Rack(needed("no rack", RackId::new(RACKS[case.rng.usize(..2)]))?),
            _ => StopScope::Halt,
        };
        self.stop(case, engine, scope, "smoke").await
    }

    /// Stops something.
    pub async fn stop(
        &mut self,
        case: &mut Case,
        engine: &Engine,
        scope: StopScope,
        why: &str,
    ) -> Result<bool, String> {
        let halt = scope == StopScope::Halt;
        self.told.stops_change();
        let answer = patient(engine.begin_stopping(scope, Some(why), &by("carol")?)).await?;
        if halt {
            self.told.halt_kept(matches!(answer, Answer::Yes(())));
        }
        if matches!(answer, Answer::Yes(())) {
            case.hit("stopped");
            self.told.stops_are(engine);
            if halt {
                self.told.halted(Some(self.site.plant.count()));
            }
        }
        Ok(answer.is_healthy())
    }

    async fn lift(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let stops: Vec<StopScope> = engine.stops().iter().map(|stop| stop.scope.clone()).collect();
        let Some(scope) = case.rng.choice(&stops) else { return Ok(true) };
        let who = PEOPLE[case.rng.usize(..PEOPLE.len())];
        self.lift_as(engine, scope.clone(), who).await
    }

    async fn lift_as(&mut self, engine: &Engine, scope: StopScope, who: &str) -> Result<bool, String> {
        self.told.stops_change();
        if scope == StopScope::Halt {
            self.told.halted(None);
        }
        let answer = patient(engine.lift(scope, None, &by(who)?)).await?;
        if matches!(answer, Answer::Yes(_) | Answer::Refused) {
            self.told.stops_are(engine);
        }
        Ok(answer.is_healthy())
    }

    /// Says what became of a call of which nobody knew.
    async fn settle(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let lost: Vec<_> = self.told.headers().filter(|h| h.counts.unknown > 0).map(|h| h.id).collect();
        let Some(id) = case.rng.choice(&lost) else { return Ok(true) };
        Ok(self.settle_all(case, engine, *id, 1).await?.unwrap_or(true))
    }

    /// Settles up to `most` calls of an action; gives whether the store is well, and `None` when there was nothing to do.
    async fn settle_all(
        &mut self,
        case: &mut Case,
        engine: &Engine,
        id: ActionId,
        most: usize,
    ) -> Result<Option<bool>, String> {
        let mut healthy = None;
        for (rack, target, call) in self.told.calls(engine, id)? {
            if call["error"] != "ERR_OUTCOME_UNKNOWN" || !call["settledBy"].is_null() {
                continue;
            }
            let params = self.told.wanted(id);
            let did = params.is_some_and(|wanted| self.site.plant.did(&target, &wanted));
            let settled = if did { Settled::Ok } else { Settled::Failed };
            self.told.settles(id, &target);
            let rack = needed("no rack", RackId::new(&rack))?;
            let dan = by("dan")?;
            let answer = patient(engine.settle(id, (&rack, &target), settled, None, &dan)).await?;
            case.hit_if(matches!(answer, Answer::Yes(_)), "settled by a person");
            healthy = Some(healthy.unwrap_or(true) && answer.is_healthy());
            if healthy == Some(false) || most == 1 {
                break;
            }
        }
        Ok(healthy)
    }

    /// Changes the policy or the limits, unless such a change is under way already: which comes last has to be known.
    async fn change_site(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        if self.told.site_changes() {
            return Ok(true);
        }
        let n = self.n;
        let number = u32::try_from(n).unwrap_or(0);
        let (action, param) = if case.rng.bool() {
            ("setLimits", json!({"emergencyRampKwPerS": 1_000.5 + f64::from(number)}))
        } else {
            ("setPolicy", json!(*rules(number)))
        };
        let push = Push::new("ann", action, vec![param], json!({"id": NOTHING}));
        let answer = self.make(engine, n, push).await?;
        case.hit_if(matches!(answer, Answer::Yes(_)), action);
        self.site.pass(case.rng.u64(..30)).await;
        Ok(answer.is_healthy())
    }

    async fn shed(&mut self, case: &mut Case, engine: &Engine) -> Result<bool, String> {
        let query = json!({"id": thing(RACKS[0], case.rng.u32(..THINGS))});
        let answer = patient(engine.shed(Shed::new(query, "the grid asks"), &by("dan")?)).await?;
        if let Answer::Yes(pushed) = &answer {
            case.hit("shed");
            self.told.shed(pushed.id);
        } else {
            self.told.shed(None);
        }
        Ok(answer.is_healthy())
    }

    /// Two people lift every stop, on a disk without faults.
    pub async fn lift_all(&mut self, engine: &Engine) -> Result<(), String> {
        for stop in engine.stops().iter() {
            for who in ["ann", "bob", "carol"] {
                let lifted = !engine.stops().holds(&stop.scope);
                if !lifted && !self.lift_as(engine, stop.scope.clone(), who).await? {
                    return Err("a stop cannot be lifted on a good disk".into());
                }
            }
        }
        Ok(())
    }

    /// Lets everything come to its end on a disk without faults, and judges it.
    pub async fn finish(&mut self, case: &mut Case, engine: &Engine) -> Result<(), String> {
        self.retry(case, engine).await?;
        if self.told.is_halt_unkept() {
            self.stop(case, engine, StopScope::Halt, "again").await?;
        }
        for _ in 0..ROUNDS {
            self.lift_all(engine).await?;
            self.told.look(engine)?;
            let open: Vec<_> = self.told.headers().filter(|h| is_open(h)).cloned().collect();
            if open.is_empty() {
                verdict_at_the_end(self, case, engine).await?;
                return Ok(());
            }
            for header in open {
                if header.hold.is_some() {
                    drop(patient(engine.resume(header.id, &by("bob")?)).await?);
                }
                if header.counts.lost > 0 {
                    self.settle_all(case, engine, header.id, usize::MAX).await?;
                }
            }
            self.site.pass(5_000).await;
        }
        let left = self.told.headers().find(|h| is_open(h));
        Err(format!("it does not end: {left:?}"))
    }
}

/// Whether something is still to be done without any more votes.
fn is_open(header: &Header) -> bool {
    matches!(header.status.bucket(), Bucket::Ready | Bucket::Executing)
}

async fn verdict_at_the_end(world: &mut World, case: &mut Case, engine: &Engine) -> Result<(), String> {
    world.compare(case, engine).await?;
    super::verdict::ended(world, engine)
}
