use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};

use super::{Command, CommandName, CommandRow, PowerMode};
use crate::{Error, Result, units::Watts};

const OP: &str = "capability.check";

/// What one device can do, with its limits. It can change, after a firmware update for example.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Capability {
    /// The commands that [`Thing::execute`](crate::driver::Thing::execute) accepts, in the order of their names.
    commands: Vec<CommandRow>,
    /// Power modes that the device has.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub power_modes: BTreeSet<PowerMode>,
    /// Limits of the power limit, as far as the device tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<PowerRange>,
    /// The highest power percentage that it takes; absent when it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_pct_max: Option<u16>,
    /// How many pools it holds; absent when it holds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools_max: Option<usize>,
}

impl Capability {
    /// A device that carries out the commands of `rows`, each with its row.
    pub fn new(rows: impl IntoIterator<Item = CommandRow>) -> Self {
        let mut commands: Vec<CommandRow> = rows.into_iter().collect();
        commands.sort_by_key(|row| row.name);
        commands.dedup_by_key(|row| row.name);
        Self { commands, ..Self::default() }
    }

    /// A device that is only read; one for all of them.
    pub fn read_only() -> Arc<Self> {
        static READ_ONLY: LazyLock<Arc<Capability>> = LazyLock::new(Arc::default);
        READ_ONLY.clone()
    }

    /// Its commands, in the order of their names.
    pub fn commands(&self) -> &[CommandRow] {
        &self.commands
    }

    /// Whether the device carries out `name`.
    pub fn has(&self, name: CommandName) -> bool {
        self.row(name).is_some()
    }

    /// What is known of `name`; `None` when the device does not have it.
    pub fn row(&self, name: CommandName) -> Option<&CommandRow> {
        let at = self.commands.binary_search_by_key(&name, |row| row.name).ok()?;
        self.commands.get(at)
    }

    /// Refuses what the device cannot do, before anything is sent.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a command or a mode that it does not have, and
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the field and the limits, for arguments outside its ranges.
    pub fn check(&self, command: &Command) -> Result<&CommandRow> {
        let row = self.row(command.name()).ok_or_else(|| Error::unsupported(OP, command.name().as_str()))?;
        command.check()?;
        match command {
            Command::SetPowerMode(mode) if !self.power_modes.contains(mode) => {
                let modes: Vec<&str> = self.power_modes.iter().map(|m| m.as_str()).collect();
                return Err(Error::unsupported(OP, "power mode")
                    .code_as("ERR_SET_POWER_MODE_INVALID")
                    .with("mode", mode.as_str())
                    .with("modes", modes.join(",")));
            }
            Command::SetPowerLimit(limit) => {
                if let Some(range) = self.power_limit_w {
                    range.check(*limit)?;
                }
            }
            Command::SetPowerPct(percent) if self.power_pct_max.is_some_and(|max| *percent > max) => {
                let max = self.power_pct_max.unwrap_or_default();
                return Err(Error::invalid(OP, "percent", format!("this model takes at most {max} %"))
                    .code_as("ERR_POWER_PCT_NOT_SUPPORTED")
                    .with("max", max));
            }
            Command::SetupPools(pools) if self.pools_max.is_some_and(|max| pools.len() > max) => {
                let max = self.pools_max.unwrap_or_default();
                return Err(
                    Error::invalid(OP, "pools", format!("the device holds {max} pools")).with("max", max)
                );
            }
            _ => {}
        }
        Ok(row)
    }
}

/// Range of a power limit in W, as far as the device tells it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PowerRange {
    /// Lowest accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Watts>,
    /// What the device does without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Watts>,
    /// Highest accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Watts>,
}

impl PowerRange {
    fn check(self, limit: Watts) -> Result<()> {
        let below = self.min.is_some_and(|min| limit < min);
        let above = self.max.is_some_and(|max| limit > max);
        if !below && !above {
            return Ok(());
        }
        let mut text = String::from("the device takes");
        let bounds = [(" at least ", self.min), (" at most ", self.max)];
        bounds.iter().filter_map(|(word, bound)| Some((word, (*bound)?))).for_each(|(word, bound)| {
            text += word;
            text += &bound.to_string();
        });
        let mut error = Error::invalid(OP, "power_limit_w", text).with("value", limit.get());
        for (key, bound) in [("min", self.min), ("default", self.default), ("max", self.max)] {
            if let Some(bound) = bound {
                error = error.with(key, bound.get());
            }
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind, Sent,
        model::{ReadBack, ReplyRule, Restart, Undo},
    };

    fn device() -> Capability {
        let row =
            |name| CommandRow::new(name, ReplyRule::Expected, ReadBack::None, Undo::None, Restart::None);
        let mut device = Capability::new(
            [CommandName::SetPowerLimit, CommandName::Reboot, CommandName::SetPowerMode].map(row),
        );
        device.power_modes = [PowerMode::Sleep, PowerMode::Normal].into();
        device.power_limit_w = Some(PowerRange {
            min: Watts::new(1500.0),
            default: Watts::new(3300.0),
            max: Watts::new(3300.0),
        });
        device
    }

    #[test]
    fn what_a_device_cannot_do_is_refused_with_the_reason() {
        let device = device();
        let limit = |w| Command::SetPowerLimit(Watts::new(w).unwrap());
        device.check(&Command::Reboot).unwrap();
        device.check(&limit(3300.0)).unwrap();
        for (command, kind) in [
            (Command::SetLed(true), ErrorKind::Unsupported),
            (Command::SetPowerMode(PowerMode::High), ErrorKind::Unsupported),
            (limit(3301.0), ErrorKind::Invalid),
            (limit(1499.0), ErrorKind::Invalid),
        ] {
            let e = device.check(&command).unwrap_err();
            assert_eq!((e.kind(), e.sent()), (kind, Sent::No), "{command:?}");
        }
        let e = device.check(&limit(5000.0)).unwrap_err();
        assert_eq!(
            (e.fact("max"), e.fact("min"), e.fact("default")),
            (Some("3300"), Some("1500"), Some("3300"))
        );
    }

    #[test]
    fn json_keeps_every_row() {
        let json = serde_json::to_string(&device()).unwrap();
        assert_eq!(serde_json::from_str::<Capability>(&json).unwrap(), device());
    }
}
