use super::*;
use crate::{
    ErrorKind,
    action::{
        Policy,
        admin::{PrincipalRecord, StoredPrincipals},
    },
};

fn person(name: &str) -> Person {
    Person::from_text(name).unwrap()
}

fn me(name: &str) -> By {
    By::new(person(name))
}

fn change(action: &str, param: Value) -> Draft {
    Draft::new(action, vec![param], json!({})).unwrap()
}

/// A site with its people in the store: `ann` may do everything, `bob` may say who may what, `cid` writes to miners.
async fn site() -> (Lab, Engine) {
    let mut lab = Lab::mos(2).await;
    let store = ControlStore::open_on(&lab.cx, Arc::new(lab.disk.clone()), &store_options()).await.unwrap();
    let people = StoredPrincipals::new(store.clone());
    let record = |name: &str, permissions: Value| {
        PrincipalRecord::parse(&json!({"name": name, "permissions": permissions})).unwrap()
    };
    let nobody = people.first(&[record("cid", json!(["miner:rw"]))]).await.unwrap_err();
    assert_eq!(nobody.code(), "ERR_PRINCIPAL_INVALID");
    let first = [
        record("ann", json!(["*:rw"])),
        record("bob", json!(["users:rw", "actions:rw"])),
        record("cid", json!(["miner:rw", "actions:rw"])),
    ];
    people.first(&first).await.unwrap();
    assert_eq!(people.first(&first).await.unwrap_err().code(), "ERR_PRINCIPALS_EXIST");
    lab.options = EngineOptions::new(Arc::new(Rules::safe()), RightsSource::Current(Arc::new(people)));
    let engine = Engine::open(&lab.cx, store, Arc::clone(&lab.fleet) as _, lab.options.clone()).unwrap();
    (lab, engine)
}

#[tokio::test(start_paused = true)]
async fn two_people_change_the_policy_and_it_outlives_the_process() {
    let (lab, engine) = site().await;
    let mut rules = Rules::safe();
    rules.default.votes_for = 2;
    let draft = change("setPolicy", serde_json::to_value(&rules).unwrap());
    let id = engine.push(draft, &me("ann")).await.unwrap().into_id().unwrap();
    assert_eq!(engine.header(id).unwrap().status, Status::Voting);
    let refused = engine.vote(id, Ballot::new(true), &me("cid")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Forbidden, "ERR_ACTION_DENIED"));
    engine.vote(id, Ballot::new(true), &me("bob")).await.unwrap();
    until(&engine, id, Status::Completed).await;
    let looks = |engine: &Engine| {
        let terms = engine.0.live.terms(&crate::action::Proposal {
            action: "setLED",
            class: crate::action::policy::ActionClass::Other,
            creator: &person("ann"),
            families: &["miner".into()],
            size: crate::action::policy::Sums::of([None]),
            rack_votes: 1,
            now: START,
            recent: Default::default(),
        });
        terms.unwrap().votes_for
    };
    assert_eq!(looks(&engine), 2);
    let stored = engine.store().clone();
    drop(engine);
    lab.pass(1).await;
    stored.close().await.unwrap();
    lab.pass(1).await;
    let engine = lab.start().await;
    assert_eq!(looks(&engine), 2);
}

#[tokio::test(start_paused = true)]
async fn a_changed_person_may_what_the_action_says_and_no_longer_than_that() {
    let (lab, engine) = site().await;
    let decide = async |draft: Draft| {
        let id = engine.push(draft, &me("ann")).await.unwrap().into_id().unwrap();
        engine.vote(id, Ballot::new(true), &me("bob")).await.unwrap();
        until(&engine, id, Status::Completed).await
    };
    decide(change("setPrincipal", json!({"name": "dan", "permissions": ["miner:rw"]}))).await;
    decide(change("setPrincipal", json!({"name": "dan-key", "owner": "DAN", "kind": "apiKey"}))).await;
    let pushed = engine.push(draft("reboot", one(0)), &me("dan-key")).await.unwrap();
    let header = until(&engine, pushed.id.unwrap(), Status::Completed).await;
    assert_eq!(header.order.creator, person("dan"));
    decide(change("removePrincipal", json!("dan"))).await;
    let pushed = engine.push(draft("reboot", one(0)), &me("dan-key")).await.unwrap();
    assert!(nothing(&pushed), "{pushed:?}");
    assert_eq!(lab.rack.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn somebody_is_left_who_may_say_who_may_what() {
    let (lab, engine) = site().await;
    let mut rules = Rules::safe();
    rules.rows.iter_mut().for_each(|row| row.rule.own_vote = true);
    let draft = change("setPolicy", serde_json::to_value(&rules).unwrap());
    let id = engine.push(draft, &me("ann")).await.unwrap().into_id().unwrap();
    engine.vote(id, Ballot::new(true), &me("bob")).await.unwrap();
    until(&engine, id, Status::Completed).await;
    // Under these rules one person is enough.
    let id = engine.push(change("removePrincipal", json!("bob")), &me("ann")).await.unwrap().id.unwrap();
    until(&engine, id, Status::Completed).await;
    for last in [change("removePrincipal", json!("ann")), change("setPrincipal", json!({"name": "ann"}))] {
        let id = engine.push(last, &me("ann")).await.unwrap().id.unwrap();
        until(&engine, id, Status::Failed).await;
        let view = engine.get(id).unwrap().unwrap().0;
        let error = view["targets"]["site"]["calls"][0]["error"].as_str().unwrap();
        assert!(error.starts_with("ERR_LAST_PRINCIPAL"), "{error}");
    }
    drop(lab);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_refused_before_anybody_votes() {
    let (_lab, engine) = site().await;
    for (action, param, code) in [
        ("setPolicy", json!({"profile": "safe", "default": {"votesFor": 0}}), None),
        ("setLimits", json!({"emergencyRampKwPerS": -1}), Some("ERR_LIMITS_INVALID")),
        ("setPrincipal", json!({"name": "x", "permissions": ["nothing"]}), Some("ERR_PRINCIPAL_INVALID")),
        ("setPrincipal", json!({"name": "x", "owner": "ann"}), Some("ERR_PRINCIPAL_INVALID")),
        ("removePrincipal", json!(""), Some("ERR_VOTER_INVALID")),
    ] {
        let pushed = engine.push(change(action, param.clone()), &me("ann")).await.unwrap();
        assert!(nothing(&pushed), "{action} {param}");
        if let Some(code) = code {
            assert_eq!(pushed.errors[0], format!("site: {code}"), "{param}");
        }
    }
    // Who may not say who may what is told so.
    let pushed = engine.push(change("removePrincipal", json!("bob")), &me("cid")).await.unwrap();
    assert_eq!(pushed.errors[0], "site: ERR_ACTION_DENIED");
}
