//! Another key for a store: all secrets with it or none, whatever happens on the way.

use super::*;
use crate::{
    Secret,
    store::{Key, Place, Sealed, Sealer},
};

const NEW: [u8; 32] = [9; 32];
const THINGS: usize = 12;

fn with_key(bytes: [u8; 32]) -> StoreOptions {
    StoreOptions { key: Some(SealKey::from_bytes(bytes)), ..inline() }
}

fn place<'a>(key: &'a Key, field: &'a str) -> Place<'a> {
    Place { space: Space::Things, key, field }
}

/// A store of some things with secrets of all forms, and one record without.
async fn sealed(disk: &CrashBackend) {
    let store = create(disk).await;
    let (sealer, rng) = (store.sealer().clone(), cx(5).rng);
    for n in 0..THINGS {
        let key = Key::from(format!("t{n}").as_str());
        let seal = |field, value: Value| sealer.seal_value(&*rng, &place(&key, field), &value).unwrap();
        let pool = sealer.seal(&*rng, &place(&key, "pool"), &Secret::new("pool-7")).unwrap();
        let record = json!({
            "z": 1.0, "a": 12_345_678_901_234_567_890_u64, "pool": pool,
            "opts": {"password": seal("opts.password", json!("hunter")), "address": "10.0.0.7"},
            "info": {"more": [{"token": seal("info.more.token", json!([1, 2]))}, {"plain": "x"}]},
            "tags": ["spare"],
        });
        store.commit(Batch::new().put(Space::Things, &key, &record)).await.unwrap();
    }
    store.commit(Batch::new().put(Space::Meta, "plain", &json!({"n": 1}))).await.unwrap();
}

/// Opens with `key` and reads every secret.
async fn reads(disk: &CrashBackend, key: [u8; 32]) -> Result<()> {
    let store = ControlStore::open_on(&cx(2), Arc::new(disk.clone()), &with_key(key)).await?;
    for record in store.scan(Space::Things, .., usize::MAX) {
        let value: Value = record.parse()?;
        let open = |field, value: &Value| store.sealer().open_value(&place(&record.key, field), value);
        assert_eq!(open("opts.password", &value["opts"]["password"])?, json!("hunter"));
        assert_eq!(open("info.more.token", &value["info"]["more"][0]["token"])?, json!([1, 2]));
        let pool: Sealed = serde_json::from_value(value["pool"].clone()).unwrap();
        assert_eq!(store.sealer().open(&place(&record.key, "pool"), &pool)?.expose(), "pool-7");
        let text = String::from_utf8(record.json.to_vec()).unwrap();
        assert!(text.contains("\"z\":1.0") && text.contains("12345678901234567890"), "{text}");
    }
    assert_eq!(store.count(Space::Things), THINGS);
    Ok(())
}

fn rotate(disk: &CrashBackend) -> Result<crate::store::RotationReport> {
    let new = SealKey::from_bytes(NEW);
    ControlStore::rotate_key_on(&cx(3), Arc::new(disk.clone()), &inline(), &new)
}

#[test]
fn a_list_of_one_text_is_no_sealed_secret() {
    let sealer = Sealer::new(&SealKey::from_bytes(NEW));
    let key = Key::from("t1");
    let given = json!(["hunter2"]);
    let kept = sealer.seal_value(&*cx(5).rng, &place(&key, "opts.password"), &given).unwrap();
    assert!(!kept.to_string().contains("hunter2"), "{kept}");
    assert_eq!(sealer.open_value(&place(&key, "opts.password"), &kept).unwrap(), given);
    for other in [json!(["x"]), json!({"$sealed": "x", "more": "y"}), json!({"$sealed": 1}), json!({})] {
        assert!(serde_json::from_value::<Sealed>(other.clone()).is_err(), "{other}");
    }
}

#[tokio::test]
async fn every_secret_is_sealed_anew_and_all_else_stays() {
    let disk = CrashBackend::new(1);
    sealed(&disk).await;
    let revision = open(&disk).await.unwrap().get_record(Space::Meta, "plain").unwrap().revision;
    let report = rotate(&disk).unwrap();
    assert_eq!((report.records, report.secrets), (THINGS as u64, 3 * THINGS as u64));
    let e = open(&disk).await.unwrap_err();
    assert_eq!(e.code(), code::KEY);
    reads(&disk, NEW).await.unwrap();
    let store = ControlStore::open_on(&cx(2), Arc::new(disk.clone()), &with_key(NEW)).await.unwrap();
    assert_eq!(store.get_record(Space::Meta, "plain").unwrap().revision, revision);
    let changed = store.get_record(Space::Things, "t1").unwrap().revision;
    assert_eq!((changed, store.revision()), (Revision(revision.0 + 1), changed));
}

#[tokio::test]
async fn a_cut_leaves_one_key_for_all() {
    let mut found = [0, 0];
    let disk = CrashBackend::new(1);
    sealed(&disk).await;
    for cut in 0..60 {
        let disk = CrashBackend::with_bytes(cut, disk.bytes());
        disk.plan(CrashPlan { cut_at: Some(cut), ..CrashPlan::default() });
        let told = rotate(&disk);
        let disk = disk.cut();
        let new = match (reads(&disk, [7; 32]).await, reads(&disk, NEW).await) {
            (Ok(()), Err(_)) => false,
            (Err(_), Ok(())) => true,
            other => panic!("cut {cut}: {other:?}"),
        };
        assert!(new || told.is_err(), "cut {cut}: {told:?}");
        found[usize::from(new)] += 1;
    }
    assert!(found[0] > 0 && found[1] > 0, "{found:?}");
}

#[tokio::test]
async fn what_is_told_after_an_error_is_true() {
    let mut outcomes = [0, 0, 0];
    let disk = CrashBackend::new(1);
    sealed(&disk).await;
    for k in 20..64 {
        for fail_for in [1, 3, 200] {
            let disk = CrashBackend::with_bytes(k, disk.bytes());
            let plan =
                CrashPlan { fail_at: Some(k), fail_for, forget_failed_sync: true, ..CrashPlan::default() };
            disk.plan(plan);
            let told = rotate(&disk);
            disk.plan(CrashPlan::default());
            let new = reads(&disk, NEW).await.is_ok();
            assert_eq!(reads(&disk, [7; 32]).await.is_ok(), !new);
            let (n, right) = match told.as_ref().map_err(Error::sent) {
                Ok(_) => (0, new),
                Err(Sent::No) => (1, !new),
                Err(Sent::Maybe) => (2, true),
            };
            assert!(right, "call {k}, failing {fail_for} times: {told:?}, new: {new}");
            outcomes[n] += 1;
        }
    }
    assert!(outcomes.iter().all(|n| *n > 0), "{outcomes:?}");
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_named_and_nothing_changes() {
    let disk = CrashBackend::new(1);
    sealed(&disk).await;
    let store = open(&disk).await.unwrap();
    let foreign = Sealer::new(&SealKey::from_bytes([1; 32]));
    let key = Key::from("odd");
    let sealed = foreign.seal(&*cx(5).rng, &place(&key, "opts.password"), &Secret::new("x")).unwrap();
    let record = json!({"opts": {"password": sealed}});
    store.commit(Batch::new().put(Space::Things, "odd", &record)).await.unwrap();
    drop(store);
    let before = disk.bytes();
    let e = rotate(&disk).unwrap_err();
    assert_eq!((e.code(), e.fact("key"), e.fact("field")), (code::KEY, Some("odd"), Some("opts.password")));
    assert!(open(&disk).await.is_ok());
    assert_eq!(disk.bytes().len(), before.len());
}
