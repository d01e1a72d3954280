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
