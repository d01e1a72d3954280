use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    action::{ActionId, Ask, Before, Call, Fleet, FleetRack, Hands, Look, Pick, Reply, Seen, Selection},
    driver::{Identity, Observed, Permit},
    io::{Ctx, Mono},
    model::{RackId, Receipt, Text},
    query::Filter,
};
use serde_json::{Value, json};

const OP: &str = "plant.device";
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How a device takes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// Does it and says so.
    #[default]
    Well,
    /// Says no.
    Refuses,
    /// Cannot be reached, and the sender knows.
    Away,
    /// Does it; the reply is lost.
    Mumbles,
    /// Does it and never answers.
    Hangs,
    /// Does not even say who it is.
    Silent,
}

/// A command that a device received.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// When the sending began: by the engine's doing nothing but the device stands between that and the command.
    pub begun: Mono,
    /// Of which action.
    pub id: ActionId,
    /// Which device.
    pub thing: String,
    /// Name and parameters.
    pub what: Value,
    /// The power of the device, kW.
    pub kw: f64,
}

#[derive(Debug, Clone)]
struct Device {
    mood: Mood,
    /// Does not show what it does.
    mute: bool,
    /// How long it takes to say who it is, and to answer.
    delay: Duration,
    kw: f64,
    /// All that it did.
    done: Vec<Value>,
}

/// Racks of devices; all that they receive is written down in its order.
#[derive(Debug)]
pub struct Plant {
    racks: BTreeMap<RackId, Arc<Bench>>,
    log: Arc<Mutex<Vec<Sent>>>,
}

#[derive(Debug)]
struct Bench {
    devices: BTreeMap<Text, Mutex<Device>>,
    log: Arc<Mutex<Vec<Sent>>>,
}

impl Plant {
    /// Racks with their numbers of things, which are called `<rack>-<n>`.
    pub fn new(racks: &[(&str, u32)]) -> Result<Self> {
        let log = Arc::<Mutex<Vec<Sent>>>::default();
        let device = || Device {
            mood: Mood::Well,
            mute: false,
            delay: Duration::from_millis(5),
            kw: 3.0,
            done: Vec::new(),
        };
        let mut all = BTreeMap::new();
        for (id, things) in racks {
            let devices = (0..*things).map(|n| (thing(id, n).into(), Mutex::new(device()))).collect();
            all.insert(RackId::new(id)?, Arc::new(Bench { devices, log: Arc::clone(&log) }));
        }
        Ok(Self { racks: all, log })
    }

    /// The same devices once more, with everything that they did.
    #[must_use]
    pub fn fork(&self) -> Self {
        let log = Arc::new(Mutex::new(self.log()));
        let again = |bench: &Arc<Bench>| {
            let copy = |device: &Mutex<Device>| {
                Mutex::new(device.lock().unwrap_or_else(PoisonError::into_inner).clone())
            };
            let devices = bench.devices.iter().map(|(id, device)| (id.clone(), copy(device))).collect();
            Arc::new(Bench { devices, log: Arc::clone(&log) })
        };
        Self { racks: self.racks.iter().map(|(id, bench)| (id.clone(), again(bench))).collect(), log }
    }

    /// Changes how a device behaves.
    pub fn set(&self, thing: &str, mood: Mood, mute: bool) {
        self.with(thing, |device| (device.mood, device.mute) = (mood, mute));
    }

    /// Changes how long a device takes, and how much power it draws.
    pub fn weigh(&self, thing: &str, delay_ms: u64, kw: f64) {
        self.with(thing, |device| (device.delay, device.kw) = (Duration::from_millis(delay_ms), kw));
    }

    /// All that was received so far.
    pub fn log(&self) -> Vec<Sent> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How much was received so far.
    pub fn count(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether a device did a command, which is its action's name and parameters.
    pub fn did(&self, thing: &str, what: &Value) -> bool {
        let device = self.racks.values().find_map(|bench| bench.device(thing).ok());
        device.is_some_and(|device| device.done.contains(what))
    }

    /// How often each device received a command of an action.
    pub fn received(&self, id: ActionId) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for sent in self.log().into_iter().filter(|sent| sent.id == id) {
            *counts.entry(sent.thing).or_default() += 1;
        }
        counts
    }

