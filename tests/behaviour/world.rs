//! What a case has around it, and how its steps are done.

use std::{path::Path, time::Duration};

use headframe::{Error, ErrorKind, driver::Direct, io::Ctx, site::Site};
use headframe_sim::{Device, Fault, Fleet, FleetConf};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    case::{Case, Step},
    pattern,
    references::resolve,
    site, told,
};

/// How long a step may take.
const WITHIN: Duration = Duration::from_secs(60);

pub const VERBS: &[&str] = &[
    "discover",
    "device.open",
    "device.capability",
    "device.snapshot",
    "device.execute",
    "device.close",
    "site.open",
    "site.register",
    "site.find",
    "site.list",
    "site.call",
    "site.series",
    "site.readings",
    "site.counts",
    "site.backup",
    "site.restore",
    "site.close",
    "actions.preview",
    "actions.push",
    "actions.vote",
    "actions.cancel",
    "actions.get",
    "actions.settled",
    "simulator.devices",
    "simulator.truth",
    "simulator.fault",
    "simulator.clear",
    "file.copy",
];

/// Why a step gave no answer.
#[derive(Debug)]
pub enum Failure {
    /// The library's error.
    Told(Error),
    /// The case is at fault, or the answer was not to be had.
    Case(String),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Told(e)
    }
}

pub type Done = Result<Value, Failure>;

/// What a verb is given.
#[derive(Debug)]
pub struct With(Map<String, Value>);

impl With {
    /// A member as a type of the runner's; none when it is not there.
    pub fn some<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let told = self.0.get(name).cloned();
        told.map(serde_json::from_value).transpose().map_err(|e| Failure::Case(format!("{name}: {e}")))
    }

    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        self.some(name)?.ok_or_else(|| Failure::Case(format!("{name} is not there")))
    }

    /// A member as the JSON that the library reads; `usual` when it is not there.
    pub fn json(&self, name: &str, usual: &str) -> String {
        self.0.get(name).map_or_else(|| usual.to_owned(), Value::to_string)
    }

    /// A member as a type of the library's, which has an error of its own for what it does not take.
    pub fn read<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Failure> {
        let told = self.0.get(name).cloned().unwrap_or_default();
        Ok(serde_json::from_value(told).map_err(|e| Error::invalid("case", name, e.to_string()))?)
    }
}

#[derive(Debug)]
pub struct World {
    pub cx: Ctx,
    dir: String,
    net: String,
    saved: Map<String, Value>,
    fleet: Option<Fleet>,
    pub device: Handle<Direct>,
    pub site: Handle<Site>,
}

impl World {
    pub fn new(dir: &Path, net: &str, common: &Value) -> Self {
        let saved = common.as_object().cloned().unwrap_or_default();
        let (dir, net) = (dir.to_str().unwrap().to_owned(), net.to_owned());
        Self { cx: Ctx::system(), dir, net, saved, fleet: None, device: Handle::None, site: Handle::None }
    }

    fn resolve(&self, told: &Value) -> Result<Value, String> {
        resolve(told, &self.saved, &[("{net}", &self.net), ("{dir}", &self.dir)])
    }

    /// Does all steps; gives what is wrong with the first that is not as expected.
    pub async fn play(&mut self, case: &Case) -> Result<(), String> {
        if let Some(devices) = &case.devices {
            self.start(&self.resolve(devices)?).await?;
        }
        if let Some(conf) = &case.site {
            let with = [("folder", "{dir}/site".into()), ("conf", conf.clone()), ("how", "create".into())];
            let with = with.map(|(name, told)| (name.to_owned(), told));
            let made = self.answer("site.open", &Map::from_iter(with)).await;
            made.map_err(|failure| format!("the site: {failure:?}"))?;
        }
        for (at, step) in case.steps.iter().enumerate() {
            self.step(step).await.map_err(|why| format!("step {} ({}): {why}", at + 1, step.verb))?;
        }
        Ok(())
    }

