use proptest::prelude::*;

use super::*;
use crate::{
    ErrorKind,
    action::{
        ActionId, Person, Status,
        policy::{ActionClass, Policy, Proposal, Recent, Rules, Sums},
    },
    io::Timestamp,
    model::Text,
};

const NOW: i64 = 1_000_000;

fn person(name: &str) -> Person {
    Person::from_text(name).unwrap()
}

/// An action of `ann` that needs so many votes, on so many targets.
fn action(votes: u32, total: u32) -> Header {
    let (creator, families) = (person("ann"), [Text::from("miner")]);
    let terms = Rules::mos()
        .terms(&Proposal {
            action: "reboot",
            class: ActionClass::Restart,
            creator: &creator,
            families: &families,
            size: Sums::of((0..total).map(|_| None)),
            rack_votes: votes,
            now: Timestamp(NOW),
            recent: Recent::default(),
        })
        .unwrap();
    let order = Order {
        action: "reboot".into(),
        params: Vec::new(),
        query: serde_json::json!({}),
        creator,
        claims: None,
        families: families.to_vec(),
        racks: Vec::new(),
        targets: "".into(),
        terms,
        class: ActionClass::Restart,
        size: Sums::default(),
        pushed_ms: NOW,
        shed: None,
    };
    let mut header = Header::new(ActionId::new(1), Fixed::new(order).unwrap(), total);
    header.votes.push(vote("ann", true));
    first(&mut header, NOW);
    header
}

fn vote(name: &str, approve: bool) -> Vote {
    Vote {
        person: person(name),
        approve,
        ts: NOW,
        why: None,
        claims: None,
        counts: true,
        factors: Vec::new(),
    }
}

fn votes(name: &str, approve: bool) -> Event {
    Event::Vote(Box::new(vote(name, approve)))
}

fn calls(total: u32, open: u32, ok: u32, failed: u32, unknown: u32, lost: u32) -> Event {
    Event::Calls { counts: Counts { total, open, ok, failed, unknown, lost } }
}

/// Steps one after the other; all have to be allowed.
fn after(state: &Header, events: &[Event]) -> Header {
    events.iter().fold(state.clone(), |state, event| step(&state, event, NOW).unwrap().0)
}

fn begin() -> Event {
    Event::Begin { void: Vec::new() }
}

#[test]
fn enough_votes_approve_and_one_against_denies() {
    assert_eq!(action(1, 1).status, Status::Approved);
    let two = action(2, 1);
    assert_eq!(two.status, Status::Voting);
    let (approved, effects) = step(&two, &votes("bob", true), NOW).unwrap();
    assert_eq!((approved.status, effects), (Status::Approved, vec![Effect::Approved]));
    let (denied, effects) = step(&two, &votes("bob", false), NOW).unwrap();
    assert_eq!((denied.status, effects), (Status::Denied, vec![Effect::Ended]));
    let code = |event: &Event| step(&two, event, NOW).unwrap_err().code();
    assert_eq!(code(&votes(" ANN ", true)), "ERR_VOTER_EXISTS");
    assert_eq!(step(&approved, &votes("cid", true), NOW).unwrap_err().code(), "ERR_ACTION_DECIDED");
}

#[test]
fn a_vote_can_be_taken_back_but_not_the_creators() {
    let three = after(&action(3, 1), &[votes("bob", true), Event::Withdraw { person: person("bob") }]);
    assert_eq!((three.status, three.votes.len()), (Status::Voting, 1));
    let code = |name: &str| step(&three, &Event::Withdraw { person: person(name) }, NOW).unwrap_err().code();
    assert_eq!((code("bob"), code("ann")), ("ERR_VOTER_NOT_FOUND", "ERR_VOTER_IS_CREATOR"));
    assert_eq!(after(&three, &[votes("bob", true), votes("cid", true)]).status, Status::Approved);
}

#[test]
fn cancel_and_begin_exclude_each_other() {
    let approved = action(1, 1);
    let cancel = |name: &str| Event::Cancel { person: person(name) };
    let cancelled = after(&approved, &[cancel("ann")]);
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(step(&cancelled, &begin(), NOW).unwrap_err().code(), "ERR_ACTION_DECIDED");
    let begun = after(&approved, &[begin()]);
    assert_eq!((begun.status, begun.begun_ms), (Status::Executing, Some(NOW)));
    assert_eq!(step(&begun, &cancel("ann"), NOW).unwrap_err().code(), "ERR_ACTION_DECIDED");
    let e = step(&approved, &cancel("bob"), NOW).unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Forbidden, "ERR_CALLER_NOT_CREATOR"));
}

#[test]
fn void_votes_open_the_vote_again() {
    let approved = after(&action(2, 1), &[votes("bob", true)]);
    let void = |name: &str| Event::Begin { void: vec![person(name)] };
    let (open, effects) = step(&approved, &void("bob"), NOW).unwrap();
    assert_eq!((open.status, open.votes.len()), (Status::Voting, 1));
    assert_eq!(effects, [Effect::Voided(vec![person("bob")])]);
    assert_eq!(after(&open, &[votes("cid", true), begin()]).status, Status::Executing);
    assert_eq!(after(&approved, &[void("ann")]).status, Status::Cancelled);
}

