use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    action::{Bare, Claims, Rights},
    auth::Permissions,
};

const NOW: Timestamp = Timestamp(1_764_072_000_000);
const HOUR_MS: i64 = 3_600_000;

fn person(name: &str) -> Person {
    Person::from_text(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn current(list: &[&str]) -> Rights {
    Rights::Current(Permissions::parse(list).unwrap())
}

fn terms(rules: &Rules, action: &str, size: Sums, rack_votes: u32, recent: Recent) -> Terms {
    let (creator, families) = (person("u1"), [Text::from("miner")]);
    let class = ActionClass::of(action, &[]);
    let proposal = Proposal {
        action,
        class,
        creator: &creator,
        families: &families,
        size,
        rack_votes,
        now: NOW,
        recent,
    };
    rules.terms(&proposal).unwrap()
}

fn targets(targets: u64) -> Sums {
    Sums { targets, kw: 0.0, unknown: 0 }
}

fn votes(rules: &Rules, action: &str, size: Sums) -> u32 {
    terms(rules, action, size, 1, Recent::default()).votes_for
}

fn votes_of(people: &[Person]) -> Vec<Vote<'_>> {
    people.iter().map(|person| Vote { person, counts: true, factors: &[] }).collect()
}

fn verdict(terms: &Terms, votes_for: &[&str], votes_against: &[&str]) -> Verdict {
    let people = |names: &[&str]| names.iter().map(|name| person(name)).collect::<Vec<_>>();
    let (approve, against) = (people(votes_for), people(votes_against));
    Tally::of(terms, &person("u1"), &votes_of(&approve), &votes_of(&against)).verdict
}

#[test]
fn what_is_dangerous_takes_a_second_person_under_safe() {
    let safe = Rules::safe();
    for action in [
        "updateFirmware",
        "switchContainer",
        "switchSocket",
        "setupPools",
        "setWebPools",
        "updateAdminPassword",
        "forgetThings",
        "factoryReset",
        "setPolicy",
    ] {
        let terms = terms(&safe, action, targets(1), 1, Recent::default());
        assert!(!terms.own_vote, "{action}");
        assert_eq!(verdict(&terms, &["u1", "U1 "], &[]), Verdict::Open, "{action}");
        assert_eq!(verdict(&terms, &["u1", "u2"], &[]), Verdict::Approved, "{action}");
        assert_eq!(verdict(&terms, &["u1", "u2"], &["u3"]), Verdict::Denied, "{action}");
    }
    for action in ["setPowerMode", "reboot", "setLED", "setFan", "registerThing", "downloadLogs", "unheardOf"]
    {
        let terms = terms(&safe, action, targets(1), 1, Recent::default());
        assert_eq!(verdict(&terms, &["u1"], &[]), Verdict::Approved, "{action}");
    }
    assert_eq!(votes(&safe, "rackReboot", targets(1)), 2);
}

#[test]
fn more_targets_and_more_power_take_more_people() {
    let safe = Rules::safe();
    let kw = |kw| Sums { targets: 1, kw, unknown: 0 };
    for (size, needed) in [
        (targets(9), 1),
        (targets(10), 2),
        (targets(999), 2),
        (targets(1_000), 3),
        (kw(99.9), 1),
        (kw(-0.0), 1),
        (kw(f64::NAN), 3),
        (kw(100.0), 2),
        (kw(1_000.0), 3),
        (Sums { targets: 8, kw: 0.0, unknown: 8 }, 1),
        (Sums { targets: 9, kw: 0.0, unknown: 9 }, 2),
    ] {
        assert_eq!(votes(&safe, "setPowerMode", size), needed, "{size:?}");
    }
    assert_eq!(votes(&safe, "updateFirmware", targets(100)), 2);
    let container = Sums { targets: 2, kw: 0.0, unknown: 2 };
    assert_eq!(votes(&safe, "switchContainer", container), 2, "power that nobody knows is much, not none");
}

#[test]
fn racks_can_ask_for_more_and_never_for_less() {
    for rules in [Rules::safe(), Rules::mos()] {
        for (asked, needed) in [(0, 1), (1, 1), (2, 2), (3, 3)] {
            let terms = terms(&rules, "setUpfreqSpeed", targets(1), asked, Recent::default());
            assert_eq!((terms.votes_for, terms.votes_against), (needed, 1));
        }
    }
    let mos = terms(&Rules::mos(), "updateFirmware", targets(5_000), 1, Recent::default());
    assert_eq!((mos.profile, mos.own_vote, mos.votes_for), (Profile::Mos, true, 1));
    assert_eq!(mos.expires_at_ms, NOW.0 + 7 * 24 * HOUR_MS);
    assert!(!terms(&Rules::mos(), "setPolicy", targets(1), 1, Recent::default()).own_vote);
    assert_eq!(
        terms(&Rules::safe(), "reboot", targets(1), 1, Recent::default()).expires_at_ms,
        NOW.0 + 24 * HOUR_MS
    );
}

#[test]
fn fifty_small_actions_count_as_one_large() {
    let (safe, class) = (Rules::safe(), ActionClass::Restart);
    assert_eq!(safe.looks_back_s("reboot", class), 3_600);
    let mut needed = Vec::new();
    for before in 0..50 {
        let sum = targets(2 * before);
        let recent = Recent { creator: sum, site: sum };
        let terms = terms(&safe, "reboot", targets(2), 1, recent);
        needed.push(terms.votes_for);
        if let Some(raised) = terms.raised {
            assert_eq!((&*raised.code, raised.votes_alone), ("ERR_POLICY_AGGREGATE", 1));
            assert_eq!((raised.targets, raised.window_s), (recent.creator.targets + 2, 3_600));
        }
    }
    assert_eq!((needed[3], needed[4], needed[49]), (1, 2, 2));
    let other = Recent { creator: Sums::default(), site: targets(100) };
    assert_eq!(terms(&safe, "reboot", targets(2), 1, other).votes_for, 1, "restarts of others do not count");
    assert_eq!(terms(&safe, "setPowerMode", targets(2), 1, other).votes_for, 2, "power of others does");
    assert_eq!(terms(&safe, "reboot", targets(2), 1, Recent::default()).raised, None);
    let large = terms(&safe, "reboot", targets(10), 1, Recent { creator: targets(50), site: targets(50) });
    assert_eq!((large.votes_for, large.raised), (2, None), "it needs no more than by itself");
    assert_eq!(Rules::mos().looks_back_s("reboot", class), 0);
}

#[test]
fn a_row_for_the_action_comes_before_one_for_its_class() {
    let rules = json!({
        "profile": "safe",
        "default": {"own_vote": true},
        "rows": [
            {"classes": ["power"], "rule": {"votes_for": 2}},
            {"actions": ["setPowerMode"], "rule": {"votes_for": 3, "max_in_flight": 20, "wait_s": 60}},
        ],
    });
    let rules = Rules::parse(&rules).unwrap();
    assert_eq!((votes(&rules, "setPowerPct", targets(1)), votes(&rules, "setPowerMode", targets(1))), (2, 3));
    assert_eq!(votes(&rules, "reboot", targets(1)), 1);
    let terms = terms(&rules, "setPowerMode", targets(1), 1, Recent::default());
    assert_eq!((terms.max_in_flight, terms.wait_s, terms.own_vote), (Some(20), 60, false));
}

#[test]
fn rules_and_terms_survive_storage() {
    for rules in [Rules::safe(), Rules::mos()] {
        rules.check().unwrap();
        let again = Rules::parse(&serde_json::to_value(&rules).unwrap()).unwrap();
        assert_eq!(again, rules);
        let recent = Recent { creator: targets(900), site: targets(900) };
        let terms = terms(&rules, "setPowerMode", targets(200), 1, recent);
        let json = serde_json::to_string(&terms).unwrap();
        assert_eq!(serde_json::from_str::<Terms>(&json).unwrap(), terms);
    }
    assert_eq!(Rules::default().profile, Profile::Safe);
    let minimal = Rules::parse(&json!({"profile": "mos"})).unwrap();
    assert!(!minimal.default.own_vote, "what is left out is the careful value");
}

#[test]
fn the_page_about_rules_names_all_and_its_examples_are_rules() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");
    let page = std::fs::read_to_string(page).unwrap();
    let examples: Vec<&str> =
        page.split("```json").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        Rules::parse(&serde_json::from_str(example).unwrap()).unwrap();
    }
    for class in ActionClass::ALL {
        let name = serde_json::to_string(&class).unwrap();
        assert!(page.contains(&format!("`{}`", name.trim_matches('"'))), "{name}");
    }
    for rules in [Rules::safe(), Rules::mos()] {
        for (member, _) in serde_json::to_value(&rules.default).unwrap().as_object().unwrap() {
            assert!(page.contains(&format!("| `{member}")), "{member}");
        }
    }
}

