//! Drivers that are written in another language. What they do not answer in time costs their thing its deadline, and nothing else.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use headframe::{
    Error, ErrorKind, Result, ThingId,
    action::catalogue,
    driver::{
        Direct, Driver, DriverInfo, Evidence, Identity, Match, Observed, Permit, ProbeSpec, Registry, Thing,
    },
    io::Ctx,
    model::{Capability, Command, CommandName, Members, Receipt, Snapshot, ThingConf},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::asked::read;

/// Longest answer of a driver in bytes: the largest snapshots have some KB.
const MOST_BYTES: usize = 4 << 20;
/// What a driver is asked to write.
const EXECUTE: &str = "execute";
/// How long a driver may take to close a thing.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// What answers for a driver of another language.
#[async_trait]
pub trait Foreign: fmt::Debug + Send + Sync + 'static {
    /// Asks it `open`, `snapshot`, `observe`, `execute` or `close`, of which thing, with JSON beside it. The answer is JSON:
    /// `{"ok": value}`, or `{"error": {kind, code, message, sent}}`.
    ///
    /// # Errors
    /// Why there is none, for people.
    async fn ask(&self, op: &'static str, thing: u32, with: String) -> Result<String, String>;
}

/// Opens a device, without a site, with one of the drivers and its options, JSON.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) for no such driver; those of the options and of the device.
pub async fn open(drivers: &Registry, driver: &str, opts: &str) -> Result<Direct> {
    let mut conf = ThingConf::new(ThingId::new("direct")?, driver);
    conf.opts = read::<Members<Value>>("opts", opts)?;
    Direct::open(&**drivers.driver(driver)?, &Ctx::system(), &conf).await
}

/// Adds a driver: its id, the kind of its things, and who makes them.
pub fn add(drivers: &mut Registry, id: &str, kind: &str, make: &str, foreign: impl Foreign) {
    let info = DriverInfo::new(kept(id), kept(kind), kept(make), "");
    drivers.register(ForeignDriver { info, asked: Asked(Arc::new(foreign)) });
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

#[derive(Debug, Clone)]
struct Asked(Arc<dyn Foreign>);

/// What a driver answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Ok(Value),
    Error(Told),
}

/// An error of a driver.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    kind: String,
    code: String,
    message: String,
    sent: String,
}

impl Asked {
    async fn ask<T: DeserializeOwned>(
        &self,
        op: &'static str,
        thing: u32,
        with: &impl Serialize,
    ) -> Result<T> {
        // That a device has nothing of a write is the driver's own word, or it is not known.
        let unclear = |e: Error| if op == EXECUTE { e.maybe_sent() } else { e };
        let with = serde_json::to_string(with).map_err(|e| {
            Error::new(ErrorKind::Internal, op, "the question cannot be written as JSON").caused_by(e)
        })?;
        let gone = |why: String| unclear(Error::new(ErrorKind::Closed, op, why));
        let text = self.0.ask(op, thing, with).await.map_err(gone)?;
        let bad = |why: String| unclear(Error::new(ErrorKind::BadReply, op, why));
        if text.len() > MOST_BYTES {
            return Err(bad("the driver's answer is too long".into()).with("bytes", text.len()));
        }
        match serde_json::from_str(&text).map_err(|e| bad(e.to_string()))? {
            Answer::Ok(value) => serde_json::from_value(value)
                .map_err(|e| bad(format!("the driver's answer is not understood: {e}"))),
            Answer::Error(told) => Err(told.error(op)),
        }
    }
}

impl Told {
    fn error(&self, op: &'static str) -> Error {
        let kind = match self.kind.as_str() {
            "Invalid" => ErrorKind::Invalid,
            "NotFound" => ErrorKind::NotFound,
            "Conflict" => ErrorKind::Conflict,
            "Unsupported" => ErrorKind::Unsupported,
            "Unauthenticated" => ErrorKind::Unauthenticated,
            "Forbidden" => ErrorKind::Forbidden,
            "Unreachable" => ErrorKind::Unreachable,
            "Timeout" => ErrorKind::Timeout,
            "RateLimited" => ErrorKind::RateLimited,
            "Rejected" => ErrorKind::Rejected,
            _ => ErrorKind::BadReply,
        };
        let e = Error::new(kind, op, self.message.as_str()).with("driver_code", &self.code);
        if self.sent == "maybe" { e.maybe_sent() } else { e }
    }
}

#[derive(Debug)]
struct ForeignDriver {
    info: DriverInfo,
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
        &[]
    }

    fn recognise(&self, _: &Evidence) -> Option<Match> {
        None
    }

    async fn open(&self, _: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        let Opened { thing, capability } = self.asked.ask("open", 0, conf).await?;
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
}

#[async_trait]
impl Thing for ForeignThing {
    fn capability(&self) -> Arc<Capability> {
        Arc::clone(&self.capability)
    }

    async fn snapshot(&self, _: &Ctx) -> Result<Snapshot> {
        self.asked.ask("snapshot", self.thing, &()).await
    }

    async fn observe(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        let Shown { identity, now, uptime_s, version } =
            self.asked.ask("observe", self.thing, &name.as_str()).await?;
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
        let done: Done = self.asked.ask(EXECUTE, self.thing, &asked).await?;
        let mut receipt = Receipt::default();
        (receipt.requests, receipt.reply) = (done.requests, done.reply);
        Ok(receipt)
    }

    async fn close(&self) {
        // Whatever it answers, if it does: it is not asked any more.
        let cx = Ctx::system().deadline_in(CLOSED_WITHIN);
        drop(cx.within("driver.close", self.asked.ask::<Value>("close", self.thing, &())).await);
    }
}
