//! Whether what the engine tells is what the devices saw, and what the client was told is there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    client::{Client, calls},
    devices::{Devices, Truth},
    script::Of,
};
use crate::act::RACKS;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Ok,
    Failed,
    Unknown,
}

/// Judges a site whose actions all ended.
pub fn judge(client: &Client, devices: &Devices, things: u32) -> Result<(), String> {
    let mut pushes = BTreeMap::new();
    for action in &client.known.list {
        let id = action["id"].as_u64().ok_or("an action without an id")?;
        let view = client.known.views.get(&id).ok_or_else(|| format!("{id} cannot be seen"))?;
        // Load is shed with "sleep", and all others have the number of their push.
        let push = action["params"][0].as_u64().unwrap_or(0);
        if pushes.insert(push, id).is_some() && push > 0 {
            return Err(format!("the push {push} became two actions"));
        }
        let rack = client.racks(push).ok_or_else(|| format!("nobody asked for {id}"))?;
        let wanted = if rack.is_some() { things } else { things * u32::try_from(RACKS.len()).unwrap_or(0) };
        one(client, devices, (id, action, view), wanted).map_err(|e| format!("action {id} ({push}): {e}"))?;
        let is_target = |(_, target, _): (&str, &str, &Value)| rack.is_none_or(|r| target.starts_with(r));
        if !calls(view).all(is_target) {
            return Err(format!("{id} has targets of another rack"));
        }
    }
    for ((id, target), truth) in &devices.calls {
        if truth.received > 0 && !client.known.views.contains_key(id) {
            return Err(format!("{target} got a command of {id}, which is not there"));
        }
    }
    granted(client, &pushes)
}

/// Judges one action.
fn one(
    client: &Client,
    devices: &Devices,
    (id, action, view): (u64, &Value, &Value),
    wanted: u32,
) -> Result<(), String> {
    let status = view["status"].as_str().unwrap_or_default();
    if view["status"] != action["status"] || view["counts"] != action["counts"] {
        return Err("two views differ".into());
    }
    let mut found = [0_u64; 3];
    let mut targets = 0;
    for (_, target, call) in calls(view) {
        targets += 1;
        let key = (id, target.to_owned());
        let nothing = Truth::default();
        let truth = devices.calls.get(&key).unwrap_or(&nothing);
        if truth.received > 1 {
            return Err(format!("{target} got it {} times", truth.received));
        }
        if ["DENIED", "CANCELLED", "EXPIRED"].contains(&status) {
            if truth.received > 0 {
                return Err(format!("{target} got it, though it is {status}"));
            }
            continue;
        }
        let fate = fate(call).ok_or_else(|| format!("{target} was forgotten: {call}"))?;
        found[fate as usize] += 1;
        match client.known.settled.get(&key) {
            Some(said) => settled(said, fate, call),
            None => told(fate, truth, devices.shows(target)),
        }
        .map_err(|e| format!("{target}: {e}: {truth:?}, {call}"))?;
    }
    if targets != wanted {
        return Err(format!("{targets} targets instead of {wanted}"));
    }
    let count = |name: &str| view["counts"][name].as_u64().unwrap_or(0);
    let counts = [count("ok"), count("failed"), count("unknown")];
    if counts != found {
        return Err(format!("it counts {counts:?}, and its calls are {found:?}"));
    }
    let right = match status {
        "COMPLETED" => found[1] + found[2] == 0,
        "FAILED" => found[0] + found[2] == 0,
        "PARTIAL" => found[0] + found[2] > 0 && found[1] + found[2] > 0,
        _ => found == [0; 3],
    };
    if right { Ok(()) } else { Err(format!("it is {status} with {found:?}")) }
}

fn fate(call: &Value) -> Option<Fate> {
    match call["error"].as_str() {
        Some("ERR_OUTCOME_UNKNOWN") => Some(Fate::Unknown),
        Some(_) => Some(Fate::Failed),
        None if call["result"]["success"] == true => Some(Fate::Ok),
        None => None,
    }
}

fn settled(said: &str, fate: Fate, call: &Value) -> Result<(), String> {
    let right = match said {
        "ok" => fate == Fate::Ok,
        "failed" => fate == Fate::Failed,
        _ => fate == Fate::Unknown,
    };
    if right && call["settledBy"] == "bob" { Ok(()) } else { Err(format!("it was settled as {said}")) }
}

