use super::*;
use crate::store::{
    db::{Db, FORMAT},
    dir,
    engine::Plan,
    migrate::{Rows, Step},
    record::{decode_at, encode},
    seal::{Place, Sealer},
};

const NEXT: u32 = FORMAT + 1;

/// An invented next format: racks are called sites.
fn rename(rows: &mut Rows, revision: u64) -> Result<(), String> {
    let old: Vec<(Vec<u8>, Vec<u8>)> = rows.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for (key, value) in old {
        let framed = decode_at(&key, &value).map_err(str::to_owned)?;
        if framed.space == Space::Racks.number() {
            let name = framed.record.key.as_str().replace("rack", "site");
            rows.remove(&key);
            let key = crate::store::record::raw_key(framed.space, &name);
            rows.insert(key, encode(framed.space, &name, revision, &framed.record.json));
        }
    }
    Ok(())
}

fn fails(_: &mut Rows, _: u64) -> Result<(), String> {
    Err("a rack has no name".into())
}

async fn open_as(disk: &CrashBackend, format: u32, steps: &'static [Step]) -> Result<ControlStore> {
    let plan = Plan {
        backend: Arc::new(disk.clone()),
        clock: cx(1).clock,
        sealer: Sealer::new(&SealKey::from_bytes([7; 32])),
        site: None,
        reserve: 0,
        steps,
        format,
    };
    ControlStore::run(plan, Writer::Inline).await
}

async fn of_this_release() -> CrashBackend {
    let disk = CrashBackend::new(1);
    let store = create(&disk).await;
    for i in 0..20 {
        let batch =
            Batch::new().put(Space::Racks, format!("rack-{i}"), &i).put(Space::Things, format!("t{i}"), &i);
        store.commit(batch).await.unwrap();
    }
    disk
}

#[tokio::test]
async fn an_older_store_is_taken_over_in_one_transaction() {
    static STEPS: &[Step] = &[Step { from: FORMAT, run: rename }];
    let disk = of_this_release().await;
    let store = open_as(&disk, NEXT, STEPS).await.unwrap();
    assert_eq!(store.get::<u32>(Space::Racks, "site-7").unwrap().unwrap().value, 7);
    assert_eq!((store.count(Space::Racks), store.count(Space::Things)), (20, 20));
    assert_eq!(store.revision(), Revision(20));
    assert_eq!(store.commit(Batch::new().put(Space::Meta, "m", &1)).await.unwrap(), Revision(21));
    drop(store);
    let e = open(&disk).await.unwrap_err();
    assert_eq!(e.code(), code::NEWER);
    assert!(e.message().contains(&format!("format {NEXT}")), "{e}");
}