#[test]
fn calls_say_how_it_ends() {
    let begun = after(&action(1, 3), &[begin()]);
    let ends = |event: Event| after(&begun, &[event]).status;
    assert_eq!(ends(calls(3, 1, 1, 0, 0, 0)), Status::Executing);
    assert_eq!(ends(calls(3, 0, 3, 0, 0, 0)), Status::Completed);
    assert_eq!(ends(calls(3, 0, 0, 3, 0, 0)), Status::Failed);
    assert_eq!(ends(calls(3, 0, 1, 2, 0, 0)), Status::Partial);
    assert_eq!(ends(calls(3, 0, 0, 2, 1, 0)), Status::Partial);
    assert_eq!(step(&begun, &calls(4, 0, 4, 0, 0, 0), NOW).unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn a_crash_waits_for_the_look_and_for_a_person() {
    let begun = after(&action(1, 3), &[begin(), calls(3, 2, 0, 0, 0, 0)]);
    let restarted = after(&begun, &[Event::Restarted]);
    assert_eq!(restarted.status, Status::Interrupted);
    // Not before every call was looked at.
    assert!(step(&restarted, &Event::Reconciled, NOW).is_err());
    let looked = after(&restarted, &[calls(3, 0, 1, 0, 1, 1), Event::Reconciled]);
    assert_eq!(looked.status, Status::Executing);
    let lost = after(&looked, &[calls(3, 0, 2, 0, 1, 1)]);
    assert_eq!(lost.status, Status::Interrupted);
    let settled = after(&lost, &[calls(3, 0, 3, 0, 0, 0)]);
    assert_eq!((settled.status, settled.ended_ms), (Status::Completed, Some(NOW)));
}

#[test]
fn time_ends_what_waits_and_nothing_else() {
    let voting = action(2, 1);
    assert!(step(&voting, &Event::Time, NOW).is_err());
    let late = voting.order.terms.expires_at_ms;
    assert_eq!(step(&voting, &Event::Time, late).unwrap().0.status, Status::Expired);
    let begun = after(&action(1, 1), &[begin()]);
    assert!(step(&begun, &Event::Time, i64::MAX).is_err());
}

fn any_event() -> impl Strategy<Value = Event> {
    let name = prop::sample::select(vec!["ann", "bob", "cid", "dan"]);
    prop_oneof![
        (name.clone(), any::<bool>()).prop_map(|(name, yes)| votes(name, yes)),
        name.clone().prop_map(|name| Event::Withdraw { person: person(name) }),
        name.clone().prop_map(|name| Event::Cancel { person: person(name) }),
        Just(Event::Time),
        prop::option::of(name)
            .prop_map(|void| Event::Begin { void: void.iter().map(|n| person(n)).collect() }),
        (0_u32..3, 0_u32..3, 0_u32..3, 0_u32..2)
            .prop_map(|(open, ok, failed, unknown)| { calls(3, open, ok, failed, unknown, unknown) }),
        Just(Event::Pause { by: "ann".into(), why: None }),
        Just(Event::Resume),
        Just(Event::Restarted),
        Just(Event::Reconciled),
    ]
}

proptest! {
    /// Whatever comes: revisions rise, what ended stays ended but for settling, people vote once, and nothing is executed
    /// that was not approved.
    #[test]
    fn any_sequence_keeps_the_rules(needed in 1_u32..4, events in prop::collection::vec((any_event(), 0_i64..3), 0..40)) {
        let mut state = action(needed, 3);
        let mut approved = state.status == Status::Approved;
        let day = 24 * 3_600 * 1_000;
        for (event, days) in events {
            let now = NOW + days * 4 * day;
            let Ok((next, effects)) = step(&state, &event, now) else { continue };
            prop_assert_eq!(next.rev, state.rev + 1);
            prop_assert_eq!(&next.order, &state.order);
            let people: std::collections::BTreeSet<&Person> = next.votes.iter().map(|v| &v.person).collect();
            prop_assert_eq!(people.len(), next.votes.len());
            approved |= effects.contains(&Effect::Approved) || next.status == Status::Approved;
            if matches!(next.status, Status::Executing | Status::Completed | Status::Partial | Status::Failed) {
                prop_assert!(approved);
            }
            if matches!(state.status, Status::Denied | Status::Cancelled | Status::Expired) {
                prop_assert!(false, "{:?} after {:?}", event, state.status);
            }
            let by_calls = [Status::Completed, Status::Partial, Status::Failed];
            if by_calls.contains(&state.status) {
                prop_assert!(by_calls.contains(&next.status) || next.status == Status::Interrupted);
            }
            state = next;
        }
    }
}
