//! Every driver against the conformance kit, with the simulated device of its family.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use headframe_core::{
    ThingId,
    driver::{Driver, Evidence, Ports, ProbeReply, ProbeRequest, ProbeSpec, Registry},
    io::{Ctx, MemNet},
    model::{Command, CommandName, FanControl, NetworkSetup, PoolSetup, PowerMode, ThingConf},
    testkit::{Rig, RigFault, RigTruth, WriteFault, sample},
    units::{Megahertz, Watts},
};
use headframe_sim::{
    AntminerOptions, BlinkForm, BlinkRule, ConfRule, Device, Door, ErrorForm, Family, Fault, Fleet,
    FleetBuilder, Join, ModeForm, Padding, Pool, Restarting, RpcOptions, WhatsminerOptions,
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
    out_of_range: &'static [fn() -> Command],
}

impl SimRig {
    async fn new(cx: Ctx, id: &str, password: &'static str, fleet: FleetBuilder) -> Self {
        let fleet = fleet.seed(7).base(Ipv4Addr::new(10, 7, 0, 1)).start(&cx).await.unwrap();
        let mut registry = Registry::new();
        headframe_drivers::register_all(&mut registry);
        let driver = registry.driver(id).unwrap().clone();
        Self {
            cx,
            fleet,
            driver,
            password,
            reads_need_password: false,
            never_reported: &[],
            out_of_range: &[],
        }
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
            _ => conf.opt("port", ports.rpc).opt("v3_port", ports.v3),
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
            .filter(|p| !["root", "admin", "super"].contains(p))
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
        match (self.device().family(), name) {
            // Whether an Antminer has the low mode, it shows only while it is in it.
            (Family::Antminer, CommandName::SetPowerMode) => Command::SetPowerMode(PowerMode::Sleep),
            _ => sample(name),
        }
    }

    fn out_of_range(&self) -> Vec<Command> {
        let has = self.out_of_range.iter().map(|make| make());
        has.collect()
    }

    fn executed(&self) -> BTreeMap<String, u64> {
        self.device().executed()
    }

    fn write_fault(&self, fault: Option<WriteFault>) {
        self.device().clear();
        match fault {
            Some(WriteFault::Mute) => self.device().fault(Fault::Mute),
            Some(WriteFault::Ignored) => self.device().fault(Fault::IgnoreWrites),
            None => {}
        }
    }

    fn meddle(&self) {
        let url = "stratum+tcp://meddler.example:3333".to_owned();
        self.device().set_pools(vec![Pool { url, user: "meddler.1".into(), password: "x".into() }]);
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
    let rig = SimRig::new(cx, "whatsminer", "admin", FleetBuilder::new().whatsminers(1)).await;
    SimRig { out_of_range: WHATSMINER_REFUSES, ..rig }
}

/// Arguments outside the ranges of an air-cooled unit.
const WHATSMINER_REFUSES: &[fn() -> Command] = &[
    || Command::SetPowerPct(0),
    || Command::SetPowerPct(101),
    || Command::SetPowerLimit(Watts::new(3_600.0).unwrap()),
    || Command::SetPowerLimit(Watts::new(99_999.0).unwrap()),
    || Command::SetUpfreqSpeed(10),
    || Command::SetTempOffset(-31),
    || Command::SetTempOffset(1),
    || Command::SetTargetFreq(101),
    || Command::SetupPools(Vec::new()),
    || {
        Command::SetupPools(
            (1..=4).map(|n| PoolSetup::new(format!("stratum+tcp://p{n}:1"), "w", "x")).collect(),
        )
    },
    || Command::SetHostname("no blanks".into()),
];

/// A unit that refuses joined commands.
async fn whatsminer_single_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let options = WhatsminerOptions { join: Join::None, ..WhatsminerOptions::default() };
    let rig = SimRig::new(cx, "whatsminer", "admin", FleetBuilder::new().whatsminer(options)).await;
    SimRig { out_of_range: WHATSMINER_REFUSES, ..rig }
}

/// A unit of an older API that pads its replies in the other way, wraps its refusals twice, and answers where others
/// are silent.
async fn whatsminer_early_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let options = WhatsminerOptions {
        model: &headframe_sim::M56S,
        api: 3,
        password: "Rack_07x".into(),
        silent: false,
        errors: ErrorForm::Double,
        padding: Padding::Pkcs7,
        token_code: 131,
        keep_open: true,
        ..WhatsminerOptions::default()
    };
    let rig = SimRig::new(cx, "whatsminer", "Rack_07x", FleetBuilder::new().whatsminer(options)).await;
    SimRig { out_of_range: &[|| Command::SetPowerPct(101), || Command::SetTargetFreq(-101)], ..rig }
}

/// A unit with API v3, whose port 4028 only reads.
async fn whatsminer_v3_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let fleet = FleetBuilder::new().whatsminer(WhatsminerOptions::v3());
    let rig = SimRig::new(cx, "whatsminer", "super", fleet).await;
    SimRig { out_of_range: V3_REFUSES, never_reported: &["stats.all_pools_shares"], ..rig }
}

const V3_REFUSES: &[fn() -> Command] = &[
    || Command::SetupPools(Vec::new()),
    || {
        Command::SetupPools(
            (1..=4).map(|n| PoolSetup::new(format!("stratum+tcp://p{n}:1"), "w", "x")).collect(),
        )
    },
];

