//! Rows share documents: what they give must be what a copy would be, in every form.

use std::{borrow::Cow, sync::Arc};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    super::{Hidden, Projection, Query, Row},
    hidden::{CANARY, fields, with_secret},
    random::{document, filter, path},
};

fn doc() -> Arc<Value> {
    Arc::new(json!({
        "id": "m1", "tags": ["t-miner", "x"], "opts": {"password": "p"},
        "info": {"pos": "1-2", "token": "s", "site": {"name": "A"}},
        "pools": [{"url": "u1", "password": "p"}, {"url": "u2"}],
    }))
}

fn row(fields: &Value) -> Row {
    Projection::parse(fields).unwrap().row(&doc())
}

/// All forms of a row, which must agree.
fn forms(row: &Row) -> Value {
    let value = row.to_value();
    assert_eq!(serde_json::to_string(row).unwrap(), value.to_string());
    assert_eq!(row.to_string(), value.to_string());
    assert_eq!(format!("{row:?}"), format!("{value:?}"));
    assert_eq!(serde_json::to_value(row).unwrap(), value);
    assert_eq!(Value::from(row.clone()), value);
    assert_eq!(*row, value);
    assert_eq!(*row, Row::from(value.clone()));
    if let Value::Object(members) = &value {
        for (name, member) in members {
            assert_eq!(row.get(name).as_deref(), Some(member), "{name}");
        }
    }
    value
}

#[test]
fn members_are_found_by_their_paths() {
    let all = row(&json!({}));
    for (path, wanted) in [
        ("id", Some(json!("m1"))),
        ("info.site.name", Some(json!("A"))),
        ("tags.1", Some(json!("x"))),
        ("pools.1.url", Some(json!("u2"))),
        ("pools.0", Some(json!({"url": "u1"}))),
        ("info", Some(json!({"pos": "1-2", "site": {"name": "A"}}))),
        ("none", None),
        ("id.x", None),
        ("tags.2", None),
        ("tags.x", None),
        ("", None),
        ("opts", None),
        ("opts.password", None),
        ("info.token", None),
        ("pools.0.password", None),
    ] {
        assert_eq!(all.get(path).map(Cow::into_owned), wanted, "{path}");
    }
    let part = row(&json!({"info.pos": 1, "pools.url": 1, "tags": {"$slice": -1}}));
    assert_eq!(part.get("info").unwrap().into_owned(), json!({"pos": "1-2"}));
    assert_eq!(part.get("tags.0").unwrap().as_str(), Some("x"));
    assert_eq!((part.get("id"), part.get("info.site"), part.get("tags.1")), (None, None, None));
    // What is a document's own is not copied.
    assert!(matches!(all.get("info.site"), Some(Cow::Borrowed(_))));
    assert!(matches!(part.get("info.pos"), Some(Cow::Borrowed(_))));
}

