//! A site on trial: the real engine over a store and devices in memory, in simulated time.

mod clock;
mod people;
mod plant;
mod reference;

use std::{sync::Arc, time::Duration};

use headframe_core::{
    Error,
    action::{
        ActionId, Ballot, Bare, By, Claims, Draft, Engine, EngineOptions, Person, RightsSource,
        policy::Rules, state::Header,
    },
    io::{Clock as _, Ctx, MemNet, SeededRng, Timestamp},
    store::{Backend, ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
};
use serde_json::{Value, json};

pub use clock::Jumping;
pub use people::Book;
pub use plant::{Mood, Plant, Sent, thing};
pub use reference::{Act, Heap, Reference, Terms};

use crate::{rig::needed, run::Case};

/// When every case begins, ms.
pub const START_MS: i64 = 1_764_000_000_000;

/// A site that can be started over and over.
#[derive(Debug)]
pub struct Site {
    /// Time and randomness.
    pub cx: Ctx,
    /// The clock behind `cx`.
    pub clock: Arc<Jumping>,
    /// The store's disk.
    pub disk: CrashBackend,
    /// Its devices.
    pub plant: Arc<Plant>,
    /// How its engine works.
    pub options: EngineOptions,
    /// How its store is opened.
    pub store_options: StoreOptions,
}

impl Site {
    /// A site with these racks of so many things, under these rules.
    pub async fn new(
        case: &Case,
        racks: &[(&str, u32)],
        rules: Rules,
        rights: RightsSource,
    ) -> Result<Self, String> {
        Self::with_reserve(case, racks, rules, rights, 0).await
    }

    /// The same, with so many bytes kept free for stops.
    pub async fn with_reserve(
        case: &Case,
        racks: &[(&str, u32)],
        rules: Rules,
        rights: RightsSource,
        reserve_bytes: u64,
    ) -> Result<Self, String> {
        let clock = Arc::new(Jumping::starting_at(Timestamp(START_MS)));
        let rng = Arc::new(SeededRng::new(case.seed));
        let cx = Ctx::new(Arc::clone(&clock) as _, rng, Arc::new(MemNet::new()));
        let disk = CrashBackend::new(case.seed);
        let mut store = StoreOptions::default();
        store.reserve_bytes = reserve_bytes;
        store.writer = Writer::Inline;
        store.key = Some(SealKey::from_bytes([7; 32]));
        let made = ControlStore::create_on(&cx, Arc::new(disk.clone()), &store).await;
        needed("no store", needed("no store", made)?.close().await)?;
        let plant = Arc::new(needed("no devices", Plant::new(racks))?);
        let mut options = EngineOptions::new(Arc::new(rules), rights);
        // A call that hangs does so for longer than any case takes.
        options.call_within = std::time::Duration::from_secs(7 * 24 * 3_600);
        Ok(Self { cx, clock, disk, plant, options, store_options: store })
    }

    /// Starts the engine.
    pub async fn start(&self) -> Result<Engine, String> {
        needed("no engine", self.open().await)
    }

    /// The same, with the error as it is.
    pub async fn open(&self) -> headframe_core::Result<Engine> {
        self.run(self.store().await?)
    }

    /// Opens the store.
    pub async fn store(&self) -> headframe_core::Result<ControlStore> {
        self.store_on(self.disk.clone()).await
    }

    /// The same, on another disk than the site's own.
    pub async fn store_on(&self, disk: impl Backend) -> headframe_core::Result<ControlStore> {
        ControlStore::open_on(&self.cx, Arc::new(disk), &self.store_options).await
    }

    /// Starts the engine over an open store.
    pub fn run(&self, store: ControlStore) -> headframe_core::Result<Engine> {
        Engine::open(&self.cx, store, Arc::clone(&self.plant) as _, self.options.clone())
    }

    /// Ends an engine as a crash does. It has to be the last clone.
    pub async fn kill(&self, engine: Engine) -> Result<(), String> {
        let store = engine.store().clone();
        drop(engine);
        // Tasks are gone when they have been polled once more.
        self.pass(1).await;
        needed("the store is not closed", store.close().await)?;
        self.pass(1).await;
        Ok(())
    }

    /// Ends an engine as a crash does, starts it again, and waits until it has looked at what was under way.
    pub async fn restart(&self, engine: Engine) -> Result<Engine, String> {
        self.kill(engine).await?;
        let engine = self.start().await?;
        engine.reconciled().await;
        Ok(engine)
    }

    /// Time passes.
    pub async fn pass(&self, ms: u64) {
        self.clock.sleep_until(self.clock.mono() + Duration::from_millis(ms)).await;
    }
}

/// Somebody with the right to write to miners, under one of the spellings of the name.
pub fn by(name: &str) -> Result<By, String> {
    let claims = Claims::parse(&json!(["miner:rw", "actions:rw"]), Bare::Refused);
    Ok(By::claiming(person(name)?, needed("no claims", claims)?))
}

/// A person.
pub fn person(name: &str) -> Result<Person, String> {
    needed("no person", Person::from_text(name))
}

/// The name of a person that is a number here.
pub fn name(n: usize) -> String {
    format!("user{n}")
}

/// Another spelling of a name.
pub fn spelt(rng: &mut fastrand::Rng, name: &str) -> String {
    match rng.u8(..4) {
        0 => name.to_uppercase(),
        1 => format!(" {name} "),
        2 => format!("\u{200b}{name}"),
        _ => name.to_owned(),
    }
}

/// An action that asks for so many votes.
pub fn draft(votes: u32, params: Vec<Value>, query: Value) -> Result<Draft, String> {
    needed("no draft", Draft::new(&format!("needs-{votes}"), params, query))
}

/// Pushes an action that asks for so many votes on all things.
pub async fn push(engine: &Engine, votes: u32, who: &str) -> Result<ActionId, String> {
    let pushed = engine.push(draft(votes, Vec::new(), json!({}))?, &by(who)?).await;
    needed("not pushed", needed("not pushed", pushed)?.into_id())
}

/// Votes for an action, or against it.
pub async fn vote(
    engine: &Engine,
    id: ActionId,
    approve: bool,
    who: &str,
) -> Result<Result<Arc<Header>, Error>, String> {
    Ok(engine.vote(id, Ballot::new(approve), &by(who)?).await)
}

/// The header of an action that has to be there.
pub fn header(engine: &Engine, id: ActionId) -> Result<Arc<Header>, String> {
    engine.header(id).ok_or_else(|| format!("the action {id} is gone"))
}

/// The code of an error; empty when there is none.
pub fn code<T>(result: &Result<T, Error>) -> &'static str {
    result.as_ref().err().map_or("", Error::code)
}
