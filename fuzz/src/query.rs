//! Requests about things: filter, projection, sort, regular expressions, cursors.

use std::sync::{Arc, OnceLock};

use headframe_core::query::{Cursor, Filter, Hidden, Projection, Query, Sort};
use serde_json::{Value, json};

use crate::{codec::shown, serve::LONGEST};

/// What no answer may show, and no question may find out.
const HIDDEN: [&str; 2] = ["c0ffee-seven", "decaf-eight"];

/// Documents by id.
type Documents = Vec<(String, Arc<Value>)>;

/// Documents of things; twice, with other secrets.
fn documents() -> &'static [Documents; 2] {
    static DOCUMENTS: OnceLock<[Documents; 2]> = OnceLock::new();
    DOCUMENTS.get_or_init(|| HIDDEN.map(|secret| (0..24).map(|n| document(n, secret)).collect()))
}

fn document(n: u64, secret: &str) -> (String, Arc<Value>) {
    let id = format!("m{n:02}");
    let doc = json!({
        "id": id, "code": format!("WM-{n:04}"), "type": if n.is_multiple_of(3) { "miner-wm-m56s" } else { "miner-am-s21" },
        "tags": ["t-miner", format!("pos-{}", n % 4)], "rack": format!("r{}", n % 2),
        "info": {"pos": format!("1-{}_{n}", n % 4), "container": "bitdeer-1", "macAddress": format!("02:00:00:00:00:{n:02x}")},
        "opts": {"address": format!("10.0.0.{n}"), "port": 4028 + n % 2, "password": format!("{secret}{n}")},
        "last": {"ts": 1_764_000_000_000_u64 + n, "err": if n.is_multiple_of(5) { json!("timeout") } else { Value::Null },
            "snap": {"stats": {"hashrate_mhs": {"t_5m": 1.5e8 * n as f64}, "power_w": 3_300 + n, "temperature_c": {"max": 70.5 + n as f64, "chips": [60, 61.5, n]}},
                "config": {"pool_config": [{"url": "stratum+tcp://pool", "username": "a.b", "password": secret}], "power_mode": "normal"}}},
        "comments": [{"id": "c", "ts": n, "comment": "é\u{1f527}", "user": "a@b"}],
        "meta": {"token": secret, "deep": [[[{"a": {"b": [1, {"c": 7}]}}]]]},
    });
    (id, Arc::new(doc))
}

/// A request as a caller writes it; the first byte chooses which part of it is read alone.
pub fn query(data: &[u8]) {
    let Some((first, bytes)) = data.get(..LONGEST).unwrap_or(data).split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match first % 4 {
        0 | 1 => whole(text),
        2 => parts(text),
        _ => {
            if let Ok(cursor) = text.parse::<Cursor>() {
                assert_eq!(cursor.to_string().parse::<Cursor>().ok().as_ref(), Some(&cursor));
            }
            if let Ok(sort) = Sort::parse_str(text) {
                let docs = &documents()[0];
                let keys: Vec<_> = docs.iter().map(|(_, doc)| sort.key(doc)).collect();
                for key in keys {
                    assert_eq!(key.to_string().parse().ok().as_ref(), Some(&key));
                }
            }
        }
    }
}

fn whole(text: &str) {
    let query = match Query::parse_str(text) {
        Ok(query) => query,
        Err(e) => return shown(&e),
    };
    // Both sets differ in their secrets alone: whoever sees a difference can find them out.
    let [first, second] = documents();
    let (first, second) = match (answer(&query, first), answer(&query, second)) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(e), Err(_)) => return shown(&e),
        _ => unreachable!("an answer depends on what is hidden"),
    };
    assert_eq!(first, second, "an answer depends on what is hidden");
    assert!(HIDDEN.iter().all(|secret| !first.contains(secret)), "a secret shows");
    merged(&query);
}

fn answer(query: &Query, docs: &[(String, Arc<Value>)]) -> headframe_core::Result<String> {
    let shared = query.run_shared(docs.iter().map(|(id, doc)| (id.as_str(), doc)))?;
    let copied = query.run(docs.iter().map(|(id, doc)| (id.as_str(), &**doc)))?;
    let text = format!("{shared:?}");
    assert_eq!(text.len(), format!("{copied:?}").len(), "rows that share say something else than copies");
    assert!(shared.matched <= docs.len() as u64);
    Ok(text)
}

/// Two racks that each hold a half give together what one gives that holds all.
fn merged(query: &Query) {
    let docs = &documents()[0];
    let page = |query: &Query, docs: &[(String, Arc<Value>)]| {
        query.run_shared(docs.iter().map(|(id, doc)| (id.as_str(), doc))).ok()
    };
    let mut part = query.clone();
    part.page = query.page_of_part();
    let (left, right) = docs.split_at(docs.len() / 2);
    if let (Some(all), Some(left), Some(right)) = (page(query, docs), page(&part, left), page(&part, right)) {
        let ids = |page: &headframe_core::query::QueryPage| {
            page.items.iter().map(|item| item.id.clone()).collect::<Vec<_>>()
        };
        let merged = query.merge(vec![left, right]);
        assert_eq!((ids(&merged), merged.matched), (ids(&all), all.matched), "halves give another page");
    }
}

fn parts(text: &str) {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let docs = &documents()[0];
    if let Ok(filter) = Filter::parse(&value) {
        for (_, doc) in docs {
            assert_eq!(filter.matches(doc), filter.matches(doc));
        }
        let _some = filter.uses("opts");
    }
    if let Ok(filter) = Filter::parse_with(&value, &Hidden::nothing()) {
        let _some = docs.iter().filter(|(_, doc)| filter.matches(doc)).count();
    }
    if let Ok(fields) = Projection::parse(&value) {
        for (_, doc) in docs {
            let copied = fields.apply(doc);
            assert!(!copied.to_string().contains(HIDDEN[0]), "a projection shows a secret");
            assert_eq!(fields.row(doc).to_value(), copied, "a row says something else than its copy");
        }
    }
    if let Ok(query) = Query::from_value(&value, &Hidden::standard()) {
        let _page = answer(&query, docs);
    }
}
