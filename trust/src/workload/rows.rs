//! What the real registry should do, read from its documentation a second time: which thing may claim what, how a
//! change is merged, what becomes of an identity in doubt.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Effect, Op, Rules, drawn, halt, parsed};
use crate::oracle::Model;

/// Type of the things; codes begin with what follows its first dash.
pub const TYPE: &str = "miner-wm-m50";
pub const PREFIX: &str = "WM-M50";
pub const MAINTENANCE: &str = "maintenance";
const NOT_FOUND: &str = "ERR_THING_NOTFOUND";
/// Entries of history that are kept of one thing.
const ENTRIES: usize = 100;

/// A thing as a caller sees it, without times and random ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    pub code: String,
    pub address: Option<String>,
    pub port: Option<Value>,
    pub info: Map<String, Value>,
    pub tags: BTreeSet<String>,
    pub comments: Vec<String>,
    pub held: Option<Value>,
    pub evidence: Option<Value>,
}

impl Row {
    fn text(&self, name: &str) -> Option<&str> {
        self.info.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// What its device said before, else what was registered.
    pub fn known(&self, told: &str, registered: &str) -> Option<String> {
        let before = self.evidence.as_ref().and_then(|e| e[told].as_str());
        before.or_else(|| self.text(registered)).map(Into::into)
    }

    /// What only one thing may have, in the order in which it is judged, with the code of a refusal.
    fn claims(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![("ERR_THING_WITH_CODE_ALREADY_EXISTS", self.code.clone())];
        for (code, registered, told) in [
            ("ERR_THING_MACADDRESS_EXISTS", "macAddress", "mac"),
            ("ERR_THING_SERIALNUM_EXISTS", "serialNum", "serial"),
        ] {
            let told = self.evidence.as_ref().and_then(|e| e[told].as_str());
            let both: BTreeSet<&str> = self.text(registered).into_iter().chain(told).collect();
            all.extend(both.into_iter().map(|value| (code, value.to_owned())));
        }
        if let Some(pos) = self.text("pos") {
            let place = format!("{pos} in {}", self.text("container").unwrap_or_default());
            all.push(("ERR_THING_POS_EXISTS", place));
        }
        all.extend(self.address.clone().map(|address| ("ERR_THING_IP_ADDRESS_EXISTS", address)));
        all
    }

    /// Tags that people gave, and those that are made.
    fn tag(&mut self, id: &str, given: impl IntoIterator<Item = String>) {
        self.tags = given.into_iter().collect();
        self.tags.extend(["t-miner", "t-miner-wm", "t-miner-wm-m50"].map(str::to_owned));
        self.tags.extend([format!("id-{id}"), format!("code-{}", self.code)]);
        let places = ["pos", "container"].map(|name| Some(format!("{name}-{}", self.text(name)?)));
        self.tags.extend(places.into_iter().flatten());
    }

    fn given(&self) -> Vec<String> {
        let made =
            |tag: &str| ["t-", "id-", "code-", "pos-", "container-"].iter().any(|p| tag.starts_with(p));
        self.tags.iter().filter(|tag| !made(tag)).cloned().collect()
    }
}

/// A draft's options and facts. What has neither is all facts.
pub fn parts(value: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
    if value.get("info").is_none() && value.get("opts").is_none() {
        return (Map::new(), map(value));
    }
    (map(&value["opts"]), map(&value["info"]))
}

fn list(value: &Value) -> Option<Vec<String>> {
    serde_json::from_value(value.clone()).ok()
}

/// A content in rows, and back.
struct Rows {
    rows: BTreeMap<String, Row>,
    others: Model,
}

impl Rows {
    fn read(model: &Model) -> Self {
        let (mut rows, mut others) = (BTreeMap::new(), model.clone());
        for (key, text) in model {
            if let Some(id) = key.strip_prefix("things/") {
                rows.insert(id.to_owned(), serde_json::from_str(text).unwrap_or_default());
                others.remove(key);
            }
        }
        Self { rows, others }
    }

    fn model(self) -> Model {
        let mut model = self.others;
        model.extend(
            self.rows.iter().map(|(id, row)| (format!("things/{id}"), json!(row).to_string().into())),
        );
        model
    }

