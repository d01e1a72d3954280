//! Which device answers: what it says of itself, compared with what is known of a thing. Pure.

use serde::{Deserialize, Serialize};

use super::{checks::normal_mac, record::ThingRecord};
use crate::{
    Result, ThingId,
    driver::Registry,
    io::Ctx,
    model::{MinerSnapshot, Text, ThingConf},
};

/// What a device says of itself that tells it from others of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Evidence {
    /// MAC address, capitals and colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Text>,
    /// Serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Text>,
    /// Serial numbers of hash boards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<Text>,
    /// Where it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Text>,
    /// A person decided that the thing is one of its own, whoever shows the same identity.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decided: bool,
}

impl Evidence {
    /// What a snapshot tells; `None` when it names neither a MAC address nor a serial number.
    pub fn of(snapshot: &MinerSnapshot) -> Option<Self> {
        let info = snapshot.info.as_deref()?;
        let told = |text: &Option<Text>| text.clone().filter(|t| !t.trim().is_empty());
        let mac = told(&info.mac).map(|mac| normal_mac(&mac));
        let serial = told(&info.serial);
        if mac.is_none() && serial.is_none() {
            return None;
        }
        let boards = snapshot.stats.boards.iter().filter_map(|b| told(&b.serial)).collect();
        Some(Self { mac, serial, boards, address: None, decided: false })
    }

    /// The same, from a device that answered at `address`.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Whether it is the same device as far as both tell.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        matches!(compare(self, other), Likeness::Same)
    }

    fn shares_board(&self, other: &Self) -> bool {
        self.boards.iter().any(|board| other.boards.contains(board))
    }
}

/// Why nobody can tell by itself which device a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HeldReason {
    /// Part of the identity is as before, part is another: a control board was changed, or one was cloned.
    PartlyTheSame,
    /// Two things show one identity.
    SameIdentity,
    /// A device that is not known answers in its place.
    Replaced,
    /// Its device says otherwise than what people registered, and said nothing before: [`Held::differs`] names the
    /// facts. Correcting them ends the doubt, too.
    InfoDiffers,
    /// The device of another thing answers at its address. It is not polled, so that nothing is counted twice.
    AddressTaken,
}

/// A thing whose identity is in doubt, until a person decides with [`Things::merge`](super::Things::merge) or
/// [`Things::split`](super::Things::split).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Held {
    /// Why.
    pub reason: HeldReason,
    /// Since when, ms.
    pub since: i64,
    /// The other thing concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<ThingId>,
    /// Registered facts that the device contradicts: `info.macAddress`, `info.serialNum`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// What the device said that raised the doubt.
    pub seen: Evidence,
}

/// Asks a device who it is, beside all polls, within the deadline of `cx`; `None` when it does not tell.
pub(crate) async fn ask_identity(cx: &Ctx, drivers: &Registry, conf: &ThingConf) -> Result<Option<Evidence>> {
    let asked = async {
        let thing = drivers.open(cx, conf).await?;
        let snapshot = thing.snapshot(cx).await;
        thing.close().await;
        Ok(snapshot?.miner().and_then(Evidence::of))
    };
    cx.within("rack.identity", asked).await
}

/// Facts that people registered of `thing` and that `seen` contradicts; none where the device itself was heard before.
pub(super) fn differing(thing: &ThingRecord, seen: &Evidence) -> Vec<String> {
    let heard = thing.evidence.as_ref();
    let mut out = Vec::new();
    if let (Some(typed), Some(told)) = (thing.info.text("macAddress"), &seen.mac)
        && heard.is_none_or(|e| e.mac.is_none())
        && normal_mac(&typed) != *told
    {
        out.push("info.macAddress".to_owned());
    }
    if let (Some(typed), Some(told)) = (thing.info.text("serialNum"), &seen.serial)
        && heard.is_none_or(|e| e.serial.is_none())
        && !same_serial(&typed, told)
    {
        out.push("info.serialNum".to_owned());
    }
    out
}

/// Whether a person's change of `old` to `new` ends the doubt: the facts that the device contradicted are corrected or
/// gone, or a thing whose address was taken is said to be somewhere else.
pub(super) fn is_settled(old: &ThingRecord, new: &ThingRecord) -> bool {
    let Some(held) = &old.held else { return false };
    match held.reason {
        HeldReason::InfoDiffers => differing(new, &held.seen).is_empty(),
        HeldReason::AddressTaken => new.address().is_some() && new.address() != old.address(),
        _ => false,
    }
}

