//! What API v3 can carry out, as data. Commands whose parameters no source writes down are not among them; `docs.md`
//! lists those.

use std::sync::{Arc, LazyLock};

use headframe_core::model::{
    Capability, CommandName, CommandRow, PowerMode, ReadBack, ReplyRule, Restart, Undo,
};

/// How many pools a device holds.
pub(super) const POOLS_MAX: usize = 3;

/// A machine tunes for up to 15 minutes after its mining restarts.
const TUNED_S: u32 = 900;

const fn row(name: CommandName, read_back: ReadBack, undo: Undo, restart: Restart) -> CommandRow {
    CommandRow::new(name, ReplyRule::Expected, read_back, undo, restart)
}

pub(in crate::whatsminer) static ROWS: &[CommandRow] = &[
    // The only command after which silence is known to be normal.
    CommandRow::new(
        CommandName::Reboot,
        ReplyRule::SilenceMeansSent,
        ReadBack::restarted(TUNED_S),
        Undo::None,
        Restart::Machine,
    ),
    row(CommandName::RestartMinerSoftware, ReadBack::restarted(TUNED_S), Undo::None, Restart::Mining),
    row(
        CommandName::SuspendMining,
        ReadBack::value("config.power_mode", 300),
        Undo::PowerModeBefore,
        Restart::Mining,
    ),
    row(
        CommandName::ResumeMining,
        ReadBack::value("config.power_mode", TUNED_S),
        Undo::PowerModeBefore,
        Restart::Mining,
    ),
    row(
        CommandName::SetPowerMode,
        ReadBack::value("config.power_mode", TUNED_S),
        Undo::Before,
        Restart::Mining,
    ),
    row(
        CommandName::SetPowerLimit,
        ReadBack::value("stats.power_limit_w", TUNED_S),
        Undo::Before,
        Restart::Mining,
    ),
    row(CommandName::SetupPools, ReadBack::value("config.pool_config", 120), Undo::Before, Restart::None),
    row(CommandName::SetLed, ReadBack::value("config.led_status", 30), Undo::Before, Restart::None),
];

/// The row of `name`.
pub(super) fn find(name: CommandName) -> Option<&'static CommandRow> {
    ROWS.iter().find(|row| row.name == name)
}

/// What every device with API v3 can do; one for all of them, since none tells more. The device tells the power limit
/// that is in force, not whether it is one that was set, so the limit's range is not known.
pub(super) fn capability() -> Arc<Capability> {
    static ALL: LazyLock<Arc<Capability>> = LazyLock::new(|| {
        let mut all = Capability::new(ROWS.iter().cloned());
        all.power_modes = [PowerMode::Low, PowerMode::Normal, PowerMode::High, PowerMode::Sleep].into();
        all.pools_max = Some(POOLS_MAX);
        Arc::new(all)
    });
    ALL.clone()
}
