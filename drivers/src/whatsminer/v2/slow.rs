//! What changes rarely: read every few minutes, and turned into snapshot members once.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    driver::{Aged, REFRESH},
    io::Mono,
    model::{MinerConfig, MinerInfo, MinerSpecific, MissingReason, NetworkConfig, Psu},
    units::floor2,
};
use serde_json::Value;

use super::{
    reply::{self, Details, Info, Summary, Version},
    wire::{Ask, Failure, Got, Replies},
};
use crate::whatsminer::{
    MAKE,
    models::{self, Model},
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
    info: Entry<Info>,
    details: Entry<Details>,
    psu: Entry<reply::Psu>,
    pub facts: Facts,
}

/// The members of a snapshot that rest on slow replies only.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub info: Arc<MinerInfo>,
    pub model: Model,
    /// Without pools and power mode.
    pub config: MinerConfig,
    pub specific: Option<MinerSpecific>,
    pub psu: Option<Psu>,
    pub psu_fan: Option<u32>,
    pub psu_raw: Vec<(&'static str, Value)>,
    pub missing: Missing,
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
                Ask::Info => self.info.take(replies.info.take(), now),
                Ask::Details => self.details.take(replies.details.take(), now),
                Ask::Psu => self.psu.take(replies.psu.take(), now),
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
        let details = self.details.get();
        let name = details.and_then(|d| text(d.model.as_ref()));
        if let Ok(name) = &name {
            facts.model = models::find(name);
        }
        self.about(&mut facts, name, summary);
        self.settings(&mut facts, summary);
        self.supply(&mut facts);
        facts
    }

    fn about(&self, facts: &mut Facts, name: Reading<String>, summary: Option<&Summary>) {
        let (version, device) = (self.version.get(), self.info.get());
        let old = |read: fn(&Summary) -> Option<&String>| text(summary.and_then(read));
        let missing = &mut facts.missing;
        let mut info = MinerInfo::default();
        info.make = MAKE.into();
        info.vendor_model = missing.keep("info.vendor_model", name);
        if info.vendor_model.is_some() {
            info.model = Some(facts.model.name.clone()).filter(|name| !name.is_empty());
            info.variant.clone_from(&facts.model.variant);
        } else {
            missing.keep("info.model", Err::<(), _>(MissingReason::Derived));
        }
        info.model_known = facts.model.known;
        info.boards_expected = facts.model.boards;
        info.fans_expected = facts.model.fans;
        // API v1 tells these in the summary.
        let firmware =
            either(version.and_then(|v| text(v.firmware.as_ref())), || old(|s| s.firmware.as_ref()));
        info.firmware = missing.keep("info.firmware", firmware);
        info.api = missing.keep("info.api", version.and_then(|v| text(v.api.as_ref())));
        let board = either(version.and_then(|v| text(v.platform.as_ref())), || old(|s| s.platform.as_ref()));
        info.control_board = missing.keep("info.control_board", board);
        let own =
            either(device.and_then(|i| mac(i.mac.as_ref())), || mac(summary.and_then(|s| s.mac.as_ref())));
        info.mac = missing.keep("info.mac", own);
        info.serial = missing.keep("info.serial", device.and_then(|i| text(i.serial.as_ref())));
        info.hostname = missing.keep("info.hostname", device.and_then(|i| text(i.hostname.as_ref())));
        facts.info = Arc::new(info);
    }

    fn settings(&self, facts: &mut Facts, summary: Option<&Summary>) {
        let device = self.info.get();
        let missing = &mut facts.missing;
        let of = |read: fn(&Info) -> Option<&String>| device.and_then(|i| text(read(i)));
        let mut net = NetworkConfig::default();
        net.mode = missing.keep("config.network_config.mode", of(|i| i.proto.as_ref()));
        net.ip_address = missing.keep("config.network_config.ip_address", of(|i| i.ip.as_ref()));
        net.ip_gw = missing.keep("config.network_config.ip_gw", of(|i| i.gateway.as_ref()));
        net.ip_netmask = missing.keep("config.network_config.ip_netmask", of(|i| i.netmask.as_ref()));
        let dns = of(|i| i.dns.as_ref()).map(|d| d.split_whitespace().map(str::to_owned).collect());
        net.dns = missing.keep("config.network_config.dns", dns);
        facts.config.network_config = Arc::new(net);
        let led = of(|i| i.ledstat.as_ref()).map(|led| led != "auto");
        facts.config.led_status = missing.keep("config.led_status", led);
        let version = self.version.get().and_then(|v| text(v.firmware.as_ref()));
        let version = either(version, || text(summary.and_then(|s| s.firmware.as_ref())));
        facts.config.firmware_ver = missing.keep("config.firmware_ver", version);
        // MiningOS always has this member once the device told about itself, empty without the value.
        if missing.keep("stats.miner_specific", device.map(|_| ())).is_some() {
            let mut specific = MinerSpecific::default();
            let speed = device.and_then(|i| reported(i.upfreq_speed.and_then(|n| u32::try_from(n).ok())));
            specific.upfreq_speed = missing.keep("stats.miner_specific.upfreq_speed", speed);
            facts.specific = Some(specific);
        }
    }

    fn supply(&self, facts: &mut Facts) {
        let missing = &mut facts.missing;
        let Some(told) = missing.keep("stats.psu", self.psu.get()) else { return };
        let mut psu = Psu::default();
        let model = either(text(told.model.as_ref()), || text(told.name.as_ref()));
        psu.model = missing.keep("stats.psu.model", model);
        psu.serial = missing.keep("stats.psu.serial", text(told.serial.as_ref()));
        psu.firmware = missing.keep("stats.psu.firmware", text(told.firmware.as_ref()));
        psu.input_w = missing.keep("stats.psu.input_w", watts(told.pin.map(floor2)));
        psu.temperature_c = missing.keep("stats.psu.temperature_c", celsius(told.temperature));
        facts.psu = Some(psu);
        facts.psu_fan = rpm(told.fan).ok();
        let raw = [("psu_vin_raw", &told.vin), ("psu_iin_raw", &told.iin)];
        let raw =
            raw.into_iter().filter_map(|(key, value)| Some((key, Value::from(text(value.as_ref()).ok()?))));
        facts.psu_raw = raw.collect();
    }
}
