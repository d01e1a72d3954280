//! The commands, and which of them a machine has.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU8, AtomicU16, Ordering},
};

use headframe_core::model::{
    Capability, CommandName as N, CommandRow, PowerMode, ReadBack, ReplyRule, Restart, Undo,
};

use super::judge;

/// A configuration shows at once in the file that is read back; the bound is for machines that answer nothing while
/// the mining software restarts. No source states how long that takes.
const CONF_S: u32 = 300;
const LED_S: u32 = 30;
const NETWORK_S: u32 = 180;
const BOOT_S: u32 = 900;
const FLASH_S: u32 = 1_800;
/// Places of the browser's form.
pub(super) const POOLS: usize = 3;

use ReplyRule::{Expected, SilenceMeansSent as Silent};

/// `set_miner_conf` rewrites the file and restarts the mining software, often before its reply is out.
const fn conf(name: N, field: &'static str, undo: Undo) -> CommandRow {
    CommandRow::new(name, Silent, ReadBack::value(field, CONF_S), undo, Restart::Mining)
}

/// Every command of the modern web interface.
pub(super) static ALL: [CommandRow; 14] = [
    CommandRow::new(N::Reboot, Silent, ReadBack::restarted(BOOT_S), Undo::None, Restart::Machine),
    conf(N::SuspendMining, "config.suspended", Undo::PowerModeBefore),
    conf(N::ResumeMining, "config.suspended", Undo::PowerModeBefore),
    conf(N::SetPowerMode, "config.power_mode", Undo::Before),
    conf(N::SetFrequency, "stats.frequency_mhz", Undo::Before),
    conf(N::SetFan, "extra.fan_pct", Undo::Before),
    conf(N::SetupPools, "config.pool_config", Undo::Before),
    CommandRow::new(
        N::SetLed,
        Expected,
        ReadBack::value("config.led_status", LED_S),
        Undo::Before,
        Restart::None,
    ),
    CommandRow::new(
        N::SetHostname,
        Silent,
        ReadBack::value("info.hostname", NETWORK_S),
        Undo::Before,
        Restart::None,
    ),
    CommandRow::new(
        N::SetNetworkInformation,
        Silent,
        ReadBack::value("config.network_config", NETWORK_S),
        Undo::Before,
        Restart::None,
    ),
    CommandRow::new(N::UpdateAdminPassword, Expected, ReadBack::None, Undo::None, Restart::None),
    CommandRow::new(N::FactoryReset, Expected, ReadBack::None, Undo::None, Restart::Mining),
    CommandRow::new(N::UpdateFirmware, Expected, ReadBack::restarted(FLASH_S), Undo::None, Restart::Machine),
    CommandRow::new(N::DownloadLogs, Expected, ReadBack::None, Undo::None, Restart::None),
];

/// The row of `name`.
pub(super) fn row(name: N) -> Option<&'static CommandRow> {
    ALL.iter().find(|row| row.name == name)
}

/// The web interface serves us; without it there is no command, as port 4028 has none.
const WEB: u8 = 1;
/// The configuration is readable.
const CONF: u8 = 2;
/// It shows the clock.
const CLOCK: u8 = 4;
/// The light tells its state.
const LED: u8 = 8;
/// The machine was seen in mode 3.
const LOW: u8 = 16;
/// The machine was seen in mode 2.
const HIGH: u8 = 32;
/// The configuration shows how the fans run.
const FAN: u8 = 64;
const VARIANTS: usize = 128;
const NO_MODE: u16 = u16::MAX;

/// What is known of a machine that decides its commands.
#[derive(Debug)]
pub(super) struct Features {
    bits: AtomicU8,
    /// The last work mode in which it was not asleep.
    awake: AtomicU16,
}

impl Default for Features {
    fn default() -> Self {
        Self { bits: AtomicU8::new(0), awake: AtomicU16::new(NO_MODE) }
    }
}

/// What a poll found out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    /// Whether the configuration could be read.
    pub conf: bool,
    /// Whether it shows the clock.
    pub clock: bool,
    /// Whether it shows how the fans run.
    pub fan: bool,
    /// Whether the light tells its state.
    pub led: bool,
}

impl Features {
    fn set(&self, bits: u8, on: bool) {
        if on {
            self.bits.fetch_or(bits, Ordering::Relaxed);
        } else {
            self.bits.fetch_and(!bits, Ordering::Relaxed);
        }
    }

