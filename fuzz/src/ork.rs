//! The dispatcher: any method with any parameters, as an app sends them, over a registry with secrets in it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use headframe_core::{
    Error, ErrorKind,
    auth::{Permissions, Principal},
    driver::Registry,
    io::Ctx,
    ork::{Orchestrator, OrkOptions, RackConf},
    rack::{CollectorOptions, LocalRack, RackInfo, RackOptions, Things},
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
};
use headframe_drivers::register_all;
use serde_json::json;

use crate::serve::{BETWEEN, LONGEST, run};

/// A password of a thing and one of a pool: no answer holds them.
const SECRETS: [&str; 2] = ["c0ffee-seven", "decaf-eight"];
const CALLS: usize = 8;
/// Longest words of an error.
const ERROR: usize = 64 * 1024;
const LISTS: [&str; 4] = ["*:rw", "*:r", "miner:rw,comments:w", ""];

/// The first byte chooses what the caller may do. Calls stand with `0x1e` between them: the method, a blank, JSON.
pub fn dispatcher(data: &[u8]) {
    let Some((first, calls)) = data.get(..LONGEST).unwrap_or(data).split_first() else { return };
    let list = LISTS[usize::from(*first) % LISTS.len()];
    let list = list.split(',').filter(|word| !word.is_empty());
    let Ok(permissions) = Permissions::parse(list) else { return };
    let who = Principal::new("fuzz@site", permissions);
    let sound = template();
    run(|cx, _net| async move {
        let disk = CrashBackend::with_bytes(1, sound.to_vec());
        let ork =
            opened(&cx, &disk).await.unwrap_or_else(|e| unreachable!("a sound store is refused: {e:?}"));
        for call in calls.split(|byte| *byte == BETWEEN).take(CALLS) {
            let Ok(call) = std::str::from_utf8(call) else { continue };
            let (method, params) = call.split_once(' ').unwrap_or((call, ""));
            match ork.ask(&who, method, params).await {
                Ok(reply) => {
                    let text = format!("{} {:?} {:?}", reply.value, reply.failed, reply.next);
                    hides(&text);
                }
                Err(e) => judge(&e),
            }
        }
        drop(ork);
        if let Err(e) = opened(&cx, &disk).await {
            unreachable!("the calls left a store that does not open: {e:?}");
        }
    });
}

fn judge(e: &Error) {
    assert!(!matches!(e.kind(), ErrorKind::Internal | ErrorKind::Corrupt), "{e:?}");
    let text = format!("{e} {e:?}");
    assert!(text.len() <= ERROR, "an error of {} bytes", text.len());
    hides(&text);
}

fn hides(text: &str) {
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "a secret shows");
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.reserve_bytes = 0;
    options.writer = Writer::Inline;
    options.key = Some(SealKey::from_bytes([7; 32]));
    options
}

async fn opened(cx: &Ctx, disk: &CrashBackend) -> headframe_core::Result<Orchestrator> {
    let store = ControlStore::open_on(cx, Arc::new(disk.clone()), &options()).await?;
    over(cx, store).await
}

async fn over(cx: &Ctx, store: ControlStore) -> headframe_core::Result<Orchestrator> {
    let things = Things::open(cx, store.clone()).await?;
    let mut drivers = Registry::new();
    register_all(&mut drivers);
    let drivers = Arc::new(drivers);
    let mut wanted = OrkOptions::default();
    wanted.things = Some(Arc::clone(&things));
    wanted.global_config = json!({"isAutoSleepAllowed": false, "site": "north"}).as_object().cloned();
    let ork = Orchestrator::open(cx, store, wanted)?;
    for (kind, name, driver) in
        [("miner-wm-m56s", "front", "whatsminer"), ("miner-am-s21", "back", "antminer")]
    {
        let mut options = RackOptions::new(driver);
        options.collector = CollectorOptions::every(Duration::from_secs(600));
        let info = RackInfo::new(kind, name)?;
        let rack =
            LocalRack::open(cx.clone(), Arc::clone(&drivers), Arc::clone(&things), info, options, None)
                .await?;
        let mut conf = RackConf::default();
        conf.config = json!({"site": "north", "limit": 5}).as_object().cloned();
        conf.pools = Some(vec![json!({"url": "stratum+tcp://pool", "workerPassword": SECRETS[1]})]);
        ork.attach(Arc::new(rack), conf).await?;
    }
    Ok(ork)
}

/// A store with a few things in it.
fn template() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let disk = CrashBackend::new(1);
        let made = disk.clone();
        run(|cx, _net| async move {
            if let Err(e) = make(&cx, made).await {
                unreachable!("the things cannot be registered: {e:?}");
            }
        });
        disk.bytes()
    })
}

async fn make(cx: &Ctx, disk: CrashBackend) -> headframe_core::Result<()> {
    let store = ControlStore::create_on(cx, Arc::new(disk), &options()).await?;
    let ork = over(cx, store).await?;
    let who = Principal::new("ops@site", Permissions::parse(["*:rw"])?);
    for n in 1..=6 {
        let rack = if n % 2 == 0 { "miner-wm-m56s-front" } else { "miner-am-s21-back" };
        let thing = json!({"rackId": rack, "id": format!("m{n}"), "opts": {"address": format!("10.0.0.{n}"),
            "password": SECRETS[0]}, "info": {"pos": format!("1-1_{n}"), "container": "c1"}, "tags": ["x"]});
        ork.call(&who, "registerThing", &thing.to_string()).await?;
    }
    let comment = json!({"rackId": "miner-wm-m56s-front", "thingId": "m2", "comment": "noisy fan"});
    ork.call(&who, "saveThingComment", &comment.to_string()).await?;
    let map = json!({"thingMap": {"miner-wm-m56s-front": "10.0.0.0/25", "miner-am-s21-back": "10.0.1.0/24"}});
    ork.call(&who, "setThingMap", &map.to_string()).await?;
    Ok(())
}
