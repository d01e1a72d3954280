//! A driver, its simulated devices, and the proxy between them.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use headframe_core::{
    Error, ThingId,
    driver::{Direct, Identity, Ports, Registry},
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::{Command, CommandName, Outcome, ThingConf},
};
use headframe_sim::{
    AntminerOptions, Device, ErrorForm, Family, Fleet, FleetBuilder, Padding, WhatsminerOptions,
};

use super::{proxy::Proxy, samples::sample};
use crate::rig::needed;

/// The password of the account that writes, on every device.
pub const PASSWORD: &str = "Rack_07x";
/// A healthy device is read within this.
const READ: Duration = Duration::from_secs(20);
/// A write without its reading back ends within this.
const WRITE: Duration = Duration::from_secs(200);
/// Time in which a device does what it was told a moment ago.
const SETTLE: Duration = Duration::from_secs(5);

/// A firmware generation of a family, with the driver that speaks to it.
#[derive(Debug)]
pub struct Generation {
    /// Its name, which is also the probe that counts its cases.
    pub name: &'static str,
    /// The driver.
    pub driver: &'static str,
    add: fn(FleetBuilder) -> FleetBuilder,
}

/// The generations that only are read.
const READ_ONLY: &[Generation] = &[Generation {
    name: "whatsminer v1",
    driver: "whatsminer",
    add: |fleet| fleet.whatsminer(whatsminer(WhatsminerOptions::v1())),
}];

/// The generations that can be written to.
pub const WRITING: &[Generation] = &[
    Generation {
        name: "whatsminer v2",
        driver: "whatsminer",
        add: |fleet| fleet.whatsminer(whatsminer(WhatsminerOptions::v2())),
    },
    Generation {
        name: "antminer 2025",
        driver: "antminer",
        add: |fleet| fleet.antminer(antminer(AntminerOptions::s21_2025())),
    },
    Generation {
        name: "whatsminer v3",
        driver: "whatsminer",
        add: |fleet| {
            let mut options = whatsminer(WhatsminerOptions::v3());
            options.v3.password = PASSWORD.into();
            fleet.whatsminer(options)
        },
    },
    Generation {
        name: "antminer 2024",
        driver: "antminer",
        add: |fleet| fleet.antminer(antminer(AntminerOptions::s21_2024())),
    },
    Generation {
        // An older API that answers where others are silent, and wraps its refusals twice.
        name: "whatsminer v2 early",
        driver: "whatsminer",
        add: |fleet| {
            fleet.whatsminer(WhatsminerOptions {
                api: 3,
                silent: false,
                errors: ErrorForm::Double,
                padding: Padding::Pkcs7,
                token_code: 131,
                keep_open: true,
                ..whatsminer(WhatsminerOptions::v2())
            })
        },
    },
    Generation {
        // Writes of the configuration are not answered, and each reply ends its connection.
        name: "antminer silent",
        driver: "antminer",
        add: |fleet| {
            fleet.antminer(AntminerOptions {
                conf_answered: false,
                network_answered: false,
                close_after_reply: true,
                ..antminer(AntminerOptions::s21_2025())
            })
        },
    },
    Generation {
        name: "antminer 2020",
        driver: "antminer",
        add: |fleet| fleet.antminer(antminer(AntminerOptions::s19_2020())),
    },
    Generation {
        name: "antminer 2022",
        driver: "antminer",
        add: |fleet| fleet.antminer(antminer(AntminerOptions::s19_xp_2022())),
    },
];

/// All generations.
pub fn generations() -> impl Iterator<Item = &'static Generation> {
    WRITING.iter().chain(READ_ONLY)
}

fn whatsminer(options: WhatsminerOptions) -> WhatsminerOptions {
    WhatsminerOptions { password: PASSWORD.into(), ..options }
}

fn antminer(options: AntminerOptions) -> AntminerOptions {
    AntminerOptions { password: PASSWORD.into(), ..options }
}

/// Devices of one generation, and the handle on the first of them.
#[derive(Debug)]
pub struct Site {
    /// Time, randomness, and the network with the proxy.
    pub cx: Ctx,
    /// The network without it.
    pub net: MemNet,
    /// What stands between.
    pub proxy: Proxy,
    /// The handle on the first device.
    pub direct: Direct,
    fleet: Fleet,
    two_steps: bool,
}

