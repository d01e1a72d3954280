use serde_json::{Map, Value, json};

use super::{
    Held,
    lab::{AIR, BACK, COOL, FRONT, Lab, PLANT, thing_of},
    people::Who,
    table::{Row, Target},
};

/// Somebody else's name and rights, which nobody can give himself.
fn forged() -> Value {
    json!({"voter": "boss", "authPerms": ["*:rw"], "user": "boss", "permissions": ["*:rw"], "votesPos": ["boss"]})
}

/// The parameters with which a method has its effect, when the caller may have it. Whoever signed in says who else he would
/// be, too.
pub fn good(lab: &Lab, row: &Row, target: Target, who: &Who) -> Value {
    let mut body = plain(lab, row.name, target);
    let said = match &who.spoken {
        None => forged(),
        Some(spoken) => {
            let member = |(name, value): (&str, &Option<Value>)| Some((name.to_owned(), value.clone()?));
            let all = [("voter", &spoken.voter), ("authPerms", &spoken.perms)];
            all.into_iter().filter_map(member).collect::<Map<_, _>>().into()
        }
    };
    if let (Value::Object(body), Value::Object(said)) = (&mut body, said) {
        body.extend(said);
    }
    body
}

fn plain(lab: &Lab, method: &str, target: Target) -> Value {
    let id = lab.id(target);
    match method {
        "registerRack" => json!({"id": "miner-far", "type": "miner-x", "info": {"rpcPublicKey": "ab"}}),
        "forgetRacks" => json!({"all": true}),
        "getWrkConf" => json!({"type": "miner"}),
        "getThingConf" => json!({"type": "miner", "requestType": "nextAvailableCode"}),
        "getWrkSettings" => json!({"rackId": FRONT}),
        "saveWrkSettings" => json!({"rackId": FRONT, "entries": {"a": 1}}),
        "registerThing" => json!({"rackId": FRONT, "opts": {"address": "10.0.0.77"}, "info": {}}),
        "updateThing" => json!({"rackId": FRONT, "id": "f1", "info": {"pos": "1"}}),
        "forgetThings" => json!({"query": {"id": "f1"}}),
        "saveThingComment" => json!({"rackId": FRONT, "thingId": "f1", "comment": "hot"}),
        "editThingComment" => {
            json!({"rackId": FRONT, "thingId": "f1", "id": lab.comment, "comment": "cold"})
        }
        "deleteThingComment" => json!({"rackId": FRONT, "thingId": "f1", "id": lab.comment}),
        "getHistoricalLogs" => json!({"logType": "info"}),
        "tailLog" => json!({"type": "miner", "key": "stat-5m", "tag": "t-miner"}),
        "tailLogMulti" => json!({"keys": [{"type": "miner", "key": "stat-5m", "tag": "t-miner"}]}),
        "tailLogCustomRangeAggr" => {
            json!({"keys": [{"type": "miner", "startDate": "2026-01-01", "endDate": "2026-01-02"}]})
        }
        "getWrkExtData" => json!({"type": "minerpool", "query": {"key": "stats"}}),
        "setWrkExtData" => json!({"type": "electricity", "key": "availableEnergy", "value": []}),
        "getConfigs" => json!({"type": "pool"}),
        "storeFile" => {
            json!({"type": "work_order", "rackId": FRONT, "workOrderId": "w1", "name": "a.txt", "mime": "text/plain",
                "contentBase64": "aGk="})
        }
        "loadFile" | "removeFile" => {
            json!({"type": "work_order", "rackId": FRONT, "workOrderId": "w1", "fileId": "f0"})
        }
        "mergeThings" => json!({"keep": "f1", "drop": "b1"}),
        "splitThing" => json!({"id": "f1"}),
        "setThingMap" => json!({"thingMap": {FRONT: "10.0.0.0/23"}}),
        "reassignThings" => json!({"moves": [{"id": "f2", "from": FRONT, "to": BACK}]}),
        "setGlobalConfig" => json!({"isAutoSleepAllowed": true}),
        "pushAction" => draft(target),
        "pushActionsBatch" => {
            json!({"batchActionsPayload": [draft(target), draft(target)], "allOrNothing": true})
        }
        "voteAction" => json!({"id": id, "approve": true}),
        "cancelActionsBatch" | "getActionsBatch" => json!({"ids": [id]}),
        "getAction" => json!({"id": id, "type": target.list()}),
        "queryActions" => json!({"queries": [{"type": "voting"}, {"type": "done"}]}),
        "withdrawVote" | "pauseAction" | "resumeAction" | "stopAction" => json!({"id": id}),
        "settleCall" => {
            json!({"id": id, "rackId": PLANT, "thingId": thing_of(target), "settled": "ok"})
        }
        "stopScope" => json!({"scope": {"kind": "freeze"}}),
        "liftStop" => json!({"scope": scope(lab.setting.held)}),
        "shedLoad" => json!({"query": {}, "why": "the grid asks for it"}),
        _ => json!({}),
    }
}

