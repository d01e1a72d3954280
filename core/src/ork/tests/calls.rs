use serde_json::{Value, json};

use super::{super::call::methods, super::*, BACK, COOLING, FRONT, Mode, Site, store};
use crate::auth::Principal;

fn thing(n: u8) -> String {
    format!("{FRONT}-{n}")
}

async fn refused(site: &Site, method: &str, params: Value) -> (&'static str, String) {
    let e = site.call(method, params.clone()).await.expect_err(&format!("{method} {params}"));
    (e.code(), e.fact("field").unwrap_or_default().to_owned())
}

#[tokio::test]
async fn registry_methods_answer_as_in_miningos() {
    let site = Site::new().await;
    let far =
        json!({"id": "far", "type": "minerpool-f2", "info": {"rpcPublicKey": "ab", "at": "x"}, "more": 1});
    assert_eq!(site.call("registerRack", far.clone()).await.unwrap(), 1);
    assert_eq!(site.call("registerRack", far.clone()).await.unwrap(), 1, "an upsert");
    let shown = json!({"id": "far", "type": "minerpool-f2", "info": {"at": "x"}, "more": 1});
    let listed = site.call("listRacks", json!({})).await.unwrap();
    let local = |id: &str, kind: &str| json!({"id": id, "type": kind, "info": {}});
    let (cooling, back, front) =
        (local(COOLING, "container-as-hk3"), local(BACK, "miner-am-s21"), local(FRONT, "miner-wm-m56s"));
    assert_eq!(listed, json!([cooling, shown, back, front]));
    // A prefix, not a family: `miner` takes `minerpool` too.
    assert_eq!(site.call("listRacks", json!({"type": "miner"})).await.unwrap(), json!([shown, back, front]));
    assert_eq!(site.call("listRacks", json!({"type": "minerpool", "keys": 1})).await.unwrap(), json!([far]));
    assert_eq!(site.call("forgetRacks", json!({"ids": ["far", "gone", ""]})).await.unwrap(), 1);
    assert_eq!(site.call("forgetRacks", json!({"all": true})).await.unwrap(), 0);

    for (params, code) in [
        (json!({}), "ERR_RACK_ID_INVALID"),
        (json!({"id": 7}), "ERR_RACK_ID_INVALID"),
        (json!({"id": "a b", "type": "t", "info": {"rpcPublicKey": "k"}}), "ERR_RACK_ID_INVALID"),
        (json!({"id": "a"}), "ERR_RACK_TYPE_INVALID"),
        (json!({"id": "a", "type": "t"}), "ERR_RACK_INFO_RPC_PUBKEY_INVALID"),
        (json!({"id": "a", "type": "t", "info": 3}), "ERR_RACK_INFO_RPC_PUBKEY_INVALID"),
        (json!({"id": "a", "type": "t", "info": {"rpcPublicKey": ""}}), "ERR_RACK_INFO_RPC_PUBKEY_INVALID"),
        (json!({"id": FRONT, "type": "t", "info": {"rpcPublicKey": "k"}}), "ERR_RACK_EXISTS"),
        (json!({"id": "a", "type": "t", "info": {"rpcPublicKey": "k", "token": "s"}}), "ERR_INVALID"),
    ] {
        assert_eq!(refused(&site, "registerRack", params).await.0, code);
    }
    assert_eq!(refused(&site, "listRacks", json!({"type": 7})).await.0, "ERR_TYPE_INVALID");
    assert_eq!(refused(&site, "forgetRacks", json!({})).await.1, "ids");
    assert_eq!(refused(&site, "forgetRacks", json!({"ids": [7]})).await.1, "ids");
}

#[tokio::test]
async fn configurations_stand_beside_the_ids_of_their_racks() {
    let site = Site::new().await;
    site.call("registerRack", json!({"id": "z", "type": "miner-x", "info": {"rpcPublicKey": "k"}}))
        .await
        .unwrap();
    let conf = site.call("getWrkConf", json!({"type": "miner", "fields": {"site": 1}})).await.unwrap();
    let none = |id: &str| json!({"rackId": id, "config": null});
    assert_eq!(conf, json!([none(BACK), {"rackId": FRONT, "config": {"site": "north"}}, none("z")]));
    assert_eq!(site.call("getWrkConf", json!({"type": "min"})).await.unwrap(), json!([]), "not a prefix");
    assert_eq!(refused(&site, "getWrkConf", json!({})).await.0, "ERR_TYPE_INVALID");

    let ask = |kind: &str| json!({"type": "miner", "requestType": kind});
    let codes = site.call("getThingConf", ask("nextAvailableCode")).await.unwrap();
    let code = |id: &str, code: &str| json!({"rackId": id, "requestValue": code});
    assert_eq!(codes, json!([code(BACK, "CODE-3"), code(FRONT, "CODE-4"), none("z")]));
    let pools = site.call("getThingConf", ask("poolConfig")).await.unwrap();
    let front = json!({"rackId": FRONT, "requestValue": [{"url": "stratum+tcp://pool"}]});
    assert_eq!(pools, json!([none(BACK), front, none("z")]), "passwords are never given");
    assert_eq!(refused(&site, "getThingConf", json!({"requestType": "x"})).await.0, "ERR_TYPE_INVALID");
    assert_eq!(refused(&site, "getThingConf", ask("x")).await.0, "ERR_INVALID_REQUEST_TYPE");
}

