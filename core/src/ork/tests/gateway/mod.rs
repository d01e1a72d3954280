//! MiningOS's gateway in the same process: every method that it calls, with the parameters that it sends, and the results
//! that its handlers read. One test for each row.

mod actions;
mod reads;
mod rules;
mod writes;

use serde_json::{Value, json};

use super::{super::call::methods, actions::Served, *};

/// 2025-11-24T16:00:00Z.
const NOW: i64 = 1_764_000_000_000;
const DAY: i64 = 86_400_000;

/// What the gateway calls of an orchestrator, and what tooling calls beside it.
const CALLED: [&str; 34] = [
    "listThings",
    "getThingsCount",
    "listRacks",
    "tailLog",
    "tailLogMulti",
    "tailLogCustomRangeAggr",
    "getHistoricalLogs",
    "getWrkExtData",
    "setWrkExtData",
    "getGlobalConfig",
    "setGlobalConfig",
    "pushAction",
    "pushActionsBatch",
    "voteAction",
    "cancelActionsBatch",
    "getAction",
    "getActionsBatch",
    "queryActions",
    "getWrkConf",
    "getThingConf",
    "getWrkSettings",
    "saveWrkSettings",
    "saveThingComment",
    "editThingComment",
    "deleteThingComment",
    "getConfigs",
    "listFirmwares",
    "storeFile",
    "loadFile",
    "removeFile",
    "registerRack",
    "forgetRacks",
    "forgetThings",
    "echo",
];

#[test]
fn every_method_that_the_gateway_calls_is_there() {
    for name in CALLED {
        assert_eq!(methods().iter().filter(|row| row.name == name).count(), 1, "{name}");
    }
}

/// A site and the gateway before it.
struct Gateway {
    site: Site,
    served: Served,
}

impl Gateway {
    async fn new() -> Self {
        let site = Site::new().await;
        let served = Served::by(&site.ork);
        Self { site, served }
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value> {
        let who = Principal::gateway("app-node", Permissions::ALL);
        self.site.ork.call(&who, method, &params.to_string()).await
    }

    async fn get(&self, method: &str, params: Value) -> Value {
        self.ask(method, params.clone()).await.unwrap_or_else(|e| panic!("{method} {params}: {e:?}"))
    }

    async fn list(&self, method: &str, params: Value) -> Vec<Value> {
        let Value::Array(list) = self.get(method, params.clone()).await else {
            panic!("{method} {params}: no list");
        };
        list
    }

    /// Rows of data from outside.
    async fn ext(&self, of: &str, query: Value) -> Vec<Value> {
        self.list("getWrkExtData", json!({"type": of, "query": query})).await
    }

    /// With the members by which the gateway says who acts.
    async fn act(&self, method: &str, mut params: Value, perms: &[&str]) -> Value {
        params["voter"] = "ann@site".into();
        params["authPerms"] = json!(perms);
        self.get(method, params).await
    }
}

/// Whether all members are there and are numbers.
fn numbers(of: &Value, members: &[&str]) {
    for member in members {
        assert!(of[*member].is_number(), "{member} in {of}");
    }
}

fn ids(list: &[Value]) -> Vec<&str> {
    list.iter().map(|one| one["id"].as_str().unwrap()).collect()
}
