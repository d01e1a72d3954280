//! What changes rarely: read every few minutes, and turned into snapshot members once.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    driver::{Aged, REFRESH},
    io::Mono,
    model::{MinerConfig, MinerInfo, MinerSpecific, MissingReason, NetworkConfig, Psu, Text},
    units::floor2,
};

use super::{
    reply::{self, Details, Info, Summary, Version},
    wire::{Ask, Failure, Got, Replies},
};
use crate::whatsminer::{
    MAKE,
    models::{self, Parts},
    value::{Missing, Reading, celsius, either, mac, reported, rpm, text, watts},
};

/// A command that did not answer, or not understandably, is asked again after this time if it never has.
const RETRY: Duration = Duration::from_secs(60);

/// One slow reply and how the last attempt ended.
#[derive(Debug)]
struct Entry<T> {
    value: Aged<T>,
    failure: Failure,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self { value: Aged::empty(), failure: Failure::Silent }
    }
}

impl<T> Entry<T> {
    fn take(&mut self, got: Option<Got<T>>, now: Mono) {
        match got.unwrap_or(Err(Failure::Silent)) {
            Ok(value) => self.value.put(value, now),
            Err(failure) => {
                self.failure = failure;
                let passing = matches!(failure, Failure::Silent | Failure::Garbled);
                let early =
                    if passing && self.value.get().is_none() { REFRESH - RETRY } else { Duration::ZERO };
                self.value.failed(now - early);
            }
        }
    }

    fn get(&self) -> Reading<&T> {
        self.value.get().ok_or(self.failure.reason())
    }
}

/// What was read, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Slow {
    version: Entry<Version>,
    info: Entry<Device>,
    details: Entry<Details>,
    psu: Entry<Supply>,
    pub facts: Facts,
}

/// Why members of one reply are absent.
type Gaps = Vec<(&'static str, MissingReason)>;

/// What `get_miner_info` tells.
#[derive(Debug)]
struct Device {
    mac: Reading<Text>,
    serial: Reading<Text>,
    hostname: Reading<Text>,
    network: Arc<NetworkConfig>,
    led: Option<bool>,
    specific: MinerSpecific,
    gaps: Gaps,
}

/// What `get_psu` tells.
#[derive(Debug)]
struct Supply {
    psu: Arc<Psu>,
    extra: SupplyExtra,
    gaps: Gaps,
}

/// What the power supply tells beside the members of [`Psu`].
#[derive(Debug, Clone, Default)]
pub(super) struct SupplyExtra {
    pub fan: Option<u32>,
    /// As the device writes them: the unit is not known.
    pub vin: Option<Text>,
    pub iin: Option<Text>,
}

/// The members of a snapshot that rest on slow replies only.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub info: Arc<MinerInfo>,
    pub parts: Parts,
    /// Without pools and power mode.
    pub config: MinerConfig,
    pub specific: Option<MinerSpecific>,
    pub psu: Option<Arc<Psu>>,
    pub supply: SupplyExtra,
    pub missing: Missing,
}

/// The value; its reason goes to `gaps`.
fn told<T>(gaps: &mut Gaps, path: &'static str, reading: Reading<T>) -> Option<T> {
    reading.map_err(|reason| gaps.push((path, reason))).ok()
}

impl Device {
    /// Members that only this reply has.
    const PATHS: [&'static str; 7] = [
        "config.network_config.mode",
        "config.network_config.ip_address",
        "config.network_config.ip_gw",
        "config.network_config.ip_netmask",
        "config.network_config.dns",
        "config.led_status",
        "stats.miner_specific",
    ];

    fn of(info: &Info) -> Self {
        let [mode, ip, gateway, netmask, servers, led, _] = Self::PATHS;
        let mut gaps = Gaps::new();
        let mut net = NetworkConfig::default();
        net.mode = told(&mut gaps, mode, text(info.proto.as_ref()));
        net.ip_address = told(&mut gaps, ip, text(info.ip.as_ref()));
        net.ip_gw = told(&mut gaps, gateway, text(info.gateway.as_ref()));
        net.ip_netmask = told(&mut gaps, netmask, text(info.netmask.as_ref()));
        // By way of a slice, so that no room is reserved for more.
        let list = |dns: Text| dns.split_whitespace().map(Text::from).collect::<Box<[_]>>().into_vec();
        let dns = text(info.dns.as_ref()).map(list);
        net.dns = told(&mut gaps, servers, dns);
        let led = told(&mut gaps, led, text(info.ledstat.as_ref()).map(|led| led != "auto"));
        let mut specific = MinerSpecific::default();
        let speed = reported(info.upfreq_speed.and_then(|n| u32::try_from(n).ok()));
        specific.upfreq_speed = told(&mut gaps, "stats.miner_specific.upfreq_speed", speed);
        gaps.shrink_to_fit();
        Self {
            mac: mac(info.mac.as_ref()),
            serial: text(info.serial.as_ref()),
            hostname: text(info.hostname.as_ref()),
            network: Arc::new(net),
            led,
            specific,
            gaps,
        }
    }
}

impl Supply {
    fn of(reply: &reply::Psu) -> Self {
        let mut gaps = Gaps::new();
        let mut psu = Psu::default();
        let model = either(text(reply.model.as_ref()), || text(reply.name.as_ref()));
        psu.model = told(&mut gaps, "stats.psu.model", model);
        psu.serial = told(&mut gaps, "stats.psu.serial", text(reply.serial.as_ref()));
        psu.firmware = told(&mut gaps, "stats.psu.firmware", text(reply.firmware.as_ref()));
        psu.input_w = told(&mut gaps, "stats.psu.input_w", watts(reply.pin.map(floor2)));
        psu.temperature_c = told(&mut gaps, "stats.psu.temperature_c", celsius(reply.temperature));
        gaps.shrink_to_fit();
        let extra = SupplyExtra {
            fan: rpm(reply.fan).ok(),
            vin: text(reply.vin.as_ref()).ok(),
            iin: text(reply.iin.as_ref()).ok(),
        };
        Self { psu: Arc::new(psu), extra, gaps }
    }
}

