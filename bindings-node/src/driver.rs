//! Drivers that are written in JavaScript. Their own thread is asked for everything; what it does not answer in time costs that
//! thing its deadline, and nothing else.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use headframe::{
    Error, ErrorKind,
    action::catalogue,
    driver::{Driver, DriverInfo, Evidence, Identity, Match, Observed, Permit, ProbeSpec, Registry, Thing},
    io::Ctx,
    model::{Capability, Command, CommandName, Receipt, Snapshot, ThingConf},
};
use napi::{
    Env, Result, Status,
    bindgen_prelude::{AsyncBlock, FnArgs, Function, Promise},
    threadsafe_function::ThreadsafeFunction,
};
use napi_derive::napi;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    device::NativeDevice,
    site::NativeSite,
    told::{Ours, promise, tell, write},
};

/// What is asked, of which thing, and JSON beside it.
type Asked = FnArgs<(String, u32, String)>;
/// It does not keep the process.
type Call = ThreadsafeFunction<Asked, Promise<String>, Asked, Status, false, true>;

/// Longest answer of a driver in bytes: the largest snapshots have some KB.
const MOST_BYTES: usize = 4 << 20;
/// What a driver is asked to write.
const EXECUTE: &str = "execute";
/// How long a driver may take to close a thing.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// The drivers of a program: those of the library, and its own.
#[napi]
pub struct NativeDrivers(Mutex<Registry>);

#[napi]
impl NativeDrivers {
    /// Those of the library.
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript has no defaults")]
    pub fn new() -> Result<Self> {
        tell(|| Ok(Self(Mutex::new(headframe::registry()))))
    }

    /// Adds one: `call` is asked `open`, `snapshot`, `observe`, `execute` and `close`, and promises JSON.
    #[napi(
        ts_args_type = "id: string, kind: string, make: string, call: (op: string, thing: number, json: string) => Promise<string>"
    )]
    pub fn add(
        &self,
        id: String,
        kind: String,
        make: String,
        call: Function<'_, Asked, Promise<String>>,
    ) -> Result<()> {
        let call: Call = call.build_threadsafe_function().weak::<true>().build()?;
        let info = DriverInfo::new(kept(id), kept(kind), kept(make), "");
        let driver = JsDriver { info, js: Arc::new(Js(call)) };
        tell(|| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).register(driver);
            Ok(())
        })
    }

    /// Opens the site in a folder, makes one, or does whichever is needed: `how` is `open`, `create` or `openOrCreate`.
    #[napi]
    pub fn open_site(
        &self,
        env: &Env,
        folder: String,
        conf: String,
        how: String,
    ) -> Result<AsyncBlock<NativeSite>> {
        let drivers = self.registry();
        promise(env, async move { crate::site::open(drivers, &folder, &conf, &how).await })
    }

    /// Opens a device with a driver and its options, JSON.
    #[napi]
    pub fn open_device(&self, env: &Env, driver: String, opts: String) -> Result<AsyncBlock<NativeDevice>> {
        let drivers = self.registry();
        promise(env, async move { crate::device::open(&drivers, &driver, &opts).await })
    }
}

impl NativeDrivers {
    fn registry(&self) -> Registry {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A text for as long as the process runs: a driver's names are. The same one is kept once.
fn kept(text: String) -> &'static str {
    static KEPT: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(&text) {
        return known;
    }
    let leaked: &'static str = Box::leak(text.clone().into_boxed_str());
    all.insert(text, leaked);
    leaked
}

/// The thread that a driver lives on.
struct Js(Call);

impl fmt::Debug for Js {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Js").finish_non_exhaustive()
    }
}

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

impl Js {
    async fn ask<T: DeserializeOwned>(&self, op: &'static str, thing: u32, with: String) -> Ours<T> {
        // That a device has nothing of a write is the driver's own word, or it is not known.
        let unclear = |e: Error| if op == EXECUTE { e.maybe_sent() } else { e };
        let gone = |e: napi::Error| {
            let why = format!("the driver's thread does not answer: {e}");
            unclear(Error::new(ErrorKind::Closed, op, why))
        };
        let promised = self.0.call_async(FnArgs::from((op.to_owned(), thing, with))).await.map_err(gone)?;
        let text = promised.await.map_err(gone)?;
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
struct JsDriver {
    info: DriverInfo,
    js: Arc<Js>,
}

#[derive(Debug, Deserialize)]
struct Opened {
    thing: u32,
    #[serde(default)]
    capability: Option<Capability>,
}

#[async_trait]
impl Driver for JsDriver {
    fn info(&self) -> &DriverInfo {
        &self.info
    }

    fn probes(&self) -> &[ProbeSpec] {
        &[]
    }

    fn recognise(&self, _: &Evidence) -> Option<Match> {
        None
    }

    async fn open(&self, _: &Ctx, conf: &ThingConf) -> Ours<Arc<dyn Thing>> {
        let opened: Opened = self.js.ask("open", 0, write(conf)?).await?;
        let capability = opened.capability.map_or_else(Capability::read_only, Arc::new);
        Ok(Arc::new(JsThing { js: Arc::clone(&self.js), thing: opened.thing, capability }))
    }
}

#[derive(Debug)]
struct JsThing {
    js: Arc<Js>,
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
impl Thing for JsThing {
    fn capability(&self) -> Arc<Capability> {
        Arc::clone(&self.capability)
    }

    async fn snapshot(&self, _: &Ctx) -> Ours<Snapshot> {
        self.js.ask("snapshot", self.thing, String::new()).await
    }

    async fn observe(&self, cx: &Ctx, name: CommandName) -> Ours<Observed> {
        let Shown { identity, now, uptime_s, version } =
            self.js.ask("observe", self.thing, json!(name.as_str()).to_string()).await?;
        let mut observed = Observed::new(identity, now).up_for(cx, uptime_s.map(Duration::from_secs));
        observed.version = version;
        Ok(observed)
    }

    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Ours<Receipt> {
        let seen = self.observe(cx, command.name()).await?;
        permit.prove(&seen.identity)?;
        if let Some(version) = seen.version {
            permit.unchanged(version)?;
        }
        // From here on the device may have it, unless the driver says that it has not.
        let (action, params) = catalogue::of_command(command);
        let asked = json!({"action": action, "params": params}).to_string();
        let done: Done = self.js.ask(EXECUTE, self.thing, asked).await?;
        let mut receipt = Receipt::default();
        (receipt.requests, receipt.reply) = (done.requests, done.reply);
        Ok(receipt)
    }

    async fn close(&self) {
        // Whatever it answers, if it does: it is not asked any more.
        let cx = Ctx::system().deadline_in(CLOSED_WITHIN);
        drop(cx.within("driver.close", self.js.ask::<Value>("close", self.thing, String::new())).await);
    }
}