/// People type serial numbers by hand: neither case nor spaces around them make another one.
fn same_serial(a: &str, b: &str) -> bool {
    a.trim().eq_ignore_ascii_case(b.trim())
}

/// How what a device says compares with what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// There is nothing to compare.
    Unknown,
    /// All that can be compared is the same.
    Same,
    /// Something is the same, something else is not.
    Partly,
    /// Nothing is the same.
    Other,
}

pub(super) fn compare(known: &Evidence, seen: &Evidence) -> Likeness {
    let mac = known.mac.as_ref().zip(seen.mac.as_ref()).map(|(k, s)| k == s);
    let serial = known.serial.as_ref().zip(seen.serial.as_ref()).map(|(k, s)| same_serial(k, s));
    let count = |wanted: bool| [mac, serial].into_iter().filter(|same| *same == Some(wanted)).count();
    match (count(true), count(false)) {
        (0, 0) => Likeness::Unknown,
        (_, 0) => Likeness::Same,
        (0, _) if !known.shares_board(seen) => Likeness::Other,
        _ => Likeness::Partly,
    }
}

/// Whether it is the same device beyond doubt, so that its thing may follow it to another address: MAC address and
/// serial number are the same, or, where no serial number is told, a hash board's is.
pub(super) fn certain(known: &Evidence, seen: &Evidence) -> bool {
    let serials = (known.serial.as_ref(), seen.serial.as_ref());
    let second = match serials {
        (Some(k), Some(s)) => same_serial(k, s),
        _ => known.shares_board(seen),
    };
    known.mac.is_some() && known.mac == seen.mac && second
}

/// What is known after `seen`, which is the same device: what was not known is added; boards and address are the
/// present ones.
pub(super) fn learn(known: &Evidence, seen: &Evidence) -> Evidence {
    Evidence {
        mac: known.mac.clone().or_else(|| seen.mac.clone()),
        serial: known.serial.clone().or_else(|| seen.serial.clone()),
        boards: if seen.boards.is_empty() { known.boards.clone() } else { seen.boards.clone() },
        address: seen.address.clone().or_else(|| known.address.clone()),
        decided: known.decided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(mac: &str, serial: &str, boards: &[&str]) -> Evidence {
        let told = |text: &str| (!text.is_empty()).then(|| text.into());
        Evidence {
            mac: told(mac),
            serial: told(serial),
            boards: boards.iter().map(|b| (*b).into()).collect(),
            ..Evidence::default()
        }
    }

    #[test]
    fn identities_compare_by_what_both_tell() {
        let known = evidence("M1", "S1", &["B1", "B2"]);
        let cases = [
            (evidence("M1", "S1", &[]), Likeness::Same),
            (evidence("M1", "", &["B9"]), Likeness::Same),
            (evidence("", "S1", &[]), Likeness::Same),
            (evidence("M2", "S1", &[]), Likeness::Partly),
            (evidence("M1", "S2", &[]), Likeness::Partly),
            (evidence("M2", "S2", &["B2"]), Likeness::Partly),
            (evidence("M2", "S2", &["B9"]), Likeness::Other),
            (evidence("", "", &["B1"]), Likeness::Unknown),
        ];
        for (seen, expected) in cases {
            assert_eq!(compare(&known, &seen), expected, "{seen:?}");
        }
        assert_eq!(compare(&Evidence::default(), &known), Likeness::Unknown);
        assert_eq!(compare(&evidence("M1", " s1", &[]), &known), Likeness::Same, "as a person types it");
    }

    #[test]
    fn one_number_alone_is_not_certain() {
        let known = evidence("M1", "S1", &["B1"]);
        assert!(certain(&known, &evidence("M1", "S1", &[])));
        assert!(certain(&known, &evidence("M1", "", &["B1"])));
        for doubtful in [evidence("M1", "", &[]), evidence("", "S1", &["B1"]), evidence("M1", "S2", &["B1"])]
        {
            assert!(!certain(&known, &doubtful), "{doubtful:?}");
        }
        assert!(!certain(&Evidence::default(), &Evidence::default()));
    }

    #[test]
    fn what_was_known_is_never_overwritten() {
        let learnt = learn(&evidence("M1", "", &["B1"]), &evidence("M2", "S2", &["B2"]).at("10.0.0.7"));
        assert_eq!(learnt, evidence("M1", "S2", &["B2"]).at("10.0.0.7"));
    }
}
