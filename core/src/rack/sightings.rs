//! What devices say of themselves, applied to the things they should be.

use std::sync::Arc;

use serde_json::Value;

use super::{
    api::Caller,
    changes::{drop_thing, unknown},
    checks::Claim,
    comments,
    desk::Desk,
    facts::Facts,
    history::{self, HistoryKind},
    identity::{Evidence, Held, HeldReason, Likeness, certain, compare, differing, learn},
    record::ThingRecord,
};
use crate::{Error, ErrorKind, Result, ThingId, io::Timestamp};

const BOTH: [Claim; 2] = [Claim::Mac, Claim::Serial];

/// What a device said of itself, and where.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sighting {
    /// The thing at whose address it was asked; `None` for a scan.
    pub thing: Option<ThingId>,
    /// What it said; with its address for a scan.
    pub evidence: Evidence,
    /// When.
    pub ts: Timestamp,
    /// Of a scan: whether the same identity answered at its thing's own address, when that was asked after the scan.
    /// When it was not, a thing that is online there is not moved.
    pub also_at_home: Option<bool>,
}

impl Sighting {
    /// A device that was polled as `thing`.
    pub fn polled(thing: ThingId, evidence: Evidence, ts: Timestamp) -> Self {
        Self { thing: Some(thing), evidence, ts, also_at_home: None }
    }

    /// A device that a scan found at `address`.
    pub fn scanned(address: &str, evidence: Evidence, ts: Timestamp) -> Self {
        Self { thing: None, evidence: evidence.at(address), ts, also_at_home: None }
    }

    /// Says whether the same identity answered at its thing's own address after that.
    #[must_use]
    pub const fn also_at_home(mut self, answered: bool) -> Self {
        self.also_at_home = Some(answered);
        self
    }
}

/// Whether a poll of `thing` told nothing new; quick, for every reading.
pub(super) fn is_old_news(thing: &ThingRecord, seen: &Evidence) -> bool {
    let Some(known) = &thing.evidence else { return false };
    let told = seen.mac.is_none() || seen.mac == known.mac;
    let serial = seen.serial.is_none() || seen.serial == known.serial;
    let boards = seen.boards.is_empty() || seen.boards == known.boards;
    told && serial && boards && known.address.as_deref() == thing.address()
}

/// Whether the sighting says anything about the record as it is now: it was polled after the last change.
fn counts(thing: &ThingRecord, ts: Timestamp) -> bool {
    let changed = thing.info.get("updatedAt").and_then(|at| at.as_i64()).unwrap_or(i64::MIN);
    thing.held.is_none() && !thing.in_maintenance() && ts.0 > changed
}

/// Gives the things whose records change.
pub(super) fn apply(desk: &mut Desk, sighting: &Sighting) -> Vec<ThingId> {
    let mut changed = Vec::new();
    match &sighting.thing {
        Some(id) => {
            if let Some(thing) = desk.current(id).filter(|thing| counts(thing, sighting.ts)) {
                polled(desk, &thing, &sighting.evidence, &mut changed);
            }
        }
        None => scanned(desk, sighting, &mut changed),
    }
    changed
}

fn polled(desk: &mut Desk, thing: &ThingRecord, seen: &Evidence, changed: &mut Vec<ThingId>) {
    let mut seen = seen.clone();
    seen.address = thing.address().map(Into::into);
    let known = thing.known();
    let owners = owners(desk, thing, &seen);
    match compare(&known, &seen) {
        Likeness::Same | Likeness::Unknown if owners.is_empty() => {
            let learnt = learn(&known, &seen);
            if thing.evidence.as_ref() != Some(&learnt) {
                let new = ThingRecord { evidence: Some(learnt), ..thing.clone() };
                changed.push(new.id.clone());
                desk.put(new, None);
            }
        }
        Likeness::Same | Likeness::Unknown => {
            both(desk, thing, &owners, HeldReason::SameIdentity, &seen, changed)
        }
        Likeness::Partly | Likeness::Other if owners.is_empty() && only_info_differs(thing, &seen) => {
            hold(desk, thing, HeldReason::InfoDiffers, None, &seen, changed);
        }
        Likeness::Partly => both(desk, thing, &owners, HeldReason::PartlyTheSame, &seen, changed),
        Likeness::Other => match owners.as_slice() {
            [] => hold(desk, thing, HeldReason::Replaced, None, &seen, changed),
            [owner] if may_move(owner) && certain(&owner.known(), &seen) => {
                hold(desk, thing, HeldReason::AddressTaken, Some(&owner.id), &seen, changed);
                move_to(desk, owner, thing.opts.all().get("port"), &seen, changed);
            }
            _ => both(desk, thing, &owners, HeldReason::SameIdentity, &seen, changed),
        },
    }
}