impl Site {
    /// So many devices, from a seed; the first was read once.
    pub async fn new(generation: &Generation, seed: u64, devices: usize) -> Result<Self, String> {
        let net = MemNet::new();
        let clock = Arc::new(SystemClock::starting_at(Timestamp(1_764_000_000_000)));
        let plain = Ctx::new(clock, Arc::new(SeededRng::new(seed)), Arc::new(net.clone()));
        let mut fleet = FleetBuilder::new().seed(seed).base(Ipv4Addr::new(10, 7, 0, 1));
        for _ in 0..devices {
            fleet = (generation.add)(fleet);
        }
        let fleet = needed("no device", fleet.start(&plain).await)?;
        let proxy = Proxy::new(net.clone());
        let cx = Ctx { net: Arc::new(proxy.clone()), ..plain };
        let direct = open(&cx, generation, &fleet.devices()[0]).await?;
        let two_steps = matches!(generation.name, "whatsminer v2" | "whatsminer v3");
        let site = Self { cx, net, proxy, direct, fleet, two_steps };
        site.read().await.map_err(|e| format!("a healthy device is not read: {e}"))?;
        site.proxy.reset();
        Ok(site)
    }

    /// A new handle on a device, which knows nothing of it yet.
    pub async fn handle(&self, generation: &Generation, device: usize) -> Result<Direct, String> {
        open(&self.cx, generation, &self.fleet.devices()[device]).await
    }

    /// The device that is meant.
    pub fn device(&self) -> &Device {
        &self.fleet.devices()[0]
    }

    /// The other devices.
    pub fn others(&self) -> &[Device] {
        &self.fleet.devices()[1..]
    }

    /// Who is meant.
    pub fn identity(&self) -> Identity {
        Identity::new(Some(self.device().mac().into()), None)
    }

    /// A snapshot.
    pub async fn read(&self) -> Result<(), Error> {
        self.direct.snapshot(&self.cx.deadline_in(READ)).await.map(drop)
    }

    /// A command of this name for these devices.
    pub fn sample(&self, name: CommandName) -> Result<Command, String> {
        sample(self.device().family(), name)
    }

    /// Brings the device into a state that the sample of `name` changes; some are asleep when they are given a mode,
    /// so that it takes two requests.
    pub async fn prepare(&self, name: CommandName) -> Result<(), String> {
        let asleep = match name {
            CommandName::ResumeMining => true,
            CommandName::SetPowerMode => self.two_steps,
            _ => false,
        };
        if asleep {
            // What is told of it is not the point: in a control it may be wrong.
            let _told = self.direct.execute(&self.cx, &Command::SuspendMining).await;
        }
        self.settle().await;
        if asleep && !self.device().truth().asleep {
            return Err("the device does not sleep".into());
        }
        self.proxy.reset();
        Ok(())
    }

    /// How long carrying a command out may take, its reading back included.
    pub fn limit(&self, command: &Command) -> Result<Duration, String> {
        let row = needed("not in the capability", self.direct.capability().check(command).cloned())?;
        Ok(WRITE + row.read_back.within().unwrap_or_default())
    }

    /// Carries out the sample of `name`.
    pub async fn execute(&self, name: CommandName) -> Result<Result<Outcome, Error>, String> {
        let command = self.sample(name)?;
        let cx = self.cx.deadline_in(self.limit(&command)?);
        Ok(self.direct.execute(&cx, &command).await)
    }

    /// Waits until the device did what it got.
    pub async fn settle(&self) {
        self.wait(SETTLE).await;
    }

    /// Lets time pass.
    pub async fn wait(&self, time: Duration) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + time).await;
    }
}

async fn open(cx: &Ctx, generation: &Generation, device: &Device) -> Result<Direct, String> {
    let mut registry = Registry::new();
    headframe_drivers::register_all(&mut registry);
    let driver = needed("no driver", registry.driver(generation.driver))?;
    needed("not opened", Direct::open(&**driver, cx, &conf(generation, device)?).await)
}

fn conf(generation: &Generation, device: &Device) -> Result<ThingConf, String> {
    let ports = Ports::simulated();
    let id = needed("no id", ThingId::new("wire"))?;
    let conf = ThingConf::new(id, generation.driver)
        .opt("address", device.ip().to_string())
        .opt("password", PASSWORD);
    Ok(match device.family() {
        Family::Antminer => {
            conf.opt("port", ports.web).opt("rpc_port", ports.rpc).opt("side_port", ports.side)
        }
        _ => conf.opt("port", ports.rpc).opt("v3_port", ports.v3),
    })
}
