//! Simulated devices, for the tests of those who use the package.

use std::{net::Ipv4Addr, time::Duration};

use headframe::{Error, io::Ctx};
use headframe_sim::{Device, Fault, Fleet, FleetBuilder, Ports, Role};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    held::Held,
    told::{Ours, promise, read, tell, write},
};

/// Most devices of a simulator: each has sockets of its own.
const MOST_DEVICES: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct FleetConf {
    seed: u64,
    base: Option<Ipv4Addr>,
    by_port: Option<u16>,
    cold: bool,
    whatsminers: usize,
    antminers: usize,
}

/// Simulated devices on real sockets.
#[napi]
pub struct NativeSimulator(Held<Fleet>);

#[napi]
impl NativeSimulator {
    /// All devices, JSON.
    #[napi]
    pub fn devices(&self) -> Result<String> {
        tell(|| self.0.now(|fleet| write(&fleet.devices().iter().map(shown).collect::<Vec<_>>()))?)
    }

    /// What is really so with a device, and what it was told, JSON.
    #[napi]
    pub fn truth(&self, index: u32) -> Result<String> {
        let told = |device: &Device| {
            let truth = device.truth();
            write(&json!({
                "ts": truth.at, "up": truth.up, "mining": truth.mining, "asleep": truth.asleep,
                "power_w": truth.power_w, "nominal_mhs": truth.nominal_mhs, "executed": device.executed(),
                "requests": device.requests(), "connections": device.connections(),
            }))
        };
        tell(|| self.device(index, told))
    }

    /// Lets a device do something wrong, JSON.
    #[napi]
    pub fn fault(&self, index: u32, fault: String) -> Result<()> {
        tell(|| {
            let fault: FaultConf = read("fault", &fault)?;
            self.device(index, |device| {
                device.fault(fault.into());
                Ok(())
            })
        })
    }

    /// Ends what a device does wrong.
    #[napi]
    pub fn clear(&self, index: u32) -> Result<()> {
        tell(|| {
            self.device(index, |device| {
                device.clear();
                Ok(())
            })
        })
    }

    /// Closes all ports.
    #[napi]
    pub fn close(&self, env: &Env) -> Result<AsyncBlock<()>> {
        let taken = self.0.take();
        let done = async move {
            if let Some(fleet) = taken.await {
                fleet.stop().await;
            }
            Ok(())
        };
        promise(env, done)
    }
}

impl NativeSimulator {
    fn device<T>(&self, index: u32, look: impl FnOnce(&Device) -> Ours<T>) -> Ours<T> {
        self.0.now(|fleet| {
            let found = fleet.devices().get(index as usize);
            look(found.ok_or_else(|| Error::invalid("simulator", "index", "there is no such device"))?)
        })?
    }
}

/// The faults that a test of a program needs.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum FaultConf {
    Hang,
    Refuse,
    Garbage,
    HalfJson,
    Mute,
    IgnoreWrites,
    Overheat,
    Cut { after: usize },
    Slow { delay_ms: u64 },
    Reboot { down_ms: u64 },
}

impl From<FaultConf> for Fault {
    fn from(fault: FaultConf) -> Self {
        match fault {
            FaultConf::Hang => Self::Hang,
            FaultConf::Refuse => Self::Refuse,
            FaultConf::Garbage => Self::Garbage,
            FaultConf::HalfJson => Self::HalfJson,
            FaultConf::Mute => Self::Mute,
            FaultConf::IgnoreWrites => Self::IgnoreWrites,
            FaultConf::Overheat => Self::Overheat,
            FaultConf::Cut { after } => Self::Cut { after },
            FaultConf::Slow { delay_ms } => Self::Slow { delay: Duration::from_millis(delay_ms) },
            FaultConf::Reboot { down_ms } => Self::Reboot { down: Duration::from_millis(down_ms) },
        }
    }
}

/// Starts devices, as JSON says.
#[napi]
pub fn start_simulator(env: &Env, conf: String) -> Result<AsyncBlock<NativeSimulator>> {
    promise(env, async move { start(&conf).await })
}

async fn start(conf: &str) -> Ours<NativeSimulator> {
    let conf: FleetConf = read("conf", conf)?;
    if conf.whatsminers.saturating_add(conf.antminers) > MOST_DEVICES {
        let why = format!("there are {MOST_DEVICES} devices at most");
        return Err(Error::invalid("simulator.start", "whatsminers", why));
    }
    let mut fleet = FleetBuilder::new().seed(conf.seed).ports(Ports::default());
    if let Some(base) = conf.base {
        fleet = fleet.base(base);
    }
    if let Some(first) = conf.by_port {
        fleet = fleet.by_port(first);
    }
    if conf.cold {
        fleet = fleet.cold();
    }
    let fleet = fleet.whatsminers(conf.whatsminers).antminers(conf.antminers);
    Ok(NativeSimulator(Held::new(fleet.start(&Ctx::system()).await?)))
}

fn shown(device: &Device) -> Value {
    let port = |role| device.address(role).map(|at| at.port());
    json!({
        "index": device.index(), "family": format!("{:?}", device.family()).to_lowercase(),
        "model": device.model().name, "mac": device.mac(), "serial": device.serial(), "address": device.ip(),
        "ports": {"rpc": port(Role::Rpc), "web": port(Role::Web), "v3": port(Role::RpcV3), "side": port(Role::Side)},
    })
}
