//! What is written: the changes that an operator's tools make to a registry, and who makes them.

mod control;

use std::sync::Arc;

use async_trait::async_trait;
use headframe_core::{Result, store::ControlStore};
use serde_json::{Value, json};

pub use control::ControlWorkload;

use crate::oracle::Model;

/// How many things there can be at a time.
const POOL: u32 = 40;

/// Makes a registry out of a store. The store's own records today; whatever stands above them later takes part by
/// one more implementation.
#[async_trait]
pub trait Workload: std::fmt::Debug + Send + Sync {
    /// The registry in `store`; finishes what an earlier process left unfinished only in [`Op::Settle`].
    async fn over(&self, store: ControlStore) -> Result<Arc<dyn Registry>>;
}

/// A registry that checks write to.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Makes one change; durable when it returns `Ok`.
    async fn apply(&self, op: &Op) -> Result<()>;

    /// All that is there, in the form that [`Op::effect`] speaks of.
    fn content(&self) -> Model;

    /// The store below.
    fn store(&self) -> &ControlStore;
}

const WORKLOADS: &[&dyn Workload] = &[&ControlWorkload];

/// Whose turn it is in a case.
pub fn of(index: u64) -> &'static dyn Workload {
    let turn = usize::try_from(index).unwrap_or_default() % WORKLOADS.len();
    WORKLOADS[turn]
}

/// One change to a registry: whole or not at all.
#[derive(Debug, Clone)]
pub enum Op {
    /// New things; none of them may exist.
    Register(Vec<(String, Value)>),
    /// A thing's new content; it has to exist, and nobody may have changed it meanwhile.
    Update(String, Value),
    /// A comment on a thing that exists.
    Comment(String, u64, Value),
    /// A setting.
    Set(String, Value),
    /// Things go, and their comments; all have to exist. What is left to do is noted under the number.
    Forget(u64, Vec<String>),
    /// Does what `Forget` left: counts each thing that went once.
    Settle,
    /// A stop action.
    Stop(u64),
}

/// Key under which the number of things that went is kept.
pub const FORGOTTEN: &str = "forgotten";

/// What a stop action journals: a rack's worth of targets, so that a few dozen of them are more than a full file
/// happens to have room for.
pub fn halt() -> Value {
    let targets: Vec<String> = (0..400).map(|n| format!("thing-{n:04}")).collect();
    json!({ "halt": targets })
}

/// The note that a `Forget` leaves.
pub fn note(things: &[String], settled: bool) -> Value {
    json!({ "settled": settled, "things": things })
}

impl Op {
    /// The content after the change; `None` when its guards do not hold.
    pub fn effect(&self, before: &Model) -> Option<Model> {
        let has = |id: &String| before.contains_key(&format!("things/{id}"));
        let mut after = before.clone();
        let mut put = |place: String, value: &Value| after.insert(place, value.to_string().into());
        match self {
            Self::Register(things) => {
                if things.iter().any(|(id, _)| has(id)) {
                    return None;
                }
                for (id, value) in things {
                    put(format!("things/{id}"), value);
                }
            }
            Self::Update(id, value) => {
                has(id).then(|| put(format!("things/{id}"), value))?;
            }
            Self::Comment(id, n, value) => {
                has(id).then(|| put(format!("comments/{id}/{n}"), value))?;
            }
            Self::Set(key, value) => {
                put(format!("settings/{key}"), value);
            }
            Self::Stop(n) => {
                put(format!("journal/stop-{n}"), &halt());
            }
            Self::Forget(n, things) => {
                if !things.iter().all(has) {
                    return None;
                }
                put(format!("journal/forget-{n}"), &note(things, false));
                let gone = |key: &str| {
                    things.iter().any(|id| {
                        key == format!("things/{id}") || key.starts_with(&format!("comments/{id}/"))
                    })
                };
                after.retain(|key, _| !gone(key));
            }
            Self::Settle => settle(&mut after),
        }
        Some(after)
    }

    /// Which path this change takes.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Register(_) => "register",
            Self::Update(..) => "update",
            Self::Comment(..) => "comment",
            Self::Set(..) => "settings",
            Self::Forget(..) => "forget",
            Self::Settle => "settle",
            Self::Stop(_) => "stop",
        }
    }
}

