use std::collections::BTreeSet;

use super::*;
use crate::{ErrorKind, Sent, action::BatchOptions};

#[tokio::test(start_paused = true)]
async fn ids_rise_whatever_the_clock_does() {
    let lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(push(&engine, "three", json!({}), "ann").await);
    }
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    lab.kill(engine).await;
    let engine = lab.start().await;
    assert!(push(&engine, "three", json!({}), "ann").await > ids[4]);
}

#[tokio::test(start_paused = true)]
async fn votes_at_once_all_count_and_one_decides() {
    let lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let id = push(&engine, "three", json!({}), "ann").await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..64 {
        let engine = engine.clone();
        tasks.spawn(async move { vote(&engine, id, true, &format!("user{}", n % 32)).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 2);
    let codes: BTreeSet<&str> = results.iter().filter_map(|r| r.as_ref().err()).map(Error::code).collect();
    assert!(codes.is_subset(&["ERR_ACTION_DECIDED", "ERR_VOTER_EXISTS"].into()), "{codes:?}");
    let header = until(&engine, id, Status::Completed).await;
    assert_eq!(header.votes.len(), 3);
    assert_eq!(lab.rack.received(&thing(0)), [id]);
}

#[tokio::test(start_paused = true)]
async fn a_client_key_gets_its_first_answer_again() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    let keyed = |query: Value| Draft { client_key: Some("k1".into()), ..draft("setUpfreqSpeed", query) };
    let first = engine.push(keyed(json!({})), &by("ann")).await.unwrap();
    assert_eq!(engine.push(keyed(json!({})), &by("ann")).await.unwrap(), first);
    let e = engine.push(keyed(one(1)), &by("ann")).await.unwrap_err();
    assert_eq!((e.kind(), e.code(), e.sent()), (ErrorKind::Conflict, "ERR_CLIENT_KEY_CONFLICT", Sent::No));
    // Another person's key is another key.
    assert_ne!(engine.push(keyed(one(1)), &by("bob")).await.unwrap().id, first.id);
    let id = first.id.unwrap();
    let ballot = Ballot { client_key: Some("v1".into()), ..Ballot::new(true) };
    engine.vote(id, ballot.clone(), &by("bob")).await.unwrap();
    lab.kill(engine).await;
    let engine = lab.start().await;
    engine.vote(id, ballot.clone(), &by("bob")).await.unwrap();
    let e = engine.vote(id, Ballot { approve: false, ..ballot }, &by("bob")).await.unwrap_err();
    assert_eq!(e.code(), "ERR_CLIENT_KEY_CONFLICT");
    assert_eq!(engine.push(keyed(json!({})), &by("ann")).await.unwrap().id, first.id);
}

#[tokio::test(start_paused = true)]
async fn a_vote_is_for_one_digest() {
    let lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
    let digest = engine.header(id).unwrap().digest.clone();
    let ballot = |digest: &str| Ballot { digest: Some(digest.into()), ..Ballot::new(true) };
    let e = engine.vote(id, ballot("00"), &by("bob")).await.unwrap_err();
    assert_eq!(e.code(), "ERR_ACTION_CHANGED");
    engine.vote(id, ballot(digest.as_str()), &by("bob")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_or_nothing_stores_nothing_when_anything_falls_out() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    let batch = BatchOptions { uid: Some("x".into()), all_or_nothing: true, ..BatchOptions::default() };
    let drafts = || vec![draft("three", one(0)), draft("three", json!({"id": "nobody"}))];
    let pushed = engine.push_batch(drafts(), &batch, &by("ann")).await.unwrap();
    assert!(pushed.iter().all(nothing), "{pushed:?}");
    let each = BatchOptions { all_or_nothing: false, ..batch };
    let pushed = engine.push_batch(drafts(), &each, &by("ann")).await.unwrap();
    assert!(pushed[0].id.is_some() && nothing(&pushed[1]));
    let header = engine.header(pushed[0].id.unwrap()).unwrap();
    assert!(header.batch.as_ref().unwrap().ends_with("-x"));
}

#[tokio::test(start_paused = true)]
async fn undecided_actions_run_out() {
    let lab = Lab::hourly(1).await;
    let engine = lab.start().await;
    let id = push(&engine, "three", json!({}), "ann").await;
    let left = engine.header(id).unwrap().order.terms.expires_at_ms - START.0;
    lab.pass(u64::try_from(left).unwrap() + 2_000).await;
    assert_eq!(engine.header(id).unwrap().status, Status::Expired);
    assert_eq!(vote(&engine, id, true, "bob").await.unwrap_err().code(), "ERR_ACTION_DECIDED");
}

#[tokio::test(start_paused = true)]
async fn rights_are_those_of_now() {
    let people = everybody(&["ann", "bob", "cid"]);
    let mut lab = Lab::safe(1, Arc::clone(&people)).await;
    lab.options.begin_by_itself = false;
    let engine = lab.start().await;
    let id = push(&engine, "three", json!({}), "ann").await;
    let stranger = vote(&engine, id, true, "eve").await;
    assert!(stranger.is_err(), "{stranger:?}");
    for name in ["bob", "cid"] {
        // Its rules may ask for fewer votes than the rack.
        drop(vote(&engine, id, true, name).await);
    }
    assert_eq!(engine.header(id).unwrap().status, Status::Approved);
    people.remove(&Person::from_text("bob").unwrap());
    people.remove(&Person::from_text("cid").unwrap());
    engine.begin_ready().await.unwrap();
    let header = engine.header(id).unwrap();
    assert!(header.votes.len() == 1, "{header:?}");
    people.remove(&Person::from_text("ann").unwrap());
    assert_eq!(lab.rack.sent(), u64::from(header.status != Status::Voting));
}

#[tokio::test(start_paused = true)]
async fn a_program_neither_votes_for_its_owner_nor_keeps_him_from_voting() {
    use crate::action::{Kind, StopScope};
    let people = everybody(&["ann", "bob"]);
    let person = |name: &str| Person::from_text(name).unwrap();
    people.name(&person("bot"), Kind::Agent, &person("bob")).unwrap();
    people.name(&person("bobby"), Kind::Alias, &person("bob")).unwrap();
    let lab = Lab::safe(1, people).await;
    let engine = lab.start().await;
    let me = |name: &str| By::new(person(name));
    let id = engine.push(draft("three", json!({})), &me("ann")).await.unwrap().id.unwrap();
    for refused in [
        engine.vote(id, Ballot::new(true), &me("bot")).await,
        engine.withdraw(id, &me("bot")).await,
        engine.cancel(id, &me("bot")).await,
    ] {
        assert_eq!(refused.unwrap_err().code(), "ERR_VOTER_NOT_A_PERSON");
    }
    engine.vote(id, Ballot::new(true), &me("bob")).await.unwrap();
    // What it proposes is its owner's, who still votes.
    let id = engine.push(draft("three", json!({})), &me("bot")).await.unwrap().id.unwrap();
    let header = engine.header(id).unwrap();
    assert_eq!((header.order.creator.clone(), header.votes.len()), (person("bob"), 0));
    assert_eq!(engine.vote(id, Ballot::new(true), &me("bob")).await.unwrap().votes.len(), 1);
    // A lock of a name is a lock of its person.
    let scope = StopScope::Person(person("bobby"));
    engine.begin_stopping(scope, None, &me("ann")).await.unwrap();
    assert_eq!(engine.push(draft("three", json!({})), &me("bob")).await.unwrap_err().code(), "ERR_LOCKED");
}

#[tokio::test(start_paused = true)]
async fn a_reason_that_is_too_long_is_its_senders_alone() {
    let lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let id = push(&engine, "three", json!({}), "ann").await;
    let long = Ballot { why: Some("x".repeat(70_000).into()), ..Ballot::new(true) };
    let (ann, bob) = (by("bob"), by("cid"));
    let (refused, voted) =
        tokio::join!(engine.vote(id, long, &ann), engine.vote(id, Ballot::new(true), &bob));
    assert_eq!((refused.unwrap_err().code(), voted.is_ok()), ("ERR_WHY_INVALID", true));
}

#[tokio::test(start_paused = true)]
async fn a_name_without_levels_grants_nothing_under_our_own_rules() {
    let mut lab = Lab::mos(1).await;
    lab.options.policy = Arc::new(Rules::safe());
    let engine = lab.start().await;
    let id = push(&engine, "three", json!({}), "ann").await;
    let bare = By::voting(&json!({"voter": "bob", "authPerms": ["miner"]})).unwrap();
    assert_eq!(engine.vote(id, Ballot::new(true), &bare).await.unwrap_err().code(), "ERR_ACTION_DENIED");
    let whole = By::voting(&json!({"voter": "bob", "authPerms": ["miner:rw"]})).unwrap();
    engine.vote(id, Ballot::new(true), &whole).await.unwrap();
}