#[tokio::test]
async fn settings_merge_and_name_what_failed() {
    let site = Site::new().await;
    let of = |rack: &str| json!({"rackId": rack});
    assert_eq!(site.call("getWrkSettings", of(FRONT)).await.unwrap(), json!({}));
    let save = |rack: &str, entries: Value| json!({"rackId": rack, "entries": entries});
    site.call("saveWrkSettings", save(FRONT, json!({"a": 1}))).await.unwrap();
    let saved = site.call("saveWrkSettings", save(FRONT, json!({"b": 2, "token": "s"}))).await.unwrap();
    assert_eq!(saved, json!({"a": 1, "b": 2}));
    assert_eq!(site.call("getWrkSettings", of(FRONT)).await.unwrap(), json!({"a": 1, "b": 2}));
    assert_eq!(site.call("getWrkSettings", of("gone")).await.unwrap(), 0);
    assert_eq!(site.call("saveWrkSettings", save("gone", json!({}))).await.unwrap(), 0);
    assert_eq!(refused(&site, "getWrkSettings", json!({})).await.0, "ERR_RACK_ID_INVALID");
    assert_eq!(refused(&site, "saveWrkSettings", json!({"entries": {}})).await.0, "ERR_RACK_ID_INVALID");
    for entries in [json!(null), json!([]), json!("x")] {
        assert_eq!(refused(&site, "saveWrkSettings", save(FRONT, entries)).await.0, "ERR_ENTRIES_INVALID");
    }
    let error = refused(&site, "saveWrkSettings", save(FRONT, json!({"error": 1}))).await;
    assert_eq!(error, ("ERR_ENTRIES_INVALID", "entries.error".to_owned()), "it would be read as a failure");
    site.front.set(Mode::Fails);
    assert_eq!(refused(&site, "getWrkSettings", of(FRONT)).await.0, "ERR_GET_SETTINGS_FAILED");
    assert_eq!(refused(&site, "saveWrkSettings", save(FRONT, json!({}))).await.0, "ERR_SAVE_SETTINGS_FAILED");
}

