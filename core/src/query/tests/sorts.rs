use std::cmp::Ordering;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Number, Value, json};

use super::{
    super::{Direction, Page, Query, Sort, SortKey, compare, natural},
    docs, ids, run,
};

#[derive(Deserialize)]
struct Vector {
    name: String,
    args: (Vec<Value>, Sort),
    expected: Vec<String>,
}

/// Where the order differs from MiningOS's on purpose: numbers by value, and later keys after a missing one.
const DIFFERENT: &[(&str, &[&str])] = &[
    ("sort-decimals", &["c", "b", "a"]),
    ("sort-negative", &["a", "c", "b"]),
    ("sort-missing-first-key", &["b", "a"]),
];

const VECTORS: &str = include_str!("../../../tests/fixtures/query/sort_vectors.json");

#[test]
fn vectors() {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(vectors.len(), 8);
    for Vector { name, args: (docs, sort), expected } in vectors {
        let docs: Vec<(String, Value)> =
            docs.into_iter().map(|d| (d["id"].as_str().unwrap().to_owned(), d)).collect();
        let page = run(&Query { sort, ..Query::default() }, &docs);
        match DIFFERENT.iter().find(|(n, _)| *n == name) {
            Some((_, ours)) => {
                assert_eq!(ids(&page), *ours, "{name}");
                assert_ne!(expected, *ours, "{name} is no difference");
            }
            None => assert_eq!(ids(&page), expected, "{name}"),
        }
    }
}

#[test]
fn the_copy_of_the_vectors_equals_the_original() {
    let Some(shared) = std::env::var_os("HEADFRAME_SHARED") else { return };
    let path = std::path::Path::new(&shared).join("reference/stats-vectors.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let lists = all.as_object().unwrap().values().filter_map(Value::as_array).flatten();
    let sorts: Vec<&Value> =
        lists.filter(|v| v["name"].as_str().is_some_and(|n| n.starts_with("sort-"))).collect();
    let kept: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(sorts, kept.iter().collect::<Vec<_>>());
}

#[test]
fn the_compatible_order_has_numbers_as_texts() {
    let sort = ascending().mos_compatible();
    let order = [json!(-2), json!(-10), json!(0), json!(1.5), json!(1.25), json!(1e-7), json!(3), json!(20)];
    for pair in order.windows(2) {
        let [a, b] = [json!({"v": pair[0]}), json!({"v": pair[1]})];
        assert!(sort.compare(&a, &b).is_lt(), "{pair:?}");
    }
    let order = |v: Value, w: &str| sort.compare(&json!({"v": v}), &json!({"v": w}));
    assert!(order(json!(1e21), "1e+21").is_eq());
    assert!(order(json!(3.0), "3").is_eq());
    assert!(order(json!(-0.0), "0").is_eq());
    assert_ne!(sort.fingerprint(), ascending().fingerprint(), "a cursor of one order is none of the other");
}

fn ascending() -> Sort {
    Sort::new(vec![("v".into(), Direction::Ascending)]).unwrap()
}

#[test]
fn values_in_ascending_order() {
    let order = [
        json!(-1e300),
        json!(i64::MIN),
        json!(-2.5),
        json!(-1),
        json!(0),
        json!(0.25),
        json!(9_007_199_254_740_992_u64),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX - 1),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!([]),
        json!(" x"),
        json!("_x"),
        json!("-1"),
        json!("[x]"),
        json!("$x"),
        json!("°x"),
        json!("1"),
        json!("1.5"),
        json!("2"),
        json!("007"),
        json!("10"),
        json!("18446744073709551616"),
        json!("a"),
        json!("a1"),
        json!("a1b"),
        json!("a02"),
        json!("a10"),
        json!("A"),
        json!("A2"),
        json!("ab"),
        json!("Ab"),
        json!("AB"),
        json!("äb"),
        json!("b"),
        json!("b\u{e9}"),
        json!("n"),
        json!(null),
        json!("S21-2"),
        json!("S21-10"),
        json!(["t", 2]),
        json!(["t", 10]),
        json!(true),
        json!("z"),
        json!("ж"),
    ];
    let sort = ascending();
    let keys: Vec<SortKey> = order.iter().map(|v| sort.key(&json!({"v": v}))).collect();
    for (i, a) in keys.iter().enumerate() {
        for (j, b) in keys.iter().enumerate() {
            // An empty list reads as the empty text.
            let wanted = if i.min(j) == 11 && i.max(j) == 12 { Ordering::Equal } else { i.cmp(&j) };
            assert_eq!(a.cmp(b), wanted, "{} and {}", order[i], order[j]);
        }
    }
    assert_eq!(sort.compare(&json!({"v": -0.0}), &json!({"v": 0})), Ordering::Equal);
    assert_eq!(sort.compare(&json!({"v": 5.0}), &json!({"v": 5})), Ordering::Equal);
    assert_eq!(sort.compare(&json!({"v": {"a": 1}}), &json!({"v": {"b": 2}})), Ordering::Equal);
    assert_eq!(sort.compare(&json!({"v": "01"}), &json!({"v": "1"})), Ordering::Equal);
}

