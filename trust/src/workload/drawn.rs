//! Changes for the real registry, some of which it has to refuse.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Op, POOL, filler,
    rows::{MAINTENANCE, PREFIX, Row},
};

/// Draws the next change for a registry that holds `rows`. `n` numbers the changes.
pub fn draw(rng: &mut fastrand::Rng, rows: &BTreeMap<String, Row>, n: u64) -> Op {
    let known: Vec<&String> = rows.keys().collect();
    let some = |rng: &mut fastrand::Rng| match rng.choice(&known) {
        // Now and then one that does not exist.
        Some(id) if rng.u32(0..12) > 0 => (*id).clone(),
        _ => format!("wm{}", rng.u32(0..POOL)),
    };
    match rng.u32(0..24) {
        0..6 => {
            let mut ids: Vec<u32> = (0..rng.usize(1..5)).map(|_| rng.u32(0..POOL)).collect();
            // Mostly free ones; the same one twice is a case too.
            if rng.u32(0..6) > 0 {
                ids.retain(|id| !rows.contains_key(&format!("wm{id}")));
            }
            if ids.is_empty() {
                return Op::Set("pause".into(), json!(n));
            }
            Op::Register(ids.into_iter().map(|id| (format!("wm{id}"), thing(rng, id, n))).collect())
        }
        6..11 => Op::Update(some(rng), change(rng, n)),
        11..13 => Op::Comment(some(rng), n, json!({ "text": format!("{n} {}", rng.u32(0..900)) })),
        13 => {
            let id = some(rng);
            let old = rows.get(&id).and_then(|row| rng.choice(&row.comments)).cloned().unwrap_or_default();
            Op::Reword(id, old, rng.bool().then(|| format!("{n} again")))
        }
        14..16 => Op::Set(format!("limit-{}", rng.u32(0..6)), json!({"kw_per_s": rng.u32(1..900), "n": n})),
        16..18 => {
            let mut things: Vec<String> = (0..rng.usize(1..4)).map(|_| some(rng)).collect();
            things.sort();
            things.dedup();
            Op::Forget(n, things)
        }
        18..20 => {
            let id = some(rng);
            let own = rows.get(&id).and_then(|row| row.known("mac", "macAddress")).filter(|_| rng.bool());
            Op::Seen(id, own.unwrap_or_else(|| format!("06:00:00:{:02X}:{:02X}:01", n / 256 % 256, n % 256)))
        }
        20 => {
            // Only what is in doubt is merged.
            let held = rows.iter().find(|(_, row)| row.held.is_some()).map(|(id, _)| id.clone());
            let (keep, gone) = (held.unwrap_or_else(|| some(rng)), some(rng));
            if keep == gone { Op::Settle } else { Op::Merge(keep, gone) }
        }
        21 => {
            let held = rows.iter().find(|(_, row)| row.held.is_some()).map(|(id, _)| id.clone());
            Op::Split(held.unwrap_or_else(|| some(rng)))
        }
        _ => Op::Settle,
    }
}

fn mac(id: u32) -> String {
    format!("02:00:00:00:00:{id:02X}")
}

fn address(id: u32) -> String {
    format!("10.0.0.{id}")
}

/// A draft; now and then it claims what belongs to another.
fn thing(rng: &mut fastrand::Rng, id: u32, n: u64) -> Value {
    let mut draft = json!({
        "opts": {"address": address(id), "port": 4028},
        "info": {"container": format!("c{}", rng.u32(0..3)), "pos": format!("1-{id}"), "n": n},
        "tags": [format!("row-{}", rng.u32(0..9))],
    });
    let info = &mut draft["info"];
    info["text"] = filler(rng).into();
    if rng.u32(0..4) > 0 {
        info["macAddress"] = mac(id).into();
        info["serialNum"] = format!("S{id}").into();
    }
    let other = rng.u32(0..POOL);
    match rng.u32(0..24) {
        0 => draft["opts"]["address"] = address(other).into(),
        1 => info["macAddress"] = mac(other).into(),
        2 => info["serialNum"] = format!("S{other}").into(),
        3 => info["pos"] = format!("1-{other}").into(),
        4..6 => draft["code"] = format!("{PREFIX}-{:04}", rng.u32(1..60)).into(),
        _ => {}
    }
    draft
}

/// A change of some members.
fn change(rng: &mut fastrand::Rng, n: u64) -> Value {
    let other = rng.u32(0..POOL);
    match rng.u32(0..10) {
        0 => json!({"info": {"container": MAINTENANCE, "n": n}}),
        1 | 2 => json!({"info": {"container": format!("c{}", rng.u32(0..3)), "pos": format!("1-{other}")}}),
        3 => json!({"opts": {"address": address(other)}, "info": {"n": n}}),
        4 => json!({"info": {"macAddress": mac(other)}}),
        5 => json!({"info": {"serialNum": format!("S{other}"), "n": n}}),
        6 => json!({"tags": [format!("row-{}", rng.u32(0..9)), "spare"], "info": {}}),
        _ => json!({"info": {"text": filler(rng), "n": n}, "opts": {"port": rng.u32(4028..4032)}}),
    }
}