#[tokio::test]
async fn listings_are_bare_lists_over_all_racks() {
    let site = Site::new().await;
    let who = Principal::new("ann", Permissions::ALL);
    let ids = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect()
    };
    // Two keys of a sort, in the order of the text.
    let text = r#"{"sort": {"info.n": -1, "code": 1}, "fields": {"id": 1}, "limit": 3, "offset": 1, "overwriteCache": true}"#;
    let listed = site.ork.call(&who, "listThings", text).await.unwrap();
    assert_eq!(ids(&listed), [format!("{BACK}-2"), thing(2), format!("{COOLING}-1")]);
    assert_eq!(listed[0], json!({"id": format!("{BACK}-2"), "rack": BACK}));
    // What came through a URL.
    let text = r#"{"sort": {"info.n": -1, "code": 1}, "limit": "2", "offset": "0", "status": "1"}"#;
    assert_eq!(ids(&site.ork.call(&who, "listThings", text).await.unwrap()), [thing(3), format!("{BACK}-2")]);
    assert_eq!(site.call("listThings", json!({"query": {"id": "none"}})).await.unwrap(), json!([]));
    assert_eq!(site.call("getThingsCount", json!({"query": {"info.n": {"$gt": 1}}})).await.unwrap(), 3);
    assert_eq!(site.ork.call(&who, "getThingsCount", "").await.unwrap(), 6);
    for (params, field) in [
        (json!({"query": {"opts.password": {"$regex": "^a"}}}), "opts.password"),
        (json!({"query": []}), "query"),
        (json!({"limit": -1}), "limit"),
        (json!({"sort": 3}), "sort"),
        (json!({"fields": {"a": 1, "b": 0}}), ""),
    ] {
        let (code, named) = refused(&site, "listThings", params).await;
        assert_eq!(code, "ERR_QUERY_INVALID");
        assert!(field.is_empty() || named == field, "{named}");
    }

    site.back.set(Mode::Fails);
    let reply = site.ork.ask(&who, "listThings", "{}").await.unwrap();
    assert_eq!(reply.value.as_array().unwrap().len(), 4);
    assert_eq!(reply.failed.iter().map(|(rack, _)| rack.as_str()).collect::<Vec<_>>(), [BACK]);
    let e = site.call("getThingsCount", json!({})).await.unwrap_err();
    assert_eq!(
        (e.kind(), e.fact("rack")),
        (ErrorKind::Unreachable, Some(BACK)),
        "no number is better than a wrong one"
    );
    for rack in [&site.front, &site.cooling] {
        rack.set(Mode::Fails);
    }
    let e = site.call("listThings", json!({})).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("others_failed")), (ErrorKind::Unreachable, Some("2")));
    for rack in [&site.front, &site.back, &site.cooling] {
        rack.set(Mode::Good);
    }
    // Page after page, over all racks, by what each page says of the next.
    let (mut walked, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut params = json!({"sort": {"info.n": -1}, "limit": 4, "fields": {"id": 1}});
        if let Some(next) = cursor.take() {
            params["cursor"] = next.into();
        }
        let reply = site.ork.ask(&who, "listThings", &params.to_string()).await.unwrap();
        walked.extend(ids(&reply.value));
        let Some(next) = reply.next else { break };
        cursor = Some(next);
    }
    let whole = site.call("listThings", json!({"sort": {"info.n": -1}})).await.unwrap();
    assert_eq!((walked.len(), walked), (6, ids(&whole)));
    site.back.set(Mode::Fails);
    let reply = site.ork.ask(&who, "listThings", r#"{"limit": 1}"#).await.unwrap();
    assert_eq!((reply.next, reply.failed.len()), (None, 1), "behind a part nothing follows");
    let empty = Orchestrator::open(&super::cx(), store().await, OrkOptions::default()).unwrap();
    assert_eq!(empty.call(&who, "listThings", "{}").await.unwrap(), json!([]));
}

#[tokio::test]
async fn things_are_registered_changed_and_forgotten() {
    let site = Site::new().await;
    let new = json!({"rackId": FRONT, "id": "new", "opts": {"address": "10.0.0.1"}, "info": {"pos": "1"}});
    let made = site.call("registerThing", new.clone()).await.unwrap();
    assert_eq!(made, json!({"id": "new", "code": "CODE-4", "rack": FRONT}));
    assert_eq!(refused(&site, "registerThing", new).await.0, "ERR_THING_WITH_ID_ALREADY_EXISTS");
    // With the rack, and without.
    assert_eq!(
        site.call("updateThing", json!({"rackId": FRONT, "id": "new", "info": {"a": 1}})).await.unwrap(),
        1
    );
    assert_eq!(site.call("updateThing", json!({"id": "new", "info": {"b": 2}})).await.unwrap(), 1);
    assert!(site.front.state().contains(r#""b": Number(2)"#));
    let before = site.state();
    for (method, params, code, field) in [
        ("updateThing", json!({"id": "gone"}), "ERR_THING_NOTFOUND", ""),
        ("updateThing", json!({"rackId": BACK, "id": "new"}), "ERR_THING_NOTFOUND", ""),
        ("updateThing", json!({}), "ERR_ACTION_INVALID_MISSING_ID", "id"),
        ("updateThing", json!({"id": "new", "tags": 3}), "ERR_THING_TAGS_INVALID", "tags"),
        ("updateThing", json!({"id": "new", "readOnly": "yes"}), "ERR_INVALID", "readOnly"),
        ("updateThing", json!({"id": "new", "opts": 3}), "ERR_THING_VALIDATE_OPTS_INVALID", "opts"),
        ("registerThing", json!({"rackId": FRONT, "code": 7}), "ERR_THING_CODE_INVALID", "code"),
        ("registerThing", json!({"rackId": FRONT, "id": 7}), "ERR_THING_ID_INVALID", "id"),
        ("updateThing", json!({"rackId": "gone", "id": "new"}), "ERR_RACK_NOT_FOUND", ""),
        ("registerThing", json!({}), "ERR_ACTION_INVALID_MISSING_RACKID", "rackId"),
        ("registerThing", json!({"rackId": "gone"}), "ERR_RACK_NOT_FOUND", ""),
        ("registerThing", json!({"rackId": 7}), "ERR_RACK_ID_INVALID", "rackId"),
        (
            "registerThing",
            json!({"rackId": FRONT, "info": "hunter2"}),
            "ERR_THING_VALIDATE_INFO_INVALID",
            "info",
        ),
        ("forgetThings", json!({}), "ERR_QUERY_INVALID", "query"),
        ("forgetThings", json!({"query": {}}), "ERR_QUERY_INVALID", "query"),
        ("forgetThings", json!({"query": {"opts": 1}}), "ERR_QUERY_INVALID", "opts"),
        ("forgetThings", json!({"ids": "new"}), "ERR_QUERY_INVALID", "query"),
    ] {
        let e = site.call(method, params.clone()).await.expect_err(&format!("{method} {params}"));
        assert_eq!((e.code(), e.fact("field").unwrap_or_default()), (code, field), "{method} {params}");
        assert!(!format!("{e:?}").contains("hunter2"));
    }
    assert_eq!(site.state(), before);
    // A rack that cannot answer stops it before anything is gone.
    site.back.set(Mode::Fails);
    let e = site.call("forgetThings", json!({"all": true})).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("forgotten")), (ErrorKind::Unreachable, Some("0")));
    let e = site.call("updateThing", json!({"id": "gone"})).await.unwrap_err();
    assert_eq!(e.fact("rack"), Some(BACK), "it may be there");
    assert_eq!(site.state(), before);
    site.back.set(Mode::Good);
    assert_eq!(site.call("forgetThings", json!({"ids": ["new", "gone"]})).await.unwrap(), 1);
    assert_eq!(site.call("forgetThings", json!({"query": {"info.n": 1}})).await.unwrap(), 3);
    assert_eq!(site.call("forgetThings", json!({"all": true})).await.unwrap(), 3);
}

