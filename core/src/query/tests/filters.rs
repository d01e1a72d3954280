use serde_json::{Value, json};

use super::matches;
use crate::query::Filter;

/// Each line: filter, document, whether it holds.
fn check(table: &[(Value, Value, bool)]) {
    for (query, doc, wanted) in table {
        assert_eq!(matches(query, doc), *wanted, "{query} on {doc}");
    }
}

#[test]
fn equality() {
    check(&[
        (json!({}), json!({"a": 1}), true),
        (json!({"a": 1}), json!({"a": 1}), true),
        (json!({"a": 1}), json!({"a": 1.0}), true),
        (json!({"a": 1}), json!({"a": "1"}), false),
        (json!({"a": 1}), json!({"a": true}), false),
        (json!({"a": 0}), json!({"a": false}), false),
        (json!({"a": -0.0}), json!({"a": 0}), true),
        (json!({"a": "x"}), json!({"a": "X"}), false),
        (json!({"a": 1}), json!({"a": [3, 1]}), true),
        (json!({"a": [3, 1]}), json!({"a": [3, 1]}), true),
        (json!({"a": [1, 3]}), json!({"a": [3, 1]}), false),
        (json!({"a": [1]}), json!({"a": [[1], 2]}), true),
        (json!({"a": 1}), json!({"a": [[1], 2]}), false),
        (json!({"a": {"x": 1, "y": 2}}), json!({"a": {"y": 2, "x": 1}}), true),
        (json!({"a": {"x": 1}}), json!({"a": {"y": 2, "x": 1}}), false),
        (json!({"a": {}}), json!({"a": {}}), true),
        (json!({"a": {}}), json!({}), false),
        (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 2}), true),
        (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), false),
        (json!({"a": {"$eq": [1]}}), json!({"a": [1]}), true),
        (json!({"a": {"$ne": 1}}), json!({"a": [1, 2]}), false),
        (json!({"a": {"$ne": 1}}), json!({"a": [3, 2]}), true),
        (json!({"a": {"$ne": 1}}), json!({}), true),
        // Integers beyond what a float can tell apart.
        (json!({"a": 9007199254740993_u64}), json!({"a": 9007199254740992_u64}), false),
        (json!({"a": u64::MAX}), json!({"a": u64::MAX}), true),
        (json!({"a": i64::MIN}), json!({"a": -9223372036854775808.0}), true),
    ]);
}

#[test]
fn null_is_also_what_is_missing() {
    check(&[
        (json!({"a": null}), json!({}), true),
        (json!({"a": null}), json!({"a": null}), true),
        (json!({"a": null}), json!({"a": 0}), false),
        (json!({"a": null}), json!({"a": []}), false),
        (json!({"a": null}), json!({"a": [1, null]}), true),
        (json!({"a.b": null}), json!({"a": 4}), true),
        (json!({"a.b": null}), json!({"a": {}}), true),
        (json!({"a.b": null}), json!({"a": []}), false),
        (json!({"a.b": null}), json!({"a": [1, "x"]}), false),
        (json!({"a.b": null}), json!({"a": [{"b": 1}, {}]}), true),
        (json!({"a.b": null}), json!({"a": [{"b": 1}]}), false),
        (json!({"a": {"$ne": null}}), json!({"a": []}), true),
        (json!({"a": {"$ne": null}}), json!({}), false),
        (json!({"a": {"$in": [null, 1]}}), json!({}), true),
        (json!({"a": {"$nin": [null]}}), json!({}), false),
        (json!({"a": {"$gte": null}}), json!({}), true),
        (json!({"a": {"$lte": null}}), json!({"a": null}), true),
        (json!({"a": {"$gt": null}}), json!({"a": null}), false),
        (json!({"a": {"$lt": null}}), json!({"a": 1}), false),
    ]);
}

