//! A fleet in memory: racks of devices that take actions, count what they receive, and misbehave on demand.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    Error, ErrorKind, Result,
    action::{
        ActionId, Ask, Before, Call, Excluded, Fleet, FleetRack, Hands, Look, Pick, Reply, Seen, Selection,
    },
    driver::{Identity, Observed, Permit},
    io::Ctx,
    model::{RackId, Receipt, Text},
    query::Filter,
};

const OP: &str = "memory.device";

/// How a device in memory misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemFault {
    /// Not at all.
    #[default]
    None,
    /// It says no, and does nothing.
    Refuses,
    /// The request never reaches it, and the sender knows.
    LosesRequest,
    /// It does what it is told; the reply is lost.
    LosesReply,
    /// The request is lost, and the sender cannot know.
    LosesBoth,
    /// It says yes and does nothing.
    Lies,
    /// It takes the command, does it, and never answers.
    Hangs,
}

#[derive(Debug, Default)]
struct Device {
    fault: MemFault,
    /// Whether it shows the effect of commands.
    mute: bool,
    /// The address belongs to another one now.
    swapped: bool,
    power_w: f64,
    /// What it was told last that it did: action and parameters.
    state: Option<(Text, Value)>,
    received: Vec<ActionId>,
}

/// One rack of a [`MemFleet`].
#[derive(Debug)]
pub struct MemRack {
    id: RackId,
    thing_type: Text,
    votes: BTreeMap<Text, u32>,
    devices: BTreeMap<Text, Mutex<Device>>,
    reachable: AtomicBool,
    sent: AtomicU64,
}

/// A fleet in memory.
#[derive(Debug, Default)]
pub struct MemFleet(RwLock<BTreeMap<RackId, Arc<MemRack>>>);

impl MemFleet {
    /// Adds a rack of `things` devices called `<rack>-<n>` that know these actions, with the votes that they ask for.
    ///
    /// # Errors
    /// As [`RackId::new`].
    pub fn rack(
        &self,
        id: &str,
        thing_type: &str,
        things: u32,
        actions: &[(&str, u32)],
    ) -> Result<Arc<MemRack>> {
        let device =
            |n| (format!("{id}-{n:06}").into(), Mutex::new(Device { power_w: 3_000.0, ..Device::default() }));
        let rack = Arc::new(MemRack {
            id: RackId::new(id)?,
            thing_type: thing_type.into(),
            votes: actions.iter().map(|(name, votes)| ((*name).into(), *votes)).collect(),
            devices: (0..things).map(device).collect(),
            reachable: AtomicBool::new(true),
            sent: AtomicU64::new(0),
        });
        let mut racks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        racks.insert(rack.id.clone(), Arc::clone(&rack));
        Ok(rack)
    }

