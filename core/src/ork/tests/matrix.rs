use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{super::call::methods, BACK, COOLING, FRONT, Site};
use crate::{ErrorKind, auth::Scope};

/// Who may call what, apart from the table of methods: any one of these permissions will do.
const NEEDS: &[(&str, &[&str])] = &[
    ("echo", ANY_READ),
    ("ping", ANY_READ),
    ("getInstanceId", ANY_READ),
    ("registerRack", &["racks:w"]),
    ("forgetRacks", &["racks:w"]),
    ("listRacks", READ),
    ("getWrkConf", READ),
    ("getThingConf", READ),
    ("getWrkSettings", &["settings:r"]),
    ("saveWrkSettings", &["settings:w"]),
    ("listThings", READ),
    ("getThingsCount", READ),
    ("registerThing", &["miner:w"]),
    ("updateThing", &["miner:w"]),
    ("forgetThings", &["miner:w"]),
    ("saveThingComment", &["comments:w"]),
    ("editThingComment", &["comments:w"]),
    ("deleteThingComment", &["comments:w"]),
    ("getHistoricalLogs", READ),
    ("mergeThings", &["miner:w"]),
    ("splitThing", &["miner:w"]),
    ("getThingMap", &["racks:r"]),
    ("setThingMap", &["racks:w"]),
    ("getMisplacedThings", READ),
    ("reassignThings", &["racks:w"]),
    ("getGlobalConfig", ANY_READ),
    ("setGlobalConfig", &["features:w"]),
];
const READ: &[&str] =
    &["miner:r", "container:r", "minerpool:r", "powermeter:r", "temp:r", "electricity:r", "inventory:r"];
const ANY_READ: &[&str] = &["r"];

/// The example roles of a MiningOS site, and two ends.
const ROLES: &[(&str, &[&str])] = &[
    ("nobody", &[]),
    ("superadmin", &["*:rw"]),
    (
        "site_manager",
        &[
            "miner:rw",
            "container:rw",
            "minerpool:rw",
            "powermeter:rw",
            "temp:rw",
            "electricity:rw",
            "actions:rw",
            "alerts:rw",
            "cabinets:rw",
            "explorer:rw",
            "ticket:rw",
            "comments:rw",
            "inventory:rw",
            "reporting:rw",
            "settings:rw",
            "work_order:rw",
        ],
    ),
    (
        "reporting_tool_manager",
        &["revenue:rw", "production:rw", "reporting:rw", "settings:r", "power_spot_forecast:r"],
    ),
    (
        "field_operator",
        &[
            "miner:r",
            "container:r",
            "minerpool:r",
            "powermeter:r",
            "temp:r",
            "electricity:r",
            "alerts:r",
            "cabinets:r",
            "explorer:r",
            "ticket:r",
            "comments:rw",
            "inventory:r",
            "reporting:r",
            "settings:r",
            "work_order:r",
        ],
    ),
    ("pool_manager", &["miner:r", "actions:rw", "pool_config:rw"]),
    ("writer", &["miner:w"]),
    ("cooler", &["container:rw"]),
];

/// Parameters with which a method succeeds on a new site.
fn good(method: &str) -> Value {
    match method {
        "registerRack" => json!({"id": "far", "type": "miner-x", "info": {"rpcPublicKey": "ab"}}),
        "forgetRacks" => json!({"all": true}),
        "getWrkConf" => json!({"type": "miner"}),
        "getThingConf" => json!({"type": "miner", "requestType": "nextAvailableCode"}),
        "getWrkSettings" => json!({"rackId": FRONT}),
        "saveWrkSettings" => json!({"rackId": FRONT, "entries": {"a": 1}}),
        "registerThing" => json!({"rackId": FRONT, "opts": {"address": "10.0.0.1"}, "info": {}}),
        "updateThing" => json!({"rackId": FRONT, "id": format!("{FRONT}-1"), "info": {"pos": "1"}}),
        "forgetThings" => json!({"query": {"id": format!("{FRONT}-1")}}),
        "saveThingComment" => json!({"rackId": FRONT, "thingId": format!("{FRONT}-1"), "comment": "hot"}),
        "editThingComment" => {
            json!({"rackId": FRONT, "thingId": format!("{FRONT}-1"), "id": "c0", "comment": "x"})
        }
        "deleteThingComment" => json!({"rackId": FRONT, "thingId": format!("{FRONT}-1"), "ts": 0}),
        "getHistoricalLogs" => json!({"logType": "alerts"}),
        "mergeThings" => json!({"keep": "d1", "drop": "d2"}),
        "splitThing" => json!({"id": "d1"}),
        "setThingMap" => json!({"thingMap": {FRONT: "10.0.0.0/24"}}),
        "reassignThings" => json!({"all": true}),
        "setGlobalConfig" => json!({"isAutoSleepAllowed": true}),
        _ => json!({}),
    }
}

/// A site where every method succeeds: there is a comment to edit.
async fn site() -> Site {
    let site = Site::new().await;
    let comment = json!({"rackId": FRONT, "thingId": format!("{FRONT}-1"), "comment": "first"});
    site.call("saveThingComment", comment).await.unwrap();
    site
}

