//! How a driver's devices are recognised: what is asked, and what the reply says. It is data, as a scan asks no other language.

use std::collections::BTreeSet;

use headframe::{
    Error, Result,
    driver::{DriverInfo, Evidence, Match, PortRole, Ports, ProbeReply, ProbeRequest, ProbeSpec},
};
use headframe_core::codec::cgminer;
use serde::Deserialize;
use serde_json::Value;

use super::kept;

const OP: &str = "driver.add";
/// Bounds of what a driver declares.
const MOST_PROBES: usize = 32;
const LONGEST_TEXT: usize = 200;
/// A device's own text that is longer is no model, firmware or address.
const LONGEST_FACT: usize = 100;
/// Places of a reply over HTTP that are no JSON.
const REALM: &str = "realm";
const LOCATION: &str = "location";

/// One question, and what the reply of one of the driver's devices says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeConf {
    /// `web` without it for `get`, `rpc` for `command`.
    port: Option<PortRole>,
    /// Path of a page.
    get: Option<String>,
    /// Command of the cgminer-style API.
    command: Option<String>,
    /// What the reply says.
    #[serde(default)]
    says: String,
    /// Where it begins with that: a JSON pointer, `realm` or `location`; anywhere without it.
    at: Option<String>,
    /// What only devices of others say.
    #[serde(default)]
    not: Vec<String>,
    /// JSON pointers.
    model: Option<String>,
    firmware: Option<String>,
    mac: Option<String>,
    /// Whether it is the maker's own firmware.
    #[serde(default = "yes")]
    stock: bool,
}

const fn yes() -> bool {
    true
}

/// All questions of a driver.
#[derive(Debug)]
pub(super) struct Probes {
    specs: Vec<ProbeSpec>,
    marks: Vec<Mark>,
}

/// A question, checked.
#[derive(Debug)]
struct Mark {
    spec: ProbeSpec,
    conf: ProbeConf,
}

impl Probes {
    /// # Errors
    /// [`Invalid`](headframe::ErrorKind::Invalid), naming the member.
    pub(super) fn new(confs: Vec<ProbeConf>) -> Result<Self> {
        if confs.len() > MOST_PROBES {
            return Err(Error::invalid(OP, "probes", format!("takes at most {MOST_PROBES}")));
        }
        let mut probes = Self { specs: Vec::new(), marks: Vec::new() };
        for (at, conf) in confs.into_iter().enumerate() {
            let wrong = |member: &str, why: &str| Error::invalid(OP, &format!("probes[{at}]{member}"), why);
            let spec = conf.check().map_err(|(member, why)| wrong(member, why))?;
            if !probes.specs.contains(&spec) {
                probes.specs.push(spec);
            }
            probes.marks.push(Mark { spec, conf });
        }
        Ok(probes)
    }

    pub(super) fn specs(&self) -> &[ProbeSpec] {
        &self.specs
    }

    /// The device, when a reply says what is declared, and none says what only others say.
    pub(super) fn recognise(&self, info: &DriverInfo, evidence: &Evidence) -> Option<Match> {
        let replies = self.marks.iter().filter_map(|mark| Some((mark, evidence.replies.get(&mark.spec)?)));
        let said: Vec<(&Mark, Said<'_>)> =
            replies.filter_map(|(mark, reply)| Some((mark, Said::of(reply)?))).collect();
        if said.iter().any(|(mark, said)| mark.conf.not.iter().any(|other| said.says(other))) {
            return None;
        }
        let fitting: Vec<_> = said.into_iter().filter(|(mark, said)| mark.fits(said)).collect();
        let (first, _) = fitting.first()?;
        let mut found = Match::new(info.id, info.make, evidence);
        found.stock = first.conf.stock;
        for (mark, said) in &fitting {
            let told = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| said.fact(pointer));
            found.model = found.model.or_else(|| told(&mark.conf.model));
            found.firmware = found.firmware.or_else(|| told(&mark.conf.firmware));
            found.mac = found.mac.or_else(|| told(&mark.conf.mac));
        }
        for (name, port) in self.ports(evidence.ports) {
            found.opts.insert(name, port.into());
        }
        Some(found)
    }