    fn with(&self, thing: &str, f: impl FnOnce(&mut Device)) {
        let found = self.racks.values().find_map(|bench| bench.device(thing).ok());
        if let Some(mut device) = found {
            f(&mut device);
        }
    }
}

/// The id of a thing.
pub fn thing(rack: &str, n: u32) -> String {
    format!("{rack}-{n:05}")
}

impl Fleet for Plant {
    fn racks(&self) -> Result<Vec<FleetRack>> {
        // The type is all but the last word of the id.
        let kind = |id: &RackId| id.as_str().rsplit_once('-').map_or("miner", |(kind, _)| kind).into();
        let face = |(id, bench): (&RackId, &Arc<Bench>)| FleetRack {
            id: id.clone(),
            thing_type: kind(id),
            hands: Some(Arc::clone(bench) as Arc<dyn Hands>),
        };
        Ok(self.racks.iter().map(face).collect())
    }
}

impl Bench {
    fn device(&self, thing: &str) -> Result<MutexGuard<'_, Device>> {
        let gone = || Error::new(ErrorKind::NotFound, OP, "no such thing").code_as("ERR_THING_NOTFOUND");
        let device = self.devices.get(thing).ok_or_else(gone)?;
        Ok(device.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn wanted(call: &Call) -> Value {
    json!([call.action, *call.params])
}

fn identity(thing: &str) -> Identity {
    Identity::new(None, Some(thing.into()))
}

/// `needs-N` asks for N votes.
fn votes(action: &str) -> u32 {
    action.strip_prefix("needs-").and_then(|n| n.parse().ok()).unwrap_or(1)
}

async fn wait(cx: &Ctx, time: Duration) {
    cx.clock.sleep_until(cx.clock.mono() + time).await;
}

#[async_trait]
impl Hands for Bench {
    async fn select(&self, _: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        let filter = Filter::parse(&ask.query)?;
        let mut selection = Selection { votes: votes(&ask.action), ..Selection::default() };
        for (id, device) in &self.devices {
            if ask.rack_call.as_ref().map_or_else(|| filter.matches(&json!({"id": id})), |call| call == id) {
                let kw = device.lock().unwrap_or_else(PoisonError::into_inner).kw;
                selection.picks.push(Pick { id: id.clone(), tags: Vec::new(), power_w: Some(kw * 1_000.0) });
            }
        }
        Ok(Some(selection))
    }

    async fn look(&self, _: &Ctx, call: &Call) -> Result<Look> {
        drop(self.device(&call.target)?);
        Ok(Look { observed: Observed::new(identity(&call.target), None), already: false })
    }

    async fn send(&self, cx: &Ctx, call: &Call, permit: &Permit) -> Result<Reply> {
        let lost = || Error::new(ErrorKind::Unreachable, OP, "the connection was lost");
        let begun = cx.clock.mono();
        let (mood, delay) = {
            let device = self.device(&call.target)?;
            (device.mood, device.delay)
        };
        match mood {
            Mood::Away => return Err(lost()),
            Mood::Silent => wait(cx, DAY).await,
            _ => wait(cx, delay).await,
        }
        permit.prove(&identity(&call.target))?;
        {
            let mut device = self.device(&call.target)?;
            let sent = Sent {
                begun,
                id: call.id,
                thing: call.target.to_string(),
                what: wanted(call),
                kw: device.kw,
            };
            self.log.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
            if mood != Mood::Refuses {
                device.done.push(wanted(call));
            }
        }
        match mood {
            Mood::Refuses => {
                return Ok(Reply {
                    result: json!({"success": false, "error_msg": "no"}),
                    ..Reply::default()
                });
            }
            Mood::Mumbles => return Err(lost().maybe_sent()),
            Mood::Hangs => wait(cx, DAY).await,
            _ => wait(cx, delay).await,
        }
        let receipt = Some(Receipt::new(format!("{} {}", call.action, call.target), Some("ok".into())));
        Ok(Reply { result: json!({"success": true}), receipt, confirm: false })
    }

    async fn confirm(&self, _: &Ctx, call: &Call, _: &Before, _: Duration) -> Seen {
        match self.device(&call.target) {
            Ok(device) if !device.mute => {
                if device.done.contains(&wanted(call)) {
                    Seen::Applied
                } else {
                    Seen::NotApplied
                }
            }
            _ => Seen::Unknown,
        }
    }
}
