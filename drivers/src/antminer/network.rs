//! The network settings: what `get_network_info` says, and the form that `set_network_conf` takes.

use std::net::Ipv4Addr;

use headframe_core::{Error, ErrorKind, Result, codec::lenient::text_opt, model::NetworkSetup};
use serde::Deserialize;
use serde_json::{Value, json};

const OP: &str = "antminer.network";

/// One reading. The members without `conf_` are what is in force.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Network {
    #[serde(deserialize_with = "text_opt")]
    nettype: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    ipaddress: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    netmask: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    conf_nettype: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    conf_hostname: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    conf_ipaddress: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    conf_netmask: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    conf_gateway: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    conf_dnsservers: Option<String>,
}

fn address(text: Option<&String>) -> Option<Ipv4Addr> {
    text?.trim().parse().ok()
}

impl Network {
    /// The configured host name.
    pub fn hostname(&self) -> Option<&str> {
        self.conf_hostname.as_deref().map(str::trim).filter(|name| !name.is_empty())
    }

    /// What is in force; `None` when that is not told.
    pub fn now(&self) -> Option<NetworkSetup> {
        match self.nettype.as_deref()?.trim() {
            kind if kind.eq_ignore_ascii_case("dhcp") => Some(NetworkSetup::Dhcp),
            kind if kind.eq_ignore_ascii_case("static") => Some(NetworkSetup::Static {
                ip_address: address(self.ipaddress.as_ref())?,
                ip_netmask: address(self.netmask.as_ref())?,
                ip_gw: address(self.conf_gateway.as_ref())?,
                dns: self.servers()?,
            }),
            _ => None,
        }
    }

    fn servers(&self) -> Option<Vec<Ipv4Addr>> {
        let written = self.conf_dnsservers.as_deref().unwrap_or_default();
        let words = written.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
        words.map(|word| word.parse().ok()).collect()
    }

    /// What is configured, for a write that changes something else.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply) when it is not told whole: writing it back would cut the machine off.
    pub fn configured(&self) -> Result<NetworkSetup> {
        let kind = self.conf_nettype.as_deref().or(self.nettype.as_deref()).unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("dhcp") {
            return Ok(NetworkSetup::Dhcp);
        }
        let fixed = || {
            Some(NetworkSetup::Static {
                ip_address: address(self.conf_ipaddress.as_ref())?,
                ip_netmask: address(self.conf_netmask.as_ref())?,
                ip_gw: address(self.conf_gateway.as_ref())?,
                dns: self.servers()?,
            })
        };
        let fixed = if kind.eq_ignore_ascii_case("static") { fixed() } else { None };
        fixed.ok_or_else(|| {
            let text = "the machine does not tell its network settings whole: nothing was sent";
            Error::new(ErrorKind::BadReply, OP, text).with("nettype", kind)
        })
    }
}

/// The body of `set_network_conf`.
pub(super) fn form(hostname: &str, network: &NetworkSetup) -> Value {
    match network {
        NetworkSetup::Dhcp => json!({
            "ipHost": hostname, "ipPro": 1, "ipAddress": "", "ipSub": "", "ipGateway": "", "ipDns": "",
        }),
        NetworkSetup::Static { ip_address, ip_netmask, ip_gw, dns } => {
            let servers: Vec<String> = dns.iter().map(ToString::to_string).collect();
            json!({
                "ipHost": hostname, "ipPro": 2, "ipAddress": ip_address, "ipSub": ip_netmask,
                "ipGateway": ip_gw, "ipDns": servers.join(","),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: Value) -> Network {
        serde_json::from_value(json).unwrap()
    }

    fn fixed() -> NetworkSetup {
        NetworkSetup::Static {
            ip_address: [10, 7, 1, 13].into(),
            ip_netmask: [255, 255, 0, 0].into(),
            ip_gw: [10, 7, 0, 1].into(),
            dns: vec![[10, 7, 0, 2].into(), [1, 1, 1, 1].into()],
        }
    }

    /// The forms that MiningOS sends.
    #[test]
    fn forms_are_those_of_the_reference() {
        assert_eq!(
            form("am1", &fixed()),
            json!({"ipHost": "am1", "ipPro": 2, "ipAddress": "10.7.1.13", "ipSub": "255.255.0.0",
                   "ipGateway": "10.7.0.1", "ipDns": "10.7.0.2,1.1.1.1"})
        );
        assert_eq!(
            form("am1", &NetworkSetup::Dhcp),
            json!({"ipHost": "am1", "ipPro": 1, "ipAddress": "", "ipSub": "", "ipGateway": "", "ipDns": ""})
        );
    }

    #[test]
    fn what_is_in_force_and_what_is_configured_are_two_things() {
        let network = read(json!({"nettype": "Static", "ipaddress": "10.7.0.9", "netmask": "255.255.0.0",
            "conf_nettype": "Static", "conf_hostname": "am1", "conf_ipaddress": "10.7.1.13",
            "conf_netmask": "255.255.0.0", "conf_gateway": "10.7.0.1", "conf_dnsservers": "10.7.0.2,1.1.1.1"}));
        assert_eq!(network.configured().unwrap(), fixed());
        let Some(NetworkSetup::Static { ip_address, .. }) = network.now() else { panic!("static") };
        assert_eq!((ip_address, network.hostname()), ([10, 7, 0, 9].into(), Some("am1")));
        assert_eq!(read(json!({"nettype": "DHCP"})).now(), Some(NetworkSetup::Dhcp));
    }

    #[test]
    fn half_a_reading_is_not_written_back() {
        for json in [
            json!({}),
            json!({"conf_nettype": "", "nettype": "DHCP"}),
            json!({"conf_nettype": "Static", "conf_ipaddress": "10.7.1.13"}),
            json!({"conf_nettype": "Static", "conf_ipaddress": "10.7.1.13", "conf_netmask": "255.255.0.0",
                   "conf_gateway": "10.7.0.1", "conf_dnsservers": "x"}),
        ] {
            assert_eq!(read(json.clone()).configured().unwrap_err().kind(), ErrorKind::BadReply, "{json}");
        }
        assert_eq!(read(json!({})).now(), None);
    }
}
