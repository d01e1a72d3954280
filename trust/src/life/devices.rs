//! The devices: what they do with what reaches them, and what of it is true.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde_json::{Value, json};

use crate::act::{RACKS, thing};

/// How a device takes one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It does it and says so.
    Does,
    /// The same, and the effect has to be looked for.
    DoesQuietly,
    /// It does it and says so late.
    DoesLate,
    /// It does it; the reply is lost.
    LosesReply,
    /// It does it and never answers.
    Hangs,
    /// It does nothing and never answers.
    HangsIdle,
    /// The command is lost, and nobody can know.
    LosesBoth,
    /// It cannot be reached at first, and whoever asks knows.
    LosesRequest,
    /// It says yes and does nothing; the effect has to be looked for.
    Lies,
    /// It says no.
    Refuses,
    /// It says no within its reply.
    RefusesInBand,
    /// Another one answers at its address.
    Swapped,
    /// It is as wanted already.
    Already,
    /// It is not there any more.
    Gone,
}

impl Way {
    fn of(seed: u64) -> Self {
        match fastrand::Rng::with_seed(seed).u8(..100) {
            0..45 => Self::Does,
            45..58 => Self::DoesQuietly,
            58..63 => Self::DoesLate,
            63..71 => Self::LosesReply,
            71..74 => Self::Hangs,
            74..77 => Self::HangsIdle,
            77..81 => Self::LosesBoth,
            81..85 => Self::LosesRequest,
            85..89 => Self::Lies,
            89..92 => Self::Refuses,
            92..94 => Self::RefusesInBand,
            94..96 => Self::Swapped,
            96..98 => Self::Already,
            _ => Self::Gone,
        }
    }

    const fn does(self) -> bool {
        matches!(
            self,
            Self::Does
                | Self::DoesQuietly
                | Self::DoesLate
                | Self::LosesReply
                | Self::Hangs
                | Self::LosesRequest
        )
    }
}

/// What a device knows of one call.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// Commands that reached it.
    pub received: u32,
    /// It did it.
    pub done: bool,
    /// It said that it was as wanted already.
    pub already: bool,
    /// What it showed last.
    pub shown: Option<&'static str>,
    /// How often it was asked who it is.
    pub asked: u32,
}

#[derive(Debug)]
struct Device {
    /// It shows no effects.
    mute: bool,
    state: String,
}

/// All devices of a site.
#[derive(Debug)]
pub struct Devices {
    seed: u64,
    /// One that loses its first request of every call: chance alone would leave some sites without any that does.
    deaf: String,
    all: BTreeMap<String, Device>,
    /// By action and target.
    pub calls: BTreeMap<(u64, String), Truth>,
    /// What must never happen.
    pub broken: Vec<String>,
    /// Nothing may be sent: the site is halted, and that was acknowledged.
    pub halted: bool,
    /// Commands that reached devices.
    pub received: u64,
}

impl Devices {
    /// So many in each rack; a quarter of them shows nothing.
    pub fn new(seed: u64, things: u32) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let ids = RACKS.iter().flat_map(|rack| (0..things).map(move |n| thing(rack, n)));
        let all = ids.map(|id| (id, Device { mute: rng.u8(..4) == 0, state: String::new() })).collect();
        let deaf = thing(RACKS[rng.usize(..RACKS.len())], rng.u32(..things));
        Self { seed, deaf, all, calls: BTreeMap::new(), broken: Vec::new(), halted: false, received: 0 }
    }

    /// Whether a device shows what it did.
    pub fn shows(&self, target: &str) -> bool {
        self.all.get(target).is_some_and(|device| !device.mute)
    }

    /// How a device takes a call that brings `state` about.
    fn way(&self, target: &str, state: &str) -> Way {
        if target == self.deaf {
            return Way::LosesRequest;
        }
        let mut hash = DefaultHasher::new();
        (self.seed, target, state).hash(&mut hash);
        Way::of(hash.finish())
    }

    /// Something reaches a device; gives what it says, if anything. Who asked may be `dead`: it hears nothing.
    pub fn hear(&mut self, body: &Value, dead: bool) -> Result<Option<Value>, String> {
        let text = |name: &str| body[name].as_str().ok_or_else(|| format!("a device hears {body}"));
        let (op, target, state) = (text("op")?, text("target")?, text("state")?);
        let id = body["id"].as_u64().ok_or("a call without an action")?;
        let way = self.way(target, state);
        let device = self.all.get_mut(target).ok_or_else(|| format!("there is no {target}"))?;
        let truth = self.calls.entry((id, target.to_owned())).or_default();
        match op {
            "look" => Ok(Some(look(way, target, state, device, truth))),
            "who" => {
                truth.asked += u32::from(!dead);
                if way == Way::LosesRequest && truth.asked <= 1 {
                    return Ok(Some(json!({"lost": true})));
                }
                let serial = if way == Way::Swapped { "another" } else { target };
                Ok(Some(json!({"serial": serial})))
            }
            "send" => {
                self.received += 1;
                truth.received += 1;
                truth.done |= way.does();
                if way.does() {
                    state.clone_into(&mut device.state);
                }
                let twice = (truth.received > 1).then(|| format!("{target} got the command of {id} twice"));
                let shed = state.starts_with("setPowerMode");
                let halted =
                    (self.halted && !shed).then(|| format!("{target} got a command of {id} after the halt"));
                self.broken.extend(twice.into_iter().chain(halted));
                Ok(reply(way))
            }
            "confirm" => {
                let seen = match (device.mute, device.state == state) {
                    (true, _) => "unknown",
                    (false, true) => "applied",
                    (false, false) => "not_applied",
                };
                if !dead {
                    truth.shown = Some(seen);
                }
                Ok(Some(json!({"seen": seen})))
            }
            _ => Err(format!("a device hears {op}")),
        }
    }
}

fn look(way: Way, target: &str, state: &str, device: &mut Device, truth: &mut Truth) -> Value {
    match way {
        Way::Gone => json!({"gone": true}),
        Way::Already => {
            truth.already = true;
            state.clone_into(&mut device.state);
            json!({"serial": target, "already": true})
        }
        _ => json!({"serial": target}),
    }
}

fn reply(way: Way) -> Option<Value> {
    match way {
        Way::Does | Way::LosesRequest => Some(json!({"says": "ok"})),
        Way::DoesQuietly | Way::Lies => Some(json!({"says": "ok", "confirm": true})),
        Way::DoesLate => Some(json!({"says": "ok", "delay": 1_500})),
        Way::LosesReply | Way::LosesBoth => Some(json!({"says": "nothing"})),
        Way::Hangs | Way::HangsIdle => None,
        Way::Refuses => Some(json!({"says": "refused"})),
        // A device that was asked who it is does not get the command as another one.
        Way::RefusesInBand | Way::Swapped | Way::Already | Way::Gone => Some(json!({"says": "in band"})),
    }
}
