//! The vectors of `stats-vectors.json` against the statistics in MiningOS's semantics, and its tags, order and differences
//! of facts. A copy is part of the repository; with `HEADFRAME_SHARED` it is compared with the original, and so are the
//! facts of `families.json` with `stats-specs.json`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::{collections::BTreeSet, sync::Arc};

use headframe_core::stats::{
    Js, Json, MosTally, Semantics, Spec, bucket, families,
    fold::{Edges, FoldRequest, Span, fold_mos},
};
use serde_json::{Map, Value};

#[path = "stats_vectors/facts.rs"]
mod facts;
#[path = "stats_vectors/file.rs"]
mod file;
#[cfg(feature = "store")]
#[path = "stats_vectors/records.rs"]
mod records;

use file::{class, js, plain};

#[test]
fn all_classes_of_vectors_are_known() {
    let counts = [
        ("statsVectors", 32),
        ("familyVectors", 5),
        ("orkFoldVectors", 2),
        ("utilVectors", 30),
        ("tagVectors", 3),
        // Keys and frames of MiningOS's own store and network.
        ("timeKeyVectors", 4),
        ("wireVectors", 4),
    ];
    for (name, count) in counts {
        let list = &file::all()[name];
        assert_eq!(
            list.as_array().map_or_else(|| list.as_object().unwrap().len(), Vec::len),
            count,
            "{name}"
        );
    }
    let known: BTreeSet<&str> = counts.iter().map(|(name, _)| *name).chain(["format", "about"]).collect();
    assert!(file::all().as_object().unwrap().keys().all(|name| known.contains(name.as_str())));
}

/// The results over the vector's entries, as in memory.
fn results(spec: &Spec, vector: &Value) -> Map<String, Value> {
    let mut tally = MosTally::new(spec);
    let entries = plain(&vector["entries"]);
    for one in entries.as_array().unwrap() {
        tally.add(&Json { entry: &one["entry"], ext: one.get("ext") });
    }
    let found = tally.finish();
    let expected = js(&vector["expected"]);
    let object = found.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    assert_eq!(Js::Object(object), expected, "{}", vector["name"]);
    found.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_json()?))).collect()
}

#[test]
fn single_operations() {
    let mut thrown = 0;
    for vector in class("statsVectors") {
        let name = &vector["name"];
        let spec = Spec::parse(&vector["ops"]);
        if vector["expectThrows"] == true {
            thrown += 1;
            assert_eq!(spec.unwrap_err().code(), "ERR_STATS_SPEC_INVALID", "{name}");
            continue;
        }
        let persisted = results(&spec.unwrap(), vector);
        file::same(&Value::Object(persisted), &vector["expectedPersisted"], name);
    }
    assert_eq!(thrown, 1);
}

#[test]
fn whole_families() {
    for vector in class("familyVectors") {
        let things = vector["entries"].as_array().unwrap();
        let types: BTreeSet<&str> = things.iter().map(|t| t["ext"]["type"].as_str().unwrap()).collect();
        let specs: Vec<Arc<Spec>> = types.iter().map(|t| families::spec(t).unwrap()).collect();
        assert!(specs.windows(2).all(|pair| pair[0] == pair[1]), "{}", vector["name"]);
        let persisted = results(&specs[0], vector);
        file::same(&Value::Object(persisted), &vector["expectedPersisted"], &vector["name"]);
        let entries = plain(&vector["entries"]);
        let again = headframe_core::stats::tally(
            &specs[0],
            Semantics::MiningOs,
            entries.as_array().unwrap().iter().map(|t| Json { entry: &t["entry"], ext: t.get("ext") }),
        );
        file::same(&Value::Object(again), &vector["expectedPersisted"], &vector["name"]);
    }
}

#[test]
fn folds_of_the_orchestrator() {
    for vector in class("orkFoldVectors") {
        let asked = &vector["request"];
        let fields = asked["aggrFields"].as_object().unwrap().keys();
        let mut request = FoldRequest::of(fields);
        if let Some(times) = asked["aggrTimes"].as_array() {
            let ms = |span: &Value, end: &str| span[end].as_i64().unwrap();
            request = request.over(times.iter().map(|t| Span::ms(ms(t, "start"), ms(t, "end"))).collect());
        }
        let racks = vector["rackRows"].as_object().unwrap().values();
        let rows: Vec<Value> = racks.flat_map(|rows| rows.as_array().unwrap().clone()).collect();
        let spec = families::fold(asked["type"].as_str().unwrap()).unwrap();
        let folded: Value = fold_mos(&spec, &rows, &request).into_iter().map(Value::Object).collect();
        file::same(&folded, &vector["expected"], &vector["name"]);
    }
}

#[test]
fn blocks_of_time() {
    let mut seen = 0;
    for vector in class("utilVectors").iter().filter(|v| v["fn"] == "aggregateLogs") {
        seen += 1;
        let name = &vector["name"];
        let args = vector["args"].as_array().unwrap();
        let (rows, size) = (args[0].as_array().unwrap(), args[1].as_str().unwrap());
        let mean = args.get(2).is_some_and(|v| v == true);
        let found = bucket::json(rows, size, mean, Edges::WindowEnds, Semantics::MiningOs);
        if vector["expectThrows"] == true {
            assert_eq!(vector["thrown"], found.unwrap_err().code(), "{name}");
            continue;
        }
        let found: Value = found.unwrap().into_iter().map(Value::Object).collect();
        file::same(&found, &vector["expected"], name);
    }
    assert_eq!(seen, 10);
}

#[test]
fn orders_of_listings() {
    use headframe_core::query::{Query, Sort};
    let mut seen = 0;
    for vector in class("utilVectors").iter().filter(|v| v["fn"] == "sort") {
        seen += 1;
        // From the text: the order of the keys counts.
        let sort = file::sort_text(vector["name"].as_str().unwrap());
        let query = Query { sort: Sort::parse_str(&sort).unwrap().mos_compatible(), ..Query::default() };
        let docs = vector["args"][0].as_array().unwrap();
        let page = query.run(docs.iter().map(|doc| (doc["id"].as_str().unwrap(), doc))).unwrap();
        let ids: Vec<Value> = page.items.into_iter().map(|item| item.id.into()).collect();
        assert_eq!(Value::Array(ids), vector["expected"], "{}", vector["name"]);
    }
    assert_eq!(seen, 8);
}

#[test]
fn the_rest_of_the_utilities_is_named_here() {
    let elsewhere: BTreeSet<&str> = class("utilVectors")
        .iter()
        .map(|v| v["fn"].as_str().unwrap())
        .filter(|name| !matches!(*name, "aggregateLogs" | "sort" | "getJsonChanges"))
        .collect();
    // About the segments of MiningOS's logs, which Headframe does not have.
    assert_eq!(elsewhere, ["getLogMaxHeight", "getLogsCountForTimeRange"].into());
}