#[test]
fn a_freeze_holds_its_classes_until_it_ends() {
    let rules = Rules::parse(&json!({
        "profile": "safe",
        "freezes": [
            {"from": "2026-12-24T00:00:00Z", "to": "2026-12-27T00:00:00Z", "classes": ["firmware", "pools"]},
            {"from": "2026-12-26T00:00:00+01:00", "to": "2026-12-28T00:00:00Z", "reason": "audit"},
        ],
    }))
    .unwrap();
    let until = |class, now: &str| rules.frozen(class, at(now));
    assert_eq!(until(ActionClass::Firmware, "2026-12-24T00:00:00Z"), Some(at("2026-12-27T00:00:00Z")));
    assert_eq!(until(ActionClass::Power, "2026-12-24T00:00:00Z"), None);
    assert_eq!(until(ActionClass::Power, "2026-12-25T23:00:00Z"), Some(at("2026-12-28T00:00:00Z")));
    assert_eq!(until(ActionClass::Pools, "2026-12-26T12:00:00Z"), Some(at("2026-12-28T00:00:00Z")));
    assert_eq!(until(ActionClass::Policy, "2026-12-26T12:00:00Z"), None, "or nobody could end it");
    assert_eq!(until(ActionClass::Firmware, "2026-12-28T00:00:00Z"), None);
    let again = Rules::parse(&serde_json::to_value(&rules).unwrap()).unwrap();
    assert_eq!(again, rules);
}

