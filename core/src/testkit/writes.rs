//! Cases of writes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a failed case ends its test"
)]

use std::{collections::BTreeMap, time::Duration};

use super::{
    Rig, WriteFault,
    cases::{DEADLINE, open, read},
};
use crate::{
    Error, ErrorKind, Sent,
    driver::{Direct, IDENTITY_MISMATCH, Identity, NOT_CONFIRMED, Permit},
    io::Ctx,
    model::{Command, CommandName, CommandRow, Outcome, OutcomeState, ReadBack, ReplyRule},
};

/// What takes away the address, the firmware, the password or everything comes last.
const LAST: [CommandName; 4] = [
    CommandName::SetNetworkInformation,
    CommandName::UpdateFirmware,
    CommandName::UpdateAdminPassword,
    CommandName::FactoryReset,
];
/// Time in which any device is up again, tuned and at rest after a command.
const SETTLE: Duration = Duration::from_secs(1800);

async fn direct(rig: &impl Rig) -> Direct {
    let cx = rig.cx();
    let direct = Direct::open(&*rig.driver(), &cx, &rig.conf()).await.expect("the configuration is right");
    direct.snapshot(&cx.deadline_in(DEADLINE)).await.expect("a healthy device is read");
    direct
}

/// The device's commands, those that cut it off last.
fn rows(direct: &Direct) -> Vec<CommandRow> {
    let mut rows = direct.capability().commands().to_vec();
    rows.sort_by_key(|row| LAST.iter().position(|last| *last == row.name));
    rows
}

fn bounded(cx: &Ctx, row: &CommandRow) -> Ctx {
    cx.deadline_in(DEADLINE * 10 + row.read_back.within().unwrap_or_default())
}

/// What was carried out since `before`.
fn since(rig: &impl Rig, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut now = rig.executed();
    now.retain(|name, count| {
        *count -= before.get(name).copied().unwrap_or(0);
        *count > 0
    });
    now
}

/// Each command of the device's capability is carried out by the device exactly once, and its effect is read back
/// where its row says that it shows.
pub async fn every_command_is_executed_once_and_shows(rig: impl Rig) {
    let (cx, direct) = (rig.cx(), direct(&rig).await);
    for row in rows(&direct) {
        let command = rig.sample(row.name);
        let before = rig.executed();
        let outcome = direct.execute(&bounded(&cx, &row), &command).await;
        let outcome = outcome.unwrap_or_else(|e| panic!("{}: {e:?}", row.name));
        let done = since(&rig, &before);
        assert!(done.values().all(|n| *n == 1), "{}: {done:?}", row.name);
        assert!(!done.is_empty() || row.name == CommandName::DownloadLogs, "{} changed nothing", row.name);
        let receipt = outcome.receipt.as_ref().unwrap_or_else(|| panic!("{}: nothing was sent", row.name));
        let shows = row.read_back != ReadBack::None && !receipt.unreadable;
        let state = if shows { OutcomeState::Verified } else { receipt.state() };
        assert_eq!(outcome.state, state, "{}", row.name);
        let shown = format!("{outcome:?} {}", serde_json::to_string(&outcome).unwrap());
        assert!(rig.secrets().iter().all(|secret| !shown.contains(secret)), "{} shows a secret", row.name);
        if row.name == CommandName::DownloadLogs {
            assert!(receipt.data.as_ref().is_some_and(|log| !log.is_empty()), "the log has text");
        }
        rig.pass(SETTLE).await;
    }
}

/// A command that is not in the device's capability is `Unsupported` and sends no byte.
pub async fn other_commands_send_nothing(rig: impl Rig) {
    let (cx, direct) = (rig.cx(), direct(&rig).await);
    let before = rig.requests();
    for name in CommandName::ALL.iter().filter(|name| !direct.capability().has(**name)) {
        let e = direct.execute(&cx.deadline_in(DEADLINE), &rig.sample(*name)).await.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Unsupported, Sent::No), "{name}: {e:?}");
    }
    assert_eq!(rig.requests(), before);
}

/// Arguments outside the device's ranges are refused with the reason and send no byte.
pub async fn arguments_out_of_range_send_nothing(rig: impl Rig) {
    let (cx, direct) = (rig.cx(), direct(&rig).await);
    let before = rig.requests();
    for command in rig.out_of_range() {
        assert!(direct.capability().has(command.name()), "{} is not the device's", command.name());
        let e = direct.execute(&cx.deadline_in(DEADLINE), &command).await.unwrap_err();
        let refused = matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Unsupported);
        assert!(refused && e.sent() == Sent::No, "{command:?}: {e:?}");
    }
    assert_eq!(rig.requests(), before);
}

