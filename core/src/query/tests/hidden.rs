use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{Filter, Hidden, Page, Projection, Query, Sort},
    ids,
    random::{document, filter},
};

#[test]
fn what_is_named_is_refused() {
    for query in [
        json!({"opts": {"$exists": true}}),
        json!({"opts.password": {"$regex": "^a"}}),
        json!({"opts.username": "root"}),
        json!({"opts.address.x": 1}),
        json!({"info.password": "x"}),
        json!({"info.PassWord": "x"}),
        json!({"pools.0.worker_password": "x"}),
        json!({"pools": {"$elemMatch": {"password": "x"}}}),
        json!({"pools": {"$elemMatch": {"a": {"$elemMatch": {"token": {"$gt": "a"}}}}}}),
        json!({"pools": {"$all": [{"$elemMatch": {"secret": 1}}]}}),
        json!({"$nor": [{"$and": [{"opts": null}]}]}),
        json!({"$expr": {"$eq": ["$opts.password", "x"]}}),
        json!({"$expr": {"$and": [{"$not": ["$info.token"]}]}}),
        json!({"$expr": "$opts"}),
        json!({"a": {"$elemMatch": {"$expr": {"$gt": ["$password", "a"]}}}}),
    ] {
        let e = Filter::parse(&query).expect_err(&query.to_string());
        assert!(e.message().contains("hidden"), "{query}: {e}");
    }
    for fields in [
        json!({"opts": 1}),
        json!({"opts.username": 1}),
        json!({"opts": {"username": 1}}),
        json!({"info": {"token": 1}}),
        json!({"x": "$opts.password"}),
        json!({"password": "$id"}),
        json!({"opts": {"$slice": 1}}),
        json!({"pools": {"$elemMatch": {"password": "x"}}}),
    ] {
        let e = Projection::parse(&fields).expect_err(&fields.to_string());
        assert!(e.message().contains("hidden"), "{fields}: {e}");
    }
    for sort in [r#"{"opts.password":1}"#, r#"{"id":1,"info.secret":-1}"#, r#"{"opts":1}"#] {
        assert!(Sort::parse_str(sort).unwrap_err().message().contains("hidden"), "{sort}");
    }
    // Leaving it out asks nothing.
    let without = Projection::parse(&json!({"opts": 0, "info.token": false})).unwrap();
    assert_eq!(
        without.apply(&json!({"id": 1, "opts": 2, "info": {"token": 3}})),
        json!({"id": 1, "info": {}})
    );
    // Only whole names.
    assert!(Filter::parse(&json!({"options.tokens": 1, "info.opts": 1})).is_ok());
}

#[test]
fn what_a_thing_shows_of_its_options_has_their_name_too() {
    let doc = json!({"id": "a", "address": "10.0.0.1", "port": 4028, "opts": {"address": "hidden"}});
    let filter = |query: Value| Filter::parse(&query).unwrap();
    let found = json!({"$or": [{"opts.address": {"$regex": "^10[.]"}}], "opts.port": {"$gte": 4028}});
    assert!(filter(found.clone()).matches(&doc) && filter(found).uses("address"));
    assert!(!filter(json!({"opts.address": "hidden"})).matches(&doc));
    let fields = Projection::parse(&json!({"id": 1, "opts.address": 1})).unwrap();
    assert_eq!(fields.apply(&doc), json!({"id": "a", "address": "10.0.0.1"}));
    assert!(Sort::parse_str(r#"{"opts.address": 1}"#).is_ok());
    // Other documents have no such members.
    let hidden = Hidden::new(&["opts"], &[]).unwrap();
    assert!(Filter::parse_with(&json!({"opts.address": 1}), &hidden).is_err());
}

#[test]
fn through_a_parent_it_is_not_seen() {
    let hidden = Hidden::new(&["info.key", "list.key"], &["token"]).unwrap();
    let doc = json!({"info": {"key": "s", "pos": 1, "deep": {"token": "s"}}, "list": [{"key": "s", "n": 1}, [{"key": "s"}]]});
    let seen = json!({"info": {"pos": 1, "deep": {}}, "list": [{"n": 1}, [{}]]});
    let all = Projection::parse_with(&json!({}), &hidden).unwrap();
    assert_eq!(all.apply(&doc), seen);
    for (fields, wanted) in [
        (json!({"info": 1}), json!({"info": seen["info"]})),
        (json!({"info.deep": 1}), json!({"info": {"deep": {}}})),
        (json!({"x": "$info", "y": "$list"}), json!({"x": seen["info"], "y": seen["list"]})),
        (json!({"list": {"$slice": 1}, "info": 0}), json!({"list": [{"n": 1}]})),
        (json!({"list": {"$elemMatch": {"n": 1}}}), json!({"list": [{"n": 1}]})),
        (json!({"info.pos": 0}), json!({"info": {"deep": {}}, "list": seen["list"]})),
    ] {
        assert_eq!(Projection::parse_with(&fields, &hidden).unwrap().apply(&doc), wanted, "{fields}");
    }
    for (query, wanted) in [
        (json!({"info": {"key": "s", "pos": 1, "deep": {"token": "s"}}}), false),
        (json!({"info": {"pos": 1, "deep": {}}}), true),
        (json!({"info.deep": {}}), true),
        (json!({"info": {"$gt": {"key": ""}}}), false),
        (json!({"info": {"$in": [{"pos": 1, "deep": {}}]}}), true),
        (json!({"list": {"n": 1}}), true),
        (json!({"list": {"$all": [{"n": 1}, [{}]]}}), true),
        (json!({"list": {"$elemMatch": {"$eq": {"n": 1}}}}), true),
        (json!({"$expr": {"$eq": ["$info.deep", {}]}}), true),
        (json!({"$expr": {"$eq": ["$list", {"n": 1}]}}), true),
        (json!({"list.0": {"n": 1}}), true),
    ] {
        assert_eq!(Filter::parse_with(&query, &hidden).unwrap().matches(&doc), wanted, "{query}");
    }
    for path in ["info.key", "info.key.x", "list.0.key", "list.1.0.key", "a.token", "token.a"] {
        assert!(hidden.hides(path), "{path}");
        assert!(Filter::parse_with(&json!({path: null}), &hidden).is_err(), "{path}");
    }
    assert!(!hidden.hides("info") && !hidden.hides("list.0") && !Hidden::nothing().hides("opts"));
    assert!(Hidden::new(&["a..b"], &[]).is_err());
}

#[test]
fn a_request_hides_what_it_is_told_to() {
    let hidden = Hidden::new(&["k"], &[]).unwrap();
    let doc = json!({"k": 1, "opts": 2});
    let query = Query::parse_str_with("{}", &hidden).unwrap();
    assert_eq!(query.run([("x", &doc)]).unwrap().items[0].value, json!({"opts": 2}));
    let query = Query::default();
    assert_eq!(query.run([("x", &doc)]).unwrap().items[0].value, json!({"k": 1}));
}

pub(super) const CANARY: &str = "canary-7f3a";

/// Puts a secret at hidden places all over a document.
pub(super) fn with_secret(value: &Value, secret: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: serde_json::Map<_, _> =
                members.iter().map(|(k, v)| (k.clone(), with_secret(v, secret))).collect();
            members.insert("Secret".into(), secret.clone());
            members.into()
        }
        Value::Array(items) => items.iter().map(|v| with_secret(v, secret)).collect(),
        other => other.clone(),
    }
}

