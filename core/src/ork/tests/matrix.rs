use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{super::call::methods, BACK, COOLING, FRONT, Site, actions::Served};
use crate::{ErrorKind, action::ActionId, auth::Scope};

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
    ("tailLog", READ),
    ("tailLogMulti", READ),
    ("tailLogCustomRangeAggr", READ),
    ("getWrkExtData", READ),
    ("setWrkExtData", &["electricity:w"]),
    ("mergeThings", &["miner:w"]),
    ("splitThing", &["miner:w"]),
    ("getThingMap", &["racks:r"]),
    ("setThingMap", &["racks:w"]),
    ("getMisplacedThings", READ),
    ("reassignThings", &["racks:w"]),
    ("getGlobalConfig", ANY_READ),
    ("setGlobalConfig", &["features:w"]),
    ("getConfigs", &["pool_config:r"]),
    ("listFirmwares", &["miner:r"]),
    ("storeFile", &["work_order:w"]),
    ("loadFile", &["work_order:r"]),
    ("removeFile", &["work_order:w"]),
    ("pushAction", &["actions:w"]),
    ("pushActionsBatch", &["actions:w"]),
    ("voteAction", &["actions:w"]),
    ("withdrawVote", &["actions:w"]),
    ("cancelActionsBatch", &["actions:w"]),
    ("getAction", ANY_READ),
    ("getActionsBatch", ANY_READ),
    ("queryActions", ANY_READ),
    ("pauseAction", &["actions:w"]),
    ("resumeAction", &["actions:w"]),
    ("stopAction", &["actions:w"]),
    ("settleCall", &["actions:w"]),
    ("haltSite", &["actions:w"]),
    ("stopScope", &["actions:w"]),
    ("liftStop", &["actions:w"]),
    ("getStops", ANY_READ),
    ("shedLoad", &["miner:w"]),
    ("verifyAudit", &["actions:r"]),
    ("exportAudit", &["actions:r"]),
];
/// Methods that the engine lets nobody use on an action of miners without this, too.
const OF_MINERS: &[&str] = &["voteAction", "pauseAction", "resumeAction", "stopAction", "settleCall"];
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

/// Actions of a new site.
#[derive(Debug, Clone, Copy)]
struct Actions {
    /// Waits for a vote, and has one of the caller.
    voted: ActionId,
    /// Waits for a vote.
    open: ActionId,
    /// Runs, held.
    running: ActionId,
    /// Ended with a call of which nobody knows.
    lost: ActionId,
}

impl Actions {
    const NONE: Self = {
        let none = ActionId::new(0);
        Self { voted: none, open: none, running: none, lost: none }
    };
}

