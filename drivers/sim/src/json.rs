//! What programs in other languages say and are told of simulated devices; the same JSON for all of them.

use std::net::Ipv4Addr;

use headframe_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Device, FleetBuilder, Role};

/// Most devices of a fleet that JSON describes: each has sockets of its own.
const MOST_DEVICES: usize = 10_000;

/// A fleet as JSON describes it: `{seed?, base?, byPort?, cold?, whatsminers?, antminers?}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FleetConf {
    /// Everything random follows from this.
    pub seed: u64,
    /// First address; the next devices follow it.
    pub base: Option<Ipv4Addr>,
    /// Puts all devices on the first address, on consecutive ports from this one.
    pub by_port: Option<u16>,
    /// Devices have just been switched on.
    pub cold: bool,
    /// Whatsminers, which take the first addresses.
    pub whatsminers: usize,
    /// Antminers, which take the next addresses.
    pub antminers: usize,
}

impl FleetConf {
    /// The fleet that is described.
    ///
    /// # Errors
    /// [`Invalid`](headframe_core::ErrorKind::Invalid) with more than 10,000 devices.
    pub fn builder(&self) -> Result<FleetBuilder> {
        if self.whatsminers.saturating_add(self.antminers) > MOST_DEVICES {
            let why = format!("there are {MOST_DEVICES} devices at most");
            return Err(Error::invalid("simulator.start", "whatsminers", why));
        }
        let mut fleet = FleetBuilder::new().seed(self.seed);
        if let Some(base) = self.base {
            fleet = fleet.base(base);
        }
        if let Some(first) = self.by_port {
            fleet = fleet.by_port(first);
        }
        if self.cold {
            fleet = fleet.cold();
        }
        Ok(fleet.whatsminers(self.whatsminers).antminers(self.antminers))
    }
}

impl Device {
    /// Who it is and where, as `{index, family, model, mac, serial, address, ports: {rpc, web, v3, side}}`; a service that
    /// it does not have is `null`.
    pub fn describe(&self) -> Value {
        let port = |role| self.address(role).map(|at| at.port());
        json!({
            "index": self.index(), "family": self.family().name(), "model": self.model().name, "mac": self.mac(),
            "serial": self.serial(), "address": self.ip(),
            "ports": {
                "rpc": port(Role::Rpc), "web": port(Role::Web), "v3": port(Role::RpcV3), "side": port(Role::Side),
            },
        })
    }

    /// What is really so and what it received, as `{ts, up, mining, asleep, power_w, nominal_mhs, executed, requests,
    /// connections}`.
    pub fn describe_truth(&self) -> Value {
        let truth = self.truth();
        json!({
            "ts": truth.at, "up": truth.up, "mining": truth.mining, "asleep": truth.asleep,
            "power_w": truth.power_w, "nominal_mhs": truth.nominal_mhs, "executed": self.executed(),
            "requests": self.requests(), "connections": self.connections(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Fault;

    fn fault(text: &str) -> Option<Fault> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn faults_have_their_names_and_members() {
        let delay = Duration::from_millis(1_500);
        assert_eq!(fault(r#"{"kind":"ignoreWrites"}"#), Some(Fault::IgnoreWrites));
        assert_eq!(fault(r#"{"kind":"cut","after":7}"#), Some(Fault::Cut { after: 7 }));
        assert_eq!(fault(r#"{"kind":"slow","delayMs":1500}"#), Some(Fault::Slow { delay }));
        assert_eq!(fault(r#"{"kind":"reboot","downMs":1500}"#), Some(Fault::Reboot { down: delay }));
        assert_eq!(fault(r#"{"kind":"drift","perHour":-0.1}"#), Some(Fault::Drift { per_hour: -0.1 }));
        let drip = Fault::Drip { bytes: 2, every: delay };
        assert_eq!(fault(r#"{"kind":"drip","bytes":2,"everyMs":1500}"#), Some(drip));
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            r#"{"kind":"burn"}"#,
            r#"{"kind":"cut"}"#,
            r#"{"kind":"cut","after":-1}"#,
            r#"{"kind":"slow","delay":1}"#,
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn a_fleet_has_a_bound_and_no_unknown_members() {
        let read = |text: &str| serde_json::from_str::<FleetConf>(text);
        assert!(read(r#"{"whatsminers":2,"byPort":15000}"#).unwrap().builder().is_ok());
        let e = read(r#"{"whatsminers":9999,"antminers":2}"#).unwrap().builder().unwrap_err();
        assert_eq!(e.kind(), headframe_core::ErrorKind::Invalid);
        assert!(read(r#"{"avalons":1}"#).is_err());
    }
}
