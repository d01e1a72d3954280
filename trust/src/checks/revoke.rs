//! `v-revoke`: a right that is taken away between the vote and execution, or while it runs, counts from then on: the vote is
//! void, and no send begins later than 2 s after.
//!
//! Streams are not cut here, because the library gives none to a principal: the dispatcher answers calls and has no method
//! that subscribes, and `Engine::watch`, `Site::subscribe` and the subscriptions of racks take no caller. They are for the program
//! that holds the site, which has every right; whoever passes them on to somebody has to look at the rights of each
//! receiver, and cuts them.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    action::{ActionId, Engine, RightsSource, StopScope, policy::Rules},
    auth::Permissions,
    io::{Clock as _, Mono},
};

use super::Check;
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
    site::{Book, Site, by, code, header, name, person, push, thing, vote},
};

pub const CHECK: Check = Check {
    name: "v-revoke",
    bug: "cached-rights",
    ci: 600,
    long: 4_000,
    probes: &[
        "removed",
        "another role",
        "locked",
        "locked by a stop",
        "the creator",
        "before it began",
        "while it ran",
        "while the engine was down",
        "nobody can say",
        "given back, and voted anew",
        "asked to go on",
        "went on",
    ],
    run,
};

const RACK: &str = "miner-wm-1";
const LIMIT: Duration = Duration::from_secs(2);

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("engine");
    run.until(
        run.n(),
        |case| {
            if case.rng.bool() { simulate(before(case)) } else { simulate(meanwhile(case)) }
        },
    );
    Ok(())
}

/// A site, an approved action on it, and who voted.
struct Lab {
    site: Site,
    engine: Engine,
    book: Arc<Book>,
    id: ActionId,
    voters: usize,
    things: u32,
}

fn rights(list: &[&str]) -> Result<Permissions, String> {
    needed("no rights", Permissions::parse(list.iter().copied()))
}

impl Lab {
    async fn new(case: &mut Case, things: u32) -> Result<Self, String> {
        let book = Arc::new(Book::default());
        for n in 0..6 {
            book.set(&person(&name(n))?, rights(&["miner:rw", "actions:rw"])?, false);
        }
        let rights = RightsSource::Current(Arc::clone(&book) as _);
        let mut site = Site::new(case, &[(RACK, things)], Rules::mos(), rights).await?;
        site.options.begin_by_itself = false;
        site.options.in_flight = case.rng.usize(1..4);
        for n in 0..things {
            site.plant.weigh(&thing(RACK, n), case.rng.u64(20..400), 3.0);
        }
        let engine = site.start().await?;
        let voters = case.rng.usize(2..5);
        let id = push(&engine, u32::try_from(voters).unwrap_or(2), &name(0)).await?;
        for n in 1..voters {
            needed("not voted", vote(&engine, id, true, &name(n)).await?)?;
        }
        Ok(Self { site, engine, book, id, voters, things })
    }

    /// Takes somebody's rights away in one of the ways in which that happens.
    async fn take(&self, case: &mut Case, who: usize) -> Result<(), String> {
        let somebody = person(&name(who))?;
        case.hit_if(who == 0, "the creator");
        match case.rng.u8(..4) {
            0 => {
                case.hit("removed");
                self.book.remove(&somebody);
            }
            1 => {
                case.hit("another role");
                let roles: [&[&str]; 3] = [&["miner:r", "actions:rw"], &["container:rw"], &[]];
                self.book.set(&somebody, rights(roles[case.rng.usize(..3)])?, false);
            }
            2 => {
                case.hit("locked");
                self.book.set(&somebody, rights(&["miner:rw", "actions:rw"])?, true);
            }
            // What a locked person pushed only waits, so that is another matter.
            _ if who > 0 => {
                case.hit("locked by a stop");
                let scope = StopScope::Person(somebody);
                let told = self.engine.begin_stopping(scope, None, &by(&name(5))?).await;
                needed("not locked", told)?;
            }
            _ => self.book.remove(&somebody),
        }
        Ok(())
    }

    async fn give_back(&self, who: usize) -> Result<(), String> {
        let somebody = person(&name(who))?;
        self.book.set(&somebody, rights(&["miner:rw", "actions:rw"])?, false);
        let scope = StopScope::Person(somebody);
        if self.engine.stops().holds(&scope) {
            for lifter in [4, 5].map(name) {
                needed("not lifted", self.engine.lift(scope.clone(), None, &by(&lifter)?).await)?;
            }
        }
        Ok(())
    }

