//! Which commands a unit has, by its API version.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use headframe_core::{
    model::{Capability, CommandName, CommandRow, PowerMode, PowerRange, ReadBack, ReplyRule, Restart, Undo},
    units::Watts,
};

use super::{slow::Facts, wire::Replies};
use crate::whatsminer::value::{limit, text};

/// The device has room for so many.
pub(super) const POOLS: usize = 3;

/// Generations of the API on port 4028, as far as their commands differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Generation {
    /// Nothing that tells it was read yet.
    #[default]
    Unknown,
    /// API v1, firmware before 2022-07-29: its writes are written down nowhere.
    V1,
    /// API 2.0.0 to 2.0.4.
    Early,
    /// From API 2.0.5 on.
    Late,
    /// API v3: port 4028 is for reading only.
    V3,
}

impl Generation {
    /// From the version of the API, or the date that firmware versions begin with.
    fn of(api: Option<&str>, firmware: Option<&str>) -> Self {
        if let Some(numbers) = api.and_then(numbers) {
            return match numbers {
                [0 | 1, ..] => Self::V1,
                [2, 0, patch] if patch < 5 => Self::Early,
                [2, ..] => Self::Late,
                _ => Self::V3,
            };
        }
        match firmware.and_then(|f| f.get(..8)?.parse::<u32>().ok()) {
            Some(20_000_101..20_220_729) => Self::V1,
            // Which of the late commands it has is not known.
            Some(20_220_729..20_241_101) => Self::Early,
            Some(20_241_101..21_000_101) => Self::V3,
            _ => Self::Unknown,
        }
    }
}

/// The numbers of `2.0.5` or `whatsminer v1.4`.
fn numbers(api: &str) -> Option<[u32; 3]> {
    let start = api.find(|c: char| c.is_ascii_digit())?;
    let rest = api.get(start..)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let mut parts = rest.get(..end)?.split('.').map(|n| n.parse().unwrap_or(0));
    Some([parts.next()?, parts.next().unwrap_or(0), parts.next().unwrap_or(0)])
}

/// What decides which commands a unit has, and within which limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Kind {
    pub generation: Generation,
    /// Whether it is cooled by a liquid: only then it takes more than 100 % power.
    liquid: bool,
    /// Its power without a limit, W, which is also the most that a limit can be.
    limit_w: Option<u32>,
}

impl Kind {
    /// From the replies of a poll.
    pub fn of(replies: &Replies, facts: &Facts) -> Self {
        let summary = replies.summary.as_ref().and_then(|s| s.as_ref().ok());
        let status = replies.status.as_ref().and_then(|s| s.as_ref().ok());
        let generation = Generation::of(facts.info.api.as_deref(), facts.info.firmware.as_deref());
        let wet = summary.and_then(|s| s.liquid_cooling);
        let liquid = facts.parts.fans == Some(0) || wet == Some(true);
        // Only a unit in normal mode that says that no limit is set shows what it does without one.
        let free = status.is_some_and(|s| s.power_limit == Some(0.0));
        let normal = summary.is_some_and(|s| text(s.power_mode.as_ref()).is_ok_and(|m| m == "Normal"));
        let shown = summary.and_then(|s| limit(s.power_limit).ok()).filter(|_| free && normal);
        Self { generation, liquid, limit_w: shown.map(whole) }
    }

    /// The same with what was seen before, where a poll does not tell.
    #[must_use]
    pub fn after(mut self, before: Self) -> Self {
        if self.generation == Generation::Unknown {
            self.generation = before.generation;
        }
        self.liquid |= before.liquid;
        self.limit_w = self.limit_w.or(before.limit_w);
        self
    }

    /// What a unit of this kind can do: one value for all of them.
    pub fn capability(self) -> Arc<Capability> {
        static SHARED: LazyLock<Mutex<BTreeMap<Kind, Weak<Capability>>>> = LazyLock::new(Mutex::default);
        if !matches!(self.generation, Generation::Early | Generation::Late) {
            return Capability::read_only();
        }
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.get(&self).and_then(Weak::upgrade) {
            return known;
        }
        shared.retain(|_, known| known.strong_count() > 0);
        let new = Arc::new(self.build());
        shared.insert(self, Arc::downgrade(&new));
        new
    }

