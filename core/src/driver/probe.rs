use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{Members, ThingConf};

/// Which of a device's services a port belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PortRole {
    /// The cgminer-style API.
    Rpc,
    /// HTTP.
    Web,
    /// Whatsminer API v3.
    V3,
    /// Antminer's second HTTP port, for warnings and power.
    Side,
}

/// The port of each role, for a thing and for a scan.
///
/// In JSON those that differ from the usual ones; `{"simulated": true}` makes those of simulated devices the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PortsConf")]
pub struct Ports {
    /// cgminer-style API.
    pub rpc: u16,
    /// HTTP.
    pub web: u16,
    /// Whatsminer API v3.
    pub v3: u16,
    /// Antminer's side port.
    pub side: u16,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PortsConf {
    simulated: bool,
    rpc: Option<u16>,
    web: Option<u16>,
    v3: Option<u16>,
    side: Option<u16>,
}

impl From<PortsConf> for Ports {
    fn from(PortsConf { simulated, rpc, web, v3, side }: PortsConf) -> Self {
        let usual = if simulated { Self::simulated() } else { Self::default() };
        Self {
            rpc: rpc.unwrap_or(usual.rpc),
            web: web.unwrap_or(usual.web),
            v3: v3.unwrap_or(usual.v3),
            side: side.unwrap_or(usual.side),
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self { rpc: 4028, web: 80, v3: 4433, side: 6060 }
    }
}

impl Ports {
    /// The ports of simulated devices: none below 1024.
    pub const fn simulated() -> Self {
        Self { rpc: 14028, web: 14080, v3: 14433, side: 16060 }
    }

