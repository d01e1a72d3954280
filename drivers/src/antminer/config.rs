use headframe_core::{Error, Result, Secret, driver::Ports, model::ThingConf, units::JoulesPerTerahash};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::models::{self, Layout};

const OP: &str = "antminer.conf";
/// User name and password at delivery.
const FACTORY: &str = "root";

/// How an Antminer is reached.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AntminerConf {
    /// Address or host name.
    pub address: String,
    /// Port of the web interface; option `port`, 80 unless given.
    pub port: u16,
    /// Port of the cgminer-style API; option `rpc_port`, 4028 unless given.
    pub rpc_port: u16,
    /// Port of warnings and power; option `side_port`, 6060 unless given.
    pub side_port: u16,
    /// Web account; `root` unless given.
    pub username: String,
    /// Its password; `root` unless given.
    pub password: Secret,
    /// Efficiency as the model was sold, J/TH; by thing type unless given. MiningOS's spelling
    /// `nominalEfficiencyWThs` is understood too.
    pub nominal_efficiency_w_ths: Option<JoulesPerTerahash>,
    /// Sensor layout of the registered model, when the thing type tells.
    pub(super) layout: Option<Layout>,
}

impl AntminerConf {
    /// Reads and checks the options of `conf`.
    ///
    /// # Errors
    /// [`Invalid`](headframe_core::ErrorKind::Invalid), naming the option that is missing or wrong.
    pub fn read(conf: &ThingConf) -> Result<Self> {
        let address: String =
            option(conf, "address")?.ok_or_else(|| invalid(conf, "address", "is missing"))?;
        if address.is_empty() || address.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(invalid(conf, "address", "is neither an address nor a host name"));
        }
        let typed = conf.thing_type.as_deref().and_then(models::of_thing_type);
        let factory = Ports::default();
        Ok(Self {
            address,
            port: port(conf, "port", factory.web)?,
            rpc_port: port(conf, "rpc_port", factory.rpc)?,
            side_port: port(conf, "side_port", factory.side)?,
            username: username(conf)?,
            password: option(conf, "password")?.unwrap_or_else(|| Secret::new(FACTORY)),
            nominal_efficiency_w_ths: nominal(conf)?
                .or_else(|| typed.and_then(|(nominal, _)| JoulesPerTerahash::new(nominal))),
            layout: typed.map(|(_, layout)| layout),
        })
    }

    /// What the Host header says: a server behind another port than 80 expects that port too.
    pub(super) fn host_header(&self, port: u16) -> String {
        let bare = self.address.as_str();
        let host =
            if bare.contains(':') && !bare.starts_with('[') { format!("[{bare}]") } else { bare.into() };
        if port == 80 { host } else { format!("{host}:{port}") }
    }
}

fn invalid(conf: &ThingConf, field: &str, message: &str) -> Error {
    Error::invalid(OP, field, format!("'{field}' {message}")).with("thing", &conf.id)
}

/// One option; `null` counts as not given. The message never quotes the value: it can be a password.
fn option<T: DeserializeOwned>(conf: &ThingConf, field: &str) -> Result<Option<T>> {
    match conf.opts.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            T::deserialize(value).map(Some).map_err(|_| invalid(conf, field, "has the wrong type"))
        }
    }
}

fn port(conf: &ThingConf, field: &str, factory: u16) -> Result<u16> {
    match option::<u16>(conf, field)? {
        Some(0) => Err(invalid(conf, field, "must not be 0")),
        given => Ok(given.unwrap_or(factory)),
    }
}

fn username(conf: &ThingConf) -> Result<String> {
    let name = option::<String>(conf, "username")?.unwrap_or_else(|| FACTORY.into());
    // It stands between quotes in a header.
    if name.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) {
        return Err(invalid(conf, "username", "holds a character that no digest can carry"));
    }
    Ok(name)
}

/// MiningOS takes 0 for not given.
fn nominal(conf: &ThingConf) -> Result<Option<JoulesPerTerahash>> {
    for field in ["nominal_efficiency_w_ths", "nominalEfficiencyWThs"] {
        match option::<f64>(conf, field)? {
            None => {}
            Some(0.0) => return Ok(None),
            Some(value) if value > 0.0 => return Ok(JoulesPerTerahash::new(value)),
            Some(_) => return Err(invalid(conf, field, "must not be negative")),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use headframe_core::{ErrorKind, ThingId};

    use super::*;

    fn conf() -> ThingConf {
        ThingConf::new(ThingId::new("am1").unwrap(), "antminer").opt("address", "10.0.0.7")
    }

    #[test]
    fn defaults_are_the_factorys() {
        let read = AntminerConf::read(&conf()).unwrap();
        assert_eq!((read.port, read.rpc_port, read.side_port), (80, 4028, 6060));
        assert_eq!((read.username.as_str(), read.password.expose()), ("root", "root"));
        assert_eq!((read.nominal_efficiency_w_ths, read.layout), (None, None));
    }

    #[test]
    fn the_type_tells_the_nominal_efficiency_unless_the_option_does() {
        let nominal = |conf: ThingConf| {
            AntminerConf::read(&conf).unwrap().nominal_efficiency_w_ths.map(JoulesPerTerahash::get)
        };
        assert_eq!(nominal(conf().typed("miner-am-s21")), Some(17.5));
        assert_eq!(nominal(conf().typed("s19xp_h").opt("nominal_efficiency_w_ths", 0)), Some(20.8));
        assert_eq!(nominal(conf().typed("s21").opt("nominalEfficiencyWThs", 16.5)), Some(16.5));
        assert_eq!(nominal(conf().typed("miner-am-s99")), None);
    }

    #[test]
    fn errors_name_the_field_and_hide_the_value() {
        for (key, value) in [
            ("address", serde_json::json!("")),
            ("address", serde_json::json!("http://10.0.0.7/")),
            ("port", serde_json::json!(70_000)),
            ("rpc_port", serde_json::json!(0)),
            ("side_port", serde_json::json!("x")),
            ("username", serde_json::json!("a\"b")),
            ("password", serde_json::json!(77_123_456)),
            ("nominal_efficiency_w_ths", serde_json::json!(-1)),
        ] {
            let e = AntminerConf::read(&conf().opt(key, value)).unwrap_err();
            assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some(key)));
            assert!(!format!("{e:?}").contains("77123456"));
        }
        let mut empty = conf();
        empty.opts = headframe_core::model::Members::new();
        assert_eq!(AntminerConf::read(&empty).unwrap_err().fact("field"), Some("address"));
    }

    #[test]
    fn the_host_header_names_an_unusual_port() {
        let mut read = AntminerConf::read(&conf()).unwrap();
        assert_eq!([read.host_header(80), read.host_header(14_080)], ["10.0.0.7", "10.0.0.7:14080"]);
        read.address = "fd00::7".into();
        assert_eq!(read.host_header(80), "[fd00::7]");
    }
}