/// The devices of this site take any action, unless they are not meant.
pub fn no_device() -> Value {
    json!({"id": "site"})
}

fn draft(target: Target) -> Value {
    if target == Target::Site {
        let all = json!({"name": "carol", "permissions": ["*:rw"]});
        return json!({"query": no_device(), "action": "setPrincipal", "params": [all]});
    }
    json!({"query": {"id": thing_of(Target::Absent)}, "action": "needs-2", "params": []})
}

/// What is stopped in such a site.
pub fn scope(held: Held) -> Value {
    match held {
        Held::Open | Held::Frozen => json!({"kind": "freeze"}),
        Held::Halted => json!({"kind": "halt"}),
        Held::RackLocked => json!({"kind": "rack", "of": PLANT}),
        Held::CarolLocked => json!({"kind": "person", "of": "carol"}),
    }
}

/// Names that methods look for, and a few that they must not.
const MEMBERS: [&str; 34] = [
    "id",
    "ids",
    "type",
    "query",
    "queries",
    "action",
    "params",
    "approve",
    "voter",
    "authPerms",
    "user",
    "scope",
    "why",
    "all",
    "rackId",
    "thingId",
    "settled",
    "thingMap",
    "moves",
    "keep",
    "drop",
    "opts",
    "info",
    "entries",
    "clientKey",
    "digest",
    "batchActionsPayload",
    "batchActionUID",
    "checkpoints",
    "key",
    "limit",
    "from",
    "kwPerS",
    "__proto__",
];

/// Text that no client of good will sends: another method's parameters, changed ones, drawn ones, no JSON.
pub fn hostile(rng: &mut fastrand::Rng, good: &Value) -> String {
    match rng.u8(..6) {
        0 => String::new(),
        1 => {
            let text = good.to_string();
            let mut end = rng.usize(..text.len().max(1));
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.get(..end).unwrap_or_default().to_owned()
        }
        2 => drawn(rng, 3).to_string(),
        _ => {
            let mut body = good.as_object().cloned().unwrap_or_default();
            for _ in 0..rng.u8(1..4) {
                let name = MEMBERS[rng.usize(..MEMBERS.len())];
                body.insert(name.into(), drawn(rng, 2));
            }
            Value::Object(body).to_string()
        }
    }
}

fn drawn(rng: &mut fastrand::Rng, depth: u8) -> Value {
    const TEXTS: [&str; 16] = [
        "",
        "carol",
        "boss",
        " BOSS ",
        "*:rw",
        "miner:rw",
        "needs-1",
        "freeze",
        "halt",
        "voting",
        "-1",
        "99999999999999999999",
        "ok",
        "\u{202e}\u{0}",
        "10.0.0.0/8",
        "f1",
    ];
    match rng.u8(..if depth == 0 { 8 } else { 11 }) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => rng.u64(..3).into(),
        3 => rng.i64(..).into(),
        4 => rng.f64().into(),
        5 => [FRONT, BACK, COOL, AIR, PLANT][rng.usize(..5)].into(),
        6 | 7 => TEXTS[rng.usize(..TEXTS.len())].into(),
        8 => (0..rng.u8(..4)).map(|_| drawn(rng, depth - 1)).collect(),
        _ => {
            let members = (0..rng.u8(..4)).map(|_| {
                let name = MEMBERS[rng.usize(..MEMBERS.len())].to_owned();
                (name, drawn(rng, depth - 1))
            });
            members.collect::<Map<_, _>>().into()
        }
    }
}
