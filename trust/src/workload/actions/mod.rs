//! The real action engine over a store: people push, vote, stop and change the policy, devices write down what they receive,
//! and everything that anybody was told or could see has to hold whatever happens to the disk.

mod asks;
mod damage;
mod full;
mod ioerr;
mod look;
mod power;
mod refuse;
mod rot;
mod verdict;

use std::{sync::Arc, time::Duration};

use headframe_core::{
    Error, ErrorKind, Result,
    action::{AuditOptions, Bare, By, Claims, Engine, RightsSource, policy::Rules},
    audit::AuditKey,
};
use serde_json::json;

pub use full::in_memory as full;
pub use ioerr::fails_at;
pub use power::{again as power_again, life as power_life};
pub use refuse::Folded;
pub use rot::{one as rot, sample};

use crate::{
    rig::{needed, within},
    run::Case,
    site::{self, Mood, Site, thing},
};
use look::Told;

/// The name of its turns.
pub const NAME: &str = "over actions";

/// The racks, with things that are called `<rack>-<n>`.
pub const RACKS: [&str; 2] = ["miner-wm-1", "miner-wm-2"];
/// Things of each rack.
pub const THINGS: u32 = 4;
/// Who asks.
pub const PEOPLE: [&str; 4] = ["ann", "bob", "carol", "dan"];
/// How long anybody waits for an answer, ms. A store that fails keeps the engine from answering.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a store may take until what was under way is looked at, on a disk without faults.
const RECONCILED: Duration = Duration::from_secs(60);

/// A site, and what its people know of it.
#[derive(Debug)]
pub struct World {
    /// Its devices, disk and clock, which outlive every engine.
    pub site: Site,
    /// What they were told and saw.
    pub told: Told,
    /// Numbers what is asked.
    n: u64,
}

impl World {
    /// A new site with an empty store.
    pub async fn new(case: &mut Case, reserve: u64) -> Result<Self, String> {
        let racks = RACKS.map(|rack| (rack, THINGS));
        let mut site = Site::with_reserve(case, &racks, Rules::mos(), RightsSource::Claims, reserve).await?;
        site.options.in_flight = case.rng.usize(2..12);
        site.options.call_within = Duration::from_secs(20);
        let key = needed("no key", AuditKey::from_bytes("headframe/actions", [9; 32]))?;
        let told = Told::new(key.verifier());
        site.options.audit = Some(AuditOptions::new(key, Vec::new()));
        for rack in RACKS {
            for n in 0..THINGS {
                let mood = match case.rng.u8(..10) {
                    0 => Mood::Refuses,
                    1 => Mood::Away,
                    2 => Mood::Mumbles,
                    3 => Mood::Hangs,
                    _ => Mood::Well,
                };
                site.plant.weigh(&thing(rack, n), case.rng.u64(1..80), 3.0);
                site.plant.set(&thing(rack, n), mood, case.rng.u8(..4) == 0);
            }
        }
        Ok(Self { site, told, n: 0 })
    }

    /// Starts an engine on the disk.
    pub async fn start(&self) -> Result<Engine> {
        self.site.open().await
    }

    /// Ends an engine as a crash does. It may wait for the store, which answers no more then.
    pub async fn kill(&self, engine: Engine) -> Result<(), String> {
        let store = engine.store().clone();
        drop(engine);
        needed("the store is not closed", store.close().await)?;
        // Whoever waited for the store hears that it is closed.
        self.site.pass(300).await;
        Ok(())
    }

    /// Starts an engine, waits until it looked at everything that was under way, and compares all that is there with what
    /// was told.
    pub async fn recover(&mut self, case: &mut Case) -> Result<Engine, String> {
        let engine = needed("refused after a cut", self.start().await)?;
        if within(RECONCILED, engine.reconciled()).await.is_none() {
            return Err("what was under way is not looked at".into());
        }
        self.compare(case, &engine).await?;
        Ok(engine)
    }

    /// Everything that is there, against what was told, what devices received, and itself.
    pub async fn compare(&mut self, case: &mut Case, engine: &Engine) -> Result<(), String> {
        self.told.found(case, engine)?;
        verdict::consistent(engine)?;
        verdict::devices(self, engine)
    }

    /// The power is cut and comes back: the disk without what it had not on it, and a new engine.
    pub async fn cut(&mut self, case: &mut Case, engine: Engine) -> Result<Engine, String> {
        self.off(case, engine).await?;
        self.recover(case).await
    }

    /// The power is cut.
    pub async fn off(&mut self, case: &mut Case, engine: Engine) -> Result<(), String> {
        self.told.look(&engine)?;
        let (executing, open) = self.told.under_way();
        case.hit_if(executing, "a cut while executing");
        case.hit_if(open, "a cut with a call under way");
        let after = crate::checks::cut_power(case, &self.site.disk);
        self.kill(engine).await?;
        self.site.disk = after;
        Ok(())
    }
}

/// What came of something that was asked.
#[derive(Debug)]
pub enum Answer<T> {
    /// It was granted.
    Yes(T),
    /// It must not be.
    Refused,
    /// The store could not keep it.
    Failed(Error),
    /// Nobody knows.
    Unknown,
}

impl<T> Answer<T> {
    /// Whether nothing is wrong with the store.
    pub const fn is_healthy(&self) -> bool {
        matches!(self, Self::Yes(_) | Self::Refused)
    }
}

/// Waits for an answer, as long as a person does; an error that no caller should see is a violation.
async fn patient<T>(asked: impl Future<Output = Result<T>>) -> Result<Answer<T>, String> {
    let Some(answer) = within(PATIENCE, asked).await else { return Ok(Answer::Unknown) };
    match answer {
        Ok(told) => Ok(Answer::Yes(told)),
        Err(e) if e.code().starts_with("STORE_") && e.sent() == headframe_core::Sent::No => {
            Ok(Answer::Failed(e))
        }
        Err(e) if e.code().starts_with("STORE_") || e.kind() == ErrorKind::Closed => Ok(Answer::Unknown),
        // A guard of the store is no answer to a person.
        Err(e) if e.code().starts_with("ERR_") && !["ERR_CONFLICT", "ERR_INTERNAL"].contains(&e.code()) => {
            Ok(Answer::Refused)
        }
        Err(e) => Err(format!("no error of actions or of a store: {e:?}")),
    }
}

/// Somebody who may do everything.
pub fn by(name: &str) -> Result<By, String> {
    let claims = needed("no claims", Claims::parse(&json!(["*:rw"]), Bare::Refused))?;
    Ok(By::claiming(site::person(name)?, claims))
}

/// A number that a record of a device can be found by.
fn push_number(header: &headframe_core::action::state::Header) -> Option<u64> {
    header.order.params.first().and_then(|param| param.as_u64().or_else(|| param["n"].as_u64()))
}

/// The rules of a case, with votes that end after so many hours.
fn rules(hours: u32) -> Arc<Rules> {
    let mut rules = Rules::mos();
    rules.default.expires_s = 24 * 3_600 + hours * 3_600;
    Arc::new(rules)
}
