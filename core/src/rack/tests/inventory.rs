use super::*;
use crate::rack::Which;

const PSU: &str = "inventory-miner_part-psu";
const BOARD: &str = "inventory-miner_part-controller";
const ORDER: &str = "inventory-work_order";

async fn rack(site: &Site, thing_type: &str) -> LocalRack {
    let info = RackInfo::new(thing_type, "store").unwrap();
    let things = Arc::clone(&site.things);
    let options = RackOptions::without_devices();
    LocalRack::open(site.cx.clone(), Arc::default(), things, info, options, None).await.unwrap()
}

fn part(id: &str, info: Value) -> ThingDraft {
    draft(json!({"id": id, "info": info}))
}

#[tokio::test(start_paused = true)]
async fn parts_are_no_devices_and_have_codes_of_their_own() {
    let site = Site::new().await;
    let parts = rack(&site, PSU).await;
    let facts = |serial: &str| {
        json!({"serialNum": serial, "parentDeviceModel": "s21", "parentDeviceType": "miner-am-s21",
            "subType": "apw 17", "location": "site.warehouse"})
    };
    for (name, serial) in [("p1", "PS1"), ("p2", "PS2")] {
        parts.register(part(name, facts(serial)), &by()).await.unwrap();
    }
    let codes = ["p1", "p2"].map(|name| site.things.get(&id(name)).unwrap().code.clone());
    assert_eq!(codes, ["PS-S21-APW_17-01", "PS-S21-APW_17-02"]);
    site.pass(30).await;
    assert_eq!(parts.counts().things, 0, "nobody is asked");
    assert_eq!(listed(&parts, "p1").await["last"], json!({}));
    assert_eq!(parts.next_code().await.unwrap_err().kind(), ErrorKind::Unsupported);

    let twice = parts.register(part("p3", facts("PS1")), &by()).await;
    assert_eq!(refused(twice), ("ERR_THING_SERIALNUM_EXISTS", Some("info.serialNum".into())));
    let none = parts.register(draft(json!({"id": "p3"})), &by()).await;
    assert_eq!(refused(none), ("ERR_THING_VALIDATE_INFO_INVALID", Some("info".into())));
    let named = json!({"id": "p3", "driver": "dummy", "info": facts("PS3")});
    assert_eq!(refused(parts.register(draft(named), &by()).await).1.as_deref(), Some("driver"));

    let moved = |more: Value| {
        let mut info = json!({"location": "vendor"});
        info.as_object_mut().unwrap().extend(map(more));
        change(json!({ "info": info }))
    };
    let alone = parts.update(&id("p1"), moved(json!({})), &by()).await;
    assert_eq!(refused(alone), ("ERR_PART_MOVE_REQUIRES_WO", Some("info.workOrderId".into())));
    parts.update(&id("p1"), moved(json!({"workOrderId": "w1"})), &by()).await.unwrap();
    // The order of the last move is not one for the next.
    let again = parts.update(&id("p1"), change(json!({"info": {"location": "scrapped"}})), &by()).await;
    assert_eq!(refused(again).0, "ERR_PART_MOVE_REQUIRES_WO");
    assert_eq!(parts.forget(&Which::All, &by()).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_miner_has_one_controller() {
    let site = Site::new().await;
    let boards = rack(&site, BOARD).await;
    let facts = |serial: &str, parent: &str, code: &str| json!({"serialNum": serial, "parentDeviceId": parent, "parentDeviceCode": code});
    boards.register(part("b1", facts("B1", "m1", "AM-S21-0001")), &by()).await.unwrap();
    for (info, code) in [
        (facts("B2", "m1", "AM-S21-0002"), "ERR_THING_PARENTDEVICEID_EXISTS"),
        (facts("B2", "m2", "am-s21-0001"), "ERR_THING_PARENTDEVICECODE_EXISTS"),
    ] {
        assert_eq!(refused(boards.register(part("b2", info), &by()).await).0, code);
    }
    boards.register(part("b2", facts("B2", "m2", "AM-S21-0002")), &by()).await.unwrap();
    let moved = change(json!({"info": {"parentDeviceId": "m1"}}));
    assert_eq!(refused(boards.update(&id("b2"), moved, &by()).await).0, "ERR_THING_PARENTDEVICEID_EXISTS");
}

#[tokio::test(start_paused = true)]
async fn work_orders_are_numbered_and_end() {
    let site = Site::new().await;
    let (orders, parts) = (rack(&site, ORDER).await, rack(&site, PSU).await);
    parts.register(part("p1", json!({"serialNum": "PS1"})), &by()).await.unwrap();
    let facts = json!({"type": 2, "deviceType": "psu", "deviceModel": "apw17", "deviceIdentifier": "PS1",
        "serialNum": "PS1", "issue": "dead"});
    // It names the number of a part that has it.
    let made = orders.register(part("w1", facts.clone()), &by()).await.unwrap();
    assert_eq!(made.code, "IVI-2-0001");
    assert_eq!(orders.register(part("w2", facts), &by()).await.unwrap().code, "IVI-2-0002");
    let to = |status: &str| change(json!({"info": {"status": status}}));
    orders.update(&id("w1"), to("in_progress"), &by()).await.unwrap();
    let back = refused(orders.update(&id("w1"), to("open"), &by()).await);
    assert_eq!(back, ("ERR_WO_INVALID_STATUS_TRANSITION", Some("info.status".into())));
    orders.update(&id("w1"), to("closed"), &by()).await.unwrap();
    let done = orders.update(&id("w1"), change(json!({"info": {"note": 1}})), &by()).await;
    assert_eq!(refused(done).0, "ERR_WO_INVALID_STATUS_TRANSITION");
}