/// Whether nothing that the device itself said before is contradicted.
fn only_info_differs(thing: &ThingRecord, seen: &Evidence) -> bool {
    let heard = thing.evidence.clone().unwrap_or_default();
    matches!(compare(&heard, seen), Likeness::Same | Likeness::Unknown)
}

/// Other things of which the same identity is known.
fn owners(desk: &Desk, thing: &ThingRecord, seen: &Evidence) -> Vec<Arc<ThingRecord>> {
    let probe = ThingRecord { evidence: Some(seen.clone()), info: Facts::default(), ..thing.clone() };
    if is_decided(&thing.evidence) {
        return Vec::new();
    }
    let others = desk.owners(&probe, &BOTH).into_iter().filter_map(|id| desk.current(&id));
    others.filter(|other| !is_decided(&other.evidence)).collect()
}

fn is_decided(evidence: &Option<Evidence>) -> bool {
    evidence.as_ref().is_some_and(|e| e.decided)
}

fn scanned(desk: &mut Desk, sighting: &Sighting, changed: &mut Vec<ThingId>) {
    let seen = &sighting.evidence;
    let owners = desk.with_identity(seen);
    // The poll of a thing that has this address tells it all.
    if owners.iter().any(|owner| owner.address() == seen.address.as_deref()) {
        return;
    }
    match owners.as_slice() {
        [] => {}
        [owner] if may_move(owner) => {
            if certain(&owner.known(), seen) {
                follow(desk, owner, sighting, changed);
            } else if owner.held.is_none() {
                hold(desk, owner, HeldReason::PartlyTheSame, None, seen, changed);
            }
        }
        // A part of it is one thing's, another part another's.
        [_, _, ..] if !owners.iter().any(|owner| is_decided(&owner.evidence)) => {
            for owner in owners.iter().filter(|owner| owner.held.is_none() && !owner.in_maintenance()) {
                let other = owners.iter().map(|other| &other.id).find(|id| **id != owner.id);
                hold(desk, owner, HeldReason::PartlyTheSame, other, seen, changed);
            }
        }
        _ => {}
    }
}

/// The device of `thing` was seen elsewhere. When the same answers where the thing is, there are two of it.
fn follow(desk: &mut Desk, thing: &ThingRecord, sighting: &Sighting, changed: &mut Vec<ThingId>) {
    let seen = &sighting.evidence;
    match sighting.also_at_home {
        Some(true) if thing.held.is_none() => {
            hold(desk, thing, HeldReason::SameIdentity, None, seen, changed);
        }
        None if desk.is_online(thing) => {}
        Some(false) | None if desk.is_free_address(thing, seen) => move_to(desk, thing, None, seen, changed),
        _ => {}
    }
}

/// Whether a thing may follow its device: nothing else is in doubt, and it is not being repaired.
fn may_move(thing: &ThingRecord) -> bool {
    let waits = thing.held.as_ref().is_none_or(|held| held.reason == HeldReason::AddressTaken);
    waits && !thing.in_maintenance()
}

/// Holds `thing` and each of `others`.
fn both(
    desk: &mut Desk,
    thing: &ThingRecord,
    others: &[Arc<ThingRecord>],
    reason: HeldReason,
    seen: &Evidence,
    changed: &mut Vec<ThingId>,
) {
    hold(desk, thing, reason, others.first().map(|o| &o.id), seen, changed);
    for other in others.iter().filter(|other| other.held.is_none()) {
        hold(desk, other, reason, Some(&thing.id), seen, changed);
    }
}

