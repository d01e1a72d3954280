use headframe_core::{Error, Result, Secret, model::ThingConf};
use serde::Deserialize;

use super::auth::DEFAULT_PASSWORD;
use crate::whatsminer::WhatsminerConf;

/// The port of API v3 on a real device.
pub const PORT: u16 = 4433;

/// Options of a Whatsminer that only API v3 has; they stand beside those of [`WhatsminerConf`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct V3Opts {
    /// Port of API v3.
    pub v3_port: u16,
    /// Password of the account `super`, for writes. Without it [`WhatsminerConf::password`] is taken, and without that
    /// the password as delivered.
    pub super_password: Option<Secret>,
}

impl Default for V3Opts {
    fn default() -> Self {
        Self { v3_port: PORT, super_password: None }
    }
}

impl V3Opts {
    /// Reads the options of `conf`.
    ///
    /// # Errors
    /// [`Invalid`](headframe_core::ErrorKind::Invalid), naming the field.
    pub fn read(conf: &ThingConf) -> Result<Self> {
        let opts: Self = conf.parse_opts()?;
        if opts.v3_port == 0 {
            let e = Error::invalid("whatsminer.conf", "v3_port", "a port is 1 to 65535");
            return Err(e.with("thing", &conf.id));
        }
        Ok(opts)
    }

    /// The password of the account `super`.
    pub(super) fn password(&self, common: &WhatsminerConf) -> Secret {
        let given = [self.super_password.as_ref(), Some(&common.password)];
        let first = given.into_iter().flatten().find(|password| !password.expose().is_empty());
        first.cloned().unwrap_or_else(|| Secret::new(DEFAULT_PASSWORD))
    }
}

#[cfg(test)]
mod tests {
    use headframe_core::{ErrorKind, ThingId};

    use super::*;

    fn conf() -> ThingConf {
        ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer").opt("address", "10.0.0.7")
    }

    fn password(conf: &ThingConf) -> String {
        let common = WhatsminerConf::read(conf).unwrap();
        V3Opts::read(conf).unwrap().password(&common).expose().to_owned()
    }

    #[test]
    fn the_accounts_own_password_wins_over_the_common_one() {
        assert_eq!(V3Opts::read(&conf()).unwrap().v3_port, 4433);
        assert_eq!(password(&conf()), "super");
        let common = conf().opt("password", "Rack_07x");
        assert_eq!(password(&common), "Rack_07x");
        assert_eq!(password(&common.clone().opt("super_password", "Own_08y")), "Own_08y");
        assert_eq!(password(&common.opt("super_password", "")), "Rack_07x");
    }

    #[test]
    fn errors_name_the_field_and_hide_the_password() {
        let e = V3Opts::read(&conf().opt("v3_port", 0)).unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("v3_port")));
        let opts = V3Opts::read(&conf().opt("super_password", "Rack_07x")).unwrap();
        assert!(!format!("{opts:?}").contains("Rack_07x"));
    }
}