    /// The port of `role`.
    pub const fn of(&self, role: PortRole) -> u16 {
        match role {
            PortRole::Rpc => self.rpc,
            PortRole::Web => self.web,
            PortRole::V3 => self.v3,
            PortRole::Side => self.side,
        }
    }
}

/// One question to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeSpec {
    /// Where to ask.
    pub role: PortRole,
    /// What to ask.
    pub request: ProbeRequest,
}

/// What a probe sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProbeRequest {
    /// `{"command":"…"}` on the cgminer-style API.
    Cgminer(&'static str),
    /// HTTP GET of a path, without credentials; redirects are not followed.
    HttpGet(&'static str),
    /// A message behind its length. Asked only where another port shows that somebody is there, and no driver
    /// recognises who: most addresses of a scan are silent, and each further port would cost them a connection.
    Framed(&'static str),
}

impl ProbeRequest {
    /// Whether it is asked only of an address that showed life and was not recognised.
    pub const fn is_late(self) -> bool {
        matches!(self, Self::Framed(_))
    }
}

/// What an address answered to one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeReply {
    /// Nothing listens there.
    Refused,
    /// No connection or no reply in time.
    Silent,
    /// It connected and then closed or broke the connection without a usable reply.
    Broken,
    /// Reply of the cgminer-style API.
    Cgminer(Bytes),
    /// Reply behind its length.
    Framed(Bytes),
    /// Reply over HTTP.
    Http {
        /// Status code.
        status: u16,
        /// Value of `WWW-Authenticate`, empty without one.
        challenge: String,
        /// Value of `Location`, empty without one.
        location: String,
        /// Body, cut to 64 KiB.
        body: Bytes,
    },
}

impl ProbeReply {
    /// The digest realm that it asks credentials for.
    pub fn realm(&self) -> Option<&str> {
        match self {
            Self::Http { challenge, .. } => challenge.split("realm=\"").nth(1)?.split('"').next(),
            _ => None,
        }
    }
}

/// All answers of one address.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The address that was asked.
    pub host: String,
    /// The ports that were used.
    pub ports: Ports,
    /// Question to answer.
    pub replies: BTreeMap<ProbeSpec, ProbeReply>,
}

impl Evidence {
    /// The reply of the cgminer-style API to `command`.
    pub fn cgminer(&self, command: &'static str) -> Option<&[u8]> {
        let spec = ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer(command) };
        match self.replies.get(&spec) {
            Some(ProbeReply::Cgminer(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The reply to the framed `message` on the port of `role`.
    pub fn framed(&self, role: PortRole, message: &'static str) -> Option<&[u8]> {
        match self.replies.get(&ProbeSpec { role, request: ProbeRequest::Framed(message) }) {
            Some(ProbeReply::Framed(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Whether any cgminer-style reply contains `needle`, whatever the case. `needle` is upper case.
    pub fn cgminer_says(&self, needle: &str) -> bool {
        self.replies.values().any(|reply| match reply {
            ProbeReply::Cgminer(bytes) => contains_ignoring_case(bytes, needle),
            _ => false,
        })
    }

    /// The digest realm that the web server asks credentials for.
    pub fn realm(&self) -> Option<&str> {
        self.replies.values().find_map(ProbeReply::realm)
    }

    /// Whether anything at all answered.
    pub fn any_answer(&self) -> bool {
        self.replies.values().any(|r| !matches!(r, ProbeReply::Refused | ProbeReply::Silent))
    }
}

fn contains_ignoring_case(haystack: &[u8], needle: &str) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|w| w.eq_ignore_ascii_case(needle.as_bytes()))
}

/// A recognised device.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Match {
    /// The driver that opens it.
    pub driver: &'static str,
    /// Maker.
    pub make: String,
    /// Model as the device writes it, when it told without credentials.
    pub model: Option<String>,
    /// Firmware version, when it told.
    pub firmware: Option<String>,
    /// MAC address, when it told.
    pub mac: Option<String>,
    /// A stock firmware gives way to a third-party one that also recognises the device.
    pub stock: bool,
    /// Address and ports as options of [`ThingConf`]; credentials are the caller's to add.
    pub opts: Members<serde_json::Value>,
}

impl Match {
    /// A match of `driver` at the address of `evidence`, with nothing known but the maker.
    pub fn new(driver: &'static str, make: &str, evidence: &Evidence) -> Self {
        let mut opts = Members::new();
        opts.insert("address", serde_json::Value::from(evidence.host.clone()));
        Self { driver, make: make.into(), model: None, firmware: None, mac: None, stock: true, opts }
    }

    /// Configuration for a thing with this `id`.
    pub fn conf(&self, id: crate::ThingId) -> ThingConf {
        let mut conf = ThingConf::new(id, self.driver);
        conf.opts.clone_from(&self.opts);
        conf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_those_that_differ() {
        let read = |text: &str| serde_json::from_str::<Ports>(text);
        assert_eq!(read("{}").unwrap(), Ports::default());
        assert_eq!(read(r#"{"simulated":true}"#).unwrap(), Ports::simulated());
        assert_eq!(read(r#"{"web":8080}"#).unwrap(), Ports { web: 8080, ..Ports::default() });
        let own = Ports { v3: 1, ..Ports::simulated() };
        assert_eq!(read(r#"{"simulated":true,"v3":1}"#).unwrap(), own);
        assert_eq!(read(&serde_json::to_string(&own).unwrap()).unwrap(), own);
        assert!(read(r#"{"ssh":22}"#).is_err() && read(r#"{"web":70000}"#).is_err());
    }

    #[test]
    fn evidence_finds_needles_and_realms() {
        let mut evidence = Evidence { host: "10.0.0.7".into(), ..Evidence::default() };
        assert!(!evidence.any_answer());
        let version = ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer("version") };
        evidence
            .replies
            .insert(version, ProbeReply::Cgminer(Bytes::from_static(b"{\"Type\":\"Antminer S21\"}")));
        let root = ProbeSpec { role: PortRole::Web, request: ProbeRequest::HttpGet("/") };
        let challenge = "Digest realm=\"antMiner Configuration\", nonce=\"00\", qop=\"auth\"".to_owned();
        let reply = ProbeReply::Http { status: 401, challenge, location: String::new(), body: Bytes::new() };
        evidence.replies.insert(root, reply);
        assert!(evidence.cgminer_says("ANTMINER") && !evidence.cgminer_says("BTMINER"));
        assert_eq!(evidence.realm(), Some("antMiner Configuration"));
        assert!(evidence.any_answer());
    }
}