#[test]
fn paths() {
    check(&[
        (json!({"a.b.c": 1}), json!({"a": {"b": {"c": 1}}}), true),
        (json!({"a.b": 1}), json!({"a.b": 1}), false),
        (json!({"a.0.b": 1}), json!({"a": [{"b": 1}, {"b": 2}]}), true),
        (json!({"a.1.b": 1}), json!({"a": [{"b": 1}, {"b": 2}]}), false),
        (json!({"a.0": 7}), json!({"a": [7, 8]}), true),
        (json!({"a.0": 7}), json!({"a": {"0": 7}}), true),
        (json!({"a.0": 7}), json!({"a": [{"0": 7}]}), true),
        (json!({"a.00": 7}), json!({"a": [7]}), false),
        (json!({"a.5": null}), json!({"a": [1]}), true),
        (json!({"a.0": null}), json!({"a": [{"x": 1}]}), false),
        (json!({"a.b": 2}), json!({"a": [{"b": 1}, {"b": 2}]}), true),
        (json!({"a.b": 2}), json!({"a": [{"b": [1, 2]}]}), true),
        (json!({"a.b.c": 3}), json!({"a": [{"b": [{"c": 1}, {"c": 3}]}]}), true),
        (json!({"a.b": 2}), json!({"a": [[{"b": 2}]]}), false),
        (json!({"a.0.b": 2}), json!({"a": [[{"b": 2}]]}), true),
        (json!({"a.b": {"$ne": 2}}), json!({"a": [{"b": 1}, {"b": 2}]}), false),
        (json!({"a.b": {"$gt": 1, "$lt": 2}}), json!({"a": [{"b": 0}, {"b": 3}]}), true),
        (json!({"last.alerts": {"$ne": null}}), json!({"last": {"alerts": [{"createdAt": 5}]}}), true),
        (
            json!({"last.alerts.createdAt": {"$gte": 5}}),
            json!({"last": {"alerts": [{"createdAt": 5}]}}),
            true,
        ),
    ]);
}

#[test]
fn order_is_only_within_a_type() {
    check(&[
        (json!({"a": {"$gt": 1}}), json!({"a": 1.5}), true),
        (json!({"a": {"$gt": 1}}), json!({"a": 1}), false),
        (json!({"a": {"$gte": 1}}), json!({"a": 1}), true),
        (json!({"a": {"$lt": 2}}), json!({"a": -3}), true),
        (json!({"a": {"$lte": 2}}), json!({"a": 2.5}), false),
        (json!({"a": {"$gt": 1}}), json!({"a": "2"}), false),
        (json!({"a": {"$lt": 1}}), json!({}), false),
        (json!({"a": {"$lt": 1}}), json!({"a": null}), false),
        (json!({"a": {"$lt": 5}}), json!({"a": false}), false),
        (json!({"a": {"$lt": "b"}}), json!({"a": "a"}), true),
        (json!({"a": {"$gt": "9"}}), json!({"a": "10"}), false),
        (json!({"a": {"$gt": false}}), json!({"a": true}), true),
        (json!({"a": {"$gt": 4}}), json!({"a": [1, 5]}), true),
        (json!({"a": {"$gt": 4, "$lt": 2}}), json!({"a": [1, 5]}), true),
        (json!({"a": {"$gt": [1, 2]}}), json!({"a": [1, 3]}), true),
        (json!({"a": {"$gt": [1, 2]}}), json!({"a": [1]}), false),
        (json!({"a": {"$lt": {"x": 2}}}), json!({"a": {"x": 1}}), true),
        (json!({"a": {"$lt": 9007199254740993_u64}}), json!({"a": 9007199254740992_u64}), true),
        (json!({"a": {"$gt": 9007199254740992.0}}), json!({"a": 9007199254740993_u64}), true),
        (json!({"a": {"$lt": 1e300}}), json!({"a": u64::MAX}), true),
    ]);
}

