//! The conformance kit for drivers that are written in another language: over real sockets, with a device of theirs, in real time.

#![allow(clippy::panic, reason = "a rig that does not answer ends its case, as a failed one does")]

mod failure;

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use async_trait::async_trait;
use headframe::{
    Error, ErrorKind, Result, ThingId,
    driver::{Driver, Evidence, Ports, ProbeReply, ProbeRequest, ProbeSpec},
    io::{Ctx, SystemNet, SystemRng},
    model::{Command, CommandName, Members, ThingConf},
};
use headframe_core::testkit::{self, AheadClock, CASES, Rig, RigFault, RigTruth, WriteFault};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    asked::read,
    driver::{Asked, Foreign},
};

const OP: &str = "testkit.run";
/// Cases that mean nothing here, and why.
const LEFT_OUT: [(&str, &str); 1] = [(
    "same_seed_same_bytes",
    "it needs the network and the random numbers that Headframe gives to drivers in Rust; others have their own",
)];
/// How long a rig may take to answer.
const RIG_WITHIN: Duration = Duration::from_secs(60);
/// What is waited for in truth; longer times are skipped.
const WAITED: Duration = Duration::from_secs(1);
/// Clocks of machines that have much to do are late.
const SLACK: Duration = Duration::from_secs(2);

/// The names of the cases.
pub fn cases() -> Vec<&'static str> {
    CASES.iter().copied().filter(|case| LEFT_OUT.iter().all(|(name, _)| name != case)).collect()
}

/// The cases that are left out, and why.
pub fn left_out() -> BTreeMap<&'static str, &'static str> {
    LEFT_OUT.into()
}

/// Runs a case with a driver and a rig, of which `about` is JSON and `foreign` is asked the rest: `fault`, `clear`,
/// `requests`, `open_connections`, `truth`, `sample`, `executed`, `write_fault`, `meddle` and `pass_time`. Gives why the case
/// failed; nothing if it did not.
///
/// The case has a thread of its own: it waits there for the rig's answers. It ends when nobody waits for it any more.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for a case that there is not, or a rig that says something wrong of itself.
pub async fn run(
    case: &str,
    driver: Arc<dyn Driver>,
    about: &str,
    foreign: impl Foreign,
) -> Result<Option<String>> {
    if let Some((_, reason)) = LEFT_OUT.iter().find(|(name, _)| *name == case) {
        return Err(Error::invalid(OP, "case", format!("the case does not apply: {reason}")));
    }
    let case = CASES.iter().find(|name| **name == case);
    let case = case.ok_or_else(|| Error::invalid(OP, "case", "the kit has no such case"))?;
    let rig = ForeignRig::new(driver, read("rig", about)?, Asked::new(foreign))?;
    let runtime = rig.runtime.clone();
    let (waits, gone) = oneshot::channel::<()>();
    let ended = tokio::task::spawn_blocking(move || {
        failure::of(|| {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = gone => {}
                    _ = testkit::run_case(case, rig) => {}
                }
            });
        })
    });
    let ended = ended.await;
    drop(waits);
    ended.map_err(|e| Error::new(ErrorKind::Closed, OP, "the case was given up").caused_by(e))
}

/// What does not change of a rig.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct About {
    address: String,
    ports: Ports,
    opts: Members<Value>,
    wrong_opts: Members<Value>,
    secrets: Vec<String>,
    reads_need_password: bool,
    never_reported: Vec<String>,
    strangers: Vec<Stranger>,
    out_of_range: Vec<Command>,
}

/// What a device of another family answers: a text, or a page.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stranger {
    Text(String),
    Page(Page),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Page {
    status: Option<u16>,
    realm: Option<String>,
    location: String,
    body: String,
}

impl Stranger {
    /// It as the reply to a question of the driver's.
    fn replies(&self, spec: &ProbeSpec) -> Option<ProbeReply> {
        let none = Page::default();
        let (page, text) = match self {
            Self::Text(text) => (&none, text),
            Self::Page(page) => (page, &page.body),
        };
        match spec.request {
            ProbeRequest::HttpGet(_) => Some(ProbeReply::Http {
                status: page.status.unwrap_or(if page.realm.is_some() { 401 } else { 200 }),
                challenge: page
                    .realm
                    .as_ref()
                    .map(|realm| format!("Digest realm=\"{realm}\""))
                    .unwrap_or_default(),
                location: page.location.clone(),
                body: text.clone().into(),
            }),
            ProbeRequest::Cgminer(_) => Some(ProbeReply::Cgminer(text.clone().into())),
            _ => None,
        }
    }
}

