//! Drivers that are written in another language. What they do not answer in time costs their thing its deadline, and nothing else.

mod answers;
mod probes;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use headframe::{
    Error, Result, ThingId,
    action::catalogue,
    driver::{
        Direct, Driver, DriverInfo, Evidence, Identity, Match, Observed, Permit, ProbeSpec, Registry, Thing,
    },
    io::Ctx,
    model::{Capability, Command, CommandName, Members, Receipt, Snapshot, ThingConf},
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::probes::{ProbeConf, Probes};
use crate::asked::read;

pub(crate) use self::answers::Asked;

/// What a driver is asked to write.
const EXECUTE: &str = "execute";
/// How long a driver may take to close a thing.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// What answers for a driver of another language.
#[async_trait]
pub trait Foreign: fmt::Debug + Send + Sync + 'static {
    /// Asks it `open`, `snapshot`, `observe`, `execute` or `close`, of which thing, with JSON beside it. The answer is JSON:
    /// `{"ok": value}`, or `{"error": {kind, code, message, sent, field}}`.
    ///
    /// # Errors
    /// Why there is none, for people.
    async fn ask(&self, op: &'static str, thing: u32, with: String) -> Result<String, String>;
}

/// Opens a device, without a site, with one of the drivers and its options, JSON.
///
/// # Errors
/// [`NotFound`](headframe::ErrorKind::NotFound) for no such driver; those of the options and of the device.
pub async fn open(drivers: &Registry, driver: &str, opts: &str) -> Result<Direct> {
    let mut conf = ThingConf::new(ThingId::new("direct")?, driver);
    conf.opts = read::<Members<Value>>("opts", opts)?;
    Direct::open(&**drivers.driver(driver)?, &Ctx::system(), &conf).await
}

/// What a driver says of itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    id: String,
    kind: String,
    make: String,
    docs: String,
    probes: Vec<ProbeConf>,
}

/// Adds a driver. `about` is what it says of itself, JSON: its `id`, the `kind` of its things, their `make`, its page `docs`,
/// and `probes`, by which its devices are recognised.
///
/// # Errors
/// [`Invalid`](headframe::ErrorKind::Invalid), naming the member.
pub fn add(drivers: &mut Registry, about: &str, foreign: impl Foreign) -> Result<()> {
    let mut json = serde_json::Deserializer::from_str(about);
    let about: About = serde_path_to_error::deserialize(&mut json)
        .map_err(|e| Error::invalid("driver.add", &e.path().to_string(), e.inner().to_string()))?;
    let probes = Probes::new(about.probes)?;
    let info = DriverInfo::new(kept(&about.id), kept(&about.kind), kept(&about.make), kept(&about.docs));
    drivers.register(ForeignDriver { info, probes, asked: Asked::new(foreign) });
    Ok(())
}

/// A text for as long as the process runs: a driver's names are. The same one is kept once.
fn kept(text: &str) -> &'static str {
    static KEPT: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(text) {
        return known;
    }
    let leaked: &'static str = Box::leak(text.to_owned().into_boxed_str());
    all.insert(text.to_owned(), leaked);
    leaked
}

#[derive(Debug)]
struct ForeignDriver {
    info: DriverInfo,
    probes: Probes,
    asked: Asked,
}

#[derive(Debug, Deserialize)]
struct Opened {
    thing: u32,
    #[serde(default)]
    capability: Option<Capability>,
}

#[async_trait]
impl Driver for ForeignDriver {
    fn info(&self) -> &DriverInfo {
        &self.info
    }

    fn probes(&self) -> &[ProbeSpec] {
        self.probes.specs()
    }

    fn recognise(&self, evidence: &Evidence) -> Option<Match> {
        self.probes.recognise(&self.info, evidence)
    }

    async fn open(&self, cx: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        let Opened { thing, capability } = cx.within("open", self.asked.ask("open", 0, conf)).await?;
        let capability = capability.map_or_else(Capability::read_only, Arc::new);
        Ok(Arc::new(ForeignThing { asked: self.asked.clone(), thing, capability }))
    }
}

#[derive(Debug)]
struct ForeignThing {
    asked: Asked,
    thing: u32,
    capability: Arc<Capability>,
}

/// What a thing shows of what a command changes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Shown {
    identity: Identity,
    now: Option<Command>,
    uptime_s: Option<u64>,
    version: Option<u64>,
}

/// What a thing did.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Done {
    requests: Vec<String>,
    reply: Option<String>,
    /// Whether this command's effect cannot be read back, though its kind's can.
    unreadable: bool,
    /// What the command fetched: a log.
    data: Option<String>,
}

#[async_trait]
impl Thing for ForeignThing {
    fn capability(&self) -> Arc<Capability> {
        Arc::clone(&self.capability)
    }

    async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        cx.within("snapshot", self.asked.ask("snapshot", self.thing, &())).await
    }

    async fn observe(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        let asked = name.as_str();
        let Shown { identity, now, uptime_s, version } =
            cx.within("observe", self.asked.ask("observe", self.thing, &asked)).await?;
        let mut observed = Observed::new(identity, now).up_for(cx, uptime_s.map(Duration::from_secs));
        observed.version = version;
        Ok(observed)
    }

    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        let seen = self.observe(cx, command.name()).await?;
        permit.prove(&seen.identity)?;
        if let Some(version) = seen.version {
            permit.unchanged(version)?;
        }
        // From here on the device may have it, unless the driver says that it has not.
        let (action, params) = catalogue::of_command(command);
        let asked = json!({"action": action, "params": params});
        let work = async { Ok(self.asked.ask(EXECUTE, self.thing, &asked).await) };
        let done: Done = cx.within(EXECUTE, work).await.map_err(Error::maybe_sent)??;
        let mut receipt = Receipt::default();
        (receipt.requests, receipt.reply) = (done.requests, done.reply);
        (receipt.unreadable, receipt.data) = (done.unreadable, done.data.map(Into::into));
        Ok(receipt)
    }

    async fn close(&self) {
        // Whatever it answers, if it does: it is not asked any more.
        let cx = Ctx::system().deadline_in(CLOSED_WITHIN);
        drop(cx.within("driver.close", self.asked.ask::<Value>("close", self.thing, &())).await);
    }
}