    fn note(&mut self, id: &str, what: &str) {
        let place = format!("history/{id}");
        let mut all = self.others.get(&place).and_then(|text| list(&parsed(text))).unwrap_or_default();
        all.insert(0, what.to_owned());
        all.truncate(ENTRIES);
        self.others.insert(place, json!(all).to_string().into());
    }

    fn next_code(&self) -> String {
        let number = |row: &Row| row.code.strip_prefix(PREFIX)?.strip_prefix('-')?.parse::<u64>().ok();
        let highest = self.rows.values().filter_map(number).max().unwrap_or_default();
        format!("{PREFIX}-{:04}", highest + 1)
    }

    /// Refuses what another thing has and `before` had not.
    fn free(&self, id: &str, new: &Row, before: &[(&'static str, String)]) -> Result<(), &'static str> {
        for claim in new.claims().into_iter().filter(|claim| !before.contains(claim)) {
            if self.rows.iter().any(|(other, row)| other != id && row.claims().contains(&claim)) {
                return Err(claim.0);
            }
        }
        Ok(())
    }

    fn row(&mut self, id: &str) -> Result<&mut Row, &'static str> {
        self.rows.get_mut(id).ok_or(NOT_FOUND)
    }

    fn register(&mut self, id: &str, value: &Value) -> Result<(), &'static str> {
        if self.rows.contains_key(id) {
            return Err("ERR_THING_WITH_ID_ALREADY_EXISTS");
        }
        let (opts, info) = parts(value);
        let code = value["code"].as_str().map_or_else(|| self.next_code(), Into::into);
        let address = opts.get("address").and_then(Value::as_str).map(Into::into);
        let mut row = Row { code, address, port: opts.get("port").cloned(), info, ..Row::default() };
        row.tag(id, list(&value["tags"]).unwrap_or_default());
        self.free(id, &row, &[])?;
        self.rows.insert(id.to_owned(), row);
        self.note(id, "register");
        Ok(())
    }

    fn update(&mut self, id: &str, value: &Value) -> Result<(), &'static str> {
        let old = self.row(id)?.clone();
        let (opts, info) = parts(value);
        let mut new = old.clone();
        new.info.extend(info);
        if let Some(address) = opts.get("address").and_then(Value::as_str) {
            new.address = Some(address.into());
        }
        if let Some(port) = opts.get("port") {
            new.port = Some(port.clone());
        }
        new.tag(id, list(&value["tags"]).unwrap_or_else(|| old.given()));
        if ["macAddress", "serialNum"].iter().any(|name| old.info.get(*name) != new.info.get(*name)) {
            new.evidence = None;
        }
        self.free(id, &new, &old.claims())?;
        // Correcting the fact that the device contradicted ends the doubt.
        if let Some(held) = new.held.as_ref().filter(|held| held["reason"] == "info_differs") {
            let typed = new.text("macAddress").map(|mac| mac.to_ascii_uppercase().replace('-', ":"));
            if typed.is_none_or(|typed| held["seen"]["mac"] == typed) {
                new.held = None;
            }
        }
        self.rows.insert(id.to_owned(), new);
        self.note(id, "update");
        Ok(())
    }

    fn reword(&mut self, id: &str, old: &str, new: Option<&String>) -> Result<(), &'static str> {
        let comments = &mut self.row(id)?.comments;
        if comments.is_empty() {
            return Err("ERR_THING_COMMENTS_NOTFOUND");
        }
        let at = comments.iter().position(|text| text == old).ok_or("ERR_THING_COMMENT_NOTFOUND")?;
        match new {
            Some(text) => text.clone_into(&mut comments[at]),
            None => drop(comments.remove(at)),
        }
        comments.sort_unstable();
        Ok(())
    }

