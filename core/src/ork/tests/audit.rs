use serde_json::{Value, json};

use super::{actions::Served, *};
use crate::{
    audit::{self, AuditKey, Log},
    store::Batch,
};

async fn call(ork: &Orchestrator, method: &str, params: Value) -> Result<Value> {
    let who = Principal::new("auditor", Permissions::parse(["actions:r"]).unwrap());
    ork.call(&who, method, &params.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn the_log_is_exported_in_pages_and_verified_against_checkpoints() {
    let site = Site::new().await;
    let empty = call(&site.ork, "exportAudit", json!({})).await.unwrap();
    assert_eq!(empty, json!({"lines": []}));
    let served = Served::by(&site.ork);
    for _ in 0..5 {
        served.push("three", "boss").await;
    }
    let store = site.ork.0.store.clone();
    let key = AuditKey::random("headframe/test", &*cx().rng).unwrap();
    let log = Log::open(&store).unwrap();
    let note = key.checkpoint(&log);

    let (mut lines, mut from) = (Vec::new(), json!(0));
    loop {
        let page = call(&site.ork, "exportAudit", json!({"from": from, "limit": 2})).await.unwrap();
        let some = page["lines"].as_array().unwrap().clone();
        assert!(some.len() <= 2);
        lines.extend(some.into_iter().map(|line| line.as_str().unwrap().to_owned()));
        match page.get("next") {
            Some(next) => from = next.clone(),
            None => break,
        }
    }
    let whole = call(&site.ork, "exportAudit", json!({})).await.unwrap();
    assert_eq!(whole, json!({"lines": lines}));
    let mut exported = Vec::new();
    audit::export(&store, &mut exported).unwrap();
    assert_eq!(lines.join("\n") + "\n", String::from_utf8(exported).unwrap());
    let past = call(&site.ork, "exportAudit", json!({"from": 1_000_000})).await.unwrap();
    assert_eq!(past, json!({"lines": []}));
    for wrong in [json!({"from": -1}), json!({"limit": "x"})] {
        assert_eq!(call(&site.ork, "exportAudit", wrong).await.unwrap_err().kind(), ErrorKind::Invalid);
    }

    let size = lines.len();
    let sound = json!({"verified": true, "size": size, "root": log.root().to_string(), "witnessed": 0});
    assert_eq!(call(&site.ork, "verifyAudit", json!({})).await.unwrap(), sound);
    let checked = json!({"key": key.verifier().to_string(), "checkpoints": [note]});
    let answer = call(&site.ork, "verifyAudit", checked.clone()).await.unwrap();
    assert_eq!((answer["verified"].clone(), answer["witnessed"].clone()), (json!(true), json!(size)));
    let other = AuditKey::random("headframe/other", &*cx().rng).unwrap();
    for (params, code) in [
        (json!({"checkpoints": [note]}), "ERR_PAYLOAD_INVALID"),
        (json!({"key": "x", "checkpoints": [note]}), audit::code::KEY),
        (json!({"key": other.verifier().to_string(), "checkpoints": [note]}), audit::code::SIGNATURE),
        (json!({"key": key.verifier().to_string(), "checkpoints": "x"}), "ERR_PAYLOAD_INVALID"),
        (json!({"key": key.verifier().to_string(), "checkpoints": ["x"]}), audit::code::NOTE),
    ] {
        assert_eq!(call(&site.ork, "verifyAudit", params).await.unwrap_err().code(), code);
    }

    // Somebody changes what was done, and makes nothing anew; then takes one away.
    let third = store.scan(Space::Audit, .., usize::MAX).swap_remove(2);
    let forged = String::from_utf8(third.json.to_vec()).unwrap().replace("boss", "bose");
    store
        .commit(Batch::new().put_json(Space::Audit, third.key, Ok(forged.into_bytes().into())))
        .await
        .unwrap();
    let answer = call(&site.ork, "verifyAudit", checked).await.unwrap();
    assert_eq!((answer["verified"].clone(), answer["entry"].clone()), (json!(false), json!(2)), "{answer}");
    assert!(answer["why"].as_str().unwrap().contains("entry 2"), "{answer}");
    let fourth = store.scan(Space::Audit, .., usize::MAX).swap_remove(3);
    store.commit(Batch::new().delete(Space::Audit, fourth.key)).await.unwrap();
    for params in [json!({}), json!({"from": 1}), json!({"from": 3})] {
        let e = call(&site.ork, "exportAudit", params.clone()).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("entry")), (ErrorKind::Corrupt, Some("3")), "{params}");
    }
    let answer = call(&site.ork, "verifyAudit", json!({})).await.unwrap();
    assert_eq!(answer["verified"], false);
}
