use serde_json::{Value, json};

use super::super::{Filter, Projection, Query, limits};
use crate::ErrorKind;

/// The error of a filter: its field, its operator, and that it is of the one kind.
fn refusal(query: &Value) -> (String, Option<String>) {
    let e = Filter::parse(query).expect_err(&query.to_string());
    assert_eq!(
        (e.kind(), e.code(), e.op()),
        (ErrorKind::Invalid, "ERR_QUERY_INVALID", "query.filter"),
        "{query}"
    );
    (e.fact("field").unwrap().to_owned(), e.fact("operator").map(str::to_owned))
}

#[test]
fn what_does_not_work_names_the_operator_and_the_path() {
    for (query, field, operator) in [
        (json!({"$where": "1"}), "$where", "$where"),
        (json!({"$jsonSchema": {}}), "$jsonSchema", "$jsonSchema"),
        (json!({"$text": {"$search": "x"}}), "$text", "$text"),
        (json!({"$comment": "x"}), "$comment", "$comment"),
        (json!({"$sampleRate": 0.5}), "$sampleRate", "$sampleRate"),
        (json!({"$not": {"a": 1}}), "$not", "$not"),
        (json!({"$gt": 1}), "$gt", "$gt"),
        (json!({"a.b": {"$near": []}}), "a.b", "$near"),
        (json!({"a.b": {"$geoWithin": {}}}), "a.b", "$geoWithin"),
        (json!({"a.b": {"$rand": {}}}), "a.b", "$rand"),
        (json!({"a.b": {"$where": "1"}}), "a.b", "$where"),
        (json!({"a": {"$or": []}}), "a", "$or"),
        (json!({"a": {"$not": {"$where": 1}}}), "a", "$where"),
        (json!({"$and": [{"$or": [{"x.y": {"$foo": 1}}]}]}), "x.y", "$foo"),
        (json!({"a": {"$elemMatch": {"b": {"$foo": 1}}}}), "b", "$foo"),
        (json!({"$expr": {"$add": ["$a", 1]}}), "$expr", "$add"),
        (json!({"$expr": {"$gt": [{"$size": "$a"}, 1]}}), "$expr", "$size"),
        (json!({"$expr": {"$eq": [{"$concat": ["a"]}, 1]}}), "$expr", "$concat"),
        (json!({"$expr": {"$eq": ["$$ROOT", 1]}}), "$expr", "$$ROOT"),
        (json!({"$expr": {"$eq": ["$a"]}}), "$expr", "$eq"),
        (json!({"$expr": {"$not": ["$a", "$b"]}}), "$expr", "$not"),
        (json!({"a": {"$in": "x"}}), "a", "$in"),
        (json!({"a": {"$in": [{"$regex": "x"}]}}), "a", "$in"),
        (json!({"a": {"$nin": 1}}), "a", "$nin"),
        (json!({"a": {"$all": 1}}), "a", "$all"),
        (json!({"a": {"$elemMatch": 1}}), "a", "$elemMatch"),
        (json!({"a": {"$elemMatch": {"$gt": 1, "b": 1}}}), "a", "$elemMatch"),
        (json!({"a": {"$exists": "yes"}}), "a", "$exists"),
        (json!({"a": {"$type": "text"}}), "a", "$type"),
        (json!({"a": {"$type": []}}), "a", "$type"),
        (json!({"a": {"$mod": [0, 1]}}), "a", "$mod"),
        (json!({"a": {"$mod": [1]}}), "a", "$mod"),
        (json!({"a": {"$mod": "x"}}), "a", "$mod"),
        (json!({"a": {"$size": -1}}), "a", "$size"),
        (json!({"a": {"$size": 1.5}}), "a", "$size"),
        (json!({"a": {"$bitsAllSet": -1}}), "a", "$bitsAllSet"),
        (json!({"a": {"$bitsAnySet": [64]}}), "a", "$bitsAnySet"),
        (json!({"a": {"$regex": 1}}), "a", "$regex"),
        (json!({"a": {"$regex": "x", "$options": 1}}), "a", "$options"),
        (json!({"a": {"$regex": "x", "$options": "x"}}), "a", "$regex"),
        (json!({"a": {"$options": "i"}}), "a", "$options"),
        (json!({"$or": {"a": 1}}), "$or", "$or"),
        (json!({"$and": [1]}), "$and", "$and"),
        (json!({"a": {"b": {"$gt": 1}}}), "a", "$eq"),
    ] {
        assert_eq!(refusal(&query), (field.to_owned(), Some(operator.to_owned())), "{query}");
    }
}