#[tokio::test]
async fn a_cut_while_it_is_taken_over_leaves_the_old_or_the_new() {
    static STEPS: &[Step] = &[Step { from: FORMAT, run: rename }];
    let old = of_this_release().await.bytes();
    for cut in 0..40 {
        let disk = CrashBackend::with_bytes(cut, old.clone());
        disk.plan(CrashPlan { cut_at: Some(cut), ..CrashPlan::default() });
        let _cut = open_as(&disk, NEXT, STEPS).await;
        let store = open_as(&disk.cut(), NEXT, STEPS).await.unwrap();
        assert_eq!(store.scan_prefix(Space::Racks, "site-").len(), 20, "cut {cut}");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_over_stays_as_it_was() {
    static BROKEN: &[Step] = &[Step { from: FORMAT, run: fails }];
    static GAP: &[Step] = &[Step { from: FORMAT + 1, run: rename }];
    let disk = of_this_release().await;
    let before = disk.bytes();
    assert_eq!(open_as(&disk, NEXT, BROKEN).await.unwrap_err().code(), code::CORRUPT);
    assert_eq!(open_as(&disk, NEXT, &[]).await.unwrap_err().code(), code::TOO_OLD);
    assert_eq!(open_as(&disk, NEXT + 1, GAP).await.unwrap_err().code(), code::TOO_OLD);
    assert!(disk.bytes() == before);
}

#[tokio::test]
async fn foreign_and_cut_files_are_refused_unchanged() {
    let disk = of_this_release().await;
    let bytes = disk.bytes();
    let mut files: Vec<Vec<u8>> = (0..bytes.len()).step_by(4096).map(|n| bytes[..n].to_vec()).collect();
    files.extend([b"x".to_vec(), vec![0; 8192], b"SQLite format 3\0".repeat(600), bytes[..777].to_vec()]);
    for file in files {
        let disk = CrashBackend::with_bytes(1, file.clone());
        let e = open(&disk).await.unwrap_err();
        assert!(is_typed(&e) && e.kind() == crate::ErrorKind::Corrupt, "{} bytes: {e}", file.len());
        assert!(disk.bytes() == file, "{} bytes: changed", file.len());
    }
    let empty = open(&CrashBackend::new(1)).await.unwrap_err();
    assert_eq!(empty.code(), code::EMPTY);
}

#[tokio::test]
async fn another_database_another_kind_and_another_key_are_refused_unchanged() {
    let redb = CrashBackend::new(1);
    {
        let shield =
            crate::store::shield::Shield::attach(Arc::new(redb.clone()), Default::default()).unwrap();
        shield.accept().unwrap();
        let db = redb::Builder::new().create_with_backend(shield).unwrap();
        let tx = db.begin_write().unwrap();
        tx.open_table(redb::TableDefinition::<u64, u64>::new("other")).unwrap().insert(1, 2).unwrap();
        tx.commit().unwrap();
    }
    let kind = CrashBackend::new(1);
    super::super::LastStore::create_on(Arc::new(kind.clone()), "s").unwrap();
    for disk in [redb, kind] {
        let before = disk.bytes();
        assert_eq!(open(&disk).await.unwrap_err().code(), code::FOREIGN);
        assert!(disk.bytes() == before);
    }
    let disk = of_this_release().await;
    let before = disk.bytes();
    let options = StoreOptions { key: Some(SealKey::from_bytes([8; 32])), ..inline() };
    let e = ControlStore::open_on(&cx(1), Arc::new(disk.clone()), &options).await.unwrap_err();
    assert_eq!((e.code(), e.kind()), (code::KEY, crate::ErrorKind::Unauthenticated));
    assert!(disk.bytes() == before);
}

#[tokio::test]
async fn a_record_of_an_unknown_space_is_not_dropped() {
    let disk = CrashBackend::new(1);
    let sealer = Sealer::new(&SealKey::from_bytes([7; 32]));
    let about = dir::about(&*cx(1).rng, "s", &sealer).unwrap();
    let db = Db::create(Arc::new(disk.clone()), &about).unwrap();
    let key = crate::store::record::raw_key(99, "k");
    let write = crate::store::state::RawWrite { key, value: Some(encode(99, "k", 1, b"1")) };
    db.write(&[write], 1).unwrap();
    drop(db);
    assert_eq!(open(&disk).await.unwrap_err().code(), code::CORRUPT);
}

#[tokio::test]
async fn no_secret_reaches_the_file_an_error_or_a_debug() {
    let disk = CrashBackend::new(1);
    let store = create(&disk).await;
    let rng = cx(1).rng;
    let canaries: Vec<String> = (0..50).map(|i| format!("Canary-{i:02}-{}", i * 7919)).collect();
    let mut seen = String::new();
    for round in 0..4 {
        for (i, canary) in canaries.iter().enumerate() {
            let key = crate::store::Key::from(format!("t{i}"));
            let opts = json!({"address": "10.0.0.7", "password": canary, "apiToken": [canary, round]});
            let Value::Object(mut opts) = opts else { unreachable!() };
            store.sealer().seal_map(&*rng, (Space::Things, &key), "opts", &mut opts).unwrap();
            store.commit(Batch::new().put(Space::Things, &key, &json!({"opts": opts}))).await.unwrap();
            seen += &format!("{:?}", store.get_record(Space::Things, &key));
        }
    }
    store.commit(Batch::new().delete(Space::Things, "t0")).await.unwrap();
    seen += &format!("{store:?} {:?} {:?}", store.sealer(), inline().key);

    let key = crate::store::Key::from("t1");
    let found = store.get::<Value>(Space::Things, &key).unwrap().unwrap().value;
    let Value::Object(mut opts) = found["opts"].clone() else { unreachable!() };
    store.sealer().open_map((Space::Things, &key), "opts", &mut opts).unwrap();
    assert_eq!((&opts["password"], &opts["apiToken"]), (&json!(canaries[1]), &json!([canaries[1], 3])));
    // Moved to another record, or to another member, it does not open.
    let sealed = serde_json::from_value(found["opts"]["password"].clone()).unwrap();
    for (key, field) in [("t2", "opts.password"), ("t1", "opts.address")] {
        let place = Place { space: Space::Things, key: &key.into(), field };
        let e = store.sealer().open(&place, &sealed).unwrap_err();
        assert_eq!(e.code(), code::KEY);
        seen += &format!("{e} {e:?}");
    }
    store.close().await.unwrap();
    let bytes = disk.bytes();
    for canary in &canaries {
        assert!(!seen.contains(canary));
        assert!(!bytes.windows(canary.len()).any(|w| w == canary.as_bytes()), "{canary}");
    }
}