/// Whatever becomes of the reply, the device carries a command out at most once; what cannot be settled by reading
/// back says that it may have been sent.
pub async fn a_lost_reply_is_never_a_second_write(rig: impl Rig) {
    let (cx, direct) = (rig.cx(), direct(&rig).await);
    for row in rows(&direct).into_iter().filter(|row| !LAST.contains(&row.name)) {
        let before = rig.executed();
        rig.write_fault(Some(WriteFault::Mute));
        let outcome = direct.execute(&bounded(&cx, &row), &rig.sample(row.name)).await;
        rig.write_fault(None);
        let done = since(&rig, &before);
        assert!(done.values().all(|n| *n == 1), "{}: {done:?}", row.name);
        match outcome {
            Ok(outcome) if matches!(outcome.state, OutcomeState::Accepted | OutcomeState::Sent) => {
                let trusted =
                    row.reply == ReplyRule::SilenceMeansSent || row.name == CommandName::DownloadLogs;
                assert!(trusted, "{}: silence is no success", row.name);
            }
            Ok(_) => {}
            Err(e) => assert!(done.is_empty() || e.sent() == Sent::Maybe, "{}: {e:?}", row.name),
        }
        rig.pass(SETTLE).await;
    }
}

/// A device that says yes and does nothing is found out wherever the effect can be read.
pub async fn a_device_that_only_says_yes_is_not_believed(rig: impl Rig) {
    let (cx, direct) = (rig.cx(), direct(&rig).await);
    rig.write_fault(Some(WriteFault::Ignored));
    for row in rows(&direct).iter().filter(|row| row.read_back != ReadBack::None) {
        let command = rig.sample(row.name);
        let outcome = direct.execute(&bounded(&cx, row), &command).await;
        // Nothing was sent to a device that is as wanted, and a lease from a DHCP server cannot be looked at.
        let unseen = |o: &Outcome| o.receipt.as_ref().is_none_or(|receipt| receipt.unreadable);
        if outcome.as_ref().is_ok_and(unseen) {
            continue;
        }
        let e: Error = outcome.map(|o| panic!("{} is believed: {o:?}", row.name)).unwrap_err();
        assert_eq!((e.code(), e.sent()), (NOT_CONFIRMED, Sent::Maybe), "{}: {e:?}", row.name);
    }
    assert!(rig.executed().is_empty());
}

/// A write that is meant for another device than the one at the address is refused before it is sent, however late
/// the two changed places.
pub async fn a_write_for_another_device_sends_nothing(rig: impl Rig) {
    let (cx, direct) = (rig.cx(), direct(&rig).await);
    let other = Identity::new(Some("02:00:00:00:00:01".into()), Some("SOMEBODY-ELSE".into()));
    let thing = open(&rig).await;
    read(&cx, &*thing).await.expect("a healthy device is read");
    for row in rows(&direct) {
        let command = rig.sample(row.name);
        let early = direct.execute_as(&bounded(&cx, &row), &other, &command).await.unwrap_err();
        let mut observed = thing.observe(&cx.deadline_in(DEADLINE), row.name).await.unwrap();
        assert!(!observed.identity.is_empty(), "{}: nobody can be told", row.name);
        observed.identity = other.clone();
        let cx = cx.deadline_in(DEADLINE);
        let late = thing.execute(&cx, &command, &Permit::of(&observed)).await.unwrap_err();
        for e in [early, late] {
            assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, IDENTITY_MISMATCH), "{}: {e:?}", row.name);
            assert_eq!(e.sent(), Sent::No, "{}", row.name);
        }
    }
    assert!(rig.executed().is_empty());
}

/// A command that rewrites a whole section refuses to do so when the section is not as it was looked at.
pub async fn settings_changed_meanwhile_are_not_overwritten(rig: impl Rig) {
    let (cx, direct) = (rig.cx(), direct(&rig).await);
    let thing = open(&rig).await;
    read(&cx, &*thing).await.expect("a healthy device is read");
    let mut looks = Vec::new();
    for row in rows(&direct) {
        looks.push((row.name, thing.observe(&cx.deadline_in(DEADLINE), row.name).await.unwrap()));
    }
    rig.meddle();
    rig.pass(SETTLE).await;
    let before = rig.executed();
    for (name, look) in looks.into_iter().filter(|(_, look)| look.version.is_some()) {
        let command: Command = rig.sample(name);
        let e = thing.execute(&cx.deadline_in(DEADLINE), &command, &Permit::of(&look)).await.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Conflict, Sent::No), "{name}: {e:?}");
    }
    assert_eq!(rig.executed(), before);
}