fn hold(
    desk: &mut Desk,
    thing: &ThingRecord,
    reason: HeldReason,
    with: Option<&ThingId>,
    seen: &Evidence,
    changed: &mut Vec<ThingId>,
) {
    let since = desk.now();
    let differs = differing(thing, seen);
    tracing::warn!(thing = %thing.id, ?reason, ?differs, "the identity of a thing is in doubt");
    let held = Held { reason, since, with: with.cloned(), differs, seen: seen.clone() };
    let new = ThingRecord { held: Some(Box::new(held)), ..thing.clone() };
    let entry = history::entry(since, HistoryKind::Held, &itself(), Some(thing), Some(&new));
    changed.push(thing.id.clone());
    desk.put(new, entry);
}

/// The device of `thing` is at another address now.
fn move_to(
    desk: &mut Desk,
    thing: &ThingRecord,
    port: Option<Value>,
    seen: &Evidence,
    changed: &mut Vec<ThingId>,
) {
    let Some(address) = &seen.address else { return };
    let now = desk.now();
    let mut new = ThingRecord { held: None, evidence: Some(learn(&thing.known(), seen)), ..thing.clone() };
    new.opts.set("address", Value::from(address.as_str()));
    if let Some(port) = port {
        new.opts.set("port", port);
    }
    new.info.set("updatedAt", now);
    let entry = history::entry(now, HistoryKind::Moved, &itself(), Some(thing), Some(&new));
    tracing::info!(thing = %thing.id, %address, "a thing answers at another address now");
    changed.push(thing.id.clone());
    desk.put(new, entry);
}

fn itself() -> Caller {
    Caller::new("headframe")
}

const MERGE: &str = "things.merge";
const SPLIT: &str = "things.split";

/// `keep` and `drop` are one device: `drop` is forgotten but for its comments, and what the device says is learnt anew.
pub(super) fn merge(
    desk: &mut Desk,
    keep: &ThingId,
    drop: &ThingId,
    by: &Caller,
) -> Result<Arc<ThingRecord>> {
    if keep == drop {
        return Err(Error::invalid(MERGE, "drop", "a thing cannot be merged with itself"));
    }
    let kept = desk.current(keep).ok_or_else(|| unknown(MERGE, keep))?;
    let dropped = desk.current(drop).ok_or_else(|| unknown(MERGE, drop))?;
    if kept.held.is_none() && dropped.held.is_none() {
        // What is forgotten is gone: two names that were confused must not be enough.
        let e = Error::new(ErrorKind::Conflict, MERGE, "the identity of neither is in doubt");
        return Err(e.with("keep", keep).with("drop", drop));
    }
    drop_thing(desk, drop, HistoryKind::Merge, by);
    let now = desk.now();
    let mut new = ThingRecord { held: None, evidence: None, ..ThingRecord::clone(&kept) };
    comments::join(&mut new.comments, &dropped.comments);
    new.info.set("updatedAt", now);
    let entry = history::entry(now, HistoryKind::Merge, by, Some(&kept), Some(&new));
    Ok(desk.put(new, entry))
}

/// What answers as `id` is that thing, whatever was known of it and whoever shows the same.
pub(super) fn split(desk: &mut Desk, id: &ThingId, by: &Caller) -> Result<Arc<ThingRecord>> {
    let old = desk.current(id).ok_or_else(|| unknown(SPLIT, id))?;
    let Some(held) = &old.held else {
        return Err(Error::new(ErrorKind::Conflict, SPLIT, "its identity is not in doubt").with("thing", id));
    };
    let now = desk.now();
    let mut new = ThingRecord { held: None, ..ThingRecord::clone(&old) };
    if held.reason == HeldReason::AddressTaken {
        // The device that answered is another thing's; this one's own is still to be found.
        new.evidence = old.evidence.clone();
    } else {
        new.evidence = Some(Evidence { decided: true, ..held.seen.clone() });
        for (name, told) in [("macAddress", &held.seen.mac), ("serialNum", &held.seen.serial)] {
            if let (Some(told), true) = (told, old.info.contains_key(name)) {
                new.info.set(name, told.as_str());
            }
        }
    }
    new.info.set("updatedAt", now);
    let entry = history::entry(now, HistoryKind::Split, by, Some(&old), Some(&new));
    Ok(desk.put(new, entry))
}