#[tokio::test]
async fn comments_belong_to_who_asks_whatever_the_body_says() {
    let site = Site::new().await;
    let say = |extra: Value| {
        let mut params = json!({"rackId": FRONT, "thingId": thing(1), "user": "boss@site"});
        params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        params
    };
    assert_eq!(site.call("saveThingComment", say(json!({"comment": "hot", "pos": "3"}))).await.unwrap(), 1);
    let saved = &site.front.comments()[0];
    assert_eq!((saved.user.as_str(), saved.pos.as_deref()), ("ann@site", Some("3")));
    let edit = say(json!({"id": "c0", "comment": "cold"}));
    assert_eq!(site.call("editThingComment", edit.clone()).await.unwrap(), 1);
    let other = Principal::new("boss@site", Permissions::ALL);
    let e = site.ork.call(&other, "editThingComment", &edit.to_string()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Forbidden, "ERR_COMMENT_ACCESS_DENIED"));
    for method in ["saveThingComment", "editThingComment", "deleteThingComment"] {
        let params = json!({"rackId": "gone", "thingId": "x", "comment": "x", "id": "c0"});
        assert_eq!(site.call(method, params).await.unwrap(), 0);
        let params = json!({"thingId": "x", "comment": "x", "id": "c0"});
        assert_eq!(refused(&site, method, params).await.0, "ERR_RACK_ID_INVALID");
        let params = json!({"rackId": FRONT, "comment": "x", "id": "c0"});
        assert_eq!(refused(&site, method, params).await.0, "ERR_THING_ID_INVALID");
    }
    assert_eq!(refused(&site, "saveThingComment", say(json!({}))).await.1, "comment");
    assert_eq!(refused(&site, "editThingComment", say(json!({"comment": "x"}))).await.1, "id");
    assert_eq!(
        refused(&site, "deleteThingComment", say(json!({"id": "c9"}))).await.0,
        "ERR_THING_COMMENT_NOTFOUND"
    );
    assert_eq!(site.call("deleteThingComment", say(json!({"ts": 0}))).await.unwrap(), 1);
    assert!(site.front.comments().is_empty());
}

