//! A site as data describes it: what a configuration file has, and what other languages give.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::SiteBuilder;
#[cfg(feature = "history")]
use crate::telemetry::TelemetryOptions;
use crate::{
    Error, Result,
    action::{Person, RightsSource, StaticPrincipals, policy::Rules},
    auth::Permissions,
    ork::RackConf,
    rack::{CollectorOptions, RackOptions},
};

const OP: &str = "site.conf";

/// A site as data describes it. A member that is not known is refused.
///
/// ```
/// # fn main() -> headframe_core::Result<()> {
/// use headframe_core::site::SiteConf;
///
/// let conf = SiteConf::from_json(
///     r#"{
///         "racks": [{"type": "miner-wm-m50s", "name": "hall-1", "driver": "whatsminer", "intervalMs": 30000}],
///         "people": {"ann@site": ["miner:rw", "actions:rw"], "bob@site": ["miner:rw", "actions:rw"]}
///     }"#,
/// )?;
/// assert_eq!(conf.racks.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SiteConf {
    /// Its racks.
    pub racks: Vec<RackSpec>,
    /// The rules by which actions are approved: `safe`, `mos`, or rules of one's own; `safe` without it.
    pub policy: Option<Value>,
    /// What each person may do; nobody may do anything without it.
    pub people: BTreeMap<String, Vec<String>>,
    /// Whether rights come with each call, as MiningOS's gateway sends them, in place of `people`.
    pub claims: bool,
    /// Whether history and statistics are kept; they are without it.
    pub history: Option<bool>,
    /// Whether statistics are MiningOS's own, mistakes included.
    pub mos_compatible: bool,
    /// The configuration that `getGlobalConfig` gives.
    pub global_config: Option<Map<String, Value>>,
}

/// A rack as data describes it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RackSpec {
    /// The type of its things, such as `miner-wm-m50s`; what it begins with is the family.
    #[serde(rename = "type")]
    pub thing_type: String,
    /// Its name; its id is `<type>-<name>`.
    pub name: String,
    /// The driver of things that name none; a rack without one is of things that nobody asks.
    pub driver: Option<String>,
    /// Time between two polls of one thing, ms; 60,000 without it.
    pub interval_ms: Option<u64>,
    /// Time that one poll has, ms.
    pub deadline_ms: Option<u64>,
    /// Tags that all its things have.
    pub tags: Vec<String>,
    /// Whether two miners may have one address.
    pub allow_duplicate_ips: bool,
    /// The configuration that `getWrkConf` gives.
    pub config: Option<Map<String, Value>>,
    /// The pools of its miners.
    pub pools: Option<Vec<Value>>,
}

impl SiteConf {
    /// Reads JSON.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), which says where.
    pub fn from_json(text: &str) -> Result<Self> {
        let mut read = serde_json::Deserializer::from_str(text);
        let conf = Self::deserialize(&mut read).and_then(|conf| read.end().map(|()| conf));
        conf.map_err(|e| Error::invalid(OP, "conf", e.to_string()).caused_by(e))
    }

    fn rules(&self) -> Result<Option<Rules>> {
        match &self.policy {
            None => Ok(None),
            Some(Value::String(name)) if name == "safe" => Ok(Some(Rules::safe())),
            Some(Value::String(name)) if name == "mos" => Ok(Some(Rules::mos())),
            Some(rules @ Value::Object(_)) => Rules::parse(rules).map(Some),
            Some(_) => Err(Error::invalid(OP, "policy", "takes safe, mos, or an object with rules")),
        }
    }

    fn rights(&self) -> Result<Option<RightsSource>> {
        if self.claims && !self.people.is_empty() {
            return Err(Error::invalid(
                OP,
                "claims",
                "rights come with calls, or people are named: not both",
            ));
        }
        if self.claims {
            return Ok(Some(RightsSource::Claims));
        }
        if self.people.is_empty() {
            return Ok(None);
        }
        let people = StaticPrincipals::new();
        for (name, rights) in &self.people {
            let rights =
                Permissions::parse(rights.iter().map(String::as_str)).map_err(|e| e.with("person", name))?;
            people.set(&Person::from_text(name)?, rights)?;
        }
        Ok(Some(RightsSource::Current(Arc::new(people))))
    }
}

impl RackSpec {
    fn options(&self) -> RackOptions {
        let mut options = self.driver.as_deref().map_or_else(RackOptions::without_devices, RackOptions::new);
        if let Some(ms) = self.interval_ms {
            options.collector = CollectorOptions::every(Duration::from_millis(ms));
        }
        options.collector.deadline = self.deadline_ms.map(Duration::from_millis);
        options.tags.clone_from(&self.tags);
        options.allow_duplicate_ips = self.allow_duplicate_ips;
        options
    }
}

impl SiteBuilder {
    /// Adds what a configuration says.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the member; racks are checked when the site is opened.
    pub fn conf(mut self, conf: &SiteConf) -> Result<Self> {
        if let Some(rules) = conf.rules()? {
            self = self.policy(Arc::new(rules));
        }
        if let Some(rights) = conf.rights()? {
            self = self.rights(rights);
        }
        for rack in &conf.racks {
            let mut told = RackConf::default();
            (told.config, told.pools) = (rack.config.clone(), rack.pools.clone());
            self = self.rack_with(&rack.thing_type, &rack.name, rack.options(), told);
        }
        if let Some(config) = &conf.global_config {
            self = self.global_config(config.clone());
        }
        self.kept(conf)
    }

    #[cfg(feature = "history")]
    fn kept(self, conf: &SiteConf) -> Result<Self> {
        let kept = conf.history.unwrap_or(true);
        Ok(self.history(kept.then(TelemetryOptions::default)).mos_compatible(conf.mos_compatible))
    }

    #[cfg(not(feature = "history"))]
    fn kept(self, conf: &SiteConf) -> Result<Self> {
        if conf.history == Some(true) || conf.mos_compatible {
            return Err(Error::invalid(
                OP,
                "history",
                "this build keeps none: build it with the feature history",
            ));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{driver::Registry, site::Site};

    fn refused(json: &str) -> String {
        let conf = SiteConf::from_json(json);
        let built = conf.and_then(|conf| Site::builder(Registry::new()).conf(&conf).map(drop));
        built.unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(refused(r#"{"rackz": []}"#).contains("rackz"));
        assert!(refused(r#"{"racks": [{"intervalMs": -1}]}"#).contains("line 1"));
        assert!(refused(r#"{"policy": "lax"}"#).contains("policy"));
        assert!(refused(r#"{"people": {"ann": ["miner:fly"]}}"#).contains("ann"));
        assert!(refused(r#"{"claims": true, "people": {"ann": ["miner:r"]}}"#).contains("claims"));
        assert!(refused(r#"{} x"#).contains("trailing"));
    }

    #[test]
    fn what_is_said_is_taken() {
        let json = r#"{"racks": [{"type": "miner-wm", "name": "a", "driver": "whatsminer", "intervalMs": 500,
            "deadlineMs": 400, "tags": ["t"], "pools": [{"url": "u"}]}], "policy": "mos", "history": false}"#;
        let conf = SiteConf::from_json(json).unwrap();
        let options = conf.racks[0].options();
        assert_eq!(options.collector.interval, Duration::from_millis(500));
        assert_eq!(options.collector.deadline, Some(Duration::from_millis(400)));
        assert_eq!((options.default_driver.as_str(), options.tags.len()), ("whatsminer", 1));
        assert!(conf.rules().unwrap().is_some() && conf.rights().unwrap().is_none());
    }
}
