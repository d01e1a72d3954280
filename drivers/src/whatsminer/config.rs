use headframe_core::{
    Error, Result, Secret,
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
    /// Password of the account `admin`. Reading needs none.
    #[serde(default)]
    pub password: Secret,
    /// Efficiency as the model was sold, J/TH; 0 takes MiningOS's figure for the thing type.
    #[serde(default)]
    pub nominal_efficiency_w_ths: f64,
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
        if opts.address.is_empty() || opts.address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return wrong("address", "an IP address or a host name is needed");
        }
        if opts.port == 0 {
            return wrong("port", "a port is 1 to 65535");
        }
        if opts.nominal_efficiency_w_ths < 0.0 {
            return wrong("nominal_efficiency_w_ths", "an efficiency is not negative");
        }
        Ok(opts)
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
            ("port", serde_json::json!(0)),
            ("nominal_efficiency_w_ths", serde_json::json!(-1)),
        ] {
            let e = WhatsminerConf::read(&conf().opt(key, value)).unwrap_err();
            assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some(key)));
        }
        let opts = WhatsminerConf::read(&conf().opt("password", "Rack_07x")).unwrap();
        assert!(!format!("{opts:?}").contains("Rack_07x"));
    }
}
