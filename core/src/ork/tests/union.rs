use proptest::prelude::*;
use serde_json::json;

use super::{super::*, Fake, cx, store};
use crate::query::Query;

type Thing = (usize, Option<i64>, String);

fn things() -> impl Strategy<Value = Vec<Thing>> {
    prop::collection::vec((0usize..4, prop::option::of(0i64..6), "[a-c]{0,2}"), 0..40)
}

fn sorts() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{}",
        r#"{"info.n": 1}"#,
        r#"{"info.n": -1, "info.a": 1}"#,
        r#"{"info.a": -1, "info.n": 1}"#,
    ])
}

async fn site(things: &[Thing]) -> (Orchestrator, Fake) {
    let ork = Orchestrator::open(&cx(), store().await, OrkOptions::default()).unwrap();
    let racks: Vec<Arc<Fake>> = (0..4).map(|i| Arc::new(Fake::new("miner-x", &format!("{i}")))).collect();
    let union = Fake::new("miner-x", "union");
    for (at, (rack, n, a)) in things.iter().enumerate() {
        let name = format!("t{at}");
        racks[*rack].put(&name, json!({"n": n, "a": a}));
        union.put(&name, json!({"n": n, "a": a}));
    }
    for rack in racks {
        ork.attach(rack, RackConf::default()).await.unwrap();
    }
    (ork, union)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn pages_over_racks_are_pages_over_their_union(
        things in things(), sort in sorts(), offset in 0u64..45, limit in 0u64..20, least in 0i64..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (ork, union) = site(&things).await;
            let text = format!(
                r#"{{"query": {{"info.n": {{"$gte": {least}}}}}, "sort": {sort}, "offset": {offset}, "limit": {limit}, "fields": {{"id": 1}}}}"#
            );
            let query = Query::parse_str(&text).unwrap();
            let want = union.list(&query).await.unwrap();
            let got = ork.list(&query).await.unwrap();
            assert!(got.failed.is_empty());
            let ids = |page: &crate::query::QueryPage| -> Vec<String> {
                page.items.iter().map(|item| item.id.clone()).collect()
            };
            assert_eq!(ids(&got.items), ids(&want));
            assert_eq!(got.items.matched, want.matched);
            assert_eq!(got.items.next, want.next);
            assert!(got.items.items.iter().all(|item| item.value.get("rack").is_some()));
            let filter = query.filter.clone();
            assert_eq!(ork.count(&filter).await.unwrap().items, want.matched);

            // Walking by cursor gives everything once.
            let mut query = Query { page: crate::query::Page { offset: 0, limit: 3, cursor: None }, ..query };
            let mut walked = Vec::new();
            loop {
                let page = ork.list(&query).await.unwrap().items;
                walked.extend(ids(&page));
                let Some(next) = page.next else { break };
                query.page.cursor = Some(next);
            }
            query.page = crate::query::Page::ALL;
            assert_eq!(walked, ids(&union.list(&query).await.unwrap()));
        });
    }
}
