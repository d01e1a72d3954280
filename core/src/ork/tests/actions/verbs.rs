use super::*;

#[tokio::test(start_paused = true)]
async fn a_running_action_is_held_and_stopped() {
    let lab = Lab::mos().await;
    let id = json!(lab.served.running("ann").await);
    let of = |more: Value| with(json!({"id": id}), more);
    assert_eq!(lab.person("bob", "pauseAction", of(json!({"why": "too hot"}))).await.unwrap(), 1);
    let view = lab.person("bob", "getAction", of(json!({"type": "executing"}))).await.unwrap();
    assert_eq!((view["hold"]["by"].clone(), view["hold"]["why"].clone()), (json!("bob"), json!("too hot")));
    assert_eq!(lab.person("bob", "resumeAction", of(json!({}))).await.unwrap(), 1);
    let view = lab.person("bob", "getAction", of(json!({"type": "executing"}))).await.unwrap();
    assert!(view.get("hold").is_none());
    assert_eq!(lab.person("bob", "stopAction", of(json!({"why": "wrong hall"}))).await.unwrap(), 1);
    let e = lab.person("bob", "pauseAction", of(json!({"why": "x".repeat(201)}))).await.unwrap_err();
    assert_eq!((e.code(), e.fact("field")), ("ERR_PAYLOAD_INVALID", Some("why")));
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_call_is_settled_by_a_person() {
    let lab = Lab::mos().await;
    let lost = lab.served.lost("ann").await;
    let settle =
        |more: Value| with(json!({"id": lost, "rackId": Served::RACK, "thingId": Served::thing(1)}), more);
    let refused = async |more: Value| {
        let e = lab.person("bob", "settleCall", settle(more)).await.unwrap_err();
        (e.code(), e.fact("field").unwrap_or_default().to_owned())
    };
    assert_eq!(refused(json!({"settled": "maybe"})).await.1, "settled");
    assert_eq!(refused(json!({"settled": "ok", "rackId": 7})).await.0, "ERR_RACK_ID_INVALID");
    assert_eq!(refused(json!({"settled": "ok", "thingId": ""})).await.0, "ERR_THING_ID_INVALID");
    assert_eq!(refused(json!({"settled": "ok", "thingId": "gone"})).await.0, "ERR_THING_NOTFOUND");
    let seen = settle(json!({"settled": "ok", "why": "I looked"}));
    assert_eq!(lab.person("bob", "settleCall", seen).await.unwrap(), 1);
    lab.served.until(lost, Status::Completed).await;
}

#[tokio::test(start_paused = true)]
async fn a_vote_is_taken_back_by_its_voter() {
    let lab = Lab::mos().await;
    let id = lab.push("three", "ann").await["id"].clone();
    lab.gateway("voteAction", vote(&id, "bob", true)).await.unwrap();
    let body = json!({"id": id, "voter": "bob"});
    let e = lab.person("carol", "withdrawVote", body.clone()).await.unwrap_err();
    assert_eq!(e.code(), "ERR_VOTER_NOT_FOUND");
    assert_eq!(lab.gateway("withdrawVote", body).await.unwrap(), 1);
    assert_eq!(lab.served.engine.header(id_of(&id)).unwrap().votes.len(), 1);
    assert_eq!(lab.code("withdrawVote", json!({"id": id, "voter": "ann"})).await, "ERR_VOTER_IS_CREATOR");
}

#[tokio::test(start_paused = true)]
async fn stops_are_begun_by_one_and_lifted_by_two() {
    let lab = Lab::mos().await;
    assert_eq!(lab.person("ann", "haltSite", json!({"why": "smoke"})).await.unwrap(), 1);
    let rack = json!({"kind": "rack", "of": Served::RACK});
    assert_eq!(lab.person("ann", "stopScope", json!({"scope": rack})).await.unwrap(), 1);
    let stops = lab.person("bob", "getStops", json!({})).await.unwrap();
    let shape: Vec<_> =
        stops.as_array().unwrap().iter().map(|s| (&s["scope"], &s["by"], &s["why"])).collect();
    let (halt, ann) = (json!({"kind": "halt"}), json!("ann"));
    assert_eq!(shape, [(&halt, &ann, &json!("smoke")), (&rack, &ann, &json!(null))]);
    let id = lab.push("reboot", "u1").await["id"].clone();
    pass(secs(20)).await;
    assert_eq!(lab.served.rack.sent(), 0);
    let lift = json!({"scope": halt});
    assert_eq!(lab.person("ann", "liftStop", lift.clone()).await.unwrap(), json!({"lifted": false}));
    let e = lab.person("ann", "liftStop", lift.clone()).await.unwrap_err();
    assert_eq!(e.code(), "ERR_VOTER_EXISTS");
    assert_eq!(lab.person("bob", "liftStop", lift).await.unwrap(), json!({"lifted": true}));
    for name in ["ann", "bob"] {
        lab.person(name, "liftStop", json!({"scope": rack})).await.unwrap();
    }
    lab.served.until(id_of(&id), Status::Completed).await;
    for scope in [json!(null), json!({"kind": "everything"}), json!({"kind": "rack"}), json!("halt")] {
        let e = lab.person("ann", "stopScope", json!({"scope": scope})).await.unwrap_err();
        assert_eq!((e.code(), e.fact("field")), ("ERR_PAYLOAD_INVALID", Some("scope")), "{scope}");
    }
}

#[tokio::test(start_paused = true)]
async fn load_is_shed_by_one_person() {
    let lab = Lab::mos().await;
    let body = json!({"query": {}, "why": "the grid asks for it", "kwPerS": 100});
    let shed = lab.person("ann", "shedLoad", body).await.unwrap();
    assert_eq!(shed["data"]["payload"][0], json!(["sleep"]));
    lab.served.until(id_of(&shed["id"]), Status::Completed).await;
    let none = lab.person("ann", "shedLoad", json!({"query": {"id": "none"}, "why": "x"})).await.unwrap();
    assert_eq!(none, json!({"id": null, "errors": ["ERR_ORK_ACTION_CALLS_EMPTY"]}));
    for (body, field) in [
        (json!({"why": "x"}), "query"),
        (json!({"query": {}}), "why"),
        (json!({"query": {}, "why": "x", "kwPerS": "fast"}), "kwPerS"),
        (json!({"query": {}, "why": "x", "kwPerS": 1e9}), "kwPerS"),
    ] {
        let e = lab.person("ann", "shedLoad", body).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some(field)));
    }
}
