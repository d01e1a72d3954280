use super::*;
use crate::rack::CommentRef;

#[tokio::test(start_paused = true)]
async fn none_of_many_at_once_is_lost() {
    let site = Site::new().await;
    let rack = Arc::new(site.rack("r1").await);
    rack.register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
    let saves: Vec<_> = (0..40)
        .map(|n| {
            let rack = Arc::clone(&rack);
            tokio::spawn(async move {
                let user = Caller::new(&format!("u{n}"));
                if n % 8 == 0 {
                    let set = change(json!({"info": { format!("k{n}"): n }}));
                    rack.update(&id("m1"), set, &user).await.unwrap();
                }
                rack.save_comment(&id("m1"), &format!("text {n}"), Some("1_2"), &user).await.unwrap()
            })
        })
        .collect();
    let mut made = Vec::new();
    for save in saves {
        made.push(save.await.unwrap().id);
    }
    made.sort();
    made.dedup();
    let record = site.things.get(&id("m1")).unwrap();
    assert_eq!((made.len(), record.comments.len()), (40, 40));
    assert!([0, 8, 16, 24, 32].iter().all(|n| record.info.contains_key(&format!("k{n}"))));
    let which = CommentRef { id: Some(record.comments[0].id.clone()), ts: None };
    let other = Caller::new("stranger");
    let denied = rack.edit_comment(&id("m1"), &which, "x", &other).await;
    assert_eq!(refused(denied).0, "ERR_COMMENT_ACCESS_DENIED");
    let own = Caller::new(&record.comments[0].user);
    assert_eq!(rack.edit_comment(&id("m1"), &which, "better", &own).await.unwrap().comment, "better");
    rack.delete_comment(&id("m1"), &which, &own).await.unwrap();
    drop((rack, record));
    let site = site.restart().await;
    assert_eq!(site.things.get(&id("m1")).unwrap().comments.len(), 39);
}

#[tokio::test(start_paused = true)]
async fn settings_merge_without_losses_and_survive() {
    let site = Site::new().await;
    let rack = Arc::new(site.rack("r1").await);
    let saves: Vec<_> = (0..20)
        .map(|n| {
            let rack = Arc::clone(&rack);
            tokio::spawn(async move {
                rack.save_settings(map(json!({ format!("k{n}"): n })), &by()).await.unwrap()
            })
        })
        .collect();
    for save in saves {
        save.await.unwrap();
    }
    let left = rack.save_settings(map(json!({"k0": null, "x": {"y": 1}})), &by()).await.unwrap();
    assert_eq!(left.len(), 20);
    drop(rack);
    let site = site.restart().await;
    assert_eq!(site.rack("r1").await.settings().await.unwrap(), left);
    assert!(site.rack("r2").await.settings().await.unwrap().is_empty());
}