/// Parameters with which a method succeeds on a new site.
fn good(method: &str, actions: Actions) -> Value {
    let Actions { voted, open, running, lost } = actions;
    match method {
        "pushAction" => json!({"query": {}, "action": "reboot", "params": []}),
        "pushActionsBatch" => {
            json!({"batchActionsPayload": [{"query": {}, "action": "reboot", "params": []}]})
        }
        "voteAction" => json!({"id": open, "approve": true}),
        "withdrawVote" => json!({"id": voted}),
        "cancelActionsBatch" => json!({"ids": [open]}),
        "getAction" => json!({"id": open, "type": "voting"}),
        "getActionsBatch" => json!({"ids": [open]}),
        "queryActions" => json!({"queries": [{"type": "voting"}]}),
        "pauseAction" | "resumeAction" | "stopAction" => json!({"id": running}),
        "settleCall" => {
            json!({"id": lost, "rackId": Served::RACK, "thingId": Served::thing(1), "settled": "ok"})
        }
        "stopScope" | "liftStop" => json!({"scope": {"kind": "freeze"}}),
        "shedLoad" => json!({"query": {}, "why": "the grid asks for it"}),
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
        "tailLog" => json!({"type": "miner", "key": "stat-5m", "tag": "t-miner"}),
        "tailLogMulti" => json!({"keys": [{"type": "miner", "key": "stat-5m", "tag": "t-miner"}]}),
        "tailLogCustomRangeAggr" => {
            json!({"keys": [{"type": "miner", "startDate": "2026-01-01", "endDate": "2026-01-02"}]})
        }
        "getWrkExtData" => json!({"type": "minerpool", "query": {"key": "stats"}}),
        "setWrkExtData" => json!({"type": "electricity", "key": "availableEnergy", "value": []}),
        "getConfigs" => json!({"type": "pool"}),
        "storeFile" => {
            json!({"type": "work_order", "rackId": FRONT, "workOrderId": "w1", "name": "a.txt", "mime": "text/plain",
                "contentBase64": "aGk="})
        }
        "loadFile" | "removeFile" => {
            json!({"type": "work_order", "rackId": FRONT, "workOrderId": "w1", "fileId": "f0"})
        }
        "mergeThings" => json!({"keep": "d1", "drop": "d2"}),
        "splitThing" => json!({"id": "d1"}),
        "setThingMap" => json!({"thingMap": {FRONT: "10.0.0.0/24"}}),
        "reassignThings" => json!({"all": true}),
        "setGlobalConfig" => json!({"isAutoSleepAllowed": true}),
        _ => json!({}),
    }
}

/// A site where every method succeeds: there is a comment to edit, and there are actions.
async fn site() -> (Site, Served, Actions) {
    let site = Site::new().await;
    let comment = json!({"rackId": FRONT, "thingId": format!("{FRONT}-1"), "comment": "first"});
    site.call("saveThingComment", comment).await.unwrap();
    site.call("storeFile", good("storeFile", Actions::NONE)).await.unwrap();
    let served = Served::by(&site.ork);
    let actions = Actions {
        voted: served.push("three", "boss").await,
        open: served.push("setUpfreqSpeed", "boss").await,
        running: served.running("boss").await,
        lost: served.lost("boss").await,
    };
    site.call("voteAction", json!({"id": actions.voted, "approve": true})).await.unwrap();
    site.call("pauseAction", json!({"id": actions.running})).await.unwrap();
    site.call("stopScope", json!({"scope": {"kind": "freeze"}, "why": "a test"})).await.unwrap();
    (site, served, actions)
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

/// Methods that are for whoever may read anything: they tell of no area, or of actions, as in MiningOS.
const TELLING: &[&str] = &[
    "echo",
    "ping",
    "getInstanceId",
    "getGlobalConfig",
    "getAction",
    "getActionsBatch",
    "queryActions",
    "getStops",
];

#[test]
fn every_method_is_declared_once_with_what_it_needs() {
    let names: BTreeSet<&str> = methods().iter().map(|row| row.name).collect();
    assert_eq!(names.len(), methods().len());
    assert_eq!(names, NEEDS.iter().map(|(name, _)| *name).collect());
    for row in methods() {
        let telling = TELLING.contains(&row.name);
        assert_eq!(row.needs == Scope::Any, telling, "{row:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_role_may_call_what_it_has_a_permission_for_and_nothing_else() {
    let (mut at, mut _served, mut actions) = site().await;
    let mut before = at.state();
    for (role, list) in ROLES {
        for (method, needs) in NEEDS {
            if at.state() != before {
                (at, _served, actions) = site().await;
                before = at.state();
            }
            let site = &at;
            let answer = site.call_as(list, method, good(method, actions)).await;
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
                if OF_MINERS.contains(method) && !permits(list, &["miner:w"]) {
                    let e = answer.expect_err(&format!("{role} {method}"));
                    assert_eq!((e.kind(), e.code()), (ErrorKind::Forbidden, "ERR_ACTION_DENIED"));
                    assert_eq!(site.state(), before, "{role} {method}");
                    continue;
                }
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
