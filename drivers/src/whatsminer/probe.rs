//! Whether the answers of an address are a Whatsminer's.

use headframe_core::driver::{Evidence, Match, PortRole};

use super::{
    ID, MAKE,
    v2::{
        reply::{Details, Version},
        wire::{Part, Payload},
    },
    v3,
    value::text,
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
    let v3 = evidence.framed(PortRole::V3, v3::DEVICE_INFO).and_then(v3::recognise);
    if !(named || version.is_some() || v3.is_some())
        || OTHERS.iter().any(|other| evidence.cgminer_says(other))
    {
        return None;
    }
    let mut found = Match::new(ID, MAKE, evidence);
    found.model = details.and_then(|d| text(d.model.as_ref()).ok()).map(Into::into);
    found.firmware = version.and_then(|v| text(v.firmware.as_ref()).ok()).map(Into::into);
    if let Some((model, firmware)) = v3 {
        found.model = found.model.or(model);
        found.firmware = found.firmware.or(firmware);
    }
    if evidence.ports.rpc != super::PORT {
        found.opts.insert("port", evidence.ports.rpc.into());
    }
    if evidence.ports.v3 != v3::PORT {
        found.opts.insert("v3_port", evidence.ports.v3.into());
    }
    Some(found)
}

fn read<T: Payload>(evidence: &Evidence, command: &'static str) -> Option<T> {
    let part: Part<T> =
        headframe_core::codec::cgminer::parse("whatsminer.probe", evidence.cgminer(command)?).ok()?;
    part.judge().ok()
}

#[cfg(test)]
mod tests {
    use headframe_core::driver::{Ports, ProbeReply};

    use super::*;
    use crate::whatsminer::rpc;

    fn evidence(replies: &[(&'static str, &'static str)]) -> Evidence {
        let mut evidence = Evidence { host: "10.0.0.7".into(), ..Evidence::default() };
        for (command, reply) in replies {
            let reply = ProbeReply::Cgminer(reply.as_bytes().to_vec().into());
            evidence.replies.insert(rpc(command), reply);
        }
        evidence
    }

    const DETAILS: &str =
        r#"{"STATUS":[{"STATUS":"S"}],"DEVDETAILS":[{"Driver":"bitmicro","Model":"M56S_VH37"}]}"#;
    const VERSION: &str = r#"{"STATUS":"S","Code":131,"Msg":{"api_ver":"2.0.5","fw_ver":"20230803.11.REL"}}"#;

    #[test]
    fn its_own_are_recognised_by_name_or_by_get_version() {
        let found = recognise(&evidence(&[("devdetails", DETAILS), ("get_version", VERSION)])).unwrap();
        assert_eq!(
            (found.model.as_deref(), found.firmware.as_deref()),
            (Some("M56S_VH37"), Some("20230803.11.REL"))
        );
        assert!(found.stock && !found.opts.contains_key("port"));
        assert!(recognise(&evidence(&[("get_version", VERSION)])).is_some());
        let old = r#"{"VERSION":[{"CGMiner":"4.9.2","API":"whatsminer v1.1"}],"Description":"btminer"}"#;
        assert!(recognise(&evidence(&[("version", old)])).is_some());
    }

    #[test]
    fn another_port_is_an_option_of_the_thing() {
        let mut evidence = evidence(&[("devdetails", DETAILS)]);
        evidence.ports = Ports::simulated();
        assert_eq!(recognise(&evidence).unwrap().opts.get("port"), Some(&14028.into()));
    }

    #[test]
    fn others_are_left_alone() {
        for replies in [
            &[][..],
            &[("version", r#"{"VERSION":[{"Type":"Antminer S19 Pro"}],"note":"btminer"}"#)],
            &[("version", r#"{"VERSION":[{"PROD":"AvalonMiner 1246"}]}"#)],
            &[("get_version", r#"{"STATUS":"E","Code":14,"Msg":"invalid cmd"}"#)],
            &[("get_version", r#"{"STATUS":"S","Code":131,"Msg":{"api_ver":"2.0.5"}}"#)],
            &[("get_version", "garbage"), ("devdetails", "[[[")],
        ] {
            assert_eq!(recognise(&evidence(replies)), None, "{replies:?}");
        }
    }
}