impl Slow {
    /// The commands that are due.
    pub fn due(&self, now: Mono) -> Vec<Ask> {
        let all = [
            (Ask::Version, self.version.value.due(now)),
            (Ask::Info, self.info.value.due(now)),
            (Ask::Details, self.details.value.due(now)),
            (Ask::Psu, self.psu.value.due(now)),
        ];
        all.into_iter().filter(|(_, due)| *due).map(|(ask, _)| ask).collect()
    }

    /// Makes everything due, after a restart for example.
    pub fn expire(&mut self) {
        self.version.value.expire();
        self.info.value.expire();
        self.details.value.expire();
        self.psu.value.expire();
    }

    /// Takes the replies to `asked`. True when the firmware is another than before.
    pub fn take(
        &mut self,
        asked: &[Ask],
        mut replies: Replies,
        summary: Option<&Summary>,
        now: Mono,
    ) -> bool {
        let before = self.version.value.get().and_then(|v| v.firmware.clone());
        for ask in asked {
            match ask {
                Ask::Version => self.version.take(replies.version.take(), now),
                Ask::Info => {
                    self.info.take(replies.info.take().map(|got| got.map(|info| Device::of(&info))), now);
                }
                Ask::Details => self.details.take(replies.details.take(), now),
                Ask::Psu => self.psu.take(replies.psu.take().map(|got| got.map(|psu| Supply::of(&psu))), now),
                _ => {}
            }
        }
        let firmware = self.version.value.get().and_then(|v| v.firmware.as_ref());
        let changed = matches!((&before, firmware), (Some(a), Some(b)) if a != b);
        let facts = self.derive(summary);
        let same = *facts.info == *self.facts.info;
        let kept = self.facts.info.clone();
        self.facts = facts;
        if same {
            self.facts.info = kept;
        }
        changed
    }

    /// The age of the oldest value.
    pub fn age(&self, now: Mono) -> Option<Duration> {
        let ages = [
            self.version.value.age(now),
            self.info.value.age(now),
            self.details.value.age(now),
            self.psu.value.age(now),
        ];
        ages.into_iter().flatten().max()
    }

    fn derive(&self, summary: Option<&Summary>) -> Facts {
        let mut facts = Facts::default();
        self.about(&mut facts, summary);
        self.settings(&mut facts, summary);
        if let Some(supply) = facts.missing.keep("stats.psu", self.psu.get()) {
            facts.psu = Some(supply.psu.clone());
            facts.supply = supply.extra.clone();
            facts.missing.add(&supply.gaps);
        }
        facts
    }

    fn about(&self, facts: &mut Facts, summary: Option<&Summary>) {
        let name = self.details.get().and_then(|d| text(d.model.as_ref()));
        let model = name.as_ref().map(|name| models::find(name)).unwrap_or_default();
        facts.parts = model.parts;
        let (version, device) = (self.version.get(), self.info.get());
        let old = |read: fn(&Summary) -> Option<&Text>| text(summary.and_then(read));
        let missing = &mut facts.missing;
        let mut info = MinerInfo::default();
        info.make = MAKE.into();
        info.vendor_model = missing.keep("info.vendor_model", name);
        if info.vendor_model.is_some() {
            info.model = Some(model.name).filter(|name| !name.is_empty());
            info.variant = model.variant;
        } else {
            missing.keep("info.model", Err::<(), _>(MissingReason::Derived));
        }
        info.model_known = model.known;
        info.boards_expected = model.parts.boards;
        info.fans_expected = model.parts.fans;
        // API v1 tells these in the summary.
        let firmware =
            either(version.and_then(|v| text(v.firmware.as_ref())), || old(|s| s.firmware.as_ref()));
        info.firmware = missing.keep("info.firmware", firmware);
        info.api = missing.keep("info.api", version.and_then(|v| text(v.api.as_ref())));
        let board = either(version.and_then(|v| text(v.platform.as_ref())), || old(|s| s.platform.as_ref()));
        info.control_board = missing.keep("info.control_board", board);
        let own = either(device.and_then(|d| d.mac.clone()), || mac(summary.and_then(|s| s.mac.as_ref())));
        info.mac = missing.keep("info.mac", own);
        info.serial = missing.keep("info.serial", device.and_then(|d| d.serial.clone()));
        info.hostname = missing.keep("info.hostname", device.and_then(|d| d.hostname.clone()));
        facts.info = Arc::new(info);
    }

    fn settings(&self, facts: &mut Facts, summary: Option<&Summary>) {
        let missing = &mut facts.missing;
        match self.info.get() {
            Ok(device) => {
                facts.config.network_config = device.network.clone();
                facts.config.led_status = device.led;
                // MiningOS always has this member once the device told about itself, empty without the value.
                facts.specific = Some(device.specific.clone());
                missing.add(&device.gaps);
            }
            Err(reason) => missing.add(&Device::PATHS.map(|path| (path, reason))),
        }
        let version = self.version.get().and_then(|v| text(v.firmware.as_ref()));
        let version = either(version, || text(summary.and_then(|s| s.firmware.as_ref())));
        facts.config.firmware_ver = missing.keep("config.firmware_ver", version);
    }
}
