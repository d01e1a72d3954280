use super::*;
use crate::{
    action::StaticPrincipals,
    auth::{Area, Scope},
    ork::call::methods,
};

/// Attack 1: whoever signed in is whoever signed in, whatever the body says.
#[tokio::test(start_paused = true)]
async fn the_body_of_a_signed_in_caller_says_nothing_of_who_it_is() {
    let lab = Lab::mos().await;
    let body = with(push("setUpfreqSpeed", "bob"), json!({"authPerms": ["*:rw"]}));
    let pushed = lab.person("ann", "pushAction", body).await.unwrap();
    assert_eq!(pushed["data"]["votesPos"], json!(["ann"]));
    let id = pushed["id"].clone();
    let e = lab.person("ann", "voteAction", vote(&id, "carol", true)).await.unwrap_err();
    assert_eq!(e.code(), "ERR_VOTER_EXISTS", "ann is not carol");
    let cancel = json!({"ids": [id], "voter": "ann"});
    let answer = lab.person("bob", "cancelActionsBatch", cancel).await.unwrap();
    assert_eq!(answer[0]["success"], false, "bob is not ann");
    // A body that is malformed for a gateway changes nothing either.
    let odd = with(push("three", "x"), json!({"voter": 0, "authPerms": 7}));
    let pushed = lab.person("erin", "pushAction", odd).await.unwrap();
    assert_eq!(pushed["data"]["votesPos"], json!(["erin"]));
}

/// Rights that the body claims are none: those of the session count.
#[tokio::test(start_paused = true)]
async fn the_body_of_a_signed_in_caller_claims_no_rights() {
    let lab = Lab::mos().await;
    let id = lab.push("setUpfreqSpeed", "ann").await["id"].clone();
    let poor = Principal::new("dave", Permissions::parse(["miner:r", "actions:rw"]).unwrap());
    let claims = json!({"authPerms": ["miner", "miner:rw", "*:rw"]});
    let body = with(vote(&id, "dave", true), claims.clone()).to_string();
    let e = lab.ork.call(&poor, "voteAction", &body).await.unwrap_err();
    assert_eq!(e.code(), "ERR_ACTION_DENIED");
    let body = with(push("reboot", "dave"), claims).to_string();
    let pushed = lab.ork.call(&poor, "pushAction", &body).await.unwrap();
    assert_eq!(pushed["errors"][0], format!("{}: ERR_ACTION_DENIED", Served::RACK));
    // Who signed it in can say what it claims.
    let mut claiming = poor.clone();
    claiming.claims = Some(vec!["miner:w".into()]);
    let body = vote(&id, "dave", true).to_string();
    assert_eq!(lab.ork.call(&claiming, "voteAction", &body).await.unwrap(), 1);
    assert!(!poor.is_gateway() && Principal::gateway("app-node", Permissions::NONE).is_gateway());
}

/// Under our own rules nothing that a gateway claims is a right.
#[tokio::test(start_paused = true)]
async fn where_rights_are_the_sites_own_claims_are_none() {
    let ork = Orchestrator::open(&cx(), store().await, OrkOptions::default()).unwrap();
    let people = StaticPrincipals::new();
    let rights = Permissions::parse(["miner:rw", "actions:rw"]).unwrap();
    people.set(&Person::from_text("ann").unwrap(), rights).unwrap();
    let options = EngineOptions::new(Arc::new(Rules::safe()), RightsSource::Current(Arc::new(people)));
    let served = Served::with(&ork, options);
    let lab = Lab { ork, served };
    let pushed = lab.push("setUpfreqSpeed", "eve").await;
    let denied = format!("{}: ERR_ACTION_DENIED", Served::RACK);
    assert_eq!(pushed, json!({"id": null, "errors": [denied, "ERR_ORK_ACTION_CALLS_EMPTY"]}));
    assert!(lab.push("setUpfreqSpeed", "ann").await["id"].is_u64());
    let who = Principal::new("eve", Permissions::ALL);
    let e = lab.ork.call(&who, "haltSite", "{}").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Forbidden, "{e}");
}

/// A gateway has the permissions that it was made with, and no more.
#[tokio::test(start_paused = true)]
async fn a_gateway_needs_the_permission_of_the_method_too() {
    let lab = Lab::mos().await;
    let reader = Principal::gateway("app-node", Permissions::parse(["*:r"]).unwrap());
    let body = push("reboot", "u1").to_string();
    let e = lab.ork.call(&reader, "pushAction", &body).await.unwrap_err();
    assert_eq!((e.code(), e.fact("needs")), ("ERR_MISSING_WRITE_PERMISSIONS", Some("actions:w")));
    assert_eq!(lab.served.rack.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_an_engine_the_methods_say_so() {
    let ork = Orchestrator::open(&cx(), store().await, OrkOptions::default()).unwrap();
    let who = Principal::new("ann", Permissions::ALL);
    let of_actions = methods().iter().filter(|row| row.needs == Scope::Area(Area::Actions));
    let names = of_actions.map(|row| row.name).filter(|name| !name.ends_with("Audit"));
    let names: Vec<_> =
        names.chain(["getAction", "getActionsBatch", "queryActions", "getStops", "shedLoad"]).collect();
    assert_eq!(names.len(), 17);
    for name in &names {
        let e = ork.call(&who, name, "{}").await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Unsupported, "ERR_ACTIONS_NOT_SERVED"), "{name}");
    }
    drop(Served::by(&ork));
    for name in &names {
        let e = ork.call(&who, name, "{}").await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Closed, "{name}");
    }
}
