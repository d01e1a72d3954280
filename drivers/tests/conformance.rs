//! Every driver against the conformance kit, with the simulated device of its family.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use headframe_core::{
    ThingId,
    driver::{Driver, Evidence, Ports, ProbeReply, ProbeRequest, ProbeSpec, Registry},
    io::{Ctx, MemNet},
    model::{Command, CommandName, PoolConfig, PowerMode, ThingConf},
    testkit::{Rig, RigFault, RigTruth},
    units::{Megahertz, Watts},
};
use headframe_sim::{
    AntminerOptions, Device, Door, Family, Fault, Fleet, FleetBuilder, Join, RpcOptions, WhatsminerOptions,
};

const WRONG: &str = "wr0ng-w0rd";

/// A driver and one simulated device in memory.
struct SimRig {
    cx: Ctx,
    fleet: Fleet,
    driver: Arc<dyn Driver>,
    password: &'static str,
    reads_need_password: bool,
    never_reported: &'static [&'static str],
}

impl SimRig {
    async fn new(cx: Ctx, id: &str, password: &'static str, fleet: FleetBuilder) -> Self {
        let fleet = fleet.seed(7).base(Ipv4Addr::new(10, 7, 0, 1)).start(&cx).await.unwrap();
        let mut registry = Registry::new();
        headframe_drivers::register_all(&mut registry);
        let driver = registry.driver(id).unwrap().clone();
        Self { cx, fleet, driver, password, reads_need_password: false, never_reported: &[] }
    }

    fn device(&self) -> &Device {
        &self.fleet.devices()[0]
    }

    fn conf_with(&self, password: &str) -> ThingConf {
        let ports = Ports::simulated();
        let id = ThingId::new("rig").unwrap();
        let conf = ThingConf::new(id, self.driver.info().id)
            .opt("address", self.device().ip().to_string())
            .opt("password", password);
        match self.device().family() {
            Family::Antminer => {
                conf.opt("port", ports.web).opt("rpc_port", ports.rpc).opt("side_port", ports.side)
            }
            _ => conf.opt("port", ports.rpc),
        }
    }
}

#[async_trait]
impl Rig for SimRig {
    fn driver(&self) -> Arc<dyn Driver> {
        self.driver.clone()
    }

    fn cx(&self) -> Ctx {
        self.cx.clone()
    }

    fn conf(&self) -> ThingConf {
        self.conf_with(self.password)
    }

    fn conf_with_wrong_password(&self) -> ThingConf {
        self.conf_with(WRONG)
    }

    fn secrets(&self) -> Vec<String> {
        // The vendor's default password is an ordinary word that may stand anywhere.
        [WRONG, self.password]
            .iter()
            .filter(|p| !["root", "admin"].contains(p))
            .map(|p| (*p).to_owned())
            .collect()
    }

    fn reads_need_password(&self) -> bool {
        self.reads_need_password
    }

    fn at(&self) -> (String, Ports) {
        (self.device().ip().to_string(), Ports::simulated())
    }

    fn strangers(&self) -> Vec<Evidence> {
        strangers().into_iter().filter(|(id, _)| *id != self.driver.info().id).map(|(_, e)| e).collect()
    }

    fn never_reported(&self) -> &'static [&'static str] {
        self.never_reported
    }

    fn fault(&self, fault: RigFault) {
        self.device().clear();
        self.device().fault(match fault {
            RigFault::Hang => Fault::Hang,
            RigFault::Cut => Fault::Cut { after: 30 },
            RigFault::Drip => Fault::Drip { bytes: 1, every: Duration::from_secs(1) },
            RigFault::Garbage => Fault::Garbage,
            RigFault::HalfJson => Fault::HalfJson,
            RigFault::Flood => Fault::Flood,
            RigFault::Refuse => Fault::Refuse,
        });
    }

    fn clear(&self) {
        self.device().clear();
    }

    fn requests(&self) -> u64 {
        self.device().requests()
    }

    fn open_connections(&self) -> u64 {
        self.device().open_connections()
    }

    fn truth(&self) -> RigTruth {
        let truth = self.device().truth();
        RigTruth {
            mining: truth.mining,
            hashrate_mhs: truth.rates.realtime,
            power_w: truth.power_w,
            chip_max_c: truth.boards.iter().map(|b| b.chip_max_c).fold(f64::MIN, f64::max),
            boards: truth.boards.len(),
            accepted: truth.accepted,
        }
    }

    fn sample(&self, name: CommandName) -> Command {
        match name {
            CommandName::SetPowerMode => Command::SetPowerMode(PowerMode::Sleep),
            CommandName::SetPowerLimit => Command::SetPowerLimit(Watts::new(3000.0).unwrap()),
            CommandName::SetupPools => {
                let url = "stratum+tcp://pool.example:3333".to_owned();
                Command::SetupPools(vec![PoolConfig { url: url.into(), username: "site1.w1".into() }])
            }
            CommandName::SetLed => Command::SetLed(true),
            CommandName::SetFrequency => Command::SetFrequency(Megahertz::new(500.0).unwrap()),
            _ => Command::Reboot,
        }
    }
}

