use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// 64 registrations at once from two racks, of which one can win.
async fn one_of_many(drafts: impl Fn(usize) -> Value, code: &str) {
    let site = Site::new().await;
    let racks = [Arc::new(site.rack("r1").await), Arc::new(site.rack("r2").await)];
    let calls: Vec<_> = (0..64)
        .map(|n| {
            let (rack, new) = (Arc::clone(&racks[n % 2]), draft(drafts(n)));
            tokio::spawn(async move { rack.register(new, &by()).await })
        })
        .collect();
    let mut won = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => won += 1,
            Err(e) => assert_eq!(e.code(), code),
        }
    }
    assert_eq!((won, site.things.len()), (1, 1), "{code}");
}

#[tokio::test(start_paused = true)]
async fn of_64_at_once_exactly_one_wins() {
    let opts = |n: usize| json!({"address": format!("10.0.0.{n}")});
    one_of_many(|n| json!({"id": "m1", "opts": opts(n)}), "ERR_THING_WITH_ID_ALREADY_EXISTS").await;
    one_of_many(|n| json!({"code": "A-1", "opts": opts(n)}), "ERR_THING_WITH_CODE_ALREADY_EXISTS").await;
    let mac = |n: usize| if n.is_multiple_of(3) { "c8:11:05:00:0a:01" } else { "C8-11-05-00-0A-01" };
    one_of_many(|n| json!({"info": {"macAddress": mac(n)}, "opts": opts(n)}), "ERR_THING_MACADDRESS_EXISTS")
        .await;
    one_of_many(|_| json!({"opts": {"address": "10.0.0.1"}}), "ERR_THING_IP_ADDRESS_EXISTS").await;
}

#[tokio::test(start_paused = true)]
async fn codes_made_at_once_are_all_different_and_share_commits() {
    let site = Site::new().await;
    let rack = Arc::new(site.rack("r1").await);
    let calls: Vec<_> = (0..64)
        .map(|n| {
            let rack = Arc::clone(&rack);
            let new = draft(json!({"opts": {"address": format!("10.0.0.{n}")}}));
            tokio::spawn(async move { rack.register(new, &by()).await.unwrap().code.clone() })
        })
        .collect();
    let mut codes = BTreeSet::new();
    for call in calls {
        codes.insert(call.await.unwrap());
    }
    let expected: BTreeSet<Text> = (1..=64).map(|n| format!("XX-ONE-{n:04}").into()).collect();
    assert_eq!(codes, expected);
    assert!(site.things.store().health().commits < 20);
}

#[tokio::test(start_paused = true)]
async fn of_updates_with_one_revision_one_wins() {
    let site = Site::new().await;
    let rack = Arc::new(site.rack("r1").await);
    let revision = rack.register(miner("m1", "10.0.0.1"), &by()).await.unwrap().revision();
    let calls: Vec<_> = (0..16)
        .map(|n| {
            let (rack, set) = (Arc::clone(&rack), change(json!({"info": {"n": n}, "ifRevision": revision})));
            tokio::spawn(async move { rack.update(&id("m1"), set, &by()).await })
        })
        .collect();
    let mut won = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(record) => won.push(record.info.map()["n"].clone()),
            Err(e) => assert_eq!(e.kind(), ErrorKind::Conflict),
        }
    }
    assert_eq!(won, [site.things.get(&id("m1")).unwrap().info.map()["n"].clone()]);
}

#[derive(Debug, Clone)]
enum Op {
    Register { rack: usize, id: usize, address: usize, pos: usize, code: Option<usize> },
    Update { rack: usize, id: usize, address: Option<usize>, pos: Option<usize> },
    Forget { rack: usize, id: usize },
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let (rack, small) = (0..2_usize, 0..5_usize);
    prop_oneof![
        6 => (rack.clone(), small.clone(), small.clone(), small.clone(), prop::option::of(1..4_usize)).prop_map(
            |(rack, id, address, pos, code)| Op::Register { rack, id, address, pos, code }
        ),
        5 => (rack.clone(), small.clone(), prop::option::of(small.clone()), prop::option::of(small.clone()))
            .prop_map(|(rack, id, address, pos)| Op::Update { rack, id, address, pos }),
        2 => (rack, small).prop_map(|(rack, id)| Op::Forget { rack, id }),
        1 => Just(Op::Restart),
    ]
}