    /// The web interface answered.
    pub fn found(&self, found: Found) {
        for (bit, on) in
            [(WEB, true), (CONF, found.conf), (CLOCK, found.clock), (FAN, found.fan), (LED, found.led)]
        {
            self.set(bit, on);
        }
    }

    /// The web interface does not serve us.
    pub fn shut(&self) {
        self.set(WEB, false);
    }

    /// Another machine may be there.
    pub fn forget(&self) {
        self.bits.store(0, Ordering::Relaxed);
        self.forget_mode();
    }

    /// Nobody knows in which mode it will wake.
    pub fn forget_mode(&self) {
        self.awake.store(NO_MODE, Ordering::Relaxed);
    }

    /// The machine was seen in this work mode: nothing else proves that its firmware has it.
    pub fn seen(&self, mode: i64) {
        match judge::power_mode(mode) {
            Some(PowerMode::Sleep) => return,
            Some(PowerMode::Low) => self.set(LOW, true),
            Some(PowerMode::High) => self.set(HIGH, true),
            _ => {}
        }
        if let Ok(mode) = u8::try_from(mode) {
            self.awake.store(mode.into(), Ordering::Relaxed);
        }
    }

    /// The work mode to wake to: the last one seen, else normal.
    pub fn awake(&self) -> u8 {
        u8::try_from(self.awake.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// What the machine can do; one value for all machines of a kind.
    pub fn capability(&self) -> Arc<Capability> {
        static TABLE: [OnceLock<Arc<Capability>>; VARIANTS] = [const { OnceLock::new() }; VARIANTS];
        let bits = self.bits.load(Ordering::Relaxed);
        match TABLE.get(usize::from(bits)).filter(|_| bits & WEB != 0) {
            Some(place) => place.get_or_init(|| Arc::new(variant(bits))).clone(),
            None => Capability::read_only(),
        }
    }
}

fn variant(bits: u8) -> Capability {
    let needs = |name| match name {
        N::SuspendMining | N::ResumeMining | N::SetPowerMode | N::SetupPools => CONF,
        N::SetFan => CONF | FAN,
        N::SetFrequency => CONF | CLOCK,
        N::SetLed => LED,
        _ => 0,
    };
    let has = |row: &&CommandRow| needs(row.name) & !bits == 0;
    let mut out = Capability::new(ALL.iter().filter(has).cloned());
    if bits & CONF != 0 {
        out.pools_max = Some(POOLS);
        out.power_modes = [PowerMode::Sleep, PowerMode::Normal].into();
        out.power_modes.extend((bits & LOW != 0).then_some(PowerMode::Low));
        out.power_modes.extend((bits & HIGH != 0).then_some(PowerMode::High));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_of_a_kind_share_one_capability() {
        let (a, b) = (Features::default(), Features::default());
        assert!(a.capability().commands().is_empty());
        let found = Found { conf: true, clock: true, fan: true, led: true };
        a.found(found);
        b.found(found);
        assert!(Arc::ptr_eq(&a.capability(), &b.capability()));
        assert_eq!(a.capability().commands().len(), ALL.len());
        b.found(Found { clock: false, ..found });
        assert!(!b.capability().has(N::SetFrequency) && b.capability().has(N::SetFan));
        b.found(Found { fan: false, ..found });
        assert!(b.capability().has(N::SetFrequency) && !b.capability().has(N::SetFan));
        b.found(Found { conf: false, ..found });
        assert!(!b.capability().has(N::SetFrequency) && !b.capability().has(N::SetFan));
        a.shut();
        assert!(Arc::ptr_eq(&a.capability(), &Capability::read_only()));
    }

    #[test]
    fn a_mode_is_offered_once_it_was_seen() {
        let machine = Features::default();
        machine.found(Found { conf: true, ..Found::default() });
        assert_eq!((machine.capability().power_modes.len(), machine.awake()), (2, 0));
        for mode in [3, 1, 5] {
            machine.seen(mode);
        }
        assert!(machine.capability().power_modes.contains(&PowerMode::Low));
        assert_eq!(machine.awake(), 3);
        machine.forget_mode();
        assert_eq!((machine.capability().power_modes.len(), machine.awake()), (3, 0));
        machine.forget();
        assert!(machine.capability().commands().is_empty());
    }
}