    fn build(self) -> Capability {
        let late = self.generation == Generation::Late;
        let mut out = Capability::new(COMMON.iter().chain(if late { LATE } else { EARLY }).cloned());
        out.power_modes = [PowerMode::Low, PowerMode::Normal, PowerMode::High, PowerMode::Sleep].into();
        let most = self.limit_w.and_then(|w| Watts::new(f64::from(w)));
        if let (true, Some(most)) = (late, most) {
            out.power_limit_w = Some(PowerRange { min: None, default: Some(most), max: Some(most) });
        }
        out.power_pct_max = Some(if late && self.liquid { 200 } else { 100 });
        out.pools_max = Some(POOLS);
        out
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; a limit is above 0")]
fn whole(w: Watts) -> u32 {
    w.get().ceil() as u32
}

/// A setting that shows after a moment.
const SOON_S: u32 = 60;
/// The machine is up again.
const BOOT_S: u32 = 600;
/// A new firmware is written and runs.
const FLASH_S: u32 = 900;
/// Mining stopped or begins again, in the mode that was ordered; tuning goes on after that.
const MODE_S: u32 = 300;

const fn row(
    name: CommandName,
    reply: ReplyRule,
    read_back: ReadBack,
    undo: Undo,
    restart: Restart,
) -> CommandRow {
    CommandRow::new(name, reply, read_back, undo, restart)
}

/// Answered, and seen at a member of the snapshot.
const fn shown(name: CommandName, field: &'static str, within_s: u32, restart: Restart) -> CommandRow {
    row(name, ReplyRule::Expected, ReadBack::value(field, within_s), Undo::Before, restart)
}

/// Answered, and seen nowhere.
const fn blind(name: CommandName, restart: Restart) -> CommandRow {
    row(name, ReplyRule::Expected, ReadBack::None, Undo::None, restart)
}

use self::{CommandName as N, ReplyRule::SilenceMeansSent as SILENT};

pub(in crate::whatsminer) static COMMON: &[CommandRow] = &[
    row(N::Reboot, SILENT, ReadBack::restarted(BOOT_S), Undo::None, Restart::Machine),
    row(N::RestartMinerSoftware, SILENT, ReadBack::restarted(BOOT_S), Undo::None, Restart::Mining),
    row(
        N::SuspendMining,
        SILENT,
        ReadBack::value("config.suspended", MODE_S),
        Undo::PowerModeBefore,
        Restart::None,
    ),
    row(
        N::ResumeMining,
        ReplyRule::Expected,
        ReadBack::value("config.suspended", MODE_S),
        Undo::PowerModeBefore,
        Restart::Mining,
    ),
    row(N::SetPowerMode, SILENT, ReadBack::value("config.power_mode", MODE_S), Undo::Before, Restart::Mining),
    blind(N::PrePowerOn, Restart::None),
    blind(N::SetTargetFreq, Restart::Mining),
    shown(N::SetFastBoot, "extra.fast_boot", SOON_S, Restart::None),
    blind(N::SetPowerOffCool, Restart::None),
    blind(N::SetFanZeroSpeed, Restart::None),
    shown(N::SetupPools, "config.pool_config", 120, Restart::None),
    blind(N::SetWebPools, Restart::None),
    shown(N::SetLed, "config.led_status", SOON_S, Restart::None),
    shown(N::SetHostname, "info.hostname", SOON_S, Restart::None),
    blind(N::SetZone, Restart::None),
    shown(N::SetNetworkInformation, "config.network_config", 120, Restart::None),
    blind(N::UpdateAdminPassword, Restart::None),
    blind(N::FactoryReset, Restart::Machine),
    row(N::UpdateFirmware, ReplyRule::Expected, ReadBack::restarted(FLASH_S), Undo::None, Restart::Machine),
];

/// Before API 2.0.5. Whether `hash_percent` follows the older command is not known.
pub(in crate::whatsminer) static EARLY: &[CommandRow] = &[blind(N::SetPowerPct, Restart::None)];

/// From API 2.0.5 on.
pub(in crate::whatsminer) static LATE: &[CommandRow] = &[
    shown(N::SetPowerLimit, "stats.power_limit_w", MODE_S, Restart::Mining),
    shown(N::SetPowerPct, "extra.hash_percent", SOON_S, Restart::None),
    shown(N::SetUpfreqSpeed, "stats.miner_specific.upfreq_speed", SOON_S, Restart::None),
    blind(N::SetTempOffset, Restart::None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_dates() {
        for (api, firmware, want) in [
            (Some("2.0.5"), None, Generation::Late),
            (Some("2.0.10"), None, Generation::Late),
            (Some("2.1"), None, Generation::Late),
            (Some("2.0.4"), Some("20230803.11.REL"), Generation::Early),
            (Some("2.0"), None, Generation::Early),
            (Some("whatsminer v1.4"), None, Generation::V1),
            (Some("3.0.2"), None, Generation::V3),
            (Some("?"), Some("20210819.18.REL"), Generation::V1),
            (None, Some("20220728.1.REL"), Generation::V1),
            (None, Some("20220729.1.REL"), Generation::Early),
            (None, Some("20241031.1.Rel2"), Generation::Early),
            (None, Some("20241101.1.Rel2"), Generation::V3),
            (None, Some("next"), Generation::Unknown),
            (None, None, Generation::Unknown),
        ] {
            assert_eq!(Generation::of(api, firmware), want, "{api:?} {firmware:?}");
        }
    }

    #[test]
    fn late_commands_are_for_late_firmware_and_limits_are_the_devices() {
        let kind = |generation, liquid, limit_w| Kind { generation, liquid, limit_w };
        let early = kind(Generation::Early, true, Some(3300)).capability();
        let late = kind(Generation::Late, true, Some(3300)).capability();
        for name in [N::SetPowerLimit, N::SetUpfreqSpeed, N::SetTempOffset] {
            assert_eq!((early.has(name), late.has(name)), (false, true), "{name}");
        }
        assert_eq!((early.power_pct_max, late.power_pct_max), (Some(100), Some(200)));
        assert_eq!((early.power_limit_w, late.power_limit_w.unwrap().min), (None, None));
        assert_eq!(late.power_limit_w.unwrap().max, Watts::new(3300.0));
        for none in [Generation::Unknown, Generation::V1, Generation::V3] {
            assert!(kind(none, false, None).capability().commands().is_empty(), "{none:?}");
        }
        assert!(Arc::ptr_eq(&late, &kind(Generation::Late, true, Some(3300)).capability()));
        assert!(!late.has(N::DownloadLogs) && !late.has(N::SetFan) && !late.has(N::SetFrequency));
    }
}