#[test]
fn shapes_that_are_no_query() {
    for query in [json!([]), json!("x"), json!(1), json!(null)] {
        assert_eq!(refusal(&query), ("query".into(), None));
    }
    for (query, field) in [
        (json!({"a": {"$gt": 1, "b": 2}}), "a"),
        (json!({"": 1}), ""),
        (json!({"a..b": 1}), "a..b"),
        (json!({"a.$": 1}), "a.$"),
        (json!({"$expr": {"$eq": [1, 2], "$ne": [1, 2]}}), "$expr"),
        (json!({"$expr": {"$eq": ["$l", ["$a"]]}}), "$expr"),
        (json!({"$expr": {"k": "$a"}}), "$expr"),
    ] {
        assert_eq!(refusal(&query).0, field, "{query}");
    }
}

#[test]
fn everything_is_bounded() {
    let deep = |wrap: fn(Value) -> Value, levels: usize| (0..levels).fold(json!({"a": 1}), |q, _| wrap(q));
    let and = |q| json!({"$and": [q]});
    assert!(Filter::parse(&deep(and, limits::DEPTH)).is_ok());
    refusal(&deep(and, limits::DEPTH + 1));
    refusal(&deep(and, 400));
    refusal(&deep(|q| json!({"a": {"$elemMatch": q}}), 400));
    refusal(&json!({"a": deep(|q| json!({"b": q}), 400)}));
    refusal(&json!({"a": deep(|q| json!([q]), 400)}));
    refusal(&json!({"a": deep(|q| json!({"$not": q}), 400)}));
    refusal(&json!({"$expr": deep(|q| json!({"$not": [q]}), 400)}));
    refusal(&json!({"$expr": {"$eq": [1, deep(|q| json!([q]), 400)]}}));

    let many = |n: usize, one: Value| Value::Array(vec![one; n]);
    assert!(Filter::parse(&json!({"$or": many(2_000, json!({"a": 1}))})).is_ok());
    refusal(&json!({"$or": many(limits::CONDITIONS, json!({"a": 1}))}));
    refusal(&json!({"$or": many(limits::CONDITIONS + 1, json!({}))}));
    refusal(&json!({"a": {"$all": many(limits::CONDITIONS + 1, json!(1))}}));
    refusal(&json!({"$expr": {"$and": many(limits::CONDITIONS + 1, json!(1))}}));
    assert!(Filter::parse(&json!({"a": {"$in": many(100_000, json!("id"))}})).is_ok());
    refusal(&json!({"a": {"$in": many(limits::VALUES + 1, json!(1))}}));
    assert!(Filter::parse(&json!({"$or": many(limits::REGEXES, json!({"a": {"$regex": "x"}}))})).is_ok());
    refusal(&json!({"$or": many(limits::REGEXES + 1, json!({"a": {"$regex": "x"}}))}));
    refusal(&json!({"a".repeat(limits::PATH_BYTES + 1): 1}));
    refusal(&json!({vec!["a"; limits::PATH_PARTS + 1].join("."): 1}));

    let fields: Value =
        (0..=limits::FIELDS).map(|i| (format!("f{i}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    assert!(Projection::parse(&fields).is_err());
    assert!(Projection::parse(&deep(|q| json!({"b": q}), 400)).is_err());
    let sort: Vec<Value> = (0..=limits::SORT_KEYS).map(|i| json!([format!("k{i}"), 1])).collect();
    assert!(Query::parse_str(&json!({"sort": sort}).to_string()).is_err());
}

#[test]
fn an_error_repeats_little_and_no_operand() {
    let e = Filter::parse(&json!({"a": {"$in": "hunter2"}})).unwrap_err();
    assert!(!format!("{e:?}").contains("hunter2"));
    let e = Filter::parse(&json!({"x".repeat(2_000): 1})).unwrap_err();
    assert!(e.to_string().len() < 300, "{e}");
}
