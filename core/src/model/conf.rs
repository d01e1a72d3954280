use std::fmt;

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, value::MapDeserializer},
};
use serde_json::Value;

use super::{Members, Path, Text};
use crate::{Error, Result, ThingId};

/// How a thing is reached: which driver, and that driver's own options.
///
/// `opts` are MiningOS's (`address`, `port`, `username`, `password`, …); each driver documents its own.
/// `Debug` shows the names of the options, never their values.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ThingConf {
    /// Stable identity.
    pub id: ThingId,
    /// The driver's id, for example `whatsminer`.
    pub driver: Text,
    /// MiningOS's thing type, for example `miner-wm-m56s`; it carries defaults such as the nominal efficiency.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub thing_type: Option<Text>,
    /// The driver's options.
    #[serde(default)]
    pub opts: Members<Value>,
}

impl ThingConf {
    /// A thing of `driver` without options.
    pub fn new(id: ThingId, driver: &str) -> Self {
        Self { id, driver: driver.into(), thing_type: None, opts: Members::new() }
    }

    /// Sets one option.
    #[must_use]
    pub fn opt(mut self, key: impl Into<Path>, value: impl Into<Value>) -> Self {
        self.opts.insert(key, value.into());
        self
    }

    /// Sets MiningOS's thing type.
    #[must_use]
    pub fn typed(mut self, thing_type: &str) -> Self {
        self.thing_type = Some(thing_type.into());
        self
    }

    /// The options as the driver's own type. Unknown members are ignored.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the field that is missing or of the wrong type.
    pub fn parse_opts<T: DeserializeOwned>(&self) -> Result<T> {
        let opts = MapDeserializer::<_, serde_json::Error>::new(self.opts.iter());
        serde_path_to_error::deserialize(opts).map_err(|e| {
            let (path, text) = (e.path().to_string(), e.inner().to_string());
            // A missing member is not on the path yet. Any other text quotes the value, which can be a password.
            let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
            let (field, message) = match missing {
                Some(field) => (field, "is missing"),
                None => (path.as_str(), "has the wrong type or is out of range"),
            };
            Error::invalid("thing.conf", field, format!("the option '{field}' {message}"))
                .with("thing", &self.id)
                .with("driver", &self.driver)
        })
    }
}

impl fmt::Debug for ThingConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThingConf")
            .field("id", &self.id)
            .field("driver", &self.driver)
            .field("type", &self.thing_type)
            .field("opts", &self.opts.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Secret};

    #[derive(Debug, Deserialize)]
    struct Opts {
        address: String,
        #[serde(default)]
        password: Secret,
    }

    fn conf() -> ThingConf {
        ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer")
    }

    #[test]
    fn options_become_the_drivers_type() {
        let opts: Opts = conf().opt("address", "10.0.0.7").opt("password", "Rack_07x").parse_opts().unwrap();
        assert_eq!((opts.address.as_str(), opts.password.expose()), ("10.0.0.7", "Rack_07x"));
    }

    #[test]
    fn a_missing_option_is_named() {
        let e = conf().parse_opts::<Opts>().unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("address")));
    }

    #[test]
    fn no_error_and_no_debug_shows_a_value() {
        let conf = conf().opt("address", "10.0.0.7").opt("password", 77_123_456);
        let e = conf.parse_opts::<Opts>().unwrap_err();
        assert!(!format!("{e:?} {conf:?}").contains("77123456"));
    }
}
