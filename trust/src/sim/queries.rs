//! Questions for things, each with what it should find by a rule of its own.

use serde_json::{Map, Value, json};

use super::house::Fact;

/// A question with an operator: the JSON for a number, and whether a thing answers it.
type Row = (&'static str, fn(u32) -> Value, fn(u32, &Fact) -> bool);

/// The facts of a thing, as they are registered.
pub fn info(n: u32) -> Map<String, Value> {
    let mut info = Map::new();
    info.insert("n".into(), json!(n));
    info.insert("container".into(), json!(format!("c-{}", n % 4)));
    info.insert("marks".into(), json!([n % 2, n % 3 + 10]));
    info.insert("shelves".into(), json!([{"row": n % 5, "side": n % 2}]));
    if n.is_multiple_of(2) {
        info.insert("even".into(), json!(true));
    }
    info
}

/// Every operator.
pub const OPERATORS: [Row; 22] = [
    ("$eq", |k| json!({"info.n": {"$eq": k}}), |k, f| f.n == k),
    ("$ne", |k| json!({"info.n": {"$ne": k}}), |k, f| f.n != k),
    ("$in", |k| json!({"id": {"$in": [format!("t{k:03}"), "t001", "none"]}}), |k, f| f.n == k || f.n == 1),
    ("$nin", |k| json!({"info.n": {"$nin": [k, 1]}}), |k, f| f.n != k && f.n != 1),
    ("$gt", |k| json!({"info.n": {"$gt": k}}), |k, f| f.n > k),
    ("$gte", |k| json!({"info.n": {"$gte": k}}), |k, f| f.n >= k),
    ("$lt", |k| json!({"info.n": {"$lt": k}}), |k, f| f.n < k),
    ("$lte", |k| json!({"info.n": {"$lte": k}}), |k, f| f.n <= k),
    (
        "$and",
        |k| json!({"$and": [{"info.n": {"$gte": k}}, {"info.even": true}]}),
        |k, f| f.n >= k && f.n.is_multiple_of(2),
    ),
    ("$or", |k| json!({"$or": [{"info.n": k}, {"info.container": "c-1"}]}), |k, f| f.n == k || f.n % 4 == 1),
    (
        "$nor",
        |k| json!({"$nor": [{"info.n": k}, {"info.container": "c-1"}]}),
        |k, f| f.n != k && f.n % 4 != 1,
    ),
    ("$not", |k| json!({"info.n": {"$not": {"$lt": k}}}), |k, f| f.n >= k),
    (
        "$exists",
        |k| json!({"info.even": {"$exists": true}, "info.n": {"$gte": k}}),
        |k, f| f.n.is_multiple_of(2) && f.n >= k,
    ),
    ("$type", |k| json!({"info.container": {"$type": "string"}, "info.n": k}), |k, f| f.n == k),
    ("$mod", |k| json!({"info.n": {"$mod": [5, k % 5]}}), |k, f| f.n % 5 == k % 5),
    ("$size", |k| json!({"info.marks": {"$size": 2}, "info.n": {"$gt": k}}), |k, f| f.n > k),
    ("$all", |k| json!({"info.marks": {"$all": [k % 2, 11]}}), |k, f| f.n % 2 == k % 2 && f.n % 3 == 1),
    (
        "$elemMatch",
        |k| json!({"info.shelves": {"$elemMatch": {"row": k % 5, "side": 1}}}),
        |k, f| f.n % 5 == k % 5 && f.n % 2 == 1,
    ),
    (
        "$regex",
        |k| json!({"id": {"$regex": format!("^T.*{}$", k % 10), "$options": "i"}}),
        |k, f| f.n % 10 == k % 10,
    ),
    ("$expr", |k| json!({"$expr": {"$gte": ["$info.n", k]}}), |k, f| f.n >= k),
    ("$bitsAnySet", |k| json!({"info.n": {"$bitsAnySet": 1 << (k % 4)}}), |k, f| f.n & (1 << (k % 4)) != 0),
    (
        "several members",
        |k| json!({"info.container": format!("c-{}", k % 4), "tags": "mod-0"}),
        |k, f| f.n % 4 == k % 4 && f.n % 3 == 0,
    ),
];

/// Compares an answer of `listThings` with what it should be.
pub fn judge(row: &Row, k: u32, facts: &[Fact], answer: &Value) -> Result<(), String> {
    let (name, _, is) = row;
    let found: Option<Vec<&str>> =
        answer.as_array().map(|all| all.iter().filter_map(|thing| thing["id"].as_str()).collect());
    let mut found = found.ok_or_else(|| format!("{name}: no list: {answer}"))?;
    found.sort_unstable();
    let mut wanted: Vec<&str> =
        facts.iter().filter(|fact| is(k, fact)).map(|fact| fact.id.as_str()).collect();
    wanted.sort_unstable();
    if found == wanted {
        return Ok(());
    }
    Err(format!("{name} with {k} finds {found:?} instead of {wanted:?}"))
}
