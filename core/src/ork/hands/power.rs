//! What a command does to the power that a miner draws. Pure.

use crate::model::{Capability, Command, CommandRow, MinerStats, PowerMode, Restart};

/// The most that a command can change the power of a miner by, W, from what it draws now; `None` when nobody can say.
///
/// What restarts draws next to nothing meanwhile, so it changes by all that it draws, even if it comes back as it was.
pub(super) fn swing(
    command: &Command,
    row: Option<&CommandRow>,
    stats: &MinerStats,
    capability: Option<&Capability>,
) -> Option<f64> {
    let restart = row?.restart;
    let drawn = stats.power_w.map(|w| w.get().max(0.0));
    let fall = if restart == Restart::None { Some(0.0) } else { drawn };
    let to = |target: Option<f64>| Some(fall?.max((target? - drawn?).abs()));
    match command {
        Command::SuspendMining | Command::SetPowerMode(PowerMode::Sleep) => drawn,
        Command::SetPowerMode(PowerMode::High) => to(limit(stats, capability)),
        Command::ResumeMining
        | Command::SetPowerMode(_)
        | Command::SetPowerPct(_)
        | Command::SetFrequency(_)
        | Command::SetTargetFreq(_)
        | Command::PrePowerOn(_)
        | Command::FactoryReset => {
            // Each can end anywhere between nothing and the most that the machine draws.
            let most = limit(stats, capability).or_else(|| nominal(stats))?;
            let drawn = drawn?;
            Some(drawn.max(most - drawn))
        }
        Command::SetPowerLimit(limit) => to(Some(limit.get())),
        _ => fall,
    }
}

/// The most that the machine draws, as far as it tells.
fn limit(stats: &MinerStats, capability: Option<&Capability>) -> Option<f64> {
    let range = capability.and_then(|capability| capability.power_limit_w);
    let highest = range.and_then(|range| range.max.or(range.default)).map(|w| w.get());
    highest.or_else(|| stats.power_limit_w.map(|w| w.get()).filter(|w| *w > 0.0))
}

/// What it draws in normal mode, as the model was sold.
fn nominal(stats: &MinerStats) -> Option<f64> {
    // MH/s to TH/s.
    let rate = stats.nominal_hashrate_mhs?.get() / 1e6;
    let power = stats.nominal_efficiency_w_ths?.get() * rate;
    (power > 0.0).then_some(power)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{CommandName, PowerRange, ReadBack, ReplyRule, Undo};

    fn row(restart: Restart) -> CommandRow {
        CommandRow::new(CommandName::Reboot, ReplyRule::Expected, ReadBack::None, Undo::None, restart)
    }

    fn stats(json: &serde_json::Value) -> MinerStats {
        MinerStats {
            power_w: serde_json::from_value(json["power_w"].clone()).unwrap(),
            power_limit_w: serde_json::from_value(json["power_limit_w"].clone()).unwrap(),
            nominal_hashrate_mhs: serde_json::from_value(json["nominal"].clone()).unwrap(),
            nominal_efficiency_w_ths: serde_json::from_value(json["efficiency"].clone()).unwrap(),
            ..MinerStats::default()
        }
    }

    #[test]
    fn a_command_changes_power_by_at_most_so_much() {
        use Restart::{Machine, Mining, None as Nothing};
        let awake = stats(&json!({"power_w": 3400}));
        let limited = stats(&json!({"power_w": 3400, "power_limit_w": 3600}));
        let asleep = stats(&json!({"power_w": 20, "power_limit_w": 3600}));
        let sold = stats(&json!({"power_w": 20, "nominal": 100_000_000, "efficiency": 30}));
        let silent = MinerStats::default();
        let watts = |w: f64| Command::SetPowerLimit(serde_json::from_value(json!(w)).unwrap());
        for (command, restart, stats, expected) in [
            (Command::SetPowerMode(PowerMode::Sleep), Mining, &awake, Some(3400.0)),
            (Command::SuspendMining, Nothing, &awake, Some(3400.0)),
            (Command::Reboot, Machine, &awake, Some(3400.0)),
            (Command::SetLed(true), Nothing, &silent, Some(0.0)),
            (Command::Reboot, Machine, &silent, None),
            (Command::ResumeMining, Mining, &asleep, Some(3580.0)),
            (Command::ResumeMining, Mining, &sold, Some(2980.0)),
            (Command::ResumeMining, Mining, &awake, None),
            (Command::SetPowerMode(PowerMode::High), Mining, &sold, None),
            (Command::SetPowerMode(PowerMode::High), Mining, &limited, Some(3400.0)),
            (watts(3000.0), Nothing, &limited, Some(400.0)),
            (watts(3000.0), Mining, &limited, Some(3400.0)),
            (watts(3000.0), Nothing, &silent, None),
        ] {
            assert_eq!(
                swing(&command, Some(&row(restart)), stats, None),
                expected,
                "{command:?} {restart:?}"
            );
        }
        let mut capability = Capability::default();
        let max = serde_json::from_value(json!(4000)).unwrap();
        capability.power_limit_w = Some(PowerRange { max, ..PowerRange::default() });
        let wake = swing(&Command::ResumeMining, Some(&row(Mining)), &asleep, Some(&capability));
        assert_eq!(wake, Some(3980.0));
        assert_eq!(swing(&Command::Reboot, None, &awake, None), None, "nobody knows the device yet");
    }
}