/// What devices of other families and firmwares answer to the probes, in our own words.
fn strangers() -> Vec<(&'static str, Evidence)> {
    let rpc = |command| ProbeSpec {
        role: headframe_core::driver::PortRole::Rpc,
        request: ProbeRequest::Cgminer(command),
    };
    let web = ProbeSpec { role: headframe_core::driver::PortRole::Web, request: ProbeRequest::HttpGet("/") };
    let says = |id, command, text: &'static str| {
        let mut evidence = Evidence { host: "10.7.0.1".into(), ..Evidence::default() };
        evidence.replies.insert(rpc(command), ProbeReply::Cgminer(Bytes::from_static(text.as_bytes())));
        (id, evidence)
    };
    let asks = |id, realm: &str| {
        let mut evidence = Evidence { host: "10.7.0.1".into(), ..Evidence::default() };
        let challenge = format!("Digest realm=\"{realm}\", nonce=\"00\", qop=\"auth\"");
        let reply = ProbeReply::Http { status: 401, challenge, location: String::new(), body: Bytes::new() };
        evidence.replies.insert(web, reply);
        (id, evidence)
    };
    let braiins = r#"{"VERSION":[{"BOSer":"boser-buildroot 0.1.0","API":"3.7","Type":"Antminer S19"}]}"#;
    let lux = r#"{"VERSION":[{"API":"3.7","LUXminer":"2024.5.1","Type":"Antminer S19j Pro"}]}"#;
    let vnish = r#"{"VERSION":[{"API":"3.1","Miner":"Vnish 1.2.6","Type":"Antminer S19"}]}"#;
    let avalon = r#"{"VERSION":[{"CGMiner":"4.11.1","PROD":"AvalonMiner 1246"}]}"#;
    let whatsminer = r#"{"DEVDETAILS":[{"Name":"SM","Driver":"bitmicro","Model":"M50S_VH30"}]}"#;
    let antminer = r#"{"VERSION":[{"API":"3.1","Miner":"49.0.1.3","Type":"Antminer S19 Pro"}]}"#;
    vec![
        says("braiins", "version", braiins),
        says("luxos", "version", lux),
        says("vnish", "version", vnish),
        says("avalon", "version", avalon),
        says("whatsminer", "devdetails", whatsminer),
        says("antminer", "version", antminer),
        asks("antminer", "antMiner Configuration"),
        asks("hammer", "blackMiner Configuration"),
        asks("elphapex", "Daoge Configuration"),
        asks("other", "router"),
    ]
}

async fn whatsminer_rig(cx: Ctx, _net: MemNet) -> SimRig {
    SimRig::new(cx, "whatsminer", "admin", FleetBuilder::new().whatsminers(1)).await
}

/// A unit that refuses joined commands.
async fn whatsminer_single_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let options = WhatsminerOptions { join: Join::None, ..WhatsminerOptions::default() };
    SimRig::new(cx, "whatsminer", "admin", FleetBuilder::new().whatsminer(options)).await
}

async fn antminer_rig(cx: Ctx, _net: MemNet) -> SimRig {
    SimRig::new(cx, "antminer", "root", FleetBuilder::new().antminers(1)).await
}

/// A unit with the side port, which alone tells its power.
async fn antminer_side_rig(cx: Ctx, _net: MemNet) -> SimRig {
    SimRig::new(cx, "antminer", "root", FleetBuilder::new().antminer(AntminerOptions::s21_2024())).await
}

/// A unit whose cgminer-style API is closed: without the web password nothing is read.
async fn antminer_web_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let rpc = RpcOptions { listens: false, ..RpcOptions::default() };
    let options = AntminerOptions { rpc, password: "Rack_07x".into(), ..AntminerOptions::default() };
    let rig = SimRig::new(cx, "antminer", "Rack_07x", FleetBuilder::new().antminer(options)).await;
    SimRig { reads_need_password: true, ..rig }
}

/// A unit whose web server is closed: all there is comes from the cgminer-style API.
async fn antminer_rpc_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let options = AntminerOptions { web: Door::Closed, ..AntminerOptions::default() };
    let rig = SimRig::new(cx, "antminer", "root", FleetBuilder::new().antminer(options)).await;
    let never_reported = &[
        "info.mac",
        "info.firmware",
        "config.firmware_ver",
        "config.led_status",
        "config.network_config.ip_address",
    ];
    SimRig { never_reported, ..rig }
}

headframe_core::conformance!(whatsminer, whatsminer_rig);
headframe_core::conformance!(whatsminer_single, whatsminer_single_rig);
headframe_core::conformance!(antminer, antminer_rig);
headframe_core::conformance!(antminer_side, antminer_side_rig);
headframe_core::conformance!(antminer_web, antminer_web_rig);
headframe_core::conformance!(antminer_rpc, antminer_rpc_rig);

/// The sample texts are those of the families they are named after.
#[test]
fn strangers_are_recognised_by_their_own_driver_only() {
    let mut registry = Registry::new();
    headframe_drivers::register_all(&mut registry);
    for (id, evidence) in strangers() {
        let found = registry.recognise(&evidence).map(|m| m.driver);
        let ours = registry.driver(id).ok().map(|d| d.info().id);
        assert_eq!(found, ours, "{id}");
    }
}
