use std::{
    fmt,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, value::RawValue};

use super::{
    api::{Comment, RackId, family_of},
    checks::{MAINTENANCE, normal_mac},
    facts::Facts,
    identity::{Evidence, Held, HeldReason},
    options::NO_DRIVER,
    secrets,
};
use crate::{
    Result, ThingId,
    driver::Identity,
    model::{Text, ThingConf},
    store::{Record, Sealer},
};

/// A thing as it is registered. What it says stands elsewhere: [`Rack::last`](super::Rack::last).
///
/// Its options stay inside: secrets among them are sealed, serialising leaves all of them out, and `Debug` shows their
/// names only.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ThingRecord {
    /// Stable identity.
    pub id: ThingId,
    /// `PREFIX-NNNN`, unique in the site.
    pub code: Text,
    /// The rack that owns it.
    pub rack: RackId,
    /// MiningOS's thing type.
    #[serde(rename = "type")]
    pub thing_type: Text,
    /// The driver that opens it.
    pub driver: Text,
    /// All tags: made ones and those that people gave.
    #[serde(default)]
    pub tags: Vec<Text>,
    #[serde(skip)]
    pub(super) opts: Options,
    /// Free facts, with `createdAt` and `updatedAt`. Members called like secrets are sealed.
    #[serde(default)]
    pub info: Facts,
    /// Comments, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<Comment>,
    /// Never written to, whatever is approved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Why its identity is in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Held>>,
    /// What its device said of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    #[serde(default)]
    pub(super) revision: Stamp,
}

/// A thing's options. The address stands beside them, because each reading is compared with it.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Facts", into = "Facts")]
pub(super) struct Options {
    all: Facts,
    address: Option<Text>,
}

impl Options {
    pub fn all(&self) -> &Facts {
        &self.all
    }

    /// Adds or replaces one option.
    pub fn set(&mut self, name: &str, value: Value) {
        self.all.set(name, value);
        *self = std::mem::take(&mut self.all).into();
    }
}

impl From<Facts> for Options {
    fn from(all: Facts) -> Self {
        let address = all.text("address").filter(|text| !text.trim().is_empty()).map(Text::from);
        Self { all, address }
    }
}

impl From<Options> for Facts {
    fn from(options: Options) -> Self {
        options.all
    }
}

/// The commit of a record, known only after it was written.
#[derive(Default)]
pub(super) struct Stamp(AtomicU64);

impl Stamp {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub fn set(&self, revision: u64) {
        self.0.store(revision, Ordering::Release);
    }
}

impl Clone for Stamp {
    fn clone(&self) -> Self {
        let copy = Self::default();
        copy.set(self.get());
        copy
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(|revision| Self(revision.into()))
    }
}

/// A record as the store keeps it.
#[derive(Serialize)]
pub(super) struct Stored<'a> {
    #[serde(flatten)]
    record: &'a ThingRecord,
    opts: &'a Facts,
}

/// Where facts and options stand in it.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    info: &'a RawValue,
    #[serde(borrow)]
    opts: &'a RawValue,
}

#[derive(Deserialize)]
struct Loaded {
    #[serde(flatten)]
    record: ThingRecord,
    #[serde(default)]
    opts: Options,
}

impl ThingRecord {
    /// The commit that wrote it; [`ThingChange::if_revision`](super::ThingChange::if_revision) takes it.
    pub fn revision(&self) -> u64 {
        self.revision.get()
    }

    /// `miner`, `container`, …
    pub fn family(&self) -> &str {
        family_of(&self.thing_type)
    }

    /// Where it is reached, as its options say.
    pub fn address(&self) -> Option<&str> {
        self.opts.address.as_deref()
    }

    /// The address by which it is owned, when that is an IPv4 address.
    pub(crate) fn ipv4(&self) -> Option<Ipv4Addr> {
        self.address()?.parse().ok()
    }

    /// Whether it is reached on this port of its options, when one is told.
    pub(crate) fn has_port(&self, port: Option<&Value>) -> bool {
        port.is_none_or(|port| self.opts.all().get("port").as_ref() == Some(port))
    }

    /// Whether it is being repaired: its `info.container` is `maintenance`.
    pub fn in_maintenance(&self) -> bool {
        self.info.text("container").as_deref() == Some(MAINTENANCE)
    }

    /// Whether its device is asked at all.
    pub fn is_polled(&self) -> bool {
        let taken = self.held.as_ref().is_some_and(|held| held.reason == HeldReason::AddressTaken);
        !taken && !self.in_maintenance() && self.driver != NO_DRIVER
    }