fn settle(model: &mut Model) {
    let mut more = 0;
    for (key, text) in model.iter_mut() {
        let Some(value) = key.starts_with("journal/forget-").then(|| parsed(text)) else { continue };
        if value["settled"] == json!(false) {
            let things: Vec<String> = serde_json::from_value(value["things"].clone()).unwrap_or_default();
            more += things.len() as u64;
            *text = note(&things, true).to_string().into();
        }
    }
    if more > 0 {
        let place = format!("meta/{FORGOTTEN}");
        let known = model.get(&place).map_or(0, |text| parsed(text).as_u64().unwrap_or_default());
        model.insert(place, (known + more).to_string().into());
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Draws the next change for a registry that holds `model`. `n` numbers the changes.
pub fn draw(rng: &mut fastrand::Rng, model: &Model, n: u64) -> Op {
    let known: Vec<&str> = model.keys().filter_map(|key| key.strip_prefix("things/")).collect();
    let some = |rng: &mut fastrand::Rng| -> String {
        // Now and then one that does not exist: its guard has to refuse.
        match rng.choice(&known) {
            Some(id) if rng.u32(0..12) > 0 => (*id).into(),
            _ => format!("wm{}", rng.u32(0..POOL)),
        }
    };
    match rng.u32(0..20) {
        0..6 => {
            let mut ids: Vec<u32> = (0..rng.usize(1..5)).map(|_| rng.u32(0..POOL)).collect();
            ids.sort_unstable();
            ids.dedup();
            // Mostly free ones.
            if rng.u32(0..6) > 0 {
                ids.retain(|id| !model.contains_key(&format!("things/wm{id}")));
            }
            if ids.is_empty() {
                return Op::Set("pause".into(), json!(n));
            }
            Op::Register(ids.into_iter().map(|id| (format!("wm{id}"), thing(rng, id, n))).collect())
        }
        6..11 => {
            let id = some(rng);
            Op::Update(id, thing(rng, 0, n))
        }
        11..14 => Op::Comment(some(rng), n, json!({"by": "ops@example.com", "text": filler(rng), "n": n})),
        14..16 => Op::Set(format!("limit-{}", rng.u32(0..6)), json!({"kw_per_s": rng.u32(1..900), "n": n})),
        16..18 => {
            let mut things: Vec<String> = (0..rng.usize(1..4)).map(|_| some(rng)).collect();
            things.sort();
            things.dedup();
            Op::Forget(n, things)
        }
        _ => Op::Settle,
    }
}

/// A thing's record.
fn thing(rng: &mut fastrand::Rng, id: u32, n: u64) -> Value {
    json!({
        "type": "miner-wm-m50",
        "n": n,
        "opts": {"address": format!("10.0.{}.{}", id / 250, id % 250), "port": 4028},
        "info": {"container": format!("c{}", rng.u32(0..9)), "pos": format!("1-{id}"), "text": filler(rng)},
        "tags": ["t-miner", format!("c-{}", rng.u32(0..9))],
    })
}

/// Text of the sizes that records have, some of them larger than a page of the file.
fn filler(rng: &mut fastrand::Rng) -> String {
    let size = if rng.u32(0..14) == 0 { rng.usize(5_000..20_000) } else { rng.usize(0..300) };
    let letter = char::from(rng.u8(b'a'..=b'z'));
    std::iter::repeat_n(letter, size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_drawn_and_some_are_to_be_refused() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut model = Model::new();
        let mut kinds = std::collections::BTreeSet::new();
        let mut refused = 0;
        for n in 0..400 {
            let op = draw(&mut rng, &model, n);
            match op.effect(&model) {
                Some(after) => {
                    kinds.insert(op.name());
                    model = after;
                }
                None => refused += 1,
            }
        }
        assert_eq!(kinds.len(), 6, "{kinds:?}");
        assert!((10..150).contains(&refused), "{refused}");
    }

    #[test]
    fn settling_twice_counts_once() {
        let thing = |id: &str| (id.to_owned(), json!({}));
        let model = Op::Register(vec![thing("a"), thing("b")]).effect(&Model::new()).unwrap();
        let model = Op::Forget(1, vec!["a".into(), "b".into()]).effect(&model).unwrap();
        let once = Op::Settle.effect(&model).unwrap();
        assert_eq!(&*once["meta/forgotten"], "2");
        assert_eq!(Op::Settle.effect(&once).unwrap(), once);
    }
}