#[test]
fn an_approved_action_begins_in_its_time_or_not_at_all() {
    let plain = terms(&Rules::safe(), "reboot", targets(1), 1, Recent::default());
    let begin = |terms: &Terms, after_ms: i64| terms.begin(NOW, Timestamp(NOW.0 + after_ms)).unwrap();
    assert_eq!(begin(&plain, 0), Begin::Now);
    assert_eq!(begin(&plain, HOUR_MS - 1), Begin::Now);
    assert_eq!(begin(&plain, HOUR_MS), Begin::TooLate);
    let waits = Terms { wait_s: 600, ..plain.clone() };
    assert_eq!(begin(&waits, 0), Begin::NotBefore(Timestamp(NOW.0 + 600_000)));
    assert_eq!(begin(&waits, 600_000), Begin::Now);
    assert_eq!(begin(&waits, HOUR_MS + 599_999), Begin::Now);
    assert_eq!(begin(&waits, HOUR_MS + 600_000), Begin::TooLate);
    assert!(
        !plain.is_expired(Timestamp(plain.expires_at_ms - 1))
            && plain.is_expired(Timestamp(plain.expires_at_ms))
    );

    let window = json!({"days": ["thu"], "from": "22:00", "to": "22:30", "zone": "UTC"});
    let tonight = Terms { windows: vec![serde_json::from_value(window).unwrap()], ..plain };
    let (noon, opens) = (at("2026-11-26T12:00:00Z"), at("2026-11-26T22:00:00Z"));
    let begin = |now: &str| tonight.begin(noon, at(now)).unwrap();
    assert_eq!(begin("2026-11-26T12:00:00Z"), Begin::NotBefore(opens));
    assert_eq!(begin("2026-11-26T22:00:00Z"), Begin::Now);
    assert_eq!(begin("2026-11-26T22:29:59Z"), Begin::Now);
    assert_eq!(begin("2026-11-26T22:30:00Z"), Begin::NotBefore(at("2026-11-26T23:00:00Z")));
    assert_eq!(begin("2026-11-26T23:00:00Z"), Begin::TooLate);
    let mut nowhere = tonight;
    nowhere.windows[0].zone = "Mars/Olympus".into();
    assert!(nowhere.begin(noon, opens).is_err(), "what cannot be judged does not begin");
}

