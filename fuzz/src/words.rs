//! What people and devices write as text: ranges, maps of addresses, commands, configurations, reports of buttons.

use std::{net::IpAddr, time::Duration};

use headframe_core::{
    Secret, ThingId,
    action::{Bare, Claims, Person, policy::Rules},
    discover::{AddressRange, ReportListener, ReportPorts},
    io::Net,
    model::{Command, ThingConf},
    ork::ThingMap,
    rack::{RackId, RackInfo},
};
use headframe_drivers::{antminer::Antminer, whatsminer::Whatsminer};

use crate::{
    codec::shown,
    serve::{LONGEST, pass, run},
};

/// The first byte chooses what reads the rest.
pub fn words(data: &[u8]) {
    let Some((first, bytes)) = data.get(..LONGEST).unwrap_or(data).split_first() else { return };
    if first % 8 == 0 {
        return reports(bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match first % 8 {
        1 | 2 => range(text),
        3 => map(text),
        4 | 5 => command(text),
        6 => conf(text),
        _ => {
            if let Ok(id) = ThingId::new(text) {
                assert_eq!(ThingId::new(&id.to_string()).ok(), Some(id));
            }
            if let Ok(rack) = RackId::new(text) {
                assert_eq!(rack.as_str(), text);
            }
            votes(text);
            let (kind, name) = text.split_once(' ').unwrap_or((text, ""));
            if let Err(e) = RackInfo::new(kind, name) {
                shown(&e);
            }
        }
    }
}

/// What comes with votes: people, their rights, and the rules.
fn votes(text: &str) {
    match Person::from_text(text) {
        Ok(person) => {
            // A key can be longer than a name may be: there are letters for whole sentences.
            if let Ok(again) = Person::from_text(person.key()) {
                assert_eq!(again, person, "its key is another person");
            }
            assert_eq!(Person::from_json(&person.shown().into()).ok(), Some(person));
        }
        Err(e) => shown(&e),
    }
    let Ok(value) = serde_json::from_str(text) else { return };
    for bare in [Bare::Refused, Bare::CountAsWrite, Bare::GrantNothing] {
        match Claims::parse(&value, bare) {
            Ok(claims) => {
                let kept = serde_json::to_value(&claims).and_then(serde_json::from_value::<Claims>);
                assert_eq!(kept.ok(), Some(claims), "what is kept grants something else");
            }
            Err(e) => shown(&e),
        }
    }
    match Rules::parse(&value) {
        Ok(rules) => {
            let kept = serde_json::to_value(&rules).ok().and_then(|json| Rules::parse(&json).ok());
            assert_eq!(kept, Some(rules), "what is kept are other rules");
        }
        Err(e) => shown(&e),
    }
}

fn range(text: &str) {
    match text.parse::<AddressRange>() {
        Ok(range) => {
            assert!(range.len() <= AddressRange::DEFAULT_LIMIT);
            let again = range.to_string().parse::<AddressRange>();
            assert_eq!(again.ok().as_ref(), Some(&range), "what it shows is another range");
            if let (Some(first), false) = (range.iter().next(), range.is_empty()) {
                assert!(range.contains(first));
            }
            assert_eq!(range.union(&range), range);
            assert_eq!(
                range.runs().map(|(a, b)| u64::from(u32::from(b) - u32::from(a)) + 1).sum::<u64>(),
                range.len()
            );
        }
        Err(e) => shown(&e),
    }
}

fn map(text: &str) {
    match ThingMap::parse(text) {
        Ok(map) => {
            let written: Vec<_> = map.racks().into_iter().map(|(rack, runs)| (rack.clone(), runs)).collect();
            assert_eq!(ThingMap::new(written).ok(), Some(map), "what it shows is another map");
        }
        Err(e) => shown(&e),
    }
}

fn command(text: &str) {
    let Ok(command) = serde_json::from_str::<Command>(text) else { return };
    let shown = format!("{command:?}");
    let json = serde_json::to_string(&command).unwrap_or_default();
    if matches!(command, Command::UpdateAdminPassword(_)) {
        // What shows cannot depend on the password; it may be a part of the command's name by chance.
        let other = Command::UpdateAdminPassword(Secret::new("another"));
        let same =
            shown == format!("{other:?}") && serde_json::to_string(&other).ok().as_ref() == Some(&json);
        assert!(same, "a password shows");
    }
    assert!(serde_json::from_str::<Command>(&json).is_ok(), "what it writes is no command");
    let _equal = (command.is_met_by(&command), command.is_already(&command), command.name().as_str());
}

fn conf(text: &str) {
    use headframe_core::driver::Driver;
    let Ok(conf) = serde_json::from_str::<ThingConf>(text) else { return };
    for told in [Whatsminer::new().check(&conf), Antminer::new().check(&conf)] {
        if let Err(e) = told {
            shown(&e);
        }
    }
}

/// One datagram to each of the ports on which devices report.
fn reports(bytes: &[u8]) {
    run(|cx, net| async move {
        let ip = IpAddr::from([10, 9, 0, 1]);
        let Ok(listener) = ReportListener::bind(&cx, ip, ReportPorts::default()).await else { return };
        let Ok(sender) = net.udp((IpAddr::from([10, 9, 0, 7]), 9_999).into()).await else { return };
        for port in [listener.ports().antminer, listener.ports().whatsminer] {
            let _lost = sender.send_to(bytes, (ip, port).into()).await;
        }
        pass(&cx, Duration::from_millis(1)).await;
        let counts = listener.counts();
        assert_eq!(counts.received, 2, "a datagram ended the listener");
        assert_eq!(
            counts.received,
            counts.reports + counts.acknowledgements + counts.malformed + counts.limited
        );
    });
}
