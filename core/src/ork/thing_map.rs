use std::{collections::BTreeMap, fmt, net::Ipv4Addr};

use ipnet::Ipv4Net;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
};

use crate::{Error, ErrorKind, Result, ThingId, discover::AddressRange, rack::RackId};

const OP: &str = "ork.thing_map";
/// Most runs of addresses in one map.
const MAX_RUNS: usize = 65_536;

/// Which rack owns which IPv4 addresses. No address has two owners; one without an owner, and a thing without an IPv4
/// address, belongs to the rack that it is registered in.
///
/// Written as an object, `{"miner-wm-m56s-rack3": "10.3.0.0/24, 10.4.0.1-10.4.0.99"}`. A network is owned whole, its
/// first and last address included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThingMap {
    /// Ascending and apart.
    runs: Vec<Run>,
}

/// Addresses that stand together and have one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    first: u32,
    last: u32,
    rack: RackId,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Ipv4Addr::from(self.first))?;
        if self.first == self.last { Ok(()) } else { write!(f, "-{}", Ipv4Addr::from(self.last)) }
    }
}

/// A thing as a [`ThingMap`] sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The thing.
    pub id: ThingId,
    /// The rack that holds it.
    pub rack: RackId,
    /// Its address, when that is an IPv4 address.
    pub address: Option<Ipv4Addr>,
}

/// A thing whose address another rack owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The thing.
    pub id: ThingId,
    /// The rack that holds it.
    pub from: RackId,
    /// The rack that owns its address.
    pub to: RackId,
}

impl ThingMap {
    /// Reads a map from its JSON text.
    ///
    /// # Errors
    /// As [`new`](Self::new), and for what is no object of texts or lists of texts.
    pub fn parse(text: &str) -> Result<Self> {
        let Written(entries) = serde_json::from_str(text).map_err(|e| {
            Error::invalid(OP, "thingMap", "takes an object of racks and their addresses")
                .code_as("ERR_THING_MAP_INVALID")
                .caused_by(e)
        })?;
        Self::new(entries)
    }

    /// Makes a map of racks and their addresses. A rack may be named several times.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with `ERR_THING_MAP_INVALID`, naming the rack whose addresses are not
    /// understood, or with `ERR_THING_MAP_OVERLAP`, naming both ranges (`range`, `other`) and both racks.
    pub fn new<S: AsRef<str>>(entries: impl IntoIterator<Item = (RackId, S)>) -> Result<Self> {
        let mut runs = Vec::new();
        for (rack, text) in entries {
            for (first, last) in spans(&rack, text.as_ref())? {
                runs.push(Run { first, last, rack: rack.clone() });
                if runs.len() > MAX_RUNS {
                    return Err(wrong(&rack, format!("more than {MAX_RUNS} runs of addresses")));
                }
            }
        }
        Self::of(runs)
    }

    fn of(mut runs: Vec<Run>) -> Result<Self> {
        runs.sort_by(|a, b| (a.first, a.last, &a.rack).cmp(&(b.first, b.last, &b.rack)));
        let mut kept: Vec<Run> = Vec::with_capacity(runs.len());
        for run in runs {
            match kept.last_mut() {
                Some(before) if before.rack == run.rack && run.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(run.last);
                }
                Some(before) if run.first <= before.last => return Err(overlap(before, &run)),
                _ => kept.push(run),
            }
        }
        Ok(Self { runs: kept })
    }

    /// The rack that owns `ip`.
    pub fn owner(&self, ip: Ipv4Addr) -> Option<&RackId> {
        let ip = u32::from(ip);
        let after = self.runs.partition_point(|run| run.first <= ip);
        let run = self.runs.get(after.checked_sub(1)?)?;
        (run.last >= ip).then_some(&run.rack)
    }

    /// Racks that own addresses, with these.
    pub fn racks(&self) -> BTreeMap<&RackId, String> {
        let mut racks: BTreeMap<&RackId, String> = BTreeMap::new();
        for run in &self.runs {
            let text = racks.entry(&run.rack).or_default();
            *text += &format!("{}{run}", if text.is_empty() { "" } else { "," });
        }
        racks
    }

    /// Whether nothing is owned.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Things whose address lies in another rack's range, in the order given: what a new map makes move.
    pub fn misplaced<'a>(&self, things: impl IntoIterator<Item = &'a Holding>) -> Vec<Move> {
        let moved = |thing: &Holding| {
            let to = self.owner(thing.address?)?;
            (*to != thing.rack).then(|| Move {
                id: thing.id.clone(),
                from: thing.rack.clone(),
                to: to.clone(),
            })
        };
        things.into_iter().filter_map(moved).collect()
    }
}

/// Runs of one rack's addresses.
fn spans(rack: &RackId, text: &str) -> Result<Vec<(u32, u32)>> {
    let mut spans = Vec::new();
    for piece in text.split([',', ';']).map(str::trim).filter(|piece| !piece.is_empty()) {
        // A dash may have spaces around it; a network has none inside.
        let words: Vec<&str> =
            if piece.contains('/') { piece.split_whitespace().collect() } else { vec![piece] };
        for word in words {
            if let Ok(net) = word.parse::<Ipv4Net>() {
                spans.push((net.network().into(), net.broadcast().into()));
                continue;
            }
            let range = AddressRange::with_limit(word, 1 << 32);
            let range = range.map_err(|e| wrong(rack, e.message().to_owned()))?;
            spans.extend(range.runs().map(|(first, last)| (u32::from(first), u32::from(last))));
        }
    }
    if spans.is_empty() {
        return Err(wrong(rack, "names no address"));
    }
    Ok(spans)
}

fn wrong(rack: &RackId, why: impl Into<String>) -> Error {
    Error::invalid(OP, "thingMap", why).code_as("ERR_THING_MAP_INVALID").with("rack", rack)
}

fn overlap(a: &Run, b: &Run) -> Error {
    let text = format!("{a} of {} and {b} of {} overlap", a.rack, b.rack);
    Error::new(ErrorKind::Invalid, OP, text)
        .code_as("ERR_THING_MAP_OVERLAP")
        .with("field", "thingMap")
        .with("range", a)
        .with("rack", &a.rack)
        .with("other", b)
        .with("other_rack", &b.rack)
}

impl Serialize for ThingMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.racks())
    }
}

impl<'de> Deserialize<'de> for ThingMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written(entries) = Written::deserialize(deserializer)?;
        Self::new(entries).map_err(de::Error::custom)
    }
}

/// A map as written: a rack that stands in it twice keeps both entries.
struct Written(Vec<(RackId, String)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Addresses {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of racks and their addresses")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
                let mut entries = Vec::new();
                while let Some((rack, addresses)) = map.next_entry::<String, Addresses>()? {
                    let rack = RackId::new(&rack).map_err(de::Error::custom)?;
                    entries.push(match addresses {
                        Addresses::One(text) => (rack, text),
                        Addresses::Many(texts) => (rack, texts.join(",")),
                    });
                }
                Ok(Written(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