#[test]
fn who_may_vote_is_whoever_may_write_or_has_the_right_named() {
    let plain = terms(&Rules::safe(), "reboot", targets(1), 1, Recent::default());
    let both = ["miner", "container"];
    assert!(plain.may_vote(&current(&["miner:w", "container:w"]), &both));
    assert!(!plain.may_vote(&current(&["miner:rw", "container:r", "actions:rw"]), &both));
    assert!(
        !plain.may_vote(&current(&["*:rw"]), &[] as &[&str]),
        "nothing is no reason to let everybody vote"
    );
    let claims = |list, bare| Rights::Claimed(Claims::parse(&list, bare).unwrap());
    assert!(plain.may_vote(&claims(json!(["miner", "container"]), Profile::Mos.bare_in_votes()), &both));
    assert!(!plain.may_vote(&claims(json!(["miner", "container"]), Profile::Safe.bare_in_votes()), &both));
    assert_eq!(Claims::parse(&json!(["miner"]), Bare::Refused).unwrap_err().code(), "ERR_AUTH_PERMS_INVALID");
    let rules = terms(&Rules::safe(), "setPolicy", targets(1), 1, Recent::default());
    assert!(rules.may_vote(&current(&["users:w"]), &[] as &[&str]));
    assert!(!rules.may_vote(&current(&["settings:rw", "miner:rw", "users:r"]), &both));
}

/// Two of those who run miners, and one of those who know the switchgear.
fn two_factors() -> Terms {
    let rules = json!({
        "profile": "safe",
        "default": {"factors": [{"right": "miner:w", "votes": 2}, {"right": "electricity:w", "votes": 1}]},
    });
    terms(&Rules::parse(&rules).unwrap(), "reboot", targets(1), 1, Recent::default())
}

fn tally(terms: &Terms, votes: &[(&str, &[&str])]) -> Tally {
    let people: Vec<_> =
        votes.iter().map(|(name, rights)| (person(name), terms.factors_of(&current(rights)))).collect();
    let votes: Vec<_> =
        people.iter().map(|(person, factors)| Vote { person, counts: true, factors }).collect();
    Tally::of(terms, &person("creator"), &votes, &[])
}

#[test]
fn each_factor_has_people_of_its_own() {
    let terms = two_factors();
    assert_eq!(terms.votes_for, 3);
    let (miner, power, both): (&[&str], &[&str], &[&str]) =
        (&["miner:w"], &["electricity:w"], &["miner:w", "electricity:rw"]);
    let lacking = |votes: &[(&str, &[&str])]| tally(&terms, votes).lacking;
    assert_eq!(lacking(&[]), [2, 1]);
    assert_eq!(lacking(&[("a", miner), ("b", miner), ("c", miner)]), [0, 1]);
    assert_eq!(lacking(&[("a", both), ("b", both)]).iter().sum::<u32>(), 1);
    // Who can stand for both stands where nobody else can.
    let done = tally(&terms, &[("a", both), ("b", miner), ("c", miner)]);
    assert_eq!((done.lacking, done.verdict), (vec![0, 0], Verdict::Approved));
    let done = tally(&terms, &[("a", both), ("b", both), ("c", power)]);
    assert_eq!((done.lacking, done.verdict), (vec![0, 0], Verdict::Approved));
    let open = tally(&terms, &[("a", power), ("b", power), ("c", both)]);
    assert_eq!(open.verdict, Verdict::Open);
    let own = tally(&terms, &[("Creator", both), ("b", miner), ("c", miner)]);
    assert_eq!((own.votes_for, own.lacking), (2, vec![0, 1]), "the creator stands for nothing");
}

#[test]
fn votes_that_do_not_count_change_nothing() {
    let terms = terms(&Rules::safe(), "updateFirmware", targets(1), 1, Recent::default());
    let (creator, bob) = (person("u1"), person("bob"));
    let vote = |counts| Vote { person: &bob, counts, factors: &[] };
    let tally = |for_: &[Vote<'_>], against: &[Vote<'_>]| Tally::of(&terms, &creator, for_, against);
    assert_eq!(tally(&[vote(false)], &[vote(false)]).verdict, Verdict::Open);
    let both = tally(&[vote(true)], &[vote(true)]);
    assert_eq!((both.votes_for, both.votes_against, both.verdict), (0, 1, Verdict::Denied));
    let own_no = Vote { person: &creator, counts: true, factors: &[] };
    assert_eq!(tally(&[], &[own_no]).verdict, Verdict::Denied, "to be against needs no second person");
}

