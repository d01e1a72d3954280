use serde_json::{Value, json};

use super::{Lab, one, push, thing, until};
use crate::{
    action::{ActionQuery, Bucket, Engine, Status},
    query::{Filter, Projection},
    store::{Batch, Space},
};

fn ask(engine: &Engine, filter: Value, fields: Value) -> crate::Result<Vec<Value>> {
    let mut query = ActionQuery::new(Bucket::Done);
    query.filter = Some(Filter::parse(&filter).unwrap());
    query.fields = Some(Projection::parse(&fields).unwrap());
    Ok(engine.query(&query)?.into_iter().map(|listed| listed.view).collect())
}

#[tokio::test(start_paused = true)]
async fn targets_are_read_only_where_they_are_looked_at() {
    let lab = Lab::mos(3).await;
    let engine = lab.start().await;
    let mut ids = Vec::new();
    for n in [0, 1] {
        let id = push(&engine, "reboot", one(n), "alice").await;
        until(&engine, id, Status::Completed).await;
        ids.push(id);
    }
    let all = engine.query(&ActionQuery::new(Bucket::Done)).unwrap();
    assert_eq!(all.iter().map(|listed| listed.id).collect::<Vec<_>>(), ids);
    assert!(all.iter().all(|listed| listed.view["targets"].is_object()), "{all:?}");
    let first = json!([{"id": ids[0], "status": "COMPLETED"}]);
    let some = json!({"id": 1, "status": 1});
    let by_target = json!({"targets.miner-wm-1.calls.id": thing(0)});
    assert_eq!(json!(ask(&engine, json!({"id": ids[0]}), some.clone()).unwrap()), first);
    assert_eq!(json!(ask(&engine, by_target.clone(), some.clone()).unwrap()), first);

    // What cannot be read is told by whoever needs it, and by nobody else.
    let key = ids[0].key();
    let row = engine.store().scan(Space::Targets, .., 1).remove(0).key;
    assert!(row.as_str().starts_with(key.as_str()));
    engine.store().commit(Batch::new().put(Space::Targets, row, &json!("not a row"))).await.unwrap();
    assert_eq!(json!(ask(&engine, json!({"id": ids[0]}), some.clone()).unwrap()), first);
    ask(&engine, by_target, some).unwrap_err();
    ask(&engine, json!({"id": ids[0]}), json!({"params": 0})).unwrap_err();
    assert_eq!(ask(&engine, json!({"id": ids[1]}), json!({"targets": 1})).unwrap().len(), 1);
}
