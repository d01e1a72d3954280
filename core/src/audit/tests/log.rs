//! Staging, committing and opening again.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::{stored, *},
    checkpoint, cx, exported, grow, made, options, store, store_on,
};
use crate::{
    ErrorKind,
    store::{Batch, ControlStore, CrashBackend, Expect, Key, Space},
};

#[test]
fn a_line_has_its_members_in_order_and_leaves_out_what_is_absent() {
    let mut log = Log::new();
    let line = log.append(Draft::new(-5, "Ä\n\u{1}\"", "push")).unwrap();
    let zeros = "0".repeat(64);
    let expected = format!(r#"{{"seq":0,"ts":-5,"by":"Ä\n\u0001\"","what":"push","prev":"{zeros}"}}"#);
    assert_eq!(std::str::from_utf8(&line).unwrap(), expected);
    let prev = Hash::leaf(&line);
    let rows = Rows::new().add(Space::Actions, &Key::number(7), br#"{"a":1}"#);
    let sum = Hash::plain(b"actions/00000000000000000007\n{\"a\":1}\n");
    let draft = Draft::new(9, "ada", "vote").why("no").action(7).data(json!({"b": 1, "a": 0.5})).rows(rows);
    let line = log.append(draft).unwrap();
    let expected = format!(
        r#"{{"seq":1,"ts":9,"by":"ada","what":"vote","why":"no","action":7,"data":{{"a":0.5,"b":1}},"rows":"{sum}","prev":"{prev}"}}"#
    );
    assert_eq!(std::str::from_utf8(&line).unwrap(), expected);
    let entry = Entry::parse(&line).unwrap();
    assert_eq!((entry.seq, entry.action, entry.data["a"].as_f64()), (1, Some(7), Some(0.5)));
    assert_eq!((log.size(), *log.last()), (2, Hash::leaf(&line)));
}

#[tokio::test]
async fn what_is_staged_committed_and_opened_again_is_the_same() {
    let disk = CrashBackend::new(1);
    let store = store_on(&disk).await;
    let log = grow(&store, &Log::open(&store).unwrap(), 1_234).await;
    let (lines, heads) = made(1_234);
    assert_eq!(log, heads[1_234]);
    assert_eq!(Log::open(&store).unwrap(), log);
    store.close().await.unwrap();
    let store = ControlStore::open_on(&cx(), Arc::new(disk), &options()).await.unwrap();
    assert_eq!(Log::open(&store).unwrap(), log);
    // The bytes that were hashed are the bytes that are stored and exported.
    let export = exported(&store);
    assert_eq!(
        export,
        lines.iter().flat_map(|l| [l.as_slice(), b"\n"]).flatten().copied().collect::<Vec<_>>()
    );
    let verified = verify(super::super::lines(&export), &[checkpoint(&log)]).unwrap();
    assert_eq!((verified.size, verified.root, verified.witnessed), (1_234, log.root(), 1_234));
}

#[tokio::test]
async fn a_commit_that_fails_leaves_the_head_and_one_batch_may_be_staged_in_parts() {
    let store = store().await;
    let log = grow(&store, &Log::new(), 3).await;
    let blocked = Batch::new().require(Space::Settings, "ramp", Expect::Exists);
    let (batch, _) = log.stage(blocked, vec![super::draft(3)]).unwrap();
    assert_eq!(store.commit(batch).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(Log::open(&store).unwrap(), log);
    let (batch, next) = log.stage(Batch::new(), vec![super::draft(3)]).unwrap();
    let (batch, next) = next.stage(batch, vec![]).unwrap();
    let (batch, next) = next.stage(batch, vec![super::draft(4), super::draft(5)]).unwrap();
    store.commit(batch).await.unwrap();
    assert_eq!(Log::open(&store).unwrap(), next);
    // Somebody with an older head does not write over what is there.
    let (batch, _) = log.stage(Batch::new(), vec![super::draft(9)]).unwrap();
    assert_eq!(store.commit(batch).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(Log::open(&store).unwrap(), next);
}

#[tokio::test]
async fn the_history_of_racks_beside_it_is_not_part_of_the_log() {
    let store = store().await;
    let mut batch = Batch::new();
    for key in ["aaa", "log", "logs/1", "thing wm1 5", "log0"] {
        batch = batch.put(Space::Audit, key, &1);
    }
    store.commit(batch).await.unwrap();
    let log = grow(&store, &Log::open(&store).unwrap(), 5).await;
    assert_eq!(Log::open(&store).unwrap(), log);
    assert_eq!(lines(&exported(&store)).count(), 5);
}

#[tokio::test]
async fn a_wrong_entry_is_named_when_the_log_is_opened() {
    let (lines, _) = made(2_000);
    let line = |n: usize| serde_json::from_slice::<Value>(&lines[n]).unwrap();
    let changed = |n: usize, member: &str, value: Value| {
        let mut entry = Entry::parse(&lines[n]).unwrap();
        match member {
            "by" => entry.by = "eve".into(),
            _ => entry.seq = value.as_u64().unwrap(),
        }
        serde_json::to_value(&entry).map(|_| serde_json::to_string(&entry).unwrap()).unwrap()
    };
    let raw = |text: String| serde_json::value::RawValue::from_string(text).unwrap();
    let put = |n: u64, text: String| Batch::new().put(Space::Audit, stored::key(n), &raw(text));
    for (batch, entry) in [
        (put(1_500, changed(1_500, "by", Value::Null)), 1_500),
        (put(700, changed(700, "seq", json!(1))), 700),
        (put(0, "{}".into()), 0),
        (put(0, changed(0, "by", Value::Null)), 0),
        (put(1_024, line(3).to_string()), 1_024),
        (Batch::new().delete(Space::Audit, stored::key(0)), 0),
        (
            Batch::new().delete(Space::Audit, stored::key(1_999)).put(
                Space::Audit,
                "log/00000000000000001999x",
                &1,
            ),
            1_999,
        ),
        (Batch::new().delete(Space::Audit, stored::key(1_998)), 1_998),
        (put(2_001, changed(1_999, "seq", json!(2_001))), 2_000),
    ] {
        let store = store().await;
        grow(&store, &Log::new(), 2_000).await;
        store.commit(batch).await.unwrap();
        let e = Log::open(&store).unwrap_err();
        assert_eq!(
            (e.kind(), e.code(), e.fact("entry")),
            (ErrorKind::Corrupt, code::CORRUPT, Some(&*format!("{entry}"))),
            "{e}"
        );
    }
}

#[test]
fn what_cannot_be_an_entry_is_refused() {
    let log = Log::new();
    for draft in [
        Draft::new(1, "ada", "push").data(json!({"x": "y".repeat(70_000)})),
        Draft::new(1, "ada", "push").data(json!({"pass": {"$sealed": "00"}})),
    ] {
        let e = log.stage(Batch::new(), vec![draft]).unwrap_err();
        assert_eq!((e.kind(), e.fact("what")), (ErrorKind::Invalid, Some("push")));
    }
    // As text it is no sealed value.
    assert!(log.stage(Batch::new(), vec![Draft::new(1, "ada", "\"$sealed\"")]).is_ok());
    for text in ["", "{}", "[]", "{\"seq\":0}", "{\"seq\":0,\"ts\":1,\"by\":\"a\",\"what\":\"b\",\"prev\":1}"]
    {
        assert_eq!(Entry::parse(text.as_bytes()).unwrap_err().code(), code::CORRUPT);
    }
}
