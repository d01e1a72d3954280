//! Whether the answers of an address are a Whatsminer's.

use headframe_core::driver::{Evidence, Match};

use super::{
    ID, MAKE,
    reply::{Details, Version},
    value::text,
    wire::{Part, Payload},
};

/// What other families' replies contain, also where they borrow words of this one.
const OTHERS: [&str; 5] = ["ANTMINER", "AVALON", "BOSMINER", "LUXMINER", "VNISH"];

/// A Whatsminer names its mining program (BTMINER) or its chip driver (BITMICRO), or answers `get_version`, which
/// only this family has, in its own form.
pub(super) fn recognise(evidence: &Evidence) -> Option<Match> {
    let details = read::<Details>(evidence, "devdetails");
    let version = read::<Version>(evidence, "get_version")
        .filter(|v| text(v.api.as_ref()).is_ok() && text(v.firmware.as_ref()).is_ok());
    let named = evidence.cgminer_says("BTMINER") || evidence.cgminer_says("BITMICRO");
    if !(named || version.is_some()) || OTHERS.iter().any(|other| evidence.cgminer_says(other)) {
        return None;
    }
    let mut found = Match::new(ID, MAKE, evidence);
    found.model = details.and_then(|d| text(d.model.as_ref()).ok());
    found.firmware = version.and_then(|v| text(v.firmware.as_ref()).ok());
    if evidence.ports.rpc != super::PORT {
        found.opts.insert("port".into(), evidence.ports.rpc.into());
    }
    Some(found)
}

fn read<T: Payload>(evidence: &Evidence, command: &'static str) -> Option<T> {
    let part: Part<T> =
        headframe_core::codec::cgminer::parse("whatsminer.probe", evidence.cgminer(command)?).ok()?;
    part.judge().ok()
}