    /// A device answered as `id` with this MAC address; gives whether that changed the thing.
    fn seen(&mut self, id: &str, mac: &str) -> bool {
        let Some(row) = self.rows.get_mut(id) else { return false };
        if row.held.is_some() || row.text("container") == Some(MAINTENANCE) {
            return false;
        }
        let known = row.known("mac", "macAddress");
        let mut said = json!({ "mac": mac });
        if let Some(address) = &row.address {
            said["address"] = json!(address);
        }
        if known.as_deref().is_some_and(|known| known != mac) {
            // What people typed is doubted otherwise than what the device itself said before.
            let heard = row.evidence.as_ref().is_some_and(|e| e["mac"].is_string());
            let reason = if heard { "replaced" } else { "info_differs" };
            row.held = Some(json!({"reason": reason, "seen": said}));
            self.note(id, "held");
            return true;
        }
        if let Some(serial) = row.known("serial", "serialNum") {
            said["serial"] = json!(serial);
        }
        let before = row.evidence.clone().unwrap_or_default();
        for (name, kept) in [("address", row.address.is_none()), ("decided", true)] {
            if kept && !before[name].is_null() {
                said[name] = before[name].clone();
            }
        }
        let new = row.evidence.as_ref() != Some(&said);
        row.evidence = Some(said);
        new
    }

    fn merge(&mut self, keep: &str, gone: &str) -> Result<(), &'static str> {
        let doubt = self.row(keep)?.held.is_some();
        if self.row(gone)?.held.is_none() && !doubt {
            return Err("ERR_CONFLICT");
        }
        let comments = self.rows.remove(gone).map(|row| row.comments).unwrap_or_default();
        self.note(gone, "merge");
        let row = self.row(keep)?;
        (row.held, row.evidence) = (None, None);
        row.comments.extend(comments);
        row.comments.sort_unstable();
        self.note(keep, "merge");
        Ok(())
    }

    fn split(&mut self, id: &str) -> Result<(), &'static str> {
        let row = self.row(id)?;
        let mut said = row.held.take().ok_or("ERR_CONFLICT")?["seen"].take();
        if row.info.contains_key("macAddress") {
            row.info.insert("macAddress".into(), said["mac"].clone());
        }
        said["decided"] = json!(true);
        row.evidence = Some(said);
        self.note(id, "split");
        Ok(())
    }

    fn forget(&mut self, things: &[String]) -> String {
        let gone: BTreeSet<&String> = things.iter().filter(|id| self.rows.remove(*id).is_some()).collect();
        gone.iter().for_each(|id| self.note(id, "forget"));
        gone.into_iter().cloned().collect::<Vec<_>>().join(" ")
    }
}

/// What the real registry does.
#[derive(Debug)]
pub struct Unique;

impl Rules for Unique {
    fn draw(&self, rng: &mut fastrand::Rng, model: &Model, n: u64, unsure: bool) -> Op {
        let op = drawn::draw(rng, &Rows::read(model).rows, n);
        if unsure && matches!(op, Op::Reword(..)) {
            // A comment is named by its id, which is read before.
            return Op::Settle;
        }
        op
    }

    fn effect(&self, op: &Op, before: &Model) -> Effect {
        let mut rows = Rows::read(before);
        let mut answer = String::new();
        match op {
            Op::Register(things) => {
                let each: Vec<_> = things.iter().map(|(id, value)| rows.register(id, value)).collect();
                if let (Some(Err(first)), true) = (each.first(), each.iter().all(Result::is_err)) {
                    return Err(first);
                }
                answer =
                    each.into_iter().map(|told| told.err().unwrap_or("ok")).collect::<Vec<_>>().join(" ");
            }
            Op::Update(id, value) => rows.update(id, value)?,
            Op::Comment(id, _, value) => {
                let comments = &mut rows.row(id)?.comments;
                comments.push(comment(value));
                comments.sort_unstable();
            }
            Op::Set(key, value) => {
                rows.others.insert(format!("settings/{key}"), value.to_string().into());
            }
            Op::Forget(_, things) => answer = rows.forget(things),
            Op::Settle => answer = rows.next_code(),
            Op::Stop(n) => {
                rows.others.insert(format!("journal/stop-{n}"), halt().to_string().into());
            }
            Op::Reword(id, old, new) => rows.reword(id, old, new.as_ref())?,
            Op::Seen(id, mac) => answer = if rows.seen(id, mac) { id.clone() } else { String::new() },
            Op::Merge(keep, gone) => rows.merge(keep, gone)?,
            Op::Split(id) => rows.split(id)?,
        }
        Ok((rows.model(), answer))
    }

    fn is_sure(&self) -> bool {
        true
    }
}

/// The text of a drawn comment.
pub fn comment(value: &Value) -> String {
    value["text"].as_str().unwrap_or("no text").to_owned()
}