    /// Ports that are not the usual ones, as options: of what is asked first it is called `port`.
    fn ports(&self, used: Ports) -> impl Iterator<Item = (&'static str, u16)> {
        let usual = Ports::default();
        let mut seen = BTreeSet::new();
        let roles = self.specs.iter().map(|spec| spec.role).filter(move |role| seen.insert(*role));
        let named = roles.enumerate().filter_map(|(at, role)| match role {
            _ if at == 0 => Some(("port", role)),
            PortRole::Rpc => Some(("rpc_port", role)),
            PortRole::Web => Some(("web_port", role)),
            PortRole::V3 => Some(("v3_port", role)),
            PortRole::Side => Some(("side_port", role)),
            _ => None,
        });
        let named: Vec<(&'static str, PortRole)> = named.collect();
        named
            .into_iter()
            .filter(move |(_, role)| used.of(*role) != usual.of(*role))
            .map(move |(name, role)| (name, used.of(role)))
    }
}

impl ProbeConf {
    /// What is asked, or the member that is wrong, and why.
    fn check(&self) -> Result<ProbeSpec, (&'static str, &'static str)> {
        let plain = |text: &str| text.len() <= LONGEST_TEXT && text.bytes().all(|b| b.is_ascii_graphic());
        let spec = match (&self.get, &self.command) {
            (Some(path), None) if !path.starts_with('/') || !plain(path) => {
                return Err((".get", "takes a path such as /state"));
            }
            (None, Some(command)) if command.is_empty() || !plain(command) => {
                return Err((".command", "takes a command such as version"));
            }
            (Some(path), None) => ProbeSpec {
                role: self.port.unwrap_or(PortRole::Web),
                request: ProbeRequest::HttpGet(kept(path)),
            },
            (None, Some(command)) => ProbeSpec {
                role: self.port.unwrap_or(PortRole::Rpc),
                request: ProbeRequest::Cgminer(kept(command)),
            },
            _ => return Err(("", "takes either get or command")),
        };
        let fits = |text: &str| !text.trim().is_empty() && text.len() <= LONGEST_TEXT;
        if !fits(&self.says) {
            return Err((".says", "takes the text by which a device is known"));
        }
        if !self.not.iter().all(|text| fits(text)) {
            return Err((".not", "takes texts that devices of others say"));
        }
        let pointer = |text: &str| text.starts_with('/') && text.len() <= LONGEST_TEXT;
        let of_web = |text: &str| self.get.is_some() && [REALM, LOCATION].contains(&text);
        if self.at.as_ref().is_some_and(|at| !pointer(at) && !of_web(at)) {
            return Err((
                ".at",
                "takes a JSON pointer such as /VERSION/0/Type, or realm or location of a page",
            ));
        }
        let facts = [(".model", &self.model), (".firmware", &self.firmware), (".mac", &self.mac)];
        match facts.into_iter().find(|(_, fact)| fact.as_ref().is_some_and(|fact| !pointer(fact))) {
            Some((member, _)) => Err((member, "takes a JSON pointer such as /VERSION/0/Type")),
            None => Ok(spec),
        }
    }
}

impl Mark {
    fn fits(&self, said: &Said<'_>) -> bool {
        let Some(at) = &self.conf.at else { return said.says(&self.conf.says) };
        let text = match at.as_str() {
            REALM => said.realm.map(str::to_owned),
            LOCATION => said.headers.last().map(|location| (*location).to_owned()),
            pointer => said.text(pointer),
        };
        text.is_some_and(|text| {
            text.get(..self.conf.says.len()).is_some_and(|head| head.eq_ignore_ascii_case(&self.conf.says))
        })
    }
}

/// A reply.
struct Said<'r> {
    body: &'r [u8],
    /// What it asks credentials with, and where it sends to.
    headers: Vec<&'r str>,
    realm: Option<&'r str>,
    json: Option<Value>,
}

impl<'r> Said<'r> {
    fn of(reply: &'r ProbeReply) -> Option<Self> {
        let realm = reply.realm();
        match reply {
            ProbeReply::Cgminer(body) => {
                Some(Self { body, headers: Vec::new(), realm, json: cgminer::parse(OP, body).ok() })
            }
            ProbeReply::Http { challenge, location, body, .. } => Some(Self {
                body,
                headers: vec![challenge, location],
                realm,
                json: serde_json::from_slice(body).ok(),
            }),
            _ => None,
        }
    }

    /// Whether the text stands in it, whatever the case.
    fn says(&self, text: &str) -> bool {
        let in_it =
            |place: &[u8]| place.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
        in_it(self.body) || self.headers.iter().any(|header| in_it(header.as_bytes()))
    }

