use super::*;
use crate::{
    query::{Filter, Query, QueryPage},
    rack::Which,
};

async fn ids_of(rack: &LocalRack, query: Value) -> Vec<String> {
    let query = Query::parse_str(&query.to_string()).unwrap();
    rack.list(&query).await.unwrap().items.into_iter().map(|item| item.id).collect()
}

#[tokio::test(start_paused = true)]
async fn listings_filter_sort_page_and_project_over_all_chunks() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    let drafts: Vec<ThingDraft> = (0..2_500)
        .map(|n| {
            let odd = if n % 2 == 1 { "odd" } else { "even" };
            draft(json!({
                "id": format!("m{n:04}"), "opts": {"address": format!("10.0.{}.{}", n / 250, n % 250)},
                "info": {"n": n}, "tags": [odd]
            }))
        })
        .collect();
    assert!(rack.register_many(drafts, &by()).await.iter().all(Result::is_ok));
    let odd = json!({"tags": "odd"});
    assert_eq!(rack.count(&Filter::parse(&odd).unwrap()).await.unwrap(), 1_250);
    let found = ids_of(&rack, json!({"query": odd, "sort": {"info.n": -1}, "offset": 1, "limit": 2})).await;
    assert_eq!(found, ["m2497", "m2495"]);
    let page = Query::parse_str(r#"{"fields": {"code": 1}, "limit": 1, "offset": 2000}"#).unwrap();
    let page = rack.list(&page).await.unwrap();
    assert_eq!((page.matched, page.items[0].value.to_value()), (2_500, json!({"code": "XX-ONE-2001"})));
    assert!(page.next.is_some());
    assert_eq!(ids_of(&rack, json!({})).await.len(), 100);
    for address in ["address", "opts.address"] {
        assert_eq!(ids_of(&rack, json!({"query": {address: "10.0.9.249"}})).await, ["m2499"]);
    }
    let hidden = Query::parse_str(r#"{"query": {"opts.password": "10.0.0.1"}}"#).unwrap_err();
    assert_eq!(hidden.code(), "ERR_QUERY_INVALID");
}

#[tokio::test(start_paused = true)]
async fn a_listing_is_never_older_than_the_records() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    for n in 1..4 {
        rack.register(miner(&format!("m{n}"), &format!("10.0.0.{n}")), &by()).await.unwrap();
    }
    assert_eq!(ids_of(&rack, json!({"query": {"info.hall": "b"}})).await.len(), 0);
    let moved: ThingChange = serde_json::from_value(json!({"info": {"hall": "b"}})).unwrap();
    rack.update(&ThingId::new("m2").unwrap(), moved, &by()).await.unwrap();
    assert_eq!(ids_of(&rack, json!({"query": {"info.hall": "b"}})).await, ["m2"]);
    rack.save_comment(&ThingId::new("m2").unwrap(), "loud fan", None, &by()).await.unwrap();
    assert_eq!(listed(&rack, "m2").await["comments"][0]["comment"], "loud fan");
    let which = Which::Matching(Filter::parse(&json!({"id": "m2"})).unwrap());
    rack.forget(&which, &by()).await.unwrap();
    assert_eq!(ids_of(&rack, json!({})).await, ["m1", "m3"]);
    rack.register(miner("m2", "10.0.0.9"), &by()).await.unwrap();
    assert_eq!(ids_of(&rack, json!({"query": {"info.hall": "b"}})).await.len(), 0);
    assert_eq!(listed(&rack, "m2").await.get("comments"), Some(&json!([])));
}

#[tokio::test(start_paused = true)]
async fn what_things_said_can_be_asked_for_without_being_given() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    site.lab.place("10.0.0.1", Device::default());
    site.lab.hangs.store(true, Ordering::SeqCst);
    for n in 1..3 {
        rack.register(miner(&format!("m{n}"), &format!("10.0.0.{n}")), &by()).await.unwrap();
    }
    assert_eq!(listed(&rack, "m1").await["last"], json!({}));
    site.lab.hangs.store(false, Ordering::SeqCst);
    site.pass(30).await;
    let good = json!({"last.snap.success": true});
    let query = Query::parse_str(&json!({ "query": good }).to_string()).unwrap();
    let page = rack.list(&query).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].value.get("last")), (1, None));
    assert_eq!(rack.count(&Filter::parse(&good).unwrap()).await.unwrap(), 1);
    assert_eq!(ids_of(&rack, json!({"sort": {"last.snap.success": 1}, "status": 1})).await.len(), 2);
    let lost = listed(&rack, "m2").await;
    assert_eq!(
        (&lost["last"]["err"], &lost["last"]["snap"]["stats"]["status"]),
        (&json!("ERR_OFFLINE"), &json!("offline"))
    );
}

/// What is not shown is not made, and the page is the same as if all were.
#[tokio::test(start_paused = true)]
async fn a_page_is_the_same_whichever_way_it_is_made() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    for n in 1..24 {
        rack.register(miner(&format!("m{n:02}"), &format!("10.0.0.{n}")), &by()).await.unwrap();
    }
    site.pass(30).await;
    let list = async |text: &str| rack.list(&Query::parse_str(text).unwrap()).await.unwrap();
    // A sort by id is the order without one, and looks at every document.
    for more in [
        "",
        r#", "status": 1"#,
        r#", "status": 1, "fields": {"last": 1, "code": 1}"#,
        r#", "fields": {"code": 1}"#,
    ] {
        for page in [r#""limit": 5"#, r#""limit": 0"#, r#""offset": 20, "limit": 5"#, r#""limit": 100"#] {
            let (plain, sorted) = (
                list(&format!("{{{page}{more}}}")).await,
                list(&format!(r#"{{{page}{more}, "sort": {{"id": 1}}}}"#)).await,
            );
            let shown = |page: &QueryPage| {
                page.items.iter().map(|item| (item.id.clone(), item.value.to_value())).collect::<Vec<_>>()
            };
            assert_eq!(shown(&plain), shown(&sorted), "{page}{more}");
            assert_eq!((plain.matched, plain.next.is_some()), (23, sorted.next.is_some()), "{page}{more}");
        }
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = list(&format!(r#"{{"limit": 4{more}{cursor}}}"#)).await;
            assert_eq!(page.matched, 23);
            seen.extend(page.items.iter().map(|item| item.id.clone()));
            let Some(next) = page.next else { break };
            cursor = format!(r#", "cursor": "{next}""#);
        }
        assert_eq!((seen.len(), seen.is_sorted()), (23, true), "{more}");
    }
    let with = list(r#"{"status": 1, "limit": 1}"#).await.items.remove(0).value.to_value();
    assert!(with["last"].is_object() && list(r#"{"limit": 1}"#).await.items[0].value.get("last").is_none());
}