#[test]
fn lists() {
    check(&[
        (json!({"a": {"$in": [1, "x"]}}), json!({"a": "x"}), true),
        (json!({"a": {"$in": [1, "x"]}}), json!({"a": ["y", 1]}), true),
        (json!({"a": {"$in": [[1, 2]]}}), json!({"a": [1, 2]}), true),
        (json!({"a": {"$in": []}}), json!({"a": 1}), false),
        (json!({"a": {"$nin": []}}), json!({"a": 1}), true),
        (json!({"a": {"$in": ["^x"]}}), json!({"a": "xy"}), false),
        (json!({"a": {"$in": ["/x/"]}}), json!({"a": "/x/"}), true),
        (json!({"a": {"$nin": [1]}}), json!({"a": [1, 2]}), false),
        (json!({"a": {"$nin": [1]}}), json!({}), true),
        (json!({"a": {"$all": [1, 2]}}), json!({"a": [2, 3, 1]}), true),
        (json!({"a": {"$all": [1, 4]}}), json!({"a": [2, 3, 1]}), false),
        (json!({"a": {"$all": [1]}}), json!({"a": 1}), true),
        (json!({"a": {"$all": [[1, 2]]}}), json!({"a": [1, 2]}), true),
        (json!({"a": {"$all": []}}), json!({"a": []}), false),
        (
            json!({"a": {"$all": [{"$elemMatch": {"x": 1}}, {"$elemMatch": {"x": 2}}]}}),
            json!({"a": [{"x": 2}, {"x": 1}]}),
            true,
        ),
        (
            json!({"a": {"$all": [{"$elemMatch": {"x": 1}}, {"$elemMatch": {"x": 3}}]}}),
            json!({"a": [{"x": 2}, {"x": 1}]}),
            false,
        ),
        (json!({"a": {"$size": 2}}), json!({"a": [0, 0]}), true),
        (json!({"a": {"$size": 2.0}}), json!({"a": [0, 0]}), true),
        (json!({"a": {"$size": 0}}), json!({"a": []}), true),
        (json!({"a": {"$size": 0}}), json!({}), false),
        (json!({"a": {"$size": 1}}), json!({"a": "x"}), false),
        (json!({"a": {"$size": 1}}), json!({"a": [[1], [1]]}), false),
    ]);
}

#[test]
fn elements() {
    check(&[
        (json!({"a": {"$elemMatch": {"x": 1, "y": 2}}}), json!({"a": [{"x": 1}, {"y": 2}]}), false),
        (json!({"a": {"$elemMatch": {"x": 1, "y": 2}}}), json!({"a": [{"x": 1, "y": 2}]}), true),
        (json!({"a.x": 1, "a.y": 2}), json!({"a": [{"x": 1}, {"y": 2}]}), true),
        (json!({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}), json!({"a": [0, 4]}), false),
        (json!({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}), json!({"a": [2]}), true),
        (json!({"a": {"$elemMatch": {"$gt": 1}}}), json!({"a": 2}), false),
        (json!({"a": {"$elemMatch": {"x": null}}}), json!({"a": [3]}), false),
        (json!({"a": {"$elemMatch": {"x": null}}}), json!({"a": [{}]}), true),
        (json!({"a": {"$elemMatch": {}}}), json!({"a": [{}]}), true),
        (json!({"a": {"$elemMatch": {}}}), json!({"a": [1]}), false),
        (json!({"a": {"$elemMatch": {"$or": [{"x": 1}, {"x": 2}]}}}), json!({"a": [{"x": 2}]}), true),
        (
            json!({"a": {"$elemMatch": {"$expr": {"$gt": ["$x", "$y"]}}}}),
            json!({"a": [{"x": 1, "y": 2}, {"x": 3, "y": 2}]}),
            true,
        ),
        (json!({"a": {"$elemMatch": {"$elemMatch": {"$eq": 1}}}}), json!({"a": [[1]]}), true),
        (json!({"a": {"$elemMatch": {"0": 1}}}), json!({"a": [[1]]}), true),
        (json!({"a": {"$elemMatch": {"$not": {"$gt": 1}}}}), json!({"a": [5, 1]}), true),
        (json!({"a": {"$not": {"$elemMatch": {"x": 1}}}}), json!({"a": [{"x": 2}]}), true),
    ]);
}

#[test]
fn logic() {
    check(&[
        (json!({"$and": [{"a": 1}, {"b": 2}]}), json!({"a": 1, "b": 2}), true),
        (json!({"$and": [{"a": 1}, {"b": 2}]}), json!({"a": 1}), false),
        (json!({"$and": []}), json!({}), true),
        (json!({"$or": [{"a": 1}, {"b": 2}]}), json!({"b": 2}), true),
        (json!({"$or": []}), json!({}), false),
        (json!({"$nor": [{"a": 1}, {"b": 2}]}), json!({"a": 2}), true),
        (json!({"$nor": [{"a": 1}, {"b": 2}]}), json!({"b": 2}), false),
        (json!({"$nor": []}), json!({}), true),
        (json!({"c": 3, "$or": [{"a": 1}, {"b": 2}]}), json!({"b": 2}), false),
        (json!({"$and": [{"$or": [{"a": 1}]}, {"$nor": [{"b": 1}]}]}), json!({"a": 1, "b": 2}), true),
        (json!({"a": {"$not": {"$gt": 5}}}), json!({}), true),
        (json!({"a": {"$not": {"$gt": 5, "$lt": 9}}}), json!({"a": 7}), false),
        (json!({"a": {"$not": {"$gt": 5, "$lt": 9}}}), json!({"a": 4}), true),
        (json!({"a": {"$not": 5}}), json!({"a": 5}), false),
        (json!({"a": {"$not": {"$not": {"$eq": 5}}}}), json!({"a": 5}), true),
        (json!({"a": {"$not": {"$regex": "^x"}}}), json!({"a": "y"}), true),
    ]);
}