/// Rack, address, place and code of each thing.
type Model = BTreeMap<usize, (usize, usize, usize, String)>;

fn next_code(model: &Model) -> String {
    let number = |code: &String| code.rsplit('-').next().unwrap().parse::<u64>().unwrap();
    let highest = model.values().map(|(.., code)| number(code)).max().unwrap_or(0);
    format!("XX-ONE-{:04}", highest + 1)
}

async fn follow(ops: Vec<Op>) {
    let mut site = Site::new().await;
    let mut racks = vec![site.rack("r0").await, site.rack("r1").await];
    let mut model = Model::new();
    for op in ops {
        match op.clone() {
            Op::Register { rack, id, address, pos, code } => {
                let code = code.map(|n| format!("XX-ONE-{n:04}"));
                let new = json!({"id": format!("m{id}"), "code": code, "opts": {"address": format!("a{address}")},
                    "info": {"pos": format!("p{pos}")}});
                let fits = !model.contains_key(&id)
                    && model
                        .values()
                        .all(|(_, a, p, c)| *a != address && *p != pos && Some(c) != code.as_ref());
                let result = racks[rack].register(draft(new), &by()).await;
                assert_eq!(result.is_ok(), fits, "{op:?} {model:?}");
                if fits {
                    let code = code.unwrap_or_else(|| next_code(&model));
                    model.insert(id, (rack, address, pos, code));
                }
            }
            Op::Update { rack, id, address, pos } => {
                let mut set = json!({});
                if let Some(address) = address {
                    set["opts"] = json!({"address": format!("a{address}")});
                }
                if let Some(pos) = pos {
                    set["info"] = json!({"pos": format!("p{pos}")});
                }
                let own = model.get(&id).filter(|(owner, ..)| *owner == rack).cloned();
                let others = || model.iter().filter(|(other, _)| **other != id).map(|(_, thing)| thing);
                let free = others().all(|(_, a, p, _)| Some(*a) != address && Some(*p) != pos);
                let result = racks[rack].update(&super::id(&format!("m{id}")), change(set), &by()).await;
                assert_eq!(result.is_ok(), own.is_some() && free, "{op:?} {model:?}");
                if let (Some((rack, a, p, code)), true) = (own, free) {
                    model.insert(id, (rack, address.unwrap_or(a), pos.unwrap_or(p), code));
                }
            }
            Op::Forget { rack, id } => {
                let filter = crate::query::Filter::parse(&json!({"id": format!("m{id}")})).unwrap();
                let gone = racks[rack].forget(&crate::rack::Which::Matching(filter), &by()).await.unwrap();
                let own = model.get(&id).is_some_and(|(owner, ..)| *owner == rack);
                assert_eq!(gone.len(), usize::from(own));
                if own {
                    model.remove(&id);
                }
            }
            Op::Restart => {
                racks.clear();
                site = site.restart().await;
                racks = vec![site.rack("r0").await, site.rack("r1").await];
            }
        }
        compare(&site, &racks, &model);
        assert_eq!(racks[0].next_code().await.unwrap(), next_code(&model));
    }
}

fn compare(site: &Site, racks: &[LocalRack], model: &Model) {
    let real: Model = site
        .things
        .ids()
        .iter()
        .map(|id| {
            let thing = site.things.get(id).unwrap();
            let number = |text: &str| text[1..].parse::<usize>().unwrap();
            let rack = usize::from(thing.rack.as_str().ends_with("r1"));
            let pos = number(thing.info.map()["pos"].as_str().unwrap());
            (number(id.as_str()), (rack, number(thing.address().unwrap()), pos, thing.code.to_string()))
        })
        .collect();
    assert_eq!(&real, model);
    let polled: usize = racks.iter().map(|rack| rack.counts().things).sum();
    assert_eq!(polled, model.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_sequence_is_as_the_model_says(ops in prop::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(follow(ops));
    }
}
