use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{Cursor, Hidden, Page, Projection, Query, Sort, SortKey},
    docs, ids, run,
};

fn fleet(n: usize) -> Vec<(String, Value)> {
    // Many share a value, and some have none.
    (0..n)
        .map(|i| {
            let v = i * 7919 % 13;
            let doc = if v == 0 { json!({"n": i}) } else { json!({"v": v, "n": i, "tags": ["t-miner"]}) };
            (format!("id-{:04}", i * 37 % n), doc)
        })
        .collect()
}

fn query(text: &str) -> Query {
    Query::parse_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn a_whole_request() {
    let things = docs(&[
        ("1", json!({"code": "S21-0010", "info": {"pos": "a"}})),
        ("2", json!({"code": "S21-0002", "info": {"pos": "b"}})),
        ("3", json!({"code": "M56S-0001", "info": {}})),
    ]);
    let q = query(
        r#"{"query":{"code":{"$regex":"^S"}},"fields":{"info.pos":1},"sort":{"code":1},"offset":0,"limit":1,"status":1}"#,
    );
    assert!(q.status);
    let page = run(&q, &things);
    // Sorted by what is not given.
    assert_eq!((ids(&page), page.items[0].value.to_value()), (vec!["2"], json!({"info": {"pos": "b"}})));
    assert_eq!(page.matched, 2);
    assert!(page.next.is_some());
    assert_eq!(Query::default().page.limit, 100);
    let q = query(
        r#"{"query":null,"fields":null,"sort":null,"offset":null,"limit":null,"cursor":null,"other":1}"#,
    );
    assert_eq!(ids(&run(&q, &things)), ["1", "2", "3"]);
}

#[test]
fn offset_and_limit() {
    let things = fleet(250);
    assert_eq!(run(&Query::default(), &things).items.len(), 100);
    let all = run(&Query { page: Page::ALL, ..Query::default() }, &things);
    assert_eq!((all.items.len(), all.matched, all.next), (250, 250, None));
    let none = run(&query(r#"{"limit":0}"#), &things);
    assert_eq!((none.items.len(), none.matched, none.next), (0, 250, None));
    let beyond = run(&query(r#"{"offset":250}"#), &things);
    assert_eq!((beyond.items.len(), beyond.next), (0, None));
    let last = run(&query(r#"{"offset":249,"limit":1.0}"#), &things);
    assert_eq!((ids(&last), last.next.is_some()), (vec!["id-0249"], false));
    let huge = run(&query(r#"{"offset":18446744073709551615,"limit":18446744073709551615}"#), &things);
    assert_eq!(huge.items.len(), 0);
}

#[test]
fn small_pages_of_many_are_those_of_the_whole() {
    let things = fleet(1_000);
    let mut q = query(r#"{"sort":{"v":-1}}"#);
    q.page = Page::ALL;
    let whole = run(&q, &things);
    for (offset, limit) in [(0, 1), (0, 3), (7, 20), (500, 5), (990, 20)] {
        q.page = Page { offset, limit, cursor: None };
        let page = run(&q, &things);
        let wanted: Vec<_> = whole.items.iter().skip(offset as usize).take(limit as usize).cloned().collect();
        assert_eq!(page.items, wanted, "{limit} from {offset}");
        assert_eq!((page.matched, page.next.is_some()), (1_000, offset + limit < 1_000));
    }
}

#[test]
fn what_is_no_request() {
    for (text, field) in [
        (r#"{"offset":-1}"#, "offset"),
        (r#"{"limit":-1}"#, "limit"),
        (r#"{"limit":1.5}"#, "limit"),
        (r#"{"limit":"10"}"#, "limit"),
        (r#"{"limit":1e300}"#, "limit"),
        (r#"{"status":"yes"}"#, "status"),
        (r#"{"query":[]}"#, "query"),
        (r#"{"fields":7}"#, "fields"),
        (r#"{"sort":7}"#, "sort"),
        (r#"{"cursor":7}"#, "cursor"),
        (r#"{"cursor":"zz"}"#, "cursor"),
        ("[]", "query"),
        ("nonsense", "query"),
    ] {
        let e = Query::parse_str(text).expect_err(text);
        assert_eq!((e.code(), e.fact("field")), ("ERR_QUERY_INVALID", Some(field)), "{text}");
        assert!(serde_json::from_str::<Query>(text).is_err());
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            assert_eq!(
                Query::from_value(&value, &Hidden::standard()).unwrap_err().fact("field"),
                Some(field),
                "{text}"
            );
        }
    }
    let lost = Query::from_value(&json!({"sort": {"a": 1, "b": 1}}), &Hidden::standard()).unwrap_err();
    assert!(lost.message().contains("list of pairs"));
    let kept = Query::from_value(&json!({"sort": [["b", 1], ["a", -1]], "limit": null}), &Hidden::standard())
        .unwrap();
    assert_eq!(kept.sort.keys().map(|(p, _)| p).collect::<Vec<_>>(), ["b", "a"]);
}

fn walk_by_cursor(things: &[(String, Value)], request: &str, limit: u64) -> Vec<String> {
    let mut q = query(request);
    q.page.limit = limit;
    let mut seen = Vec::new();
    loop {
        let page = run(&q, things);
        assert!(page.items.len() as u64 <= limit);
        seen.extend(page.items.into_iter().map(|i| i.id));
        assert!(seen.len() <= things.len(), "the cursor does not move on");
        let Some(next) = page.next else { return seen };
        // As a caller would: through text.
        q.page.cursor = Some(next.to_string().parse().unwrap());
    }
}

#[test]
fn cursors_walk_through_everything_once() {
    let things = fleet(120);
    for request in [
        r"{}",
        r#"{"sort":{"v":1}}"#,
        r#"{"sort":{"v":-1,"n":1}}"#,
        r#"{"query":{"v":{"$gt":4}},"sort":{"v":-1}}"#,
    ] {
        let mut all = query(request);
        all.page = Page::ALL;
        let wanted: Vec<String> = run(&all, &things).items.into_iter().map(|i| i.id).collect();
        for limit in [1, 7, 60, 119, 120, 500] {
            assert_eq!(walk_by_cursor(&things, request, limit), wanted, "{request} by {limit}");
        }
    }
}

#[test]
fn a_cursor_stands_when_things_come_and_go() {
    let mut things = fleet(40);
    let mut q = query(r#"{"sort":{"v":1},"limit":10}"#);
    let first = run(&q, &things);
    let rest: Vec<String> = {
        let mut all = query(r#"{"sort":{"v":1}}"#);
        all.page = Page::ALL;
        run(&all, &things).items.into_iter().skip(10).map(|i| i.id).collect()
    };
    // One comes before the position, and the one at the position goes.
    things.push(("new".into(), json!({"v": -5})));
    things.retain(|(id, _)| *id != first.items[9].id);
    q.page = Page { cursor: first.next, ..Page::ALL };
    assert_eq!(ids(&run(&q, &things)), rest);
}

#[test]
fn a_cursor_of_another_sort_or_damaged_is_refused() {
    let things = fleet(20);
    let cursor = run(&query(r#"{"sort":{"v":1},"limit":3}"#), &things).next.unwrap();
    let text = cursor.to_string();
    assert!(text.parse::<Cursor>().unwrap() == cursor);
    let parse = |sort: &str| Query::parse_str(&format!(r#"{{"sort":{sort},"cursor":"{text}"}}"#));
    assert!(parse(r#"{"v":1}"#).is_ok());
    for other in [r#"{"v":-1}"#, r#"{"n":1}"#, r#"{"v":1,"n":1}"#, "{}"] {
        assert_eq!(parse(other).unwrap_err().fact("field"), Some("cursor"));
    }
    let by_hand = Query { page: Page { cursor: Some(cursor), ..Page::ALL }, ..Query::default() };
    assert!(by_hand.run([]).is_err());
    let both = format!(r#"{{"sort":{{"v":1}},"cursor":"{text}","offset":1}}"#);
    assert_eq!(Query::parse_str(&both).unwrap_err().fact("field"), Some("offset"));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        assert!(String::from_utf8(bytes).unwrap().parse::<Cursor>().is_err(), "changed at {at}");
        assert!(text[..at].parse::<Cursor>().is_err(), "cut at {at}");
    }
}

#[test]
fn racks_together_give_one_true_page() {
    let things = fleet(90);
    for request in [
        r#"{"sort":{"v":1},"limit":10,"offset":25}"#,
        r#"{"limit":7}"#,
        r#"{"sort":{"v":-1},"limit":90}"#,
        r#"{"limit":0}"#,
    ] {
        let q = query(request);
        let whole = run(&q, &things);
        let part = Query { sort: q.sort.clone(), page: q.page_of_part(), ..Query::default() };
        let racks = [&things[..10], &things[10..11], &things[11..80], &things[80..], &[]];
        let parts = racks.iter().map(|rack| run(&part, rack)).collect();
        assert_eq!(q.merge(parts), whole, "{request}");
    }
}

proptest! {
    #[test]
    fn cursors_never_panic(text in prop_oneof![any::<String>(), "[0-9a-f]{0,200}"]) {
        prop_assert!(text.parse::<Cursor>().is_err());
    }

    #[test]
    fn every_cursor_survives_as_text(key in prop::collection::vec(any::<u8>(), 0..40), id in any::<String>()) {
        let hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
        let cursor = Cursor::after(&Sort::default(), hex.parse::<SortKey>().unwrap(), id);
        prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
    }

    #[test]
    fn a_page_is_a_cut_of_the_whole(
        values in prop::collection::vec(prop::option::of(0_u8..6), 0..300),
        offset in 0_u64..40, limit in 0_u64..40, down in any::<bool>(),
    ) {
        let doc = |v: &Option<u8>| v.map_or(json!({}), |v| json!({"v": v}));
        let things: Vec<(String, Value)> =
            values.iter().enumerate().map(|(i, v)| (format!("{:03}", i * 101 % 307), doc(v))).collect();
        // Independent of the bytes of keys: by option and id.
        let mut wanted: Vec<(&Option<u8>, &str)> = values.iter().zip(things.iter().map(|(id, _)| id.as_str())).collect();
        wanted.sort_by(|(a, ia), (b, ib)| {
            let ordered = if down { b.cmp(a) } else { a.cmp(b) };
            let missing = a.is_none().cmp(&b.is_none());
            missing.then(ordered).then_with(|| ia.cmp(ib))
        });
        let wanted: Vec<&str> = wanted.iter().skip(offset as usize).take(limit as usize).map(|(_, id)| *id).collect();
        let sort = if down { r#"{"v":-1}"# } else { r#"{"v":1}"# };
        let q = Query {
            sort: Sort::parse_str(sort).unwrap(),
            page: Page { offset, limit, cursor: None },
            fields: Projection::parse(&json!({"v": 1})).unwrap(),
            ..Query::default()
        };
        let page = run(&q, &things);
        prop_assert_eq!(ids(&page), wanted);
    }
}