/// A rig that is asked in its own language.
struct ForeignRig {
    driver: Arc<dyn Driver>,
    about: About,
    never_reported: Vec<&'static str>,
    asked: Asked,
    cx: Ctx,
    clock: AheadClock,
    runtime: Handle,
    id: ThingId,
}

impl ForeignRig {
    fn new(driver: Arc<dyn Driver>, about: About, asked: Asked) -> Result<Self> {
        let known = testkit::expected();
        let member = |name: &String| {
            let member = known.iter().find(|member| *member == name);
            let why = || format!("'{name}' is no member that a snapshot has to have");
            member.copied().ok_or_else(|| Error::invalid(OP, "never_reported", why()))
        };
        let never_reported = about.never_reported.iter().map(member).collect::<Result<_>>()?;
        let clock = AheadClock::default();
        let cx = Ctx::new(Arc::new(clock.clone()), Arc::new(SystemRng), Arc::new(SystemNet));
        let (runtime, id) = (Handle::current(), ThingId::new("rig")?);
        Ok(Self { driver, about, never_reported, asked, cx, clock, runtime, id })
    }

    fn conf_of(&self, opts: &Members<Value>) -> ThingConf {
        let mut conf = ThingConf::new(self.id.clone(), self.driver.info().id);
        conf.opts.clone_from(opts);
        conf
    }

    /// Asks the rig, and waits on the case's thread. Its language goes on meanwhile.
    fn ask<T>(&self, op: &'static str, with: impl Serialize + Send + Sync + 'static) -> T
    where
        T: DeserializeOwned + Send + 'static,
    {
        let (answer, answered) = mpsc::channel();
        let asked = self.asked.clone();
        self.runtime.spawn(async move {
            let cx = Ctx::system().deadline_in(RIG_WITHIN);
            // Whoever waits for it has not gone: it has nothing else to do.
            let _gone = answer.send(cx.within(op, asked.ask::<T>(op, 0, &with)).await);
        });
        match answered.recv() {
            Ok(Ok(told)) => told,
            Ok(Err(e)) => panic!("the rig's {op} failed: {e}"),
            Err(_) => panic!("the rig's {op} was not answered"),
        }
    }
}

#[async_trait]
impl Rig for ForeignRig {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::clone(&self.driver)
    }

    fn cx(&self) -> Ctx {
        self.cx.clone()
    }

    fn conf(&self) -> ThingConf {
        self.conf_of(&self.about.opts)
    }

    fn conf_with_wrong_password(&self) -> ThingConf {
        self.conf_of(&self.about.wrong_opts)
    }

    fn secrets(&self) -> Vec<String> {
        self.about.secrets.clone()
    }

    fn reads_need_password(&self) -> bool {
        self.about.reads_need_password
    }

    fn at(&self) -> (String, Ports) {
        (self.about.address.clone(), self.about.ports)
    }

    fn strangers(&self) -> Vec<Evidence> {
        let probes = self.driver.probes();
        let evidence = |stranger: &Stranger| Evidence {
            host: self.about.address.clone(),
            ports: self.about.ports,
            replies: probes.iter().filter_map(|spec| Some((*spec, stranger.replies(spec)?))).collect(),
        };
        self.about.strangers.iter().map(evidence).collect()
    }

    fn never_reported(&self) -> &[&'static str] {
        &self.never_reported
    }

    fn fault(&self, fault: RigFault) {
        self.ask("fault", fault)
    }

    fn clear(&self) {
        self.ask("clear", ())
    }

    fn requests(&self) -> u64 {
        self.ask("requests", ())
    }

    fn open_connections(&self) -> u64 {
        self.ask("open_connections", ())
    }

    fn truth(&self) -> RigTruth {
        self.ask("truth", ())
    }

    fn sample(&self, name: CommandName) -> Command {
        let own: Option<Command> = self.ask("sample", name.as_str());
        own.unwrap_or_else(|| testkit::sample(name))
    }

    fn out_of_range(&self) -> Vec<Command> {
        self.about.out_of_range.clone()
    }

    fn executed(&self) -> BTreeMap<String, u64> {
        self.ask("executed", ())
    }

    fn write_fault(&self, fault: Option<WriteFault>) {
        self.ask("write_fault", fault)
    }

    fn meddle(&self) {
        self.ask("meddle", ())
    }

    async fn pass(&self, time: Duration) {
        if time <= WAITED {
            self.cx.clock.sleep_until(self.cx.clock.mono() + time).await;
        } else {
            self.ask::<()>("pass_time", time.as_secs_f64());
            self.clock.put_ahead(time);
        }
    }

    fn slack(&self) -> Duration {
        SLACK
    }
}