#[test]
fn presence_and_type() {
    let one_of = |types: Value| json!({"a": {"$type": types}});
    check(&[
        (json!({"a": {"$exists": true}}), json!({"a": null}), true),
        (json!({"a": {"$exists": 1}}), json!({}), false),
        (json!({"a": {"$exists": false}}), json!({}), true),
        (json!({"a": {"$exists": 0}}), json!({"a": 0}), false),
        (json!({"a.b": {"$exists": true}}), json!({"a": [{}, {"b": 1}]}), true),
        (json!({"a.b": {"$exists": false}}), json!({"a": []}), true),
        (json!({"a.1": {"$exists": true}}), json!({"a": [1, 2]}), true),
        (one_of(json!("number")), json!({"a": 1.5}), true),
        (one_of(json!("double")), json!({"a": 1}), true),
        (one_of(json!("int")), json!({"a": 1.5}), false),
        (one_of(json!("int")), json!({"a": 5.0}), true),
        (one_of(json!("int")), json!({"a": 3_000_000_000_u64}), false),
        (one_of(json!("long")), json!({"a": 3_000_000_000_u64}), true),
        (one_of(json!(16)), json!({"a": 5}), true),
        (one_of(json!(2)), json!({"a": "x"}), true),
        (one_of(json!("string")), json!({"a": [1, "x"]}), true),
        (one_of(json!("object")), json!({"a": {}}), true),
        (one_of(json!("array")), json!({"a": []}), true),
        (one_of(json!("array")), json!({"a": {}}), false),
        (one_of(json!("bool")), json!({"a": false}), true),
        (one_of(json!("null")), json!({"a": null}), true),
        (one_of(json!("null")), json!({}), false),
        (one_of(json!("date")), json!({"a": 1}), false),
        (one_of(json!(["string", 8])), json!({"a": true}), true),
    ]);
}

#[test]
fn remainders_and_bits() {
    check(&[
        (json!({"a": {"$mod": [4, 1]}}), json!({"a": 9}), true),
        (json!({"a": {"$mod": [4, 0]}}), json!({"a": 9}), false),
        (json!({"a": {"$mod": [4, -1]}}), json!({"a": -9}), true),
        (json!({"a": {"$mod": [2, 0.5]}}), json!({"a": 4.5}), true),
        (json!({"a": {"$mod": [4, 0]}}), json!({"a": null}), true),
        (json!({"a": {"$mod": [4, 1]}}), json!({"a": null}), false),
        (json!({"a": {"$mod": [4, 0]}}), json!({}), false),
        (json!({"a": {"$mod": [4, 0]}}), json!({"a": "8"}), false),
        (json!({"a": {"$mod": [4, 0]}}), json!({"a": [3, 8]}), true),
        (json!({"a": {"$bitsAllSet": 5}}), json!({"a": 7}), true),
        (json!({"a": {"$bitsAllSet": [0, 3]}}), json!({"a": 7}), false),
        (json!({"a": {"$bitsAnySet": [0, 3]}}), json!({"a": 8}), true),
        (json!({"a": {"$bitsAllClear": 8}}), json!({"a": 7}), true),
        (json!({"a": {"$bitsAllClear": 8}}), json!({}), false),
        (json!({"a": {"$bitsAnyClear": 3}}), json!({"a": 1}), true),
        (json!({"a": {"$bitsAnyClear": 3}}), json!({"a": 3}), false),
        (json!({"a": {"$bitsAllSet": [63]}}), json!({"a": -1}), true),
        (json!({"a": {"$bitsAllSet": [63]}}), json!({"a": u64::MAX}), true),
        (json!({"a": {"$bitsAllSet": 1}}), json!({"a": 1.5}), false),
        (json!({"a": {"$bitsAllSet": 1}}), json!({"a": 3.0}), true),
        (json!({"a": {"$bitsAllSet": 1}}), json!({"a": "1"}), false),
        (json!({"a": {"$bitsAllSet": 0}}), json!({"a": 2}), true),
    ]);
}

