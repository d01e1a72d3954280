//! The network settings: what `get_network_info` and `get_system_info` show and `set_network_conf` changes.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

/// Host name at delivery.
pub(super) const HOSTNAME: &str = "Antminer";
/// Netmask that the DHCP server of the simulation gives.
const LEASED_MASK: &str = "255.255.0.0";

/// The stored settings; all texts are empty with DHCP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Network {
    pub fixed: bool,
    pub address: String,
    pub mask: String,
    pub gateway: String,
    pub dns: String,
}

/// What the device shows besides its settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live<'a> {
    pub ip: &'a str,
    pub mac: &'a str,
    pub hostname: &'a str,
}

impl Network {
    pub fn kind(&self) -> &'static str {
        if self.fixed { "Static" } else { "DHCP" }
    }

    pub fn mask(&self) -> &str {
        if self.fixed { &self.mask } else { LEASED_MASK }
    }

    /// The JSON of `get_network_info`.
    pub fn show(&self, live: Live<'_>) -> Value {
        json!({
            "nettype": self.kind(),
            "netdevice": "eth0",
            "macaddr": live.mac,
            "ipaddress": live.ip,
            "netmask": self.mask(),
            "conf_nettype": self.kind(),
            "conf_hostname": live.hostname,
            "conf_ipaddress": self.address,
            "conf_netmask": self.mask,
            "conf_gateway": self.gateway,
            "conf_dnsservers": self.dns,
        })
    }

    /// The settings and the host name that a body asks for; `None` when it is not valid.
    pub fn parse(body: &[u8]) -> Option<(Self, String)> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |key: &str| body.get(key)?.as_str().map(str::to_owned);
        let hostname = text("ipHost")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if hostname.is_empty() || hostname.len() > 63 || !hostname.chars().all(plain) {
            return None;
        }
        let kind = match body.get("ipPro")? {
            Value::String(text) => text.parse().ok()?,
            other => other.as_u64()?,
        };
        match kind {
            1 => Some((Self::default(), hostname)),
            2 => {
                let network = Self {
                    fixed: true,
                    address: text("ipAddress")?,
                    mask: text("ipSub")?,
                    gateway: text("ipGateway")?,
                    dns: text("ipDns")?,
                };
                network.is_valid().then_some((network, hostname))
            }
            _ => None,
        }
    }

    fn is_valid(&self) -> bool {
        let address = |text: &str| text.parse::<Ipv4Addr>().is_ok_and(|ip| !ip.is_unspecified());
        let mask = self.mask.parse::<Ipv4Addr>().map(u32::from);
        // One block of ones from the left, and room for a host.
        let mask = mask.is_ok_and(|m| m != 0 && m.leading_ones() == m.count_ones() && m.count_ones() < 32);
        let dns = self.dns.is_empty() || self.dns.split(',').all(address);
        address(&self.address) && address(&self.gateway) && mask && dns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(address: &str, mask: &str, dns: &str) -> Vec<u8> {
        json!({"ipHost": "am1", "ipPro": 2, "ipAddress": address, "ipSub": mask, "ipGateway": "10.7.0.1",
               "ipDns": dns})
        .to_string()
        .into_bytes()
    }

    #[test]
    fn takes_valid_settings_only() {
        let (network, host) = Network::parse(&fixed("10.7.1.13", "255.255.0.0", "10.7.0.2,1.1.1.1")).unwrap();
        assert_eq!((network.kind(), network.mask(), host.as_str()), ("Static", "255.255.0.0", "am1"));
        let dhcp = br#"{"ipHost":"am1","ipPro":"1","ipAddress":"","ipSub":"","ipGateway":"","ipDns":""}"#;
        assert_eq!(Network::parse(dhcp), Some((Network::default(), "am1".to_owned())));
        for bad in [
            fixed("10.7.1", "255.255.0.0", ""),
            fixed("10.7.1.13", "255.0.255.0", ""),
            fixed("10.7.1.13", "255.255.0.0", "10.7.0.2 1.1.1.1"),
            b"{}".to_vec(),
            br#"{"ipHost":"a b","ipPro":1}"#.to_vec(),
            br#"{"ipHost":"a","ipPro":3}"#.to_vec(),
        ] {
            assert_eq!(Network::parse(&bad), None);
        }
    }
}
