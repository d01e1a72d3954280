use serde_json::{Value, json};

use super::super::Projection;

fn doc() -> Value {
    json!({
        "id": "m1", "code": "S21-0001", "tags": ["t-miner", "x", "y"],
        "info": {"pos": "1-2", "site": {"name": "A", "zone": 3}},
        "pools": [{"url": "u1", "user": "w1"}, {"url": "u2"}, 7, [{"url": "u3"}]],
    })
}

#[test]
fn what_is_given() {
    for (fields, wanted) in [
        (json!({}), doc()),
        (json!({"code": 1}), json!({"code": "S21-0001"})),
        (json!({"code": true, "none": 1}), json!({"code": "S21-0001"})),
        (json!({"info.pos": 1}), json!({"info": {"pos": "1-2"}})),
        (
            json!({"info": {"pos": 1, "site": {"zone": 1}}}),
            json!({"info": {"pos": "1-2", "site": {"zone": 3}}}),
        ),
        (json!({"info.none": 1}), json!({"info": {}})),
        (json!({"code.x": 1}), json!({})),
        (json!({"info": 1, "info.pos": 1}), json!({"info": doc()["info"]})),
        (json!({"pools.url": 1}), json!({"pools": [{"url": "u1"}, {"url": "u2"}, [{"url": "u3"}]]})),
        (json!({"pools.user": 1}), json!({"pools": [{"user": "w1"}, {}, [{}]]})),
        (json!({"pools.0.url": 1}), json!({"pools": [{"url": "u1"}]})),
        (json!({"tags": 0, "info": 0, "pools": 0}), json!({"id": "m1", "code": "S21-0001"})),
        (
            json!({"info.site": false, "pools": 0, "tags": 0}),
            json!({"id": "m1", "code": "S21-0001", "info": {"pos": "1-2"}}),
        ),
        (
            json!({"pools.url": 0, "tags": 0, "info": 0, "id": 0, "code": 0}),
            json!({"pools": [{"user": "w1"}, {}, 7, [{}]]}),
        ),
        (json!({"id": 1, "tags": {"$slice": 2}}), json!({"id": "m1", "tags": ["t-miner", "x"]})),
        (json!({"id": 1, "tags": {"$slice": -1}}), json!({"id": "m1", "tags": ["y"]})),
        (json!({"id": 1, "tags": {"$slice": [1, 1]}}), json!({"id": "m1", "tags": ["x"]})),
        (json!({"id": 1, "tags": {"$slice": [-2, 9]}}), json!({"id": "m1", "tags": ["x", "y"]})),
        (json!({"id": 1, "tags": {"$slice": [9, 9]}}), json!({"id": "m1", "tags": []})),
        (json!({"id": 1, "tags": {"$slice": 0}}), json!({"id": "m1", "tags": []})),
        (json!({"id": 1, "code": {"$slice": 1}}), json!({"id": "m1", "code": "S21-0001"})),
        (
            json!({"pools": 0, "info": 0, "tags": {"$slice": 1}}),
            json!({"id": "m1", "code": "S21-0001", "tags": ["t-miner"]}),
        ),
        (json!({"pools": {"$elemMatch": {"url": "u2"}}}), json!({"pools": [{"url": "u2"}]})),
        (json!({"pools": {"$elemMatch": {"url": "none"}}, "id": 1}), json!({"id": "m1"})),
        (json!({"tags": {"$elemMatch": {"$regex": "^[xy]"}}}), json!({"tags": ["x"]})),
        (json!({"where": "$info.pos"}), json!({"where": "1-2"})),
        (json!({"a.b": "$info.site.zone", "id": 1}), json!({"id": "m1", "a": {"b": 3}})),
        (json!({"urls": "$pools.url"}), json!({"urls": ["u1", "u2"]})),
        (json!({"first": "$pools.0.url"}), json!({"first": "u1"})),
        (json!({"x": "$none"}), json!({})),
    ] {
        let projection = Projection::parse(&fields).unwrap_or_else(|e| panic!("{fields}: {e}"));
        assert_eq!(projection.apply(&doc()), wanted, "{fields}");
        for member in ["id", "code", "tags", "info", "pools", "none"] {
            let mut without = doc();
            without.as_object_mut().unwrap().remove(member);
            let same = projection.apply(&without) == wanted;
            assert!(same || projection.uses(member), "{fields} uses {member}");
        }
    }
    for (fields, member, uses) in [
        (json!({"id": 1}), "tags", false),
        (json!({"tags.x": 1}), "tags", true),
        (json!({"tags": 0}), "tags", false),
        (json!({"tags.x": 0}), "tags", true),
        (json!({"id": 0}), "tags", true),
        (json!({"where": "$info.pos"}), "info", true),
        (json!({"where": "$info.pos"}), "tags", false),
    ] {
        assert_eq!(Projection::parse(&fields).unwrap().uses(member), uses, "{fields} uses {member}");
    }
    let alone = Projection::parse(&json!({"tags": {"$slice": 1}})).unwrap().apply(&doc());
    assert_eq!((&alone["tags"], &alone["code"]), (&json!(["t-miner"]), &json!("S21-0001")));
}

#[test]
fn what_is_refused() {
    for (fields, field) in [
        (json!([]), "fields"),
        (json!("id"), "fields"),
        (json!({"a": 1, "b": 0}), "b"),
        (json!({"a": 0, "b": "$c"}), "b"),
        (json!({"a": 0, "b": {"$elemMatch": {}}}), "b"),
        (json!({"a": {"b": 1, "c": 0}}), "a.c"),
        (json!({"a.$": 1}), "a.$"),
        (json!({"a": {"$add": [1, 2]}}), "a"),
        (json!({"a": {"$concat": ["$b"]}}), "a"),
        (json!({"a": {"$slice": "x"}}), "a"),
        (json!({"a": {"$slice": [1]}}), "a"),
        (json!({"a": {"$slice": [1, 0]}}), "a"),
        (json!({"a": {"$slice": [1, -1]}}), "a"),
        (json!({"a": {"$slice": 1, "b": 1}}), "a"),
        (json!({"a": {"$elemMatch": 1}}), "a"),
        (json!({"a": null}), "a"),
        (json!({"a": "text"}), "a"),
        (json!({"a": "$$ROOT"}), "a"),
        (json!({"a": []}), "a"),
        (json!({"a": {}}), "a"),
        (json!({"a..b": 1}), "a..b"),
        (json!({"$a": 1}), "$a"),
    ] {
        let e = Projection::parse(&fields).expect_err(&fields.to_string());
        assert_eq!((e.code(), e.fact("field")), ("ERR_QUERY_INVALID", Some(field)), "{fields}");
    }
}
