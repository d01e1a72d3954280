//! Random filters over the whole language, intersections of several conditions included, against another reading of it.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use super::{
    super::{Filter, Hidden, Projection, Query, Sort},
    naive,
};

/// Few different values, so that filters and documents often meet.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..6).prop_map(Value::from),
        prop_oneof![Just(0.5), Just(2.0), Just(-1.5), Just(4.5)].prop_map(Value::from),
        prop_oneof![Just(""), Just("a"), Just("b"), Just("B"), Just("ab"), Just("10")].prop_map(Value::from),
        Just(json!(2_147_483_648_u64)),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just("a"), 4 => Just("b"), 2 => Just("c"), 1 => Just("0"), 1 => Just("1")]
        .prop_map(str::to_owned)
}

pub(super) fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

pub(super) fn document() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(key(), value(), 0..5).prop_map(|m| Value::Object(m.into_iter().collect()))
}

pub(super) fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(key(), 1..4).prop_map(|keys| keys.join("."))
}

fn type_name() -> impl Strategy<Value = Value> {
    let names =
        ["number", "double", "decimal", "string", "object", "array", "bool", "null", "int", "long", "date"];
    prop_oneof![
        4 => prop::sample::select(names.to_vec()).prop_map(Value::from),
        1 => prop::sample::select(vec![1, 2, 10, 9]).prop_map(Value::from),
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec!["a", "b", "B", ".", "a*", ".*", "1"]);
    let inner = prop::collection::vec(atom, 0..4).prop_map(|atoms| atoms.concat());
    (any::<bool>(), inner, any::<bool>()).prop_map(|(start, inner, end)| {
        format!("{}{inner}{}", if start { "^" } else { "" }, if end { "$" } else { "" })
    })
}

/// One operator with its operand, but `$regex` with its options.
fn operator(
    nested: BoxedStrategy<Value>,
    condition: BoxedStrategy<Value>,
) -> BoxedStrategy<Vec<(&'static str, Value)>> {
    let one = |name: &'static str, operand: BoxedStrategy<Value>| {
        operand.prop_map(move |v| vec![(name, v)]).boxed()
    };
    let values = |most| prop::collection::vec(value(), 0..most).prop_map(Value::from).boxed();
    let compare = prop::sample::select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]);
    let bits = prop::sample::select(vec!["$bitsAllSet", "$bitsAllClear", "$bitsAnySet", "$bitsAnyClear"]);
    let mask = prop_oneof![
        (0_i64..8).prop_map(Value::from),
        prop::collection::vec(0_i64..5, 0..3).prop_map(Value::from),
    ];
    let element = prop_oneof![nested, condition.clone().prop_map(operators_only)];
    let all = prop::collection::vec(
        prop_oneof![3 => value(), 1 => element.clone().prop_map(|e| json!({"$elemMatch": e}))],
        0..3,
    );
    let types = prop_oneof![type_name(), prop::collection::vec(type_name(), 1..3).prop_map(Value::from)];
    let regex = (pattern(), prop::option::of(prop::sample::select(vec!["", "i", "gi", "u", "s"])));
    prop_oneof![
        6 => (compare, value()).prop_map(|(name, v)| vec![(name, v)]),
        2 => one("$in", values(4)),
        2 => one("$nin", values(3)),
        2 => one("$not", condition),
        2 => one("$elemMatch", element.boxed()),
        1 => one("$all", all.prop_map(Value::from).boxed()),
        1 => one("$exists", prop::sample::select(vec![json!(true), json!(false), json!(1), json!(0)]).boxed()),
        1 => one("$type", types.boxed()),
        1 => one("$mod", ((1_i64..4), (0_i64..3)).prop_map(|(d, r)| json!([d, r])).boxed()),
        1 => one("$size", (0_i64..4).prop_map(Value::from).boxed()),
        2 => (bits, mask).prop_map(|(name, v)| vec![(name, v)]),
        2 => regex.prop_map(|(pattern, options)| {
            let mut pair = vec![("$regex", json!(pattern))];
            pair.extend(options.map(|o| ("$options", json!(o))));
            pair
        }),
    ]
    .boxed()
}

/// A condition on an element itself must be written with operators.
fn operators_only(condition: Value) -> Value {
    let written = condition.as_object().is_some_and(|m| m.keys().any(|k| k.starts_with('$')));
    if written { condition } else { json!({"$eq": condition}) }
}

/// What stands at a path: a value, or one to three operators that must all hold.
fn condition(nested: BoxedStrategy<Value>, depth: u32) -> BoxedStrategy<Value> {
    if depth == 0 {
        return value().boxed();
    }
    let inner = condition(nested.clone(), depth - 1);
    let operators = prop::collection::vec(operator(nested, inner), 1..4).prop_map(|all| {
        Value::Object(all.into_iter().flatten().map(|(name, v)| (name.to_owned(), v)).collect())
    });
    // Options that came with another pattern would stand alone.
    prop_oneof![1 => value(), 4 => operators].boxed()
}

fn expression() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![2 => path().prop_map(|p| json!(format!("${p}"))), 1 => value()];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let names = vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$cmp"];
        prop_oneof![
            4 => (prop::sample::select(names), inner.clone(), inner.clone()).prop_map(|(name, a, b)| json!({name: [a, b]})),
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(|list| json!({"$and": list})),
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(|list| json!({"$or": list})),
            1 => inner.prop_map(|e| json!({"$not": [e]})),
        ]
    })
    .boxed()
}