#[test]
fn a_member_is_added_only_where_there_is_none() {
    let added = |fields: &Value, name: &str| forms(&row(fields).or_member(name, json!({"n": [7]})));
    assert_eq!(added(&json!({"id": 1}), "a"), json!({"a": {"n": [7]}, "id": "m1"}));
    assert_eq!(added(&json!({"id": 1}), "z"), json!({"id": "m1", "z": {"n": [7]}}));
    assert_eq!(added(&json!({"id": 1, "tags": 1}), "k")["k"], json!({"n": [7]}));
    assert_eq!(added(&json!({"id": 1}), "id"), json!({"id": "m1"}));
    assert_eq!(added(&json!({"none": 1}), "a"), json!({"a": {"n": [7]}}));
    // In the order in which a map would have it.
    let text = row(&json!({"id": 1, "tags": {"$slice": 1}})).or_member("k", 1).to_string();
    assert_eq!(text, r#"{"id":"m1","k":1,"tags":["t-miner"]}"#);
    let two = row(&json!({"id": 1})).or_member("a", 1).or_member("b", 2).or_member("a", 3);
    assert_eq!(forms(&two), json!({"a": 1, "b": 2, "id": "m1"}));
    let one = row(&json!({"id": 1})).or_member("a", json!({"n": [7]}));
    assert_eq!(
        (one.get("a.n.0").unwrap().into_owned(), one.get("a.x"), one.get("a.n.1")),
        (json!(7), None, None)
    );
    assert_eq!(forms(&Row::from(json!([1])).or_member("a", 1)), json!([1]));
    assert_eq!(Row::from(json!([1])).or_member("a", 1).get("a"), None);
}

#[test]
fn a_member_is_left_out() {
    assert_eq!(forms(&row(&json!({"id": 1, "tags": 1})).without("tags")), json!({"id": "m1"}));
    assert_eq!(forms(&row(&json!({"id": 1})).without("tags")), json!({"id": "m1"}));
    assert_eq!(forms(&row(&json!({"x": "$id"})).without("x")), json!({}));
    assert_eq!(forms(&row(&json!({"id": 1})).or_member("a", 1).without("a")), json!({"id": "m1"}));
    assert!(row(&json!({})).without("info").get("info").is_none());
    assert_eq!(forms(&Row::from(json!(7)).without("a")), json!(7));
}

#[test]
fn a_row_keeps_its_document() {
    let mut things = vec![("m1".to_owned(), doc())];
    let query = Query::parse_str(r#"{"fields":{"id":1,"info.pos":1}}"#).unwrap();
    let page = query.run_shared(things.iter().map(|(id, doc)| (id.as_str(), doc))).unwrap();
    things.clear();
    assert_eq!(forms(&page.items[0].value), json!({"id": "m1", "info": {"pos": "1-2"}}));
}

/// The language of plain projections once more, path by path.
fn given(keep: bool, paths: &[Vec<&str>], value: &Value) -> Option<Value> {
    if paths.iter().any(Vec::is_empty) {
        return keep.then(|| value.clone());
    }
    let below = |name: &str| -> Vec<Vec<&str>> {
        paths.iter().filter(|path| path[0] == name).map(|path| path[1..].to_vec()).collect()
    };
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let paths = below(name);
                let shown = match paths.is_empty() {
                    true => (!keep).then(|| value.clone()),
                    false => given(keep, &paths, value),
                };
                Some((name.clone(), shown?))
            };
            Some(Value::Object(members.iter().filter_map(member).collect::<Map<_, _>>()))
        }
        Value::Array(items) => {
            let everywhere = !keep || paths.iter().any(|path| path[0].parse::<usize>().is_err());
            let item = |(at, item): (usize, &Value)| match below(&at.to_string()) {
                paths if !paths.is_empty() => given(keep, &paths, item),
                _ if everywhere => given(keep, paths, item),
                _ => None,
            };
            Some(items.iter().enumerate().filter_map(item).collect())
        }
        other => (!keep).then(|| other.clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn rows_agree_with_the_naive_reading(
        doc in document(),
        paths in prop::collection::btree_set(path(), 1..4),
        keep in any::<bool>(),
        added in prop::option::of(prop::sample::select(vec!["0", "a", "b", "z"])),
    ) {
        let spec = Value::Object(paths.iter().map(|p| (p.clone(), json!(keep))).collect());
        let split: Vec<Vec<&str>> = paths.iter().map(|p| p.split('.').collect()).collect();
        let mut wanted = given(keep, &split, &doc).unwrap_or(Value::Null);
        let hidden = Hidden::new(&[], &["Secret"]).unwrap();
        let full = Arc::new(with_secret(&doc, &json!(CANARY)));
        let mut row = Projection::parse_with(&spec, &hidden).unwrap().row(&full);
        if let Some(name) = added {
            row = row.or_member(name, 9);
            wanted.as_object_mut().unwrap().entry(name).or_insert(json!(9));
        }
        prop_assert_eq!(forms(&row), wanted, "{} of {}", spec, doc);
    }

    #[test]
    fn sharing_documents_changes_no_answer(
        docs in prop::collection::vec(document(), 0..12),
        filter in filter(1),
        fields in fields(),
        sort in prop::sample::select(vec![r#"{"a":1}"#, r#"{"a.b":-1,"b":1}"#, "{}"]),
        offset in 0_u64..4,
        limit in 0_u64..14,
    ) {
        let text = format!(r#"{{"query":{filter},"fields":{fields},"sort":{sort},"offset":{offset},"limit":{limit}}}"#);
        let query = Query::parse_str_with(&text, &Hidden::new(&["a.c"], &["secret"]).unwrap()).ok();
        let Some(query) = query else { return Ok(()) };
        let docs: Vec<(String, Arc<Value>)> = docs.iter().enumerate()
            .map(|(n, doc)| (n.to_string(), Arc::new(with_secret(doc, &json!(CANARY))))).collect();
        let copied = query.run(docs.iter().map(|(id, doc)| (id.as_str(), &**doc))).unwrap();
        let shared = query.run_shared(docs.iter().map(|(id, doc)| (id.as_str(), doc))).unwrap();
        prop_assert_eq!(&copied, &shared);
        for item in &shared.items {
            prop_assert!(!forms(&item.value).to_string().contains(CANARY));
        }
    }
}