    /// The thing in MiningOS's listing form, without `last`.
    pub fn listing(&self) -> Value {
        self.listing_of(&|_| true)
    }

    /// The same with those members only that `wanted` names.
    pub(super) fn listing_of(&self, wanted: &dyn Fn(&str) -> bool) -> Value {
        let mut doc = Map::new();
        let mut put = |name: &str, value: &dyn Fn() -> Option<Value>| {
            if let Some(value) = wanted(name).then(value).flatten() {
                doc.insert(name.into(), value);
            }
        };
        put("id", &|| Some(self.id.as_str().into()));
        put("code", &|| Some(self.code.as_str().into()));
        put("type", &|| Some(self.thing_type.as_str().into()));
        put("rack", &|| Some(self.rack.as_str().into()));
        put("driver", &|| Some(self.driver.as_str().into()));
        put("tags", &|| Some(self.tags.as_slice().into()));
        put("info", &|| Some(secrets::stripped(self.info.map())));
        put("comments", &|| Some(serde_json::to_value(&self.comments).unwrap_or_default()));
        put("revision", &|| Some(self.revision().into()));
        put("readOnly", &|| self.read_only.then_some(true.into()));
        put("held", &|| self.held.as_ref().map(|held| serde_json::to_value(held).unwrap_or_default()));
        let picks: &[&str] = match self.family() {
            "miner" | "container" => &["address", "port"],
            "powermeter" | "sensor" => &["address", "port", "unitId"],
            _ => &[],
        };
        for name in picks {
            put(name, &|| match self.opts.all.get(name) {
                Some(value @ (Value::String(_) | Value::Number(_))) => Some(value.clone()),
                _ => None,
            });
        }
        Value::Object(doc)
    }

    /// How its driver reaches it, with the secrets unsealed.
    pub(super) fn conf(&self, sealer: &Sealer) -> Result<ThingConf> {
        let mut conf = ThingConf::new(self.id.clone(), &self.driver).typed(&self.thing_type);
        conf.opts = secrets::open(sealer, &self.id, self.opts.all.map())?;
        Ok(conf)
    }

    /// What its device should say of itself: what it said before, else what was registered.
    pub(super) fn known(&self) -> Evidence {
        let mut known = self.evidence.clone().unwrap_or_default();
        known.mac = known.mac.or_else(|| self.info.text("macAddress").map(|mac| normal_mac(&mac)));
        known.serial = known.serial.or_else(|| self.info.text("serialNum").map(Text::from));
        known
    }

    /// Who its device must be for a write; empty when nothing is known of it.
    pub(crate) fn identity(&self) -> Identity {
        let known = self.known();
        // People type serial numbers by hand.
        Identity::new(known.mac, known.serial.map(|serial| serial.trim().into()))
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        Stored { record: self, opts: &self.opts.all }
    }

    /// Keeps facts and options once: as the parts of `json`, the record as the store keeps it.
    pub(super) fn rest_in(&mut self, json: &Arc<[u8]>) {
        let Ok(parts) = serde_json::from_slice::<Parts<'_>>(json) else { return };
        self.info = std::mem::take(&mut self.info).within(json, parts.info);
        self.opts.all = std::mem::take(&mut self.opts.all).within(json, parts.opts);
    }

    pub(super) fn load(record: &Record) -> Result<Self> {
        let loaded: Loaded = record.parse()?;
        let mut thing = loaded.record;
        thing.opts = loaded.opts;
        thing.rest_in(&record.json);
        thing.tags.shrink_to_fit();
        thing.comments.shrink_to_fit();
        thing.revision.set(record.revision.0);
        Ok(thing)
    }
}

impl PartialEq for ThingRecord {
    /// Whether all is the same but the revision.
    fn eq(&self, other: &Self) -> bool {
        let own = (&self.id, &self.code, &self.rack, &self.thing_type, &self.driver, &self.tags);
        let its = (&other.id, &other.code, &other.rack, &other.thing_type, &other.driver, &other.tags);
        own == its
            && self.opts == other.opts
            && self.info == other.info
            && self.comments == other.comments
            && (self.read_only, &self.held, &self.evidence) == (other.read_only, &other.held, &other.evidence)
    }
}

impl fmt::Debug for ThingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThingRecord")
            .field("id", &self.id)
            .field("code", &self.code)
            .field("rack", &self.rack)
            .field("driver", &self.driver)
            .field("tags", &self.tags)
            .field("opts", &self.opts.all)
            .field("info", &secrets::stripped(self.info.map()))
            .field("held", &self.held)
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}