/// Every way to let people stand for factors, tried out.
fn can_fill(wanted: &[u32], can: &[Vec<bool>]) -> u32 {
    let Some((first, rest)) = can.split_first() else { return 0 };
    let idle = can_fill(wanted, rest);
    let busy = (0..wanted.len()).filter(|f| first[*f] && wanted[*f] > 0).map(|f| {
        let mut left = wanted.to_vec();
        left[f] -= 1;
        1 + can_fill(&left, rest)
    });
    busy.max().unwrap_or(0).max(idle)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn factors_are_filled_as_well_as_they_can_be(
        wanted in prop::collection::vec(1u32..4, 1..4),
        can in prop::collection::vec(prop::collection::vec(any::<bool>(), 3), 0..7),
    ) {
        let mut terms = two_factors();
        let right = terms.factors[0].right;
        terms.factors = wanted.iter().map(|votes| Factor { right, votes: *votes }).collect();
        let people: Vec<_> = (0..can.len()).map(|i| person(&format!("p{i}"))).collect();
        let can: Vec<Vec<bool>> = can.iter().map(|can| can[..wanted.len()].to_vec()).collect();
        let votes: Vec<_> = people
            .iter()
            .zip(&can)
            .map(|(person, can)| Vote { person, counts: true, factors: can })
            .collect();
        let lacking: u32 = Tally::of(&terms, &person("creator"), &votes, &[]).lacking.iter().sum();
        prop_assert_eq!(lacking, wanted.iter().sum::<u32>() - can_fill(&wanted, &can));
    }

    #[test]
    fn a_tally_counts_people_and_nothing_else(
        votes in prop::collection::vec((0usize..6, 0usize..3, any::<bool>(), any::<bool>()), 0..40),
        own_vote in any::<bool>(),
        needed in 1u32..5,
    ) {
        let mut terms = terms(&Rules::safe(), "reboot", targets(1), 1, Recent::default());
        (terms.own_vote, terms.votes_for) = (own_vote, needed);
        let spell = |who: usize, how: usize| {
            person(&match how { 0 => format!("p{who}"), 1 => format!(" P{who}\u{200d} "), _ => format!("ｐ{who}") })
        };
        let cast: Vec<_> = votes.iter().map(|(who, how, no, counts)| (spell(*who, *how), *who, *no, *counts)).collect();
        let side = |no: bool| -> Vec<_> {
            let votes = cast.iter().filter(move |(_, _, is_no, _)| *is_no == no);
            votes.map(|(person, _, _, counts)| Vote { person, counts: *counts, factors: &[] }).collect()
        };
        let tally = Tally::of(&terms, &person("P0"), &side(false), &side(true));
        let who = |no: bool| -> std::collections::BTreeSet<usize> {
            cast.iter().filter(|(_, _, is_no, counts)| *is_no == no && *counts).map(|(_, who, ..)| *who).collect()
        };
        let against = who(true);
        let approve = who(false).iter().filter(|w| !against.contains(w) && (own_vote || **w != 0)).count();
        prop_assert_eq!((tally.votes_for as usize, tally.votes_against as usize), (approve, against.len()));
        let expected = match (against.is_empty(), approve >= needed as usize) {
            (false, _) => Verdict::Denied,
            (true, true) => Verdict::Approved,
            (true, false) => Verdict::Open,
        };
        prop_assert_eq!(tally.verdict, expected);
    }

    #[test]
    fn a_larger_action_never_needs_fewer_people(
        a in (0u64..2_000, 0.0f64..30_000.0, 0u64..50),
        b in (0u64..2_000, 0.0f64..30_000.0, 0u64..50),
        action in prop::sample::select(vec!["reboot", "setPowerMode", "switchContainer", "setupPools", "setLED"]),
    ) {
        let size = |(targets, kw, unknown)| Sums { targets, kw, unknown };
        let (a, both) = (size(a), size(a).and(size(b)));
        let rules = Rules::safe();
        let recent = |sums| Recent { creator: sums, site: sums };
        let alone = terms(&rules, action, a, 1, Recent::default());
        prop_assert!(votes(&rules, action, both) >= alone.votes_for);
        let raised = terms(&rules, action, a, 1, recent(size(b)));
        prop_assert_eq!(raised.votes_for, votes(&rules, action, both), "many small count as one large");
        prop_assert_eq!(raised.raised.is_some(), raised.votes_for > alone.votes_for);
    }
}