fn permits(list: &[&str], needs: &[&str]) -> bool {
    needs.iter().any(|need| match need.split_once(':') {
        None => list.iter().any(|has| has.split_once(':').unwrap().1.contains(need)),
        Some((area, level)) => list.iter().any(|has| {
            let (of, levels) = has.split_once(':').unwrap();
            (of == "*" || of == area) && levels.contains(level)
        }),
    })
}

#[test]
fn every_method_is_declared_once_with_what_it_needs() {
    let names: BTreeSet<&str> = methods().iter().map(|row| row.name).collect();
    assert_eq!(names.len(), methods().len());
    assert_eq!(names, NEEDS.iter().map(|(name, _)| *name).collect());
    for row in methods() {
        let telling = ["echo", "ping", "getInstanceId", "getGlobalConfig"].contains(&row.name);
        assert_eq!(row.needs == Scope::Any, telling, "{row:?}");
    }
}

#[tokio::test]
async fn every_role_may_call_what_it_has_a_permission_for_and_nothing_else() {
    for (role, list) in ROLES {
        for (method, needs) in NEEDS {
            let site = site().await;
            let before = site.state();
            let answer = site.call_as(list, method, good(method)).await;
            // Of things that it cannot see there are none.
            if *role == "cooler" && ["mergeThings", "splitThing"].contains(method) {
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unsupported);
                continue;
            }
            if (*role, *method) == ("cooler", "forgetThings") {
                assert_eq!(answer.unwrap(), 0);
                continue;
            }
            if permits(list, needs) {
                // The registry behind these is of racks as they are: see the tests of those.
                if ["mergeThings", "splitThing"].contains(method) {
                    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unsupported, "{role} {method}");
                    continue;
                }
                assert!(answer.is_ok(), "{role} {method}: {answer:?}");
                continue;
            }
            let e = answer.expect_err(&format!("{role} {method}"));
            assert_eq!(e.kind(), ErrorKind::Forbidden, "{role} {method}: {e:?}");
            let code = if needs.iter().all(|n| n.ends_with('w')) {
                "ERR_MISSING_WRITE_PERMISSIONS"
            } else {
                "ERR_AUTH_FAIL_NO_PERMS"
            };
            assert_eq!((e.code(), e.fact("method")), (code, Some(*method)), "{role} {method}");
            assert_eq!(site.state(), before, "{role} {method}");
        }
    }
}

#[tokio::test]
async fn racks_of_other_families_do_not_exist_for_a_caller() {
    let site = Site::new().await;
    let cooler = ["container:rw", "settings:rw", "comments:rw"];
    let listed = site.call_as(&cooler, "listThings", json!({})).await.unwrap();
    assert!(listed.as_array().unwrap().iter().all(|thing| thing["rack"] == COOLING));
    assert_eq!(site.call_as(&cooler, "getThingsCount", json!({})).await.unwrap(), 1);
    assert_eq!(site.call_as(&cooler, "listRacks", json!({})).await.unwrap().as_array().unwrap().len(), 1);
    assert_eq!(site.call_as(&cooler, "getWrkConf", json!({"type": "miner"})).await.unwrap(), json!([]));
    let comment = json!({"rackId": FRONT, "thingId": format!("{FRONT}-1"), "comment": "x"});
    assert_eq!(site.call_as(&cooler, "saveThingComment", comment).await.unwrap(), 0);
    let settings = json!({"rackId": FRONT, "entries": {"a": 1}});
    assert_eq!(site.call_as(&cooler, "saveWrkSettings", settings.clone()).await.unwrap(), 0);
    site.call("saveWrkSettings", settings).await.unwrap();
    assert_eq!(site.call_as(&cooler, "getWrkSettings", json!({"rackId": FRONT})).await.unwrap(), 0);
    assert_eq!(site.call_as(&cooler, "getWrkSettings", json!({"rackId": COOLING})).await.unwrap(), json!({}));
    assert_eq!(site.call_as(&cooler, "getMisplacedThings", json!({})).await.unwrap(), json!([]));
    assert_eq!(site.call_as(&cooler, "forgetThings", json!({"all": true})).await.unwrap(), 1);
    assert_eq!(site.front.docs().len() + site.back.docs().len(), 5);

    // Seen, but not to be changed: the whole call is refused.
    let mixed = ["miner:r", "container:rw"];
    let e = site.call_as(&mixed, "forgetThings", json!({"all": true})).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("rack")), (ErrorKind::Forbidden, Some(BACK)));
    let other = json!({"id": format!("{FRONT}-1"), "info": {"a": 1}});
    let e = site.call_as(&mixed, "updateThing", other).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("needs")), (ErrorKind::Forbidden, Some("miner:w")));
    assert_eq!(
        site.call_as(&["container:r"], "listRacks", json!({"keys": 1})).await.unwrap_err().kind(),
        ErrorKind::Forbidden
    );
}