#[test]
fn missing_is_last_both_ways_and_later_keys_go_on() {
    let docs = docs(&[
        ("a", json!({"k": 2})),
        ("b", json!({"k": 1})),
        ("c", json!({"v": null, "k": 1})),
        ("d", json!({"v": 7, "k": 1})),
        ("e", json!({"v": 7})),
        ("f", json!({"v": 7, "k": 0})),
    ]);
    for (sort, wanted) in [
        (r#"{"v":1,"k":1}"#, "f d e c b a"),
        (r#"{"v":-1,"k":1}"#, "c f d e b a"),
        (r#"{"v":1,"k":-1}"#, "d f e c a b"),
        (r#"{"k":1,"v":1}"#, "f d c b a e"),
    ] {
        let query = Query { sort: Sort::parse_str(sort).unwrap(), ..Query::default() };
        assert_eq!(ids(&run(&query, &docs)).join(" "), wanted, "{sort}");
    }
}

#[test]
fn keys_keep_their_order() {
    let keys = |text: &str| -> Vec<String> {
        Sort::parse_str(text).unwrap().keys().map(|(p, _)| p.to_owned()).collect()
    };
    assert_eq!(keys(r#"{"z":1,"a":-1,"m":1.0}"#), ["z", "a", "m"]);
    assert_eq!(keys(r#"[["z",1],["a",-1]]"#), ["z", "a"]);
    assert_eq!(keys(r#"{"z":1,"a":1,"z":-1}"#), ["z", "a"]);
    assert_eq!(keys("{}"), [""; 0]);
    let query = Query::parse_str(r#"{"sort":{"z":1,"a":-1}}"#).unwrap();
    let pairs: Vec<_> = query.sort.keys().collect();
    assert_eq!(pairs, [("z", Direction::Ascending), ("a", Direction::Descending)]);
    assert_eq!(serde_json::from_str::<Query>(r#"{"sort":{"z":1,"a":-1}}"#).unwrap().sort.keys().count(), 2);
}

#[test]
fn what_is_no_sort() {
    for text in [
        "1",
        "\"a\"",
        "true",
        "1.5",
        "-1",
        "{\"a\":2}",
        "{\"a\":\"asc\"}",
        "{\"a\":null}",
        "{\"a..b\":1}",
        "{\"$a\":1}",
        "[1]",
        "[[\"a\"]]",
        "[[1,1]]",
        "{",
        "",
    ] {
        let e = Sort::parse_str(text).expect_err(text);
        assert_eq!((e.code(), e.op()), ("ERR_QUERY_INVALID", "query.sort"), "{text}");
    }
    assert!("xyz".parse::<SortKey>().is_err());
    let key = ascending().key(&json!({"v": "x"}));
    assert_eq!(key.to_string().parse::<SortKey>().unwrap(), key);
}

#[test]
fn a_path_takes_the_first_value() {
    let sort = Sort::parse_str(r#"{"a.b":1}"#).unwrap();
    let docs = docs(&[
        ("x", json!({"a": [{}, {"b": 2}]})),
        ("y", json!({"a": [{"b": 1}, {"b": 5}]})),
        ("z", json!({})),
    ]);
    let query = Query { sort, page: Page::ALL, ..Query::default() };
    assert_eq!(ids(&run(&query, &docs)), ["y", "x", "z"]);
}

/// The same order by its definition: parts compared one by one.
fn by_the_book(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for c in text.chars() {
            match parts.last_mut() {
                Some(p) if p.starts_with(|f: char| f.is_ascii_digit()) == c.is_ascii_digit() => p.push(c),
                _ => parts.push(c.to_string()),
            }
        }
        parts
    };
    let (a, b) = (parts(a), parts(b));
    for (a, b) in a.iter().zip(&b) {
        let order = match (a.parse::<u128>(), b.parse::<u128>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            // Letters are above digits; the only sign drawn, a dash, is below.
            (Ok(_), Err(_)) => {
                if b.starts_with('-') {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Err(_), Ok(_)) => {
                if a.starts_with('-') {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (Err(_), Err(_)) => {
                let lower_first = |s: &str| s.chars().map(|c| c.is_uppercase()).collect::<Vec<_>>();
                a.to_lowercase().cmp(&b.to_lowercase()).then_with(|| lower_first(a).cmp(&lower_first(b)))
            }
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn place(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    natural::encode(text, &mut out);
    out
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        (-3_i64..4).prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", Number::from_f64),
        (any::<i64>().prop_map(|n| n as f64)).prop_filter_map("finite", Number::from_f64),
    ]
}

proptest! {
    #[test]
    fn natural_order_is_by_the_book(a in "[aAbB10-]{0,6}", b in "[aAbB10-]{0,6}") {
        prop_assert_eq!(place(&a).cmp(&place(&b)), by_the_book(&a, &b));
    }

    #[test]
    fn any_text_has_a_place(a in any::<String>(), b in any::<String>()) {
        // No place begins with another, so what follows in a key never decides first.
        let (a, b) = (place(&a), place(&b));
        prop_assert!(a == b || !(a.starts_with(&b) || b.starts_with(&a)));
    }

    #[test]
    fn numbers_are_in_order_of_value(a in number(), b in number()) {
        let sort = ascending();
        let got = sort.compare(&json!({"v": a}), &json!({"v": b}));
        prop_assert_eq!(got, compare::numbers(&a, &b));
        let down = Sort::new(vec![("v".into(), Direction::Descending)]).unwrap();
        prop_assert_eq!(down.compare(&json!({"v": a}), &json!({"v": b})), got.reverse());
    }
}