/// Filters of up to four members, nested `depth` times.
pub(super) fn filter(depth: u32) -> BoxedStrategy<Value> {
    let nested = if depth == 0 { Just(json!({})).boxed() } else { filter(depth - 1) };
    let list = || prop::collection::vec(nested.clone(), 0..3).prop_map(Value::from);
    let member = prop_oneof![
        10 => (path(), condition(nested.clone(), 2)),
        1 => (Just("$and".to_owned()), list()),
        1 => (Just("$or".to_owned()), list()),
        1 => (Just("$nor".to_owned()), list()),
        1 => (Just("$expr".to_owned()), expression()),
    ];
    prop::collection::vec(member, 1..5).prop_map(|all| Value::Object(all.into_iter().collect())).boxed()
}

/// Counts each operator of a filter.
fn count(filter: &Value, seen: &mut impl FnMut(&str)) {
    match filter {
        Value::Object(members) => members.iter().for_each(|(k, v)| {
            if k.starts_with('$') {
                seen(k);
            }
            count(v, seen);
        }),
        Value::Array(items) => items.iter().for_each(|v| count(v, seen)),
        _ => {}
    }
}

const OPERATORS: [&str; 28] = [
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$and",
    "$or",
    "$nor",
    "$not",
    "$exists",
    "$type",
    "$mod",
    "$regex",
    "$options",
    "$all",
    "$elemMatch",
    "$size",
    "$bitsAllSet",
    "$bitsAllClear",
    "$bitsAnySet",
    "$bitsAnyClear",
    "$expr",
    "$cmp",
    "intersection of members",
    "intersection of operators",
];

fn intersections(filter: &Value) -> [bool; 2] {
    let members = filter.as_object().unwrap();
    let of_operators = members.values().any(|v| {
        v.as_object().is_some_and(|m| m.keys().filter(|k| k.starts_with('$') && *k != "$options").count() > 1)
    });
    [members.len() > 1, of_operators]
}

/// What the generators draw is measured: every operator and every kind of intersection, with both outcomes.
#[test]
fn the_whole_language_is_drawn_and_agrees() {
    let mut runner = TestRunner::deterministic();
    let drawn = (filter(1), prop::collection::vec(document(), 12));
    let mut outcomes: BTreeMap<String, [u32; 2]> = BTreeMap::new();
    for _ in 0..2_000 {
        let (filter, docs) = drawn.new_tree(&mut runner).unwrap().current();
        let compiled =
            Filter::parse_with(&filter, &Hidden::nothing()).unwrap_or_else(|e| panic!("{filter}: {e}"));
        for doc in docs {
            let got = compiled.matches(&doc);
            assert_eq!(got, naive::holds(&filter, &doc), "{filter} on {doc}");
            let mut add = |name: &str| outcomes.entry(name.to_owned()).or_default()[usize::from(got)] += 1;
            count(&filter, &mut add);
            for (is, name) in intersections(&filter).into_iter().zip(&OPERATORS[26..]) {
                if is {
                    add(name);
                }
            }
        }
    }
    for operator in OPERATORS {
        let [no, yes] = outcomes.get(operator).copied().unwrap_or_default();
        assert!(no >= 20 && yes >= 20, "{operator}: {no} times false, {yes} times true");
    }
}

/// Anything that looks a little like a query.
fn noise() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        prop::sample::select(OPERATORS[..26].to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec!["$slice", "$where", "$", "$$ROOT", "a", "a.b", "opts", "a.$", ".", ""])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        scalar(),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[$^.*+?(){}\\[\\]\\\\|a-c0-9,:=!<>-]{0,12}".prop_map(Value::from),
        "\\$[a-c.$]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::btree_map(name.clone(), inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn filters_agree_with_the_naive_reading(filter in filter(2), docs in prop::collection::vec(document(), 6)) {
        let compiled = Filter::parse_with(&filter, &Hidden::nothing()).unwrap();
        for doc in docs {
            prop_assert_eq!(compiled.matches(&doc), naive::holds(&filter, &doc), "{} on {}", filter, doc);
        }
    }

    #[test]
    fn nothing_panics(query in noise(), fields in noise(), sort in noise(), doc in noise()) {
        if let Ok(filter) = Filter::parse(&query) {
            filter.matches(&doc);
        }
        if let Ok(projection) = Projection::parse(&fields) {
            projection.apply(&doc);
        }
        if let Ok(sort) = Sort::parse_str(&sort.to_string()) {
            sort.key(&doc);
        }
        let request = json!({"query": query, "fields": fields, "sort": sort});
        let _ = Query::parse_str(&request.to_string());
        let _ = Query::from_value(&request, &Hidden::standard());
    }

    #[test]
    fn patterns_never_panic(pattern in "[$^.*+?(){}\\[\\]\\\\|a-cdDwWsSbBxu0-9,:=!<>é-]{0,16}", flags in "[imsguy]{0,3}", text in any::<String>()) {
        if let Ok(regex) = super::super::regex::compile(&pattern, &flags) {
            regex.is_match(&text);
        }
    }

    #[test]
    fn projections_give_parts_of_the_document(doc in document(), paths in prop::collection::btree_set(path(), 1..4), keep in any::<bool>()) {
        let fields = Value::Object(paths.iter().map(|p| (p.clone(), json!(keep))).collect());
        let projection = Projection::parse_with(&fields, &Hidden::nothing()).unwrap();
        let given = projection.apply(&doc);
        prop_assert!(is_part(&given, &doc), "{} of {} gives {}", fields, doc, given);
        // Once more changes nothing, but where indices have moved.
        if !paths.iter().any(|p| p.contains(['0', '1'])) {
            prop_assert_eq!(projection.apply(&given), given);
        }
    }
}

/// Whether one value can be made from the other by leaving things out.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(k, v)| whole.get(k).is_some_and(|w| is_part(v, w)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            let mut rest = whole.iter();
            part.iter().all(|v| rest.any(|w| is_part(v, w)))
        }
        _ => part == whole,
    }
}