pub(super) fn fields() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"a": 1, "b.c": 1})),
        Just(json!({"a": 0})),
        Just(json!({"x": "$a", "y.z": "$b"})),
        Just(json!({"a": {"$slice": -2}})),
        Just(json!({"a": {"$elemMatch": {"b": {"$exists": true}}}})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The same answers whatever is hidden, and it is in none of them.
    #[test]
    fn a_secret_makes_no_difference(
        docs in prop::collection::vec(document(), 1..12),
        secrets in prop::collection::vec(prop_oneof![Just(json!(CANARY)), Just(json!({"a": CANARY})), Just(json!([CANARY, 1]))], 12),
        filter in filter(1),
        fields in fields(),
        sort in prop::sample::select(vec![r#"{"a":1}"#, r#"{"a.b":-1,"b":1}"#, "{}"]),
        limit in 0_u64..14,
    ) {
        // Fixed paths as well as names.
        let hidden = Hidden::new(&["opts", "a.hid"], &["secret"]).unwrap();
        let request = format!(r#"{{"query":{filter},"fields":{fields},"sort":{sort},"limit":{limit}}}"#);
        let query = Query::parse_str_with(&request, &hidden).unwrap();
        let bare: Vec<(String, Value)> = docs.iter().enumerate().map(|(i, d)| (i.to_string(), d.clone())).collect();
        let full: Vec<(String, Value)> = bare.iter().zip(&secrets).map(|((id, doc), secret)| {
            let mut doc = with_secret(doc, secret);
            doc["opts"] = json!({"password": secret});
            if let Some(a) = doc.get_mut("a").and_then(Value::as_object_mut) {
                a.insert("hid".into(), secret.clone());
            }
            (id.clone(), doc)
        }).collect();
        let (bare, full) = (super::run(&query, &bare), super::run(&query, &full));
        prop_assert_eq!(&bare, &full, "{}", request);
        let shown = format!("{full:?} {}", full.next.as_ref().map_or_else(String::new, ToString::to_string));
        prop_assert!(!shown.contains(CANARY));
    }

    /// Nor can one be asked for in any way that is accepted: whatever names it is refused.
    #[test]
    fn whatever_names_it_is_refused(filter in filter(1), key in prop::sample::select(vec!["a", "b", "c"])) {
        let text = filter.to_string();
        let named = text.contains(&format!("\"{key}\":{{\"$")) || text.contains(&format!("\"${key}\""));
        let hidden = Hidden::new(&[], &[key]).unwrap();
        if named {
            prop_assert!(Filter::parse_with(&filter, &hidden).is_err(), "{}", text);
        }
    }
}

#[test]
fn a_sort_by_a_parent_shows_nothing() {
    let a = json!({"info": {"password": "a"}, "l": [{"token": "z"}]});
    let b = json!({"info": {"password": "b"}, "l": [{"token": "a"}]});
    let sort = Sort::parse_str(r#"{"info":1,"l":-1}"#).unwrap();
    let query = Query { sort, page: Page::ALL, ..Query::default() };
    let page = query.run([("2", &a), ("1", &b)]).unwrap();
    assert_eq!(ids(&page), ["1", "2"]);
    assert_eq!(page.items[0].key, page.items[1].key);
}