#[tokio::test]
async fn site_methods_answer_as_in_miningos() {
    let site = Site::new().await;
    let who = Principal::new("ann", Permissions::ALL);
    for body in [json!([1, "a"]), json!("x"), json!({"a": null})] {
        assert_eq!(site.call("echo", body.clone()).await.unwrap(), body);
        assert_eq!(site.call("ping", body.clone()).await.unwrap(), body);
    }
    assert_eq!(site.call("getInstanceId", json!(null)).await.unwrap(), site.ork.site());
    assert_eq!(site.call("getHistoricalLogs", json!({"logType": "alerts"})).await.unwrap(), json!([]));
    assert_eq!(refused(&site, "getHistoricalLogs", json!({"logType": "x"})).await.0, "ERR_LOG_TYPE_INVALID");
    assert_eq!(refused(&site, "getHistoricalLogs", json!({})).await.0, "ERR_LOG_TYPE_INVALID");

    let fields = json!({"fields": {"nominalSiteMinerCapacity": 1}});
    assert_eq!(site.call("getGlobalConfig", fields).await.unwrap(), json!({"nominalSiteMinerCapacity": 600}));
    let set = site.call("setGlobalConfig", json!({"isAutoSleepAllowed": true, "other": 1})).await.unwrap();
    let want = json!({"isAutoSleepAllowed": true, "nominalSiteMinerCapacity": 600});
    assert_eq!((&set, &site.call("getGlobalConfig", json!({})).await.unwrap()), (&want, &want));
    for params in [json!({}), json!({"isAutoSleepAllowed": 1}), json!({"isAutoSleepAllowed": null})] {
        let (code, field) = refused(&site, "setGlobalConfig", params).await;
        assert_eq!((code, field.as_str()), ("ERR_CONFIG_INVALID", "isAutoSleepAllowed"));
    }
    let bare = Orchestrator::open(&super::cx(), store().await, OrkOptions::default()).unwrap();
    let e = bare.call(&who, "getGlobalConfig", "{}").await.unwrap_err();
    assert_eq!(e.code(), "ERR_GLOBAL_CONFIG_MISSING");
    let e = bare.call(&who, "setGlobalConfig", r#"{"isAutoSleepAllowed": true}"#).await.unwrap_err();
    assert_eq!(e.code(), "ERR_GLOBAL_CONFIG_NOT_FOUND");
}

#[tokio::test]
async fn whatever_is_sent_is_answered_or_refused_with_a_field_and_changes_nothing_then() {
    let site = Site::new().await;
    let who = Principal::new("ann", Permissions::ALL);
    let e = site.ork.call(&who, &"no\n".repeat(99), "{}").await.unwrap_err();
    assert_eq!(e.code(), "UNKNOWN_METHOD");
    assert!(e.to_string().len() < 300 && !e.to_string().contains('\n'));
    let members = [
        "id",
        "ids",
        "type",
        "info",
        "rackId",
        "thingId",
        "comment",
        "entries",
        "query",
        "fields",
        "sort",
        "limit",
        "logType",
        "requestType",
        "isAutoSleepAllowed",
        "opts",
        "tags",
        "ts",
        "pos",
        "keep",
        "drop",
        "thingMap",
        "ifRevision",
        "moves",
        "readOnly",
        "cursor",
    ];
    let wrong = [json!(-7.5), json!([[]]), json!({"$where": 1}), json!(""), json!("\u{0}"), json!(null)];
    let mut texts: Vec<String> = ["{", "nul", "[1,2]", "7", "\"x\"", "{}{}"].map(str::to_owned).into();
    texts.push(format!("{}{}", "[".repeat(500), "]".repeat(500)));
    for member in members {
        for value in &wrong {
            texts.push(json!({member: value}).to_string());
            let mut full = json!({"rackId": FRONT, "thingId": thing(1), "type": "miner", "comment": "x"});
            full[member] = value.clone();
            texts.push(full.to_string());
        }
    }
    for row in methods() {
        for text in &texts {
            let before = site.state();
            let Err(e) = site.ork.call(&who, row.name, text).await else { continue };
            assert_eq!(site.state(), before, "{} {text}", row.name);
            let named = e.kind() == ErrorKind::Invalid && e.fact("field").is_some();
            let other = [ErrorKind::NotFound, ErrorKind::Unsupported].contains(&e.kind());
            assert!(named || other, "{} {text}: {e:?}", row.name);
        }
    }
    for row in methods() {
        let e = site.ork.call(&who, row.name, "{").await.unwrap_err();
        assert_eq!((e.code(), e.fact("field")), ("ERR_FACS_NET_DATA_FORMAT", Some("params")));
    }
}

#[test]
fn the_documentation_has_a_line_for_every_method() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rpc.md")).unwrap();
    let rows: Vec<String> = methods()
        .iter()
        .map(|row| {
            format!(
                "| `{}` | {} | `{}:{}` | `{}` | {} |",
                row.name, row.op, row.needs, row.op, row.params, row.gives
            )
        })
        .collect();
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(listed, rows, "docs/rpc.md should have:\n{}", rows.join("\n"));
}
