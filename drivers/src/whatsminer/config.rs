use std::net::{IpAddr, SocketAddr};

use headframe_core::{
    Error, ErrorKind, Result, Secret,
    io::Ctx,
    model::{Text, ThingConf},
};
use serde::Deserialize;

/// Options of a Whatsminer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct WhatsminerConf {
    /// IP address or host name.
    pub address: Text,
    /// Port of the API.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Which API to speak: what is found unless given.
    #[serde(default)]
    pub api: Api,
    /// Password of the account `admin`. Reading needs none.
    #[serde(default)]
    pub password: Secret,
    /// Efficiency as the model was sold, J/TH; 0 takes MiningOS's figure for the thing type.
    #[serde(default)]
    pub nominal_efficiency_w_ths: f64,
    /// Client id of the handshake that switches the write API on. Without both this and
    /// [`unlock_secret`](Self::unlock_secret) the handshake is never begun.
    #[serde(default)]
    pub unlock_client: String,
    /// The secret that belongs to [`unlock_client`](Self::unlock_client).
    #[serde(default)]
    pub unlock_secret: Secret,
}

/// Which API is spoken with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// v3 where its port answers, else what port 4028 has. Found on the first poll, and again when the firmware
    /// changes or the unit cannot be reached.
    #[default]
    Auto,
    /// v1 or v2, on port 4028.
    V2,
    /// v3, on port 4433.
    V3,
}

const fn default_port() -> u16 {
    super::PORT
}

impl WhatsminerConf {
    /// Reads the options of `conf`.
    ///
    /// # Errors
    /// [`Invalid`](headframe_core::ErrorKind::Invalid), naming the field.
    pub fn read(conf: &ThingConf) -> Result<Self> {
        let opts: Self = conf.parse_opts()?;
        let wrong = |field: &str, why: &str| {
            Err(Error::invalid("whatsminer.conf", field, why).with("thing", &conf.id))
        };
        if opts.address.is_empty()
            || opts.address.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
        {
            return wrong("address", "an IP address or a host name is needed");
        }
        if opts.port == 0 {
            return wrong("port", "a port is 1 to 65535");
        }
        if opts.nominal_efficiency_w_ths < 0.0 {
            return wrong("nominal_efficiency_w_ths", "an efficiency is not negative");
        }
        if opts.unlock_client.is_empty() != opts.unlock_secret.expose().is_empty() {
            return wrong("unlock_client", "unlock_client and unlock_secret belong together");
        }
        Ok(opts)
    }

    /// Client id and secret of the handshake that switches the write API on, if the operator has any.
    pub(super) fn unlock(&self) -> Option<(&str, &str)> {
        (!self.unlock_client.is_empty()).then(|| (self.unlock_client.as_str(), self.unlock_secret.expose()))
    }

    /// The address of the API.
    pub(super) async fn resolve(&self, cx: &Ctx) -> Result<SocketAddr> {
        const OP: &str = "whatsminer.resolve";
        let host = self.address.as_str();
        let ip = match host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => {
                let found = cx.within(OP, cx.net.resolve(host)).await?;
                let none = || Error::new(ErrorKind::Unreachable, OP, "the name has no address");
                found.into_iter().next().ok_or_else(|| none().with("host", host))?
            }
        };
        Ok(SocketAddr::new(ip, self.port))
    }

    /// The nominal efficiency of a thing of `thing_type`, J/TH.
    pub fn nominal_efficiency(&self, thing_type: Option<&str>) -> Option<f64> {
        if self.nominal_efficiency_w_ths > 0.0 {
            return Some(self.nominal_efficiency_w_ths);
        }
        match thing_type? {
            "miner-wm-m30sp" | "miner-wm-m30spp" => Some(33.0),
            "miner-wm-m53s" | "miner-wm-m56s" | "miner-wm-m63" => Some(26.0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use headframe_core::{ErrorKind, ThingId};

    use super::*;

    fn conf() -> ThingConf {
        ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer").opt("address", "10.0.0.7")
    }

    #[test]
    fn defaults_and_the_table_of_efficiencies() {
        let opts = WhatsminerConf::read(&conf()).unwrap();
        assert_eq!((opts.port, opts.nominal_efficiency(Some("miner-wm-m30sp"))), (4028, Some(33.0)));
        assert_eq!(opts.nominal_efficiency(Some("miner-wm-m99")), None);
        assert_eq!(opts.nominal_efficiency(None), None);
        let set = WhatsminerConf::read(&conf().opt("nominal_efficiency_w_ths", 18.5)).unwrap();
        assert_eq!(set.nominal_efficiency(Some("miner-wm-m63")), Some(18.5));
        let zero = WhatsminerConf::read(&conf().opt("nominal_efficiency_w_ths", 0)).unwrap();
        assert_eq!(zero.nominal_efficiency(Some("miner-wm-m63")), Some(26.0));
    }

    #[test]
    fn errors_name_the_field_and_hide_the_password() {
        for (key, value) in [
            ("address", serde_json::json!("")),
            ("address", serde_json::json!("10.0.0.7 x")),
            ("address", serde_json::json!("http://10.0.0.7/")),
            ("port", serde_json::json!(0)),
            ("nominal_efficiency_w_ths", serde_json::json!(-1)),
            ("unlock_client", serde_json::json!("acme")),
        ] {
            let e = WhatsminerConf::read(&conf().opt(key, value)).unwrap_err();
            assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some(key)));
        }
        let partner = conf().opt("unlock_client", "acme").opt("unlock_secret", "s3cret_0");
        let opts = WhatsminerConf::read(&partner.opt("password", "Rack_07x")).unwrap();
        assert!(!format!("{opts:?}").contains("Rack_07x") && !format!("{opts:?}").contains("s3cret_0"));
        assert_eq!(opts.unlock(), Some(("acme", "s3cret_0")));
    }
}