    fn status(&self) -> Result<&'static str, String> {
        Ok(header(&self.engine, self.id)?.status.as_str())
    }

    /// Everything was sent, once.
    fn complete(&self, cut: bool) -> Result<(), String> {
        let received = self.site.plant.received(self.id);
        // What was on its way when the engine was killed may not have arrived; it is not sent again.
        let lost = header(&self.engine, self.id)?.counts.failed;
        let all = received.len() == (self.things - if cut { lost } else { 0 }) as usize;
        let once = all && received.values().all(|times| *times == 1);
        if once { Ok(()) } else { Err(format!("{} of {} received it", received.len(), self.things)) }
    }
}

async fn before(case: &mut Case) -> Result<(), String> {
    let lab = Lab::new(case, 2).await?;
    case.hit("before it began");
    if case.rng.u8(..4) == 0 {
        case.hit("nobody can say");
        lab.book.break_down(true);
        drop(lab.engine.begin_ready().await);
        lab.site.pass(5_000).await;
        if lab.site.plant.count() > 0 || lab.status()? != "APPROVED" {
            return Err(format!("it is {} though nobody knows whether the voters may", lab.status()?));
        }
        lab.book.break_down(false);
    }
    let who = case.rng.usize(..lab.voters);
    lab.take(case, who).await?;
    needed("not begun", lab.engine.begin_ready().await)?;
    lab.site.pass(5_000).await;
    let wanted = if who == 0 { "CANCELLED" } else { "VOTING" };
    let now = header(&lab.engine, lab.id)?;
    let counts = now.votes.iter().any(|vote| vote.person.key() == name(who));
    if lab.site.plant.count() > 0 || lab.status()? != wanted || (counts && who > 0) {
        return Err(format!("without {}, {} of {}: {now:?}", name(who), lab.status()?, lab.voters));
    }
    if who == 0 {
        return Ok(());
    }
    // The vote stays void, and the person can vote anew.
    lab.give_back(who).await?;
    needed("not begun", lab.engine.begin_ready().await)?;
    if lab.status()? != "VOTING" {
        return Err("a void vote counts again".into());
    }
    case.hit("given back, and voted anew");
    needed("not voted anew", vote(&lab.engine, lab.id, true, &name(who)).await?)?;
    needed("not begun", lab.engine.begin_ready().await)?;
    lab.site.pass(20_000).await;
    lab.complete(false)
}

async fn meanwhile(case: &mut Case) -> Result<(), String> {
    let things = case.rng.u32(40..120);
    let mut lab = Lab::new(case, things).await?;
    case.hit("while it ran");
    needed("not begun", lab.engine.begin_ready().await)?;
    lab.site.pass(case.rng.u64(..3_000)).await;
    let who = case.rng.usize(..lab.voters);
    let broken = case.rng.u8(..4) == 0;
    let down = !broken && case.rng.u8(..3) == 0;
    if broken {
        case.hit("nobody can say");
        lab.book.break_down(true);
    } else {
        lab.take(case, who).await?;
    }
    let since = lab.site.clock.mono();
    if down {
        case.hit("while the engine was down");
        lab.engine = lab.site.restart(lab.engine).await?;
    }
    late(case, &lab, since).await?;
    let held = header(&lab.engine, lab.id)?;
    if held.counts.open > 0 {
        return Err(format!("calls were left on their way: {:?}", held.counts));
    }
    case.hit("asked to go on");
    let told = lab.engine.resume(lab.id, &by(&name(5))?).await;
    let stopped = lab.engine.stops().iter().count() > 0;
    if told.is_ok() || !(broken || stopped || code(&told) == "ERR_ACTION_DENIED") {
        return Err(format!("it was asked to go on, and said {told:?}"));
    }
    late(case, &lab, since).await?;
    lab.book.break_down(false);
    lab.give_back(who).await?;
    let told = lab.engine.resume(lab.id, &by(&name(5))?).await;
    needed("it does not go on with all rights", told)?;
    case.hit("went on");
    lab.site.pass(600_000).await;
    lab.complete(down)
}

/// No send begins later than the limit after a right was taken.
async fn late(case: &mut Case, lab: &Lab, since: Mono) -> Result<(), String> {
    lab.site.pass(case.rng.u64(3_000..20_000)).await;
    let last = lab.site.plant.log().into_iter().map(|sent| sent.begun).max();
    let after = last.map_or(Duration::ZERO, |last| last.since(since));
    case.took(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    if after > LIMIT { Err(format!("a send began {after:?} after the right was taken")) } else { Ok(()) }
}
