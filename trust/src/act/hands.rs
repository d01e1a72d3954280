use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    action::{Ask, Before, Call, Fleet, FleetRack, Hands, Look, Pick, Reply, Seen, Selection},
    driver::{Identity, Observed, Permit},
    io::Ctx,
    model::{RackId, Text},
    query::Filter,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{ACTIONS, RACKS, Setup, thing};
use crate::{child, rig::needed};

const OP: &str = "trust.device";

/// The way to the devices.
#[derive(Debug, Default)]
pub struct Link {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Value>>>,
}

impl Link {
    /// A device said something.
    pub fn answer(&self, n: u64, value: Value) {
        let waits = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&n);
        // Whoever asked may have given up.
        let _late = waits.map(|waits| waits.send(value));
    }

    async fn ask(&self, cx: &Ctx, op: &str, call: &Call) -> Value {
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        let (answer, waits) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(n, answer);
        let body = json!({"op": op, "id": call.id, "target": call.target, "state": state(call)});
        child::say(&format!("dev {n} {body}"));
        let value = waits.await.unwrap_or_default();
        if let Some(ms) = value["delay"].as_u64() {
            cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(ms)).await;
        }
        value
    }
}

/// The state that a call brings about.
fn state(call: &Call) -> String {
    format!("{} {}", call.action, Value::Array(call.params.to_vec()))
}

/// All racks.
#[derive(Debug)]
pub struct Site(Vec<FleetRack>);

impl Site {
    /// The racks of a setup.
    pub fn new(setup: &Setup, link: &Arc<Link>) -> Result<Self, String> {
        let rack = |name: &&str| {
            let id = needed("no rack", RackId::new(name))?;
            let things = (0..setup.things).map(|n| thing(name, n).into()).collect();
            let hands = Arc::new(Rack { id: id.clone(), things, link: Arc::clone(link) });
            let thing_type = name.rsplit_once('-').map_or("miner", |(kind, _)| kind).into();
            Ok(FleetRack { id, thing_type, hands: Some(hands) })
        };
        RACKS.iter().map(rack).collect::<Result<_, _>>().map(Self)
    }
}

impl Fleet for Site {
    fn racks(&self) -> Result<Vec<FleetRack>> {
        Ok(self.0.clone())
    }
}

#[derive(Debug)]
struct Rack {
    id: RackId,
    things: Vec<Text>,
    link: Arc<Link>,
}

fn lost() -> Error {
    Error::new(ErrorKind::Unreachable, OP, "the connection was lost")
}

fn serial(value: &Value) -> Identity {
    Identity::new(None, value["serial"].as_str().map(Text::from))
}

#[async_trait]
impl Hands for Rack {
    async fn select(&self, _: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        let Some((_, votes)) = ACTIONS.iter().find(|(name, _)| *name == &*ask.action) else {
            return Ok(None);
        };
        let filter = Filter::parse(&ask.query)?;
        let matches = |id: &&Text| filter.matches(&json!({"id": id, "rack": self.id}));
        let pick = |id: &Text| Pick { id: id.clone(), tags: Vec::new(), power_w: Some(3_000.0) };
        let picks = self.things.iter().filter(matches).map(pick).collect();
        Ok(Some(Selection { votes: *votes, picks, excluded: Vec::new() }))
    }

    async fn look(&self, cx: &Ctx, call: &Call) -> Result<Look> {
        let told = self.link.ask(cx, "look", call).await;
        if told["gone"] == true {
            let e = Error::new(ErrorKind::NotFound, OP, "there is no such thing");
            return Err(e.code_as("ERR_THING_NOTFOUND"));
        }
        Ok(Look { observed: Observed::new(serial(&told), None), already: told["already"] == true })
    }

    async fn send(&self, cx: &Ctx, call: &Call, permit: &Permit) -> Result<Reply> {
        let who = self.link.ask(cx, "who", call).await;
        if who["lost"] == true {
            return Err(lost());
        }
        permit.prove(&serial(&who))?;
        let told = self.link.ask(cx, "send", call).await;
        match told["says"].as_str() {
            Some("ok") => Ok(Reply {
                result: json!({"success": true}),
                receipt: None,
                confirm: told["confirm"] == true,
            }),
            Some("in band") => Ok(Reply {
                result: json!({"success": false, "error_msg": "busy"}),
                receipt: None,
                confirm: false,
            }),
            Some("refused") => {
                let e = Error::new(ErrorKind::Rejected, OP, "the device refused");
                Err(e.code_as("ERR_DEVICE_REFUSED"))
            }
            _ => Err(lost().maybe_sent()),
        }
    }

    async fn confirm(&self, cx: &Ctx, call: &Call, _: &Before, _: Duration) -> Seen {
        let told = self.link.ask(cx, "confirm", call).await;
        serde_json::from_value(told["seen"].clone()).unwrap_or(Seen::Unknown)
    }
}