    async fn start(&mut self, told: &Value) -> Result<(), String> {
        let mut conf: FleetConf = serde_json::from_value(told.clone()).map_err(|e| e.to_string())?;
        let base = format!("{}.1", self.net).parse().map_err(|_| format!("{} is no block", self.net))?;
        conf.base = Some(base);
        let fleet = conf.builder().map_err(|e| e.to_string())?;
        self.fleet = Some(fleet.start(&self.cx).await.map_err(|e| e.to_string())?);
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let [expected, refused] =
            [&step.expect, &step.error].map(|pattern| pattern.as_ref().map(|p| self.resolve(p)));
        let (expected, refused) = (expected.transpose()?, refused.transpose()?);
        let answer = match (self.answer(&step.verb, &step.with).await, refused) {
            (Err(Failure::Case(why)), _) => return Err(why),
            (Ok(answer), Some(refused)) => return Err(format!("should be the error {refused}, is {answer}")),
            (Err(Failure::Told(e)), None) => return Err(format!("the error {}", told::plain(&e))),
            (Err(Failure::Told(e)), Some(refused)) => return like(&refused, &told::plain(&e)),
            (Ok(answer), None) => answer,
        };
        expected.map_or(Ok(()), |expected| like(&expected, &answer))?;
        if let Some(name) = &step.saved {
            self.saved.insert(name.clone(), answer);
        }
        Ok(())
    }

    async fn answer(&mut self, verb: &str, with: &Map<String, Value>) -> Done {
        let member = |(name, told): (&String, &Value)| Ok((name.clone(), self.resolve(told)?));
        let with = With(with.iter().map(member).collect::<Result<_, String>>().map_err(Failure::Case)?);
        let clock = self.cx.clock.clone();
        let late = clock.mono() + WITHIN;
        tokio::select! {
            done = self.done(verb, &with) => done,
            () = clock.sleep_until(late) => Err(Failure::Case("did not end".into())),
        }
    }

    async fn done(&mut self, verb: &str, with: &With) -> Done {
        match verb.split_once('.') {
            None => super::device::discover(with).await,
            Some(("device", verb)) => super::device::answer(self, verb, with).await,
            Some(("site", verb)) => site::answer(self, verb, with).await,
            Some(("actions", verb)) => super::actions::answer(self, verb, with).await,
            Some(("simulator", verb)) => self.simulated(verb, with),
            Some(("file", "copy")) => {
                let [from, to] = [with.get::<String>("from")?, with.get("to")?];
                std::fs::copy(&from, to).map_err(|e| Failure::Case(format!("{from}: {e}")))?;
                Ok(Value::Null)
            }
            Some(_) => nobody(),
        }
    }

    fn simulated(&self, verb: &str, with: &With) -> Done {
        let fleet = self.fleet.as_ref().ok_or_else(|| Failure::Case("the case has no devices".into()))?;
        if verb == "devices" {
            return Ok(fleet.devices().iter().map(Device::describe).collect());
        }
        let device: &Device = fleet
            .devices()
            .get(with.get::<usize>("index")?)
            .ok_or_else(|| Error::invalid("simulator", "index", "there is no such device"))?;
        match verb {
            "truth" => return Ok(device.describe_truth()),
            "fault" => device.fault(with.get::<Fault>("fault")?),
            "clear" => device.clear(),
            _ => return nobody(),
        }
        Ok(Value::Null)
    }

    /// Ends what the case left behind.
    pub async fn end(self) -> Result<(), String> {
        if let Handle::Open(device) = self.device {
            device.close().await;
        }
        let ended = match self.site {
            Handle::Open(open) => site::close(Some(open), site::BOUND).await,
            _ => Ok(Value::Null),
        };
        if let Some(fleet) = self.fleet {
            fleet.stop().await;
        }
        ended.map(drop).map_err(|failure| format!("the end of the site: {failure:?}"))
    }
}

fn like(pattern: &Value, value: &Value) -> Result<(), String> {
    let differences = pattern::differences(pattern, value);
    if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
}

/// A verb that is in the list and has no arm.
pub fn nobody() -> Done {
    Err(Failure::Case("nobody does it".into()))
}

/// Something that a case opens and closes.
#[derive(Debug)]
pub enum Handle<T> {
    /// The case has not opened it.
    None,
    Open(T),
    Closed,
}

impl<T> Handle<T> {
    pub fn get(&self) -> Result<&T, Failure> {
        match self {
            Self::None => Err(Failure::Case("the case has not opened it".into())),
            Self::Open(held) => Ok(held),
            Self::Closed => Err(closed()),
        }
    }

    /// Takes it, to be closed; none when that was done before.
    pub fn take(&mut self) -> Result<Option<T>, Failure> {
        match std::mem::replace(self, Self::Closed) {
            Self::None => Err(Failure::Case("the case has not opened it".into())),
            Self::Open(held) => Ok(Some(held)),
            Self::Closed => Ok(None),
        }
    }
}

/// What a handle says that was closed. In Rust nobody has one any more: the language sees to that.
pub fn closed() -> Failure {
    Error::new(ErrorKind::Closed, "case", "it was closed").into()
}
