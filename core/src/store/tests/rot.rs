use super::*;

#[tokio::test]
async fn a_bit_that_flips_at_rest_is_refused_or_harms_nothing() {
    let disk = CrashBackend::new(1);
    let (store, models) = filled(&disk, 1, 25).await;
    store.close().await.unwrap();
    let bytes = disk.bytes();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut refused = 0;
    for round in 0..200 {
        let bad = CrashBackend::with_bytes(round, bytes.clone());
        // The first page is the most delicate one; it gets its share.
        let end = if round % 4 == 0 { 512 } else { bytes.len() };
        for _ in 0..(if round % 3 == 0 { 8 } else { 1 }) {
            bad.flip(rng.usize(0..end * 8));
        }
        let before = bad.bytes();
        match open(&bad).await {
            Ok(store) => assert_eq!(content(&store), models[25], "round {round}"),
            Err(e) => {
                refused += 1;
                assert!(is_typed(&e), "round {round}: {e}");
                assert!(bad.bytes() == before, "round {round}: a refused file was changed");
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

#[tokio::test]
async fn a_bit_that_flips_while_the_store_is_open_never_becomes_a_value() {
    let disk = CrashBackend::new(2);
    let (store, models) = filled(&disk, 2, 25).await;
    store.close().await.unwrap();
    let bytes = disk.bytes();
    let mut rng = fastrand::Rng::with_seed(2);
    let mut noticed = 0;
    for round in 0..120_usize {
        let disk = CrashBackend::with_bytes(round as u64, bytes.clone());
        let store = open(&disk).await.unwrap();
        disk.flip(rng.usize(0..disk.bytes().len() * 8));
        let verified = store.verify().await;
        noticed += usize::from(verified.is_err_and(|e| e.code() == code::CORRUPT));
        let mut expected = models[25].clone();
        let mut unknown = None;
        for i in 25..30 {
            let (batch, after) = step(&mut rng, i, &expected);
            match store.commit(batch).await {
                Ok(_) => expected = after,
                Err(e) => {
                    assert!(is_typed(&e), "round {round}: {e}");
                    unknown = (e.sent() == Sent::Maybe).then_some(after);
                    break;
                }
            }
        }
        assert_eq!(content(&store), expected, "round {round}");
        drop(store);
        match open(&disk).await {
            Ok(store) => {
                let found = content(&store);
                assert!(found == expected || Some(found) == unknown, "round {round}");
            }
            Err(e) => assert!(is_typed(&e), "round {round}: {e}"),
        }
    }
    assert_eq!(noticed, 120);
}

#[tokio::test]
async fn a_file_cut_within_its_first_page_is_damaged_and_stays() {
    let disk = CrashBackend::new(4);
    drop(filled(&disk, 4, 3).await);
    let bytes = disk.bytes();
    for length in (1..600).step_by(7).chain([4_095, 4_096]) {
        let cut = CrashBackend::with_bytes(4, bytes[..length].to_vec());
        let e = open(&cut).await.unwrap_err();
        assert!([code::CORRUPT, code::FOREIGN].contains(&e.code()), "{length} bytes: {e}");
        assert_eq!(cut.bytes(), bytes[..length]);
    }
}

#[tokio::test]
async fn salvage_by_marks_needs_no_tree() {
    let dir = std::env::temp_dir().join(format!("headframe-salvage-{}", std::process::id()));
    let _old = std::fs::remove_dir_all(&dir);
    let cx = cx(3);
    let options = StoreOptions { reserve_bytes: 0, ..StoreOptions::default() };
    let store = ControlStore::create(&cx, &dir, &options).await.unwrap();
    for i in 0..40 {
        let batch =
            Batch::new().put(Space::Things, format!("t{i}"), &json!({"n": i, "text": "y".repeat(300)}));
        store.commit(batch).await.unwrap();
    }
    store.close().await.unwrap();
    let whole = super::super::salvage(&dir, &dir.join("whole.jsonl")).unwrap();
    assert_eq!((whole.records, whole.carved, whole.lost.len()), (40, 0, 0));
    // The first page holds the way to everything else.
    let path = dir.join(super::super::CONTROL_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..512].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let e = ControlStore::open(&cx, &dir, &options).await.unwrap_err();
    assert_eq!(e.code(), code::FOREIGN);
    let carved = super::super::salvage(&dir, &dir.join("carved.jsonl")).unwrap();
    assert_eq!((carved.records, carved.carved), (0, 40));
    assert!(!carved.lost.is_empty());
    let lines = std::fs::read_to_string(dir.join("carved.jsonl")).unwrap();
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["space"], &line["key"], &line["value"]["n"]),
        (&json!("things"), &json!("t0"), &json!(0))
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    std::fs::remove_dir_all(&dir).unwrap();
}