    /// Takes a rack away.
    pub fn remove(&self, id: &RackId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Fleet for MemFleet {
    fn racks(&self) -> Result<Vec<FleetRack>> {
        let racks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let face = |rack: &Arc<MemRack>| {
            let reachable = rack.reachable.load(Ordering::SeqCst);
            let hands = reachable.then(|| Arc::clone(rack) as Arc<dyn Hands>);
            FleetRack { id: rack.id.clone(), thing_type: rack.thing_type.clone(), hands }
        };
        Ok(racks.values().map(face).collect())
    }
}

impl MemRack {
    /// Its devices' ids, in their order.
    pub fn things(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(Text::as_str)
    }

    /// Whether there is a connection to it.
    pub fn reachable(&self, yes: bool) {
        self.reachable.store(yes, Ordering::SeqCst);
    }

    /// Has a device misbehave.
    pub fn fault(&self, thing: &str, fault: MemFault) {
        self.with(thing, |device| device.fault = fault);
    }

    /// Whether a device shows the effect of commands.
    pub fn mute(&self, thing: &str, yes: bool) {
        self.with(thing, |device| device.mute = yes);
    }

    /// Another device answers at the address, or the right one again.
    pub fn swapped(&self, thing: &str, yes: bool) {
        self.with(thing, |device| device.swapped = yes);
    }

    /// The actions whose command a device received, in their order.
    pub fn received(&self, thing: &str) -> Vec<ActionId> {
        self.with(thing, |device| device.received.clone()).unwrap_or_default()
    }

    /// Commands that its devices received.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    fn device(&self, thing: &str) -> Option<MutexGuard<'_, Device>> {
        self.devices.get(thing).map(|device| device.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with<T>(&self, thing: &str, f: impl FnOnce(&mut Device) -> T) -> Option<T> {
        self.device(thing).map(|mut device| f(&mut device))
    }
}

fn wanted(call: &Call) -> (Text, Value) {
    (call.action.clone(), Value::Array(call.params.to_vec()))
}

fn identity(thing: &str, swapped: bool) -> Identity {
    let serial = if swapped { format!("not-{thing}") } else { thing.to_owned() };
    Identity::new(None, Some(serial.into()))
}

#[async_trait]
impl Hands for MemRack {
    async fn select(&self, _: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        let Some(votes) = self.votes.get(&ask.action).copied() else { return Ok(None) };
        if let Some(call) = &ask.rack_call {
            let pick = Pick { id: call.clone(), tags: Vec::new(), power_w: None };
            return Ok(Some(Selection { votes, picks: vec![pick], excluded: Vec::new() }));
        }
        let filter = Filter::parse(&ask.query)?;
        let mut selection = Selection { votes, ..Selection::default() };
        for (id, device) in &self.devices {
            let tags = [format!("t-{}", self.thing_type), format!("rack-{}", self.id)];
            if !filter.matches(&json!({"id": id, "rack": self.id, "type": self.thing_type, "tags": tags})) {
                continue;
            }
            let device = device.lock().unwrap_or_else(PoisonError::into_inner);
            if device.swapped {
                selection.excluded.push(Excluded { id: id.clone(), error: "ERR_THING_HELD".into() });
                continue;
            }
            let tags = tags.into_iter().map(Text::from).collect();
            selection.picks.push(Pick { id: id.clone(), tags, power_w: Some(device.power_w) });
        }
        Ok(Some(selection))
    }

    async fn look(&self, _: &Ctx, call: &Call) -> Result<Look> {
        let gone =
            || Error::new(ErrorKind::NotFound, OP, "there is no such thing").code_as("ERR_THING_NOTFOUND");
        if call.target == *self.id.as_str() {
            return Ok(Look::default());
        }
        let device = self.device(&call.target).ok_or_else(gone)?;
        let shown = identity(&call.target, device.swapped);
        identity(&call.target, false).prove(&shown)?;
        Ok(Look { observed: Observed::new(shown, None), already: false })
    }

    async fn send(&self, cx: &Ctx, call: &Call, permit: &Permit) -> Result<Reply> {
        let lost = || Error::new(ErrorKind::Unreachable, OP, "the connection was lost");
        let fault = {
            let gone = || {
                Error::new(ErrorKind::NotFound, OP, "there is no such thing").code_as("ERR_THING_NOTFOUND")
            };
            let mut device = self.device(&call.target).ok_or_else(gone)?;
            if device.fault == MemFault::LosesRequest {
                return Err(lost());
            }
            permit.prove(&identity(&call.target, device.swapped))?;
            match device.fault {
                MemFault::Refuses => {
                    let e = Error::new(ErrorKind::Rejected, OP, "the device refused");
                    return Err(e.code_as("ERR_DEVICE_REFUSED"));
                }
                MemFault::LosesBoth => return Err(lost().maybe_sent()),
                MemFault::Lies => {}
                _ => device.state = Some(wanted(call)),
            }
            device.received.push(call.id);
            self.sent.fetch_add(1, Ordering::SeqCst);
            device.fault
        };
        match fault {
            MemFault::LosesReply => return Err(lost().maybe_sent()),
            MemFault::Hangs => {
                let day = Duration::from_secs(24 * 3_600);
                cx.clock.sleep_until(cx.clock.mono() + day).await;
                return Err(lost().maybe_sent());
            }
            _ => {}
        }
        let receipt = Some(Receipt::new(format!("{} {}", call.action, call.target), Some("ok".into())));
        Ok(Reply { result: json!({"success": true}), receipt, confirm: fault == MemFault::Lies })
    }

    async fn confirm(&self, _: &Ctx, call: &Call, _: &Before, _: Duration) -> Seen {
        match self.device(&call.target) {
            Some(device) if !device.mute && !device.swapped => {
                let applied = device.state.as_ref() == Some(&wanted(call));
                if applied { Seen::Applied } else { Seen::NotApplied }
            }
            _ => Seen::Unknown,
        }
    }
}