/// A unit of API v1, which is only read.
async fn whatsminer_v1_rig(cx: Ctx, _net: MemNet) -> SimRig {
    SimRig::new(cx, "whatsminer", "admin", FleetBuilder::new().whatsminer(WhatsminerOptions::v1())).await
}

/// Arguments that no Antminer takes.
const ANTMINER_REFUSES: &[fn() -> Command] = &[
    || Command::SetPowerMode(PowerMode::High),
    || Command::SetPowerMode(PowerMode::Low),
    || Command::SetFan(FanControl::Fixed(101)),
    || Command::SetFrequency(Megahertz::new(5_001.0).unwrap()),
    || Command::SetupPools(Vec::new()),
    || {
        Command::SetupPools(
            (1..=4).map(|n| PoolSetup::new(format!("stratum+tcp://p{n}:1"), "w", "x")).collect(),
        )
    },
    || Command::SetupPools(vec![PoolSetup::new("stratum+tcp://a b:1", "w", "x")]),
    || Command::SetHostname("no blanks".into()),
    || {
        Command::SetNetworkInformation(NetworkSetup::Static {
            ip_address: [10, 7, 3, 9].into(),
            ip_netmask: [255, 255, 0, 0].into(),
            ip_gw: [10, 8, 0, 1].into(),
            dns: Vec::new(),
        })
    },
];

async fn antminer(cx: Ctx, options: AntminerOptions) -> SimRig {
    let rig = SimRig::new(cx, "antminer", "root", FleetBuilder::new().antminer(options)).await;
    SimRig { out_of_range: ANTMINER_REFUSES, ..rig }
}

async fn antminer_rig(cx: Ctx, _net: MemNet) -> SimRig {
    antminer(cx, AntminerOptions::default()).await
}

/// A unit with the side port, which alone tells its power.
async fn antminer_side_rig(cx: Ctx, _net: MemNet) -> SimRig {
    antminer(cx, AntminerOptions::s21_2024()).await
}

/// What firmware without any power figure cannot tell.
const WITHOUT_POWER: &[&str] = &["stats.power_w", "stats.efficiency_w_ths"];

/// Nothing but the full form, no `miner_type`, the mode under the name of the form.
async fn antminer_2020_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let rig = antminer(cx, AntminerOptions::s19_2020()).await;
    SimRig { never_reported: WITHOUT_POWER, ..rig }
}

/// Nothing but the full form, and no power.
async fn antminer_2022_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let rig = antminer(cx, AntminerOptions::s19_xp_2022()).await;
    SimRig { never_reported: WITHOUT_POWER, ..rig }
}

/// What a form lacks is stored as empty, the mode is a text or nothing, any text lights the light, and writes of the
/// configuration and the network are not answered.
async fn antminer_wipes_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let options = AntminerOptions {
        conf_rule: ConfRule::Wipes,
        conf_answered: false,
        network_answered: false,
        mode_form: ModeForm::TextOnly,
        blink_rule: BlinkRule::Truthy,
        blink_form: BlinkForm::Text,
        restarting: Restarting::Drop,
        close_after_reply: true,
        ..AntminerOptions::default()
    };
    antminer(cx, options).await
}

/// The mode is a number, only texts switch the light, and a sleeping machine still tells its values.
async fn antminer_numbers_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let options = AntminerOptions {
        mode_form: ModeForm::Number,
        blink_rule: BlinkRule::TextOnly,
        blink_form: BlinkForm::Number,
        sleep_empty: false,
        checks_image: true,
        qop: false,
        chunked: true,
        ..AntminerOptions::default()
    };
    antminer(cx, options).await
}

/// Without a clock to choose and without a light to read, there are no commands for them.
async fn antminer_less_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let options = AntminerOptions {
        tells_freq: false,
        lacks: vec!["get_blink_status".into(), "blink".into()],
        ..AntminerOptions::default()
    };
    let rig = antminer(cx, options).await;
    let out_of_range: &'static [fn() -> Command] = &[|| Command::SetFan(FanControl::Fixed(101))];
    SimRig { out_of_range, never_reported: &["config.led_status"], ..rig }
}

/// A unit whose cgminer-style API is closed: without the web password nothing is read.
async fn antminer_web_rig(cx: Ctx, _net: MemNet) -> SimRig {
    let rpc = RpcOptions { listens: false, ..RpcOptions::default() };
    let options = AntminerOptions { rpc, password: "Rack_07x".into(), ..AntminerOptions::default() };
    let rig = SimRig::new(cx, "antminer", "Rack_07x", FleetBuilder::new().antminer(options)).await;
    SimRig { reads_need_password: true, out_of_range: ANTMINER_REFUSES, ..rig }
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
headframe_core::conformance!(whatsminer_early, whatsminer_early_rig);
headframe_core::conformance!(whatsminer_v3, whatsminer_v3_rig);
headframe_core::conformance!(whatsminer_v1, whatsminer_v1_rig);
headframe_core::conformance!(antminer, antminer_rig);
headframe_core::conformance!(antminer_side, antminer_side_rig);
headframe_core::conformance!(antminer_2020, antminer_2020_rig);
headframe_core::conformance!(antminer_2022, antminer_2022_rig);
headframe_core::conformance!(antminer_wipes, antminer_wipes_rig);
headframe_core::conformance!(antminer_numbers, antminer_numbers_rig);
headframe_core::conformance!(antminer_less, antminer_less_rig);
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
