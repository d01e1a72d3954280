use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::CommandName;

/// What an action changes, as far as rules care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActionClass {
    /// How much power miners draw: mode, limit, clock, sleep.
    Power,
    /// A restart of miners or of their software.
    Restart,
    /// Where hashrate, and so money, goes.
    Pools,
    /// The software of devices.
    Firmware,
    /// How devices are reached.
    Network,
    /// Passwords; and what a thing is opened with, its address included, since its password is sent there.
    Credentials,
    /// Fans, pumps and temperatures.
    Cooling,
    /// The power of whole containers and of their sockets.
    ContainerPower,
    /// Lights.
    Harmless,
    /// Records of things.
    Registry,
    /// Forgetting things, and setting devices as delivered.
    Deletion,
    /// A restart of what collects a rack.
    RackRestart,
    /// These rules.
    Policy,
    /// Logs of devices.
    Logs,
    /// Everything else.
    Other,
}

impl ActionClass {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Power,
        Self::Restart,
        Self::Pools,
        Self::Firmware,
        Self::Network,
        Self::Credentials,
        Self::Cooling,
        Self::ContainerPower,
        Self::Harmless,
        Self::Registry,
        Self::Deletion,
        Self::RackRestart,
        Self::Policy,
        Self::Logs,
        Self::Other,
    ];

    /// The class of an action with its parameters. Names are those of MiningOS, as they are written there.
    pub fn of(action: &str, params: &[Value]) -> Self {
        if let Ok(command) = action.parse() {
            return Self::of_command(command);
        }
        match action {
            "switchContainer" | "switchSocket" | "resetContainer" | "emergencyStop" => Self::ContainerPower,
            "switchCoolingSystem"
            | "resetCoolingSystem"
            | "setLiquidSupplyTemperature"
            | "setCoolingFanThreshold"
            | "setTankEnabled"
            | "setAirExhaustEnabled"
            | "setTemperatureSettings" => Self::Cooling,
            "updateThing" if opens_otherwise(params) => Self::Credentials,
            "registerThing" | "updateThing" | "reassignThings" => Self::Registry,
            "forgetThings" => Self::Deletion,
            "rackReboot" => Self::RackRestart,
            "setPolicy" | "setLimits" | "setPrincipal" | "removePrincipal" => Self::Policy,
            _ => Self::Other,
        }
    }

    /// The class of a command.
    pub const fn of_command(command: CommandName) -> Self {
        match command {
            CommandName::SuspendMining
            | CommandName::ResumeMining
            | CommandName::PrePowerOn
            | CommandName::SetPowerMode
            | CommandName::SetPowerLimit
            | CommandName::SetPowerPct
            | CommandName::SetFrequency
            | CommandName::SetTargetFreq
            | CommandName::SetUpfreqSpeed
            | CommandName::SetFastBoot => Self::Power,
            CommandName::Reboot | CommandName::RestartMinerSoftware => Self::Restart,
            CommandName::SetupPools | CommandName::SetWebPools => Self::Pools,
            CommandName::UpdateFirmware => Self::Firmware,
            CommandName::SetHostname | CommandName::SetNetworkInformation => Self::Network,
            CommandName::UpdateAdminPassword => Self::Credentials,
            CommandName::SetTempOffset
            | CommandName::SetPowerOffCool
            | CommandName::SetFanZeroSpeed
            | CommandName::SetFan => Self::Cooling,
            CommandName::SetLed => Self::Harmless,
            CommandName::FactoryReset => Self::Deletion,
            CommandName::DownloadLogs => Self::Logs,
            CommandName::SetZone => Self::Other,
        }
    }
}

/// Whether an update changes what a thing is opened with.
fn opens_otherwise(params: &[Value]) -> bool {
    let opts = params.first().and_then(|record| record.get("opts"));
    opts.is_some_and(|opts| !opts.is_null() && opts.as_object().is_none_or(|members| !members.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every action of the catalogue, with the class that the rules of `safe` were written for.
    const CATALOGUE: &[(&str, ActionClass)] = &[
        ("reboot", ActionClass::Restart),
        ("setPowerMode", ActionClass::Power),
        ("setLED", ActionClass::Harmless),
        ("setupPools", ActionClass::Pools),
        ("updateFirmware", ActionClass::Firmware),
        ("setPowerPct", ActionClass::Power),
        ("setUpfreqSpeed", ActionClass::Power),
        ("downloadLogs", ActionClass::Logs),
        ("switchContainer", ActionClass::ContainerPower),
        ("switchSocket", ActionClass::ContainerPower),
        ("switchCoolingSystem", ActionClass::Cooling),
        ("resetCoolingSystem", ActionClass::Cooling),
        ("setLiquidSupplyTemperature", ActionClass::Cooling),
        ("setCoolingFanThreshold", ActionClass::Cooling),
        ("setTankEnabled", ActionClass::Cooling),
        ("setAirExhaustEnabled", ActionClass::Cooling),
        ("setTemperatureSettings", ActionClass::Cooling),
        ("resetAlarm", ActionClass::Other),
        ("registerThing", ActionClass::Registry),
        ("forgetThings", ActionClass::Deletion),
        ("rackReboot", ActionClass::RackRestart),
        ("setPolicy", ActionClass::Policy),
        ("anythingElse", ActionClass::Other),
        ("setpowermode", ActionClass::Other),
    ];

    #[test]
    fn every_action_has_its_class() {
        for (action, class) in CATALOGUE {
            assert_eq!(ActionClass::of(action, &[]), *class, "{action}");
        }
    }

    #[test]
    fn every_command_has_a_class_of_its_own_choosing() {
        for command in CommandName::ALL {
            let class = ActionClass::of(command.as_str(), &[]);
            assert_eq!(class, ActionClass::of_command(*command), "{command}");
            assert_eq!(class == ActionClass::Other, *command == CommandName::SetZone, "{command}");
        }
    }

    #[test]
    fn an_update_of_what_opens_a_thing_is_about_credentials() {
        let class = |record: Value| ActionClass::of("updateThing", &[record]);
        for record in
            [json!({"opts": {"password": "x"}}), json!({"opts": {"address": "10.0.0.7"}}), json!({"opts": 1})]
        {
            assert_eq!(class(record.clone()), ActionClass::Credentials, "{record}");
        }
        for record in [json!({}), json!({"opts": {}}), json!({"opts": null, "tags": ["a"]}), json!("opts")] {
            assert_eq!(class(record.clone()), ActionClass::Registry, "{record}");
        }
        assert_eq!(ActionClass::of("updateThing", &[]), ActionClass::Registry);
    }

    #[test]
    fn names_in_rules_are_in_snake_case_and_listed_once() {
        let names: std::collections::BTreeSet<String> =
            ActionClass::ALL.iter().map(|class| serde_json::to_string(class).unwrap()).collect();
        assert_eq!(names.len(), ActionClass::ALL.len());
        assert!(names.contains("\"container_power\"") && names.contains("\"rack_restart\""));
    }
}
