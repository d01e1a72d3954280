//! Client keys: the same key and the same body get the same answer, however often they come.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{ActionId, Person, desk::Desk, engine::Draft, hex::hex};
use crate::{
    Error, ErrorKind, Result,
    planted::{Bug, planted},
    store::{ControlStore, Key, Space},
};

/// How long an answer is remembered, ms: a week.
pub(super) const KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;
const PREFIX: &str = "action.key/";

/// What was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Pushed(Option<ActionId>, Vec<String>),
    Voted(ActionId),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub ts: i64,
    body: String,
    answer: Answer,
}

/// The fingerprint of a push. Secrets in parameters are in it, so it is a hash with the key's record as its salt.
pub(super) fn push_body(draft: &Draft) -> Value {
    json!(["push", draft.action, *draft.params, draft.query, draft.rack_type])
}

/// The fingerprint of a vote.
pub(super) fn vote_body(id: ActionId, approve: bool, digest: Option<&str>) -> Value {
    json!(["vote", id, approve, digest])
}

fn place(person: &Person, key: &str) -> Key {
    let hash = Sha256::digest(format!("{}\0{key}", person.key()));
    format!("{PREFIX}{}", hex(&hash)).into()
}

fn fingerprint(place: &Key, body: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(place.as_str());
    hash.update(body.to_string());
    hex(&hash.finalize())
}

fn answer(place: &Key, held: Remembered, body: &Value) -> Result<Answer> {
    if held.body == fingerprint(place, body) {
        return Ok(held.answer);
    }
    let text = "this client key came with another body before";
    Err(Error::new(ErrorKind::Conflict, "action.key", text).code_as("ERR_CLIENT_KEY_CONFLICT"))
}

/// What was answered to this key before.
pub(super) fn find(store: &ControlStore, person: &Person, key: &str, body: &Value) -> Result<Option<Answer>> {
    let place = place(person, key);
    let held = store.get::<Remembered>(Space::Meta, &place)?;
    held.map(|held| answer(&place, held.value, body)).transpose()
}

/// The same, of what is staged too.
pub(super) fn staged(desk: &Desk, person: &Person, key: &str, body: &Value) -> Result<Option<Answer>> {
    let place = place(person, key);
    let Some(held) = desk.beside(Space::Meta, &place) else { return Ok(None) };
    let held = serde_json::from_value(held);
    let held =
        held.map_err(|_| Error::new(ErrorKind::Corrupt, "action.key", "a client key's record is damaged"))?;
    answer(&place, held, body).map(Some)
}

/// Remembers an answer, durable with what it is about.
pub(super) fn remember(desk: &mut Desk, person: &Person, key: &str, body: &Value, answer: &Answer) {
    if planted(Bug::NoKeys) {
        return;
    }
    let place = place(person, key);
    let ts = desk.now();
    let held = Remembered { ts, body: fingerprint(&place, body), answer: answer.clone() };
    desk.put(Space::Meta, place, serde_json::to_value(held).unwrap_or_default());
}

/// Keys whose answer need not be remembered any more, at most `most`.
pub(super) fn old(store: &ControlStore, now: i64, most: usize) -> Vec<Key> {
    let records = store.scan_prefix(Space::Meta, PREFIX);
    let over = |record: &crate::store::Record| {
        record.parse::<Remembered>().is_ok_and(|held| held.ts.saturating_add(KEPT_MS) < now)
    };
    records.into_iter().filter(over).take(most).map(|record| record.key).collect()
}
