use super::*;

/// Runs batches until the power is cut at a call chosen by the seed; gives the disk afterwards, what the store held
/// after each batch, and how many batches were acknowledged.
async fn until_cut(seed: u64, plan: CrashPlan) -> (CrashBackend, Vec<Model>, usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let disk = CrashBackend::new(seed);
    let (store, mut models) = filled(&disk, seed, rng.usize(0..4)).await;
    let mut acknowledged = models.len() - 1;
    disk.plan(CrashPlan { cut_at: Some(rng.u64(0..120)), ..plan });
    while acknowledged < 60 {
        let (batch, after) = step(&mut rng, acknowledged, &models[acknowledged]);
        models.push(after);
        if store.commit(batch).await.is_err() {
            break;
        }
        acknowledged += 1;
    }
    (disk.cut(), models, acknowledged)
}

/// All that was acknowledged is there, and of the batch at the cut all or nothing.
fn assert_whole(seed: u64, store: &ControlStore, models: &[Model], acknowledged: usize) {
    let found = content(store);
    let possible = &models[acknowledged..models.len().min(acknowledged + 2)];
    assert!(possible.contains(&found), "seed {seed}: {} batches acknowledged, found {found:?}", acknowledged);
}

#[tokio::test]
async fn a_power_cut_loses_nothing_acknowledged_and_leaves_no_part_of_a_batch() {
    for seed in 0..110 {
        let (disk, models, acknowledged) = until_cut(seed, CrashPlan::default()).await;
        let store = open(&disk).await.unwrap();
        assert_whole(seed, &store, &models, acknowledged);
        store.commit(Batch::new().put(Space::Things, "count", &"again")).await.unwrap();
        drop(store);
        assert_eq!(content(&open(&disk).await.unwrap())["count"], json!("again"), "seed {seed}");
    }
}

#[tokio::test]
async fn a_second_cut_while_it_is_opened_again_changes_nothing() {
    for seed in 1_000..1_070 {
        let (mut disk, models, acknowledged) = until_cut(seed, CrashPlan::default()).await;
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..2 {
            disk.plan(CrashPlan { cut_at: Some(rng.u64(0..30)), ..CrashPlan::default() });
            if let Ok(store) = open(&disk).await {
                assert_whole(seed, &store, &models, acknowledged);
            }
            disk = disk.cut();
        }
        assert_whole(seed, &open(&disk).await.unwrap(), &models, acknowledged);
    }
}

#[tokio::test]
async fn a_disk_that_lies_about_sync_costs_commits_but_never_gives_a_mixture() {
    for seed in 2_000..2_060 {
        let (disk, models, _) = until_cut(seed, CrashPlan { lying: true, ..CrashPlan::default() }).await;
        match open(&disk).await {
            Ok(store) => assert!(models.contains(&content(&store)), "seed {seed}"),
            Err(e) => assert!(is_typed(&e), "seed {seed}: {e}"),
        }
    }
}
