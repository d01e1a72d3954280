//! A simulated machine on a network in memory, and what the tests do with it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use headframe_core::{
    Error, Secret, ThingId,
    codec::http::HttpClient,
    driver::{Driver, Thing},
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::{MinerSnapshot, ThingConf},
};
use headframe_drivers::antminer::Antminer;
use headframe_sim::{AntminerOptions, Device, Fleet, FleetBuilder, Role};

pub const DEADLINE: Duration = Duration::from_secs(20);

/// One simulated machine and the thing that reads it.
pub struct Rig {
    pub cx: Ctx,
    pub fleet: Fleet,
    pub thing: Arc<dyn Thing>,
}

pub fn context() -> Ctx {
    let clock = SystemClock::starting_at(Timestamp(1_764_000_000_000));
    Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()))
}

pub fn conf(device: &Device) -> ThingConf {
    ThingConf::new(ThingId::new("am1").unwrap(), "antminer")
        .opt("address", device.ip().to_string())
        .opt("port", 14_080)
        .opt("rpc_port", 14_028)
        .opt("side_port", 16_060)
}

impl Rig {
    pub async fn new(options: AntminerOptions) -> Self {
        Self::with(FleetBuilder::new().seed(7).antminer(options), |conf| conf).await
    }

    pub async fn with(fleet: FleetBuilder, change: impl Fn(ThingConf) -> ThingConf) -> Self {
        let cx = context();
        let fleet = fleet.start(&cx).await.unwrap();
        let conf = change(conf(&fleet.devices()[0]));
        let thing = Antminer::new().open(&cx, &conf).await.unwrap();
        Self { cx, fleet, thing }
    }

    pub fn device(&self) -> &Device {
        &self.fleet.devices()[0]
    }

    pub async fn read(&self) -> Result<MinerSnapshot, Error> {
        let cx = self.cx.deadline_in(DEADLINE);
        let out = cx.within("test", self.thing.snapshot(&cx)).await?;
        Ok(out.miner().unwrap().clone())
    }

    pub async fn snapshot(&self) -> MinerSnapshot {
        self.read().await.unwrap()
    }

    pub async fn wait(&self, seconds: u64) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + Duration::from_secs(seconds)).await;
    }

    pub fn count(&self, name: &str) -> u64 {
        self.device().counts().get(name).copied().unwrap_or(0)
    }

    /// Changes the machine's configuration as its web page does.
    pub async fn set_mode(&self, mode: u8) {
        set_mode(&self.cx, self.device(), mode).await;
    }
}

pub async fn set_mode(cx: &Ctx, device: &Device, mode: u8) {
    let web =
        HttpClient::new(device.address(Role::Web).unwrap(), "am").credentials("root", Secret::new("root"));
    let body = Bytes::from(format!("{{\"miner-mode\":{mode}}}"));
    web.post(cx, "/cgi-bin/set_miner_conf.cgi", "application/json", body).await.unwrap();
}

pub fn options(change: impl FnOnce(&mut AntminerOptions)) -> AntminerOptions {
    let mut options = AntminerOptions::default();
    change(&mut options);
    options
}

pub fn near(a: f64, b: f64, by: f64) -> bool {
    (a - b).abs() <= by
}

/// The transport that a snapshot names.
pub fn via(snapshot: &MinerSnapshot) -> &str {
    snapshot.extra.get("transport").and_then(|v| v.as_str()).unwrap()
}