/// Whether the engine may say of a call that nobody knows what became of it.
pub fn unknown(truth: Option<&Truth>, shows: bool) -> Result<(), String> {
    told(Fate::Unknown, truth.unwrap_or(&Truth::default()), shows)
}

/// Whether a fate that the engine tells is so.
fn told(fate: Fate, truth: &Truth, shows: bool) -> Result<(), String> {
    match fate {
        // Shown is what it did itself, or what another action with the same end did: load can be shed twice.
        Fate::Ok if !truth.done && !truth.already && truth.shown != Some("applied") => {
            Err("it is told as done, and was not".into())
        }
        // Another action can have changed the device again before it was looked at.
        Fate::Failed if truth.done && truth.shown != Some("not_applied") => {
            Err("it is told as failed, and was done".into())
        }
        Fate::Unknown if shows || truth.shown != Some("unknown") => {
            Err("it is told as unknown, and the device shows it".into())
        }
        _ => Ok(()),
    }
}

/// Whether everything that was granted is there.
fn granted(client: &Client, pushes: &BTreeMap<u64, u64>) -> Result<(), String> {
    for (push, id) in &client.known.ids {
        if (pushes.get(push) != Some(id) && *push > 0) || !client.known.views.contains_key(id) {
            return Err(format!("the push {push} was acknowledged as {id}, and is lost"));
        }
    }
    for wish in &client.known.granted {
        let Of::Push(push) = wish.of else { continue };
        let Some(view) = client.known.ids.get(&push).and_then(|id| client.known.views.get(id)) else {
            continue;
        };
        let voted = |side: &str| view[side].as_array().is_some_and(|all| all.iter().any(|v| v == wish.who));
        let kept = match wish.what {
            "push" => voted("votesPos"),
            // Of one that is taken back its client may not have heard.
            "vote" if client.known.withdrawn.contains(&(push, wish.who)) => true,
            "vote" => voted(if wish.body["approve"] == true { "votesPos" } else { "votesNeg" }),
            "withdraw" => !voted("votesPos"),
            "cancel" => view["status"] == "CANCELLED",
            _ => true,
        };
        if !kept {
            return Err(format!(
                "{} of {} on {:?} was acknowledged, and is lost",
                wish.what, wish.who, wish.of
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn truth(done: bool, shown: Option<&'static str>) -> Truth {
        Truth { received: 1, done, shown, ..Truth::default() }
    }

    #[test]
    fn only_what_is_so_may_be_told() {
        assert!(told(Fate::Ok, &truth(true, None), true).is_ok());
        assert!(told(Fate::Ok, &truth(false, Some("not_applied")), true).is_err());
        assert!(told(Fate::Ok, &truth(false, Some("applied")), true).is_ok());
        assert!(told(Fate::Ok, &Truth { already: true, ..Truth::default() }, true).is_ok());
        assert!(told(Fate::Failed, &truth(false, None), true).is_ok());
        assert!(told(Fate::Failed, &truth(true, None), true).is_err());
        assert!(told(Fate::Failed, &truth(true, Some("unknown")), false).is_err());
        assert!(told(Fate::Failed, &truth(true, Some("not_applied")), true).is_ok());
        assert!(unknown(Some(&truth(true, Some("unknown"))), false).is_ok());
        assert!(unknown(Some(&truth(true, Some("unknown"))), true).is_err());
        assert!(unknown(Some(&truth(true, None)), false).is_err());
        assert!(unknown(None, false).is_err());
    }

    #[test]
    fn a_call_has_one_fate_or_was_forgotten() {
        assert_eq!(fate(&json!({"id": "a", "result": {"success": true}})), Some(Fate::Ok));
        assert_eq!(fate(&json!({"id": "a", "error": "ERR_OUTCOME_UNKNOWN"})), Some(Fate::Unknown));
        let refused = json!({"result": {"success": false}, "error": "ERR_DEVICE_REFUSED"});
        assert_eq!(fate(&refused), Some(Fate::Failed));
        assert_eq!(fate(&json!({"id": "a"})), None);
        assert!(settled("ok", Fate::Ok, &json!({"settledBy": "bob"})).is_ok());
        assert!(settled("ok", Fate::Ok, &json!({})).is_err());
        assert!(settled("failed", Fate::Ok, &json!({"settledBy": "bob"})).is_err());
    }
}