    /// What its JSON has at a place, as text.
    fn text(&self, pointer: &str) -> Option<String> {
        match self.json.as_ref()?.pointer(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn fact(&self, pointer: &str) -> Option<String> {
        let text = self.text(pointer)?.trim().to_owned();
        let is_fact = !text.is_empty() && text.len() <= LONGEST_FACT && !text.chars().any(char::is_control);
        is_fact.then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::driver::{Foreign, add};
    use headframe::{ErrorKind, driver::Registry};

    /// A driver that is asked nothing.
    #[derive(Debug)]
    struct Nobody;

    #[async_trait::async_trait]
    impl Foreign for Nobody {
        async fn ask(&self, op: &'static str, _: u32, _: String) -> Result<String, String> {
            Err(op.to_owned())
        }
    }

    fn registry(probes: &Value) -> Result<Registry> {
        let mut drivers = Registry::new();
        let about = json!({"id": "acme", "kind": "miner", "make": "Acme", "docs": "", "probes": probes});
        add(&mut drivers, &about.to_string(), Nobody)?;
        Ok(drivers)
    }

    fn field(probes: &Value) -> String {
        let e = registry(probes).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        e.fact("field").unwrap().to_owned()
    }

    fn page(body: &str) -> ProbeReply {
        ProbeReply::Http {
            status: 200,
            challenge: String::new(),
            location: String::new(),
            body: body.to_owned().into(),
        }
    }

    fn rpc(reply: &str) -> ProbeReply {
        ProbeReply::Cgminer(reply.to_owned().into())
    }

    /// Whoever answers so to the driver's questions, in their order.
    fn found(drivers: &Registry, ports: Ports, replies: &[ProbeReply]) -> Option<Match> {
        let asked = drivers.driver("acme").unwrap().probes().iter().copied();
        let replies: BTreeMap<_, _> = asked.zip(replies.iter().cloned()).collect();
        drivers.recognise(&Evidence { host: "10.0.0.7".into(), ports, replies })
    }

    fn is_found(probe: &Value, reply: &ProbeReply) -> bool {
        let drivers = registry(&json!([probe])).unwrap();
        found(&drivers, Ports::default(), std::slice::from_ref(reply)).is_some()
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (probes, named) in [
            (json!(7), "probes"),
            (json!([{"get": "/", "says": "a"}, 7]), "probes[1]"),
            (json!([{"says": "acme"}]), "probes[0]"),
            (json!([{"get": "/", "command": "version", "says": "acme"}]), "probes[0]"),
            (json!([{"get": "state", "says": "acme"}]), "probes[0].get"),
            (json!([{"get": "/a b", "says": "acme"}]), "probes[0].get"),
            (json!([{"get": 7, "says": "acme"}]), "probes[0].get"),
            (json!([{"command": "", "says": "acme"}]), "probes[0].command"),
            (json!([{"get": "/"}]), "probes[0].says"),
            (json!([{"get": "/", "says": " "}]), "probes[0].says"),
            (json!([{"get": "/", "says": ["acme"]}]), "probes[0].says"),
            (json!([{"get": "/", "says": "acme", "port": "ssh"}]), "probes[0].port"),
            (json!([{"get": "/", "says": "acme", "at": "model"}]), "probes[0].at"),
            (json!([{"command": "version", "says": "acme", "at": "realm"}]), "probes[0].at"),
            (json!([{"get": "/", "says": "acme", "not": [""]}]), "probes[0].not"),
            (json!([{"get": "/", "says": "acme", "not": "other"}]), "probes[0].not"),
            (json!([{"get": "/", "says": "acme", "model": "model"}]), "probes[0].model"),
            (json!([{"get": "/", "says": "acme", "stock": 1}]), "probes[0].stock"),
            (json!([{"get": "/", "says": "acme", "sais": "acme"}]), "probes[0].sais"),
            (json!(vec![json!({"get": "/", "says": "acme"}); MOST_PROBES + 1]), "probes"),
        ] {
            assert_eq!(field(&probes), named, "{probes}");
        }
    }

    #[test]
    fn a_device_is_known_by_what_stands_anywhere_in_its_reply() {
        let by_page = json!({"get": "/", "says": "Acme OS"});
        assert!(is_found(&by_page, &page("<title>ACME os 2</title>")));
        assert!(!is_found(&by_page, &page("<title>Acme</title>")));
        assert!(!is_found(&by_page, &page("")));
        let asks = |realm: &str, location: &str| ProbeReply::Http {
            status: 401,
            challenge: format!("Digest realm=\"{realm}\", nonce=\"00\""),
            location: location.to_owned(),
            body: "".into(),
        };
        assert!(is_found(&by_page, &asks("acme os", "")) && is_found(&by_page, &asks("", "/acme os/")));
        assert!(!is_found(&by_page, &ProbeReply::Refused));
        assert!(is_found(&json!({"command": "version", "says": "acme"}), &rpc(r#"{"Type":"Acme 1"}"#)));
    }

    #[test]
    fn a_place_has_to_begin_with_it() {
        let at = |at: &str| json!({"get": "/", "says": "acme", "at": at});
        let asks = |realm: &str, location: &str| ProbeReply::Http {
            status: 302,
            challenge: format!("Digest realm=\"{realm}\""),
            location: location.to_owned(),
            body: r#"{"by": "acme"}"#.into(),
        };
        assert!(is_found(&at("realm"), &asks("Acme Login", "/")));
        assert!(!is_found(&at("realm"), &asks("like acme", "acme")));
        assert!(
            is_found(&at("location"), &asks("", "ACME/")) && !is_found(&at("location"), &asks("acme", "/"))
        );
        assert!(is_found(&at("/by"), &asks("", "")) && !is_found(&at("/other"), &asks("acme", "acme")));
        let kind = json!({"command": "version", "says": "Acme", "at": "/VERSION/0/Type"});
        assert!(is_found(&kind, &rpc(r#"{"VERSION":[{"Type":"Acme 1"}]}"#)));
        // The repair of what firmwares get wrong holds here too.
        assert!(is_found(&kind, &rpc("{\"VERSION\":[{\"Type\":\"Acme 1\",}]}\0")));
        assert!(!is_found(&kind, &rpc(r#"{"VERSION":[{"Type":"Other"}],"note":"Acme"}"#)));
        assert!(!is_found(&kind, &rpc("acme")));
    }

    #[test]
    fn one_word_of_others_is_enough_to_leave_it_alone() {
        let drivers = registry(&json!([
            {"get": "/", "says": "acme", "at": "realm"},
            {"command": "version", "says": "acme", "not": ["otheros", "BOSER"]},
        ]));
        let drivers = drivers.unwrap();
        let ours = ProbeReply::Http {
            status: 401,
            challenge: "Digest realm=\"acme\"".into(),
            location: String::new(),
            body: "".into(),
        };
        let plain = found(&drivers, Ports::default(), &[ours.clone(), rpc("{}")]);
        assert!(plain.is_some() && plain.unwrap().opts.len() == 1);
        assert_eq!(found(&drivers, Ports::default(), &[ours, rpc(r#"{"By":"Boser"}"#)]), None);
    }

    #[test]
    fn what_it_tells_and_other_ports_go_with_the_device() {
        let drivers = registry(&json!([
            {"get": "/about", "says": "acme", "model": "/model", "mac": "/net/mac", "firmware": "/none"},
            {"command": "version", "says": "acme", "firmware": "/fw", "model": "/ignored", "stock": false},
        ]));
        let drivers = drivers.unwrap();
        let about = page(r#"{"by":"acme","model":" Kiln 3 ","net":{"mac":"02:00:00:00:00:07"}}"#);
        let version = rpc(r#"{"by":"acme","fw":7,"ignored":"x"}"#);
        let ports = Ports { web: 8080, ..Ports::simulated() };
        let device = found(&drivers, ports, &[about, version.clone()]).unwrap();
        assert_eq!((device.driver, device.make.as_str(), device.stock), ("acme", "Acme", true));
        assert_eq!(
            (device.model.as_deref(), device.firmware.as_deref(), device.mac.as_deref()),
            (Some("Kiln 3"), Some("7"), Some("02:00:00:00:00:07"))
        );
        let opts = json!({"address": "10.0.0.7", "port": 8080, "rpc_port": 14028});
        assert_eq!(serde_json::to_value(&device.opts).unwrap(), opts);
        let other = found(&drivers, Ports::default(), &[ProbeReply::Silent, version]).unwrap();
        assert_eq!((other.stock, other.opts.len()), (false, 1));
        let long = page(&json!({"by": "acme", "model": "x".repeat(LONGEST_FACT + 1)}).to_string());
        assert_eq!(found(&drivers, ports, &[long, ProbeReply::Silent]).unwrap().model, None);
    }
}
