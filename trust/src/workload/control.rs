use std::sync::Arc;

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    store::{Batch, ControlStore, Expect, Space},
};
use serde_json::{Value, json};

use super::{Effect, Op, POOL, Registry, Rules, Workload, filler, halt, parsed};
use crate::oracle::Model;

/// Key under which the number of things that went is kept.
const FORGOTTEN: &str = "forgotten";

/// Writes the registry's records to the store itself, in guarded batches as a registry does.
#[derive(Debug)]
pub struct ControlWorkload;

#[derive(Debug)]
struct Records(ControlStore);

#[async_trait]
impl Workload for ControlWorkload {
    fn name(&self) -> &'static str {
        "over records"
    }

    async fn over(&self, store: ControlStore) -> Result<Arc<dyn Registry>> {
        Ok(Arc::new(Records(store)))
    }
}

#[async_trait]
impl Registry for Records {
    async fn apply(&self, op: &Op) -> Result<String> {
        let batch = match op {
            Op::Register(things) => things.iter().fold(Batch::new(), |batch, (id, value)| {
                let id = id.as_str();
                batch.require(Space::Things, id, Expect::Absent).put(Space::Things, id, value)
            }),
            Op::Update(id, value) => {
                let known = self.0.get_record(Space::Things, id.as_str()).ok_or_else(unknown)?;
                let unchanged = Expect::Revision(known.revision);
                let batch = Batch::new().require(Space::Things, id.as_str(), unchanged);
                batch.put(Space::Things, id.as_str(), value)
            }
            Op::Comment(id, n, value) => {
                let batch = Batch::new().require(Space::Things, id.as_str(), Expect::Exists);
                batch.put(Space::Comments, format!("{id}/{n}"), value)
            }
            Op::Set(key, value) => Batch::new().put(Space::Settings, key.as_str(), value),
            Op::Stop(n) => Batch::new().put(Space::Journal, format!("stop-{n}"), &halt()).urgent(),
            Op::Forget(n, things) => self.forget(*n, things),
            Op::Settle => return self.settle().await.map(|()| String::new()),
            other => {
                return Err(Error::invalid("trust.apply", "op", format!("no change of records: {other:?}")));
            }
        };
        self.0.commit(batch).await.map(|_| String::new())
    }

    fn content(&self) -> Model {
        let mut model = Model::new();
        for space in [Space::Things, Space::Comments, Space::Settings, Space::Journal, Space::Meta] {
            for record in self.0.scan(space, .., usize::MAX) {
                let text = String::from_utf8_lossy(&record.json).into_owned();
                model.insert(format!("{space}/{}", record.key), text.into());
            }
        }
        model
    }

    fn rules(&self) -> &'static dyn Rules {
        &Guarded
    }

    fn store(&self) -> &ControlStore {
        &self.0
    }
}

impl Records {
    fn forget(&self, n: u64, things: &[String]) -> Batch {
        let mut batch = Batch::new().put(Space::Journal, format!("forget-{n}"), &note(things, false));
        for id in things {
            batch = batch.require(Space::Things, id.as_str(), Expect::Exists);
            batch = batch.delete(Space::Things, id.as_str());
            for comment in self.0.scan_prefix(Space::Comments, &format!("{id}/")) {
                batch = batch.delete(Space::Comments, &comment.key);
            }
        }
        batch
    }

    /// Finishes what is noted: the count and the notes change together, so that it can be done again at any time.
    async fn settle(&self) -> Result<()> {
        let known = self.0.get::<u64>(Space::Meta, FORGOTTEN)?;
        let guard = known.map_or(Expect::Absent, |v| Expect::Revision(v.revision));
        let mut total = known.map_or(0, |v| v.value);
        let mut notes = Batch::new();
        for record in self.0.scan_prefix(Space::Journal, "forget-") {
            let value: Value = record.parse()?;
            if value["settled"] == json!(false) {
                let things: Vec<String> = serde_json::from_value(value["things"].clone()).unwrap_or_default();
                total += things.len() as u64;
                notes = notes.require(Space::Journal, &record.key, Expect::Revision(record.revision));
                notes = notes.put(Space::Journal, &record.key, &note(&things, true));
            }
        }
        if notes.is_empty() {
            return Ok(());
        }
        if counts_first() {
            self.0.commit(Batch::new().put(Space::Meta, FORGOTTEN, &total)).await?;
            return self.0.commit(notes).await.map(drop);
        }
        let batch = notes.require(Space::Meta, FORGOTTEN, guard).put(Space::Meta, FORGOTTEN, &total);
        self.0.commit(batch).await.map(drop)
    }
}

/// The note that a `Forget` leaves.
fn note(things: &[String], settled: bool) -> Value {
    json!({ "settled": settled, "things": things })
}

/// What guarded batches do.
#[derive(Debug)]
pub struct Guarded;

impl Rules for Guarded {
    fn draw(&self, rng: &mut fastrand::Rng, model: &Model, n: u64, unsure: bool) -> Op {
        let op = draw(rng, model, n);
        if unsure && matches!(op, Op::Forget(..) | Op::Settle) {
            // These begin with a look around, and what can be read may be older than the file until the store was
            // opened again.
            return Op::Set("look-first".into(), n.into());
        }
        op
    }

    fn effect(&self, op: &Op, before: &Model) -> Effect {
        effect(op, before).map(|after| (after, String::new())).ok_or("")
    }

    fn is_sure(&self) -> bool {
        false
    }
}

/// The content after the change; `None` when its guards do not hold.
fn effect(op: &Op, before: &Model) -> Option<Model> {
    let has = |id: &String| before.contains_key(&format!("things/{id}"));
    let mut after = before.clone();
    let mut put = |place: String, value: &Value| after.insert(place, value.to_string().into());
    match op {
        Op::Register(things) => {
            if things.iter().any(|(id, _)| has(id)) {
                return None;
            }
            for (id, value) in things {
                put(format!("things/{id}"), value);
            }
        }
        Op::Update(id, value) => {
            has(id).then(|| put(format!("things/{id}"), value))?;
        }
        Op::Comment(id, n, value) => {
            has(id).then(|| put(format!("comments/{id}/{n}"), value))?;
        }
        Op::Set(key, value) => {
            put(format!("settings/{key}"), value);
        }
        Op::Stop(n) => {
            put(format!("journal/stop-{n}"), &halt());
        }
        Op::Forget(n, things) => {
            if !things.iter().all(has) {
                return None;
            }
            put(format!("journal/forget-{n}"), &note(things, false));
            let gone = |key: &str| {
                things
                    .iter()
                    .any(|id| key == format!("things/{id}") || key.starts_with(&format!("comments/{id}/")))
            };
            after.retain(|key, _| !gone(key));
        }
        Op::Settle => settle(&mut after),
        Op::Reword(..) | Op::Seen(..) | Op::Merge(..) | Op::Split(_) => return None,
    }
    Some(after)
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

fn draw(rng: &mut fastrand::Rng, model: &Model, n: u64) -> Op {
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

/// The planted bug: what was noted is counted in a commit of its own, so that a cut between the two counts it again.
fn counts_first() -> bool {
    cfg!(planted) && std::env::var(crate::PLANTED).is_ok_and(|bug| bug == crate::checks::SETTLES_TWICE)
}

fn unknown() -> Error {
    Error::new(ErrorKind::Conflict, "trust.update", "there is no such thing")
}