#[test]
fn expressions() {
    let expr = |e: Value| json!({"$expr": e});
    let doc = json!({"a": 5, "b": 7, "s": "x", "l": [1, 2], "o": [{"n": 1}, {"n": 9}], "f": false, "z": 0, "e": ""});
    for (e, wanted) in [
        (json!({"$lt": ["$a", "$b"]}), true),
        (json!({"$gt": ["$a", "$b"]}), false),
        (json!({"$gte": ["$a", 5]}), true),
        (json!({"$lte": [6, "$a"]}), false),
        (json!({"$eq": ["$s", "x"]}), true),
        (json!({"$ne": ["$s", "x"]}), false),
        (json!({"$lt": ["$s", 5]}), false),
        (json!({"$lt": ["$missing", 5]}), false),
        (json!({"$eq": ["$missing", null]}), true),
        (json!({"$eq": ["$missing", "$gone"]}), true),
        (json!({"$eq": ["$l", [1, 2]]}), true),
        (json!({"$eq": ["$l", 2]}), true),
        (json!({"$eq": ["$o.n", 9]}), true),
        (json!({"$eq": ["$o.n", [1, 9]]}), true),
        (json!({"$eq": ["$o.0.n", 1]}), true),
        (json!({"$eq": [{"$cmp": ["$a", "$b"]}, -1]}), true),
        (json!({"$eq": [{"$cmp": ["$s", 5]}, 1]}), true),
        (json!({"$cmp": ["$a", 5]}), false),
        (json!({"$and": [{"$lt": ["$a", 6]}, "$b"]}), true),
        (json!({"$and": []}), true),
        (json!({"$or": [{"$lt": ["$a", 1]}, "$f", "$z", "$missing"]}), false),
        (json!({"$or": ["$e"]}), true),
        (json!({"$not": [{"$eq": ["$a", 5]}]}), false),
        (json!({"$not": {"$eq": ["$a", 6]}}), true),
        (json!({"$eq": [{"$gt": ["$b", "$a"]}, true]}), true),
        (json!("$a"), true),
        (json!("$f"), false),
        (json!("a"), true),
        (json!(false), false),
        (json!({"$eq": ["$x", {"k": 1}]}), false),
    ] {
        assert_eq!(matches(&expr(e.clone()), &doc), wanted, "{e}");
    }
}

#[test]
fn what_the_gateway_sends() {
    let doc = json!({"id": "m1", "tags": ["t-miner", "container-c1"], "info": {"container": "c1", "poolConfig": "p"},
        "last": {"alerts": [{"createdAt": 10}], "snap": {"stats": {"status": "mining"}}}});
    for query in [
        json!({"$and": [{"tags": {"$in": ["t-miner"]}}, {"info.container": {"$in": ["c1", "c2"]}}]}),
        json!({"id": {"$in": ["m0", "m1"]}}),
        json!({"last.alerts": {"$ne": null}, "last.alerts.createdAt": {"$exists": true}}),
        json!({"$or": [{"id": {"$regex": "^M1$", "$options": "i"}}, {"code": {"$regex": "x"}}]}),
        json!({"last.snap.stats.status": {"$nin": ["offline", "error"]}}),
    ] {
        assert!(matches(&query, &doc), "{query}");
    }
}

#[test]
fn a_filter_tells_what_it_looks_at() {
    let uses = |query: serde_json::Value| Filter::parse(&query).unwrap().uses("last");
    assert!(uses(json!({"$or": [{"id": "a"}, {"last.snap.success": true}]})));
    assert!(uses(json!({"$expr": {"$gt": ["$a", "$b"]}})));
    assert!(!uses(json!({"lasting": 1, "info.last": 2})));
    assert!(Filter::all().is_empty() && Filter::parse(&json!({})).unwrap().is_empty());
    assert!(!Filter::parse(&json!({"id": {"$exists": false}})).unwrap().is_empty());
}
