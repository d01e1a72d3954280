//! The dispatcher: any method with any parameters, as an app sends them, over a registry with secrets in it and an engine
//! with actions.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use headframe_core::{
    Error, ErrorKind,
    auth::{Access, Area, Permissions, Principal},
    driver::Registry,
    io::Ctx,
    ork::{Orchestrator, OrkOptions, RackConf},
    rack::{CollectorOptions, LocalRack, RackInfo, RackOptions, Things},
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
};
use headframe_drivers::register_all;
use serde_json::json;

use crate::{
    acts::{Acts, Profile},
    serve::{BETWEEN, LONGEST, run},
};

/// A password of a thing and one of a pool: no answer holds them.
const SECRETS: [&str; 2] = ["c0ffee-seven", "decaf-eight"];
const CALLER: &str = "fuzz@site";
const CALLS: usize = 8;
/// Longest words of an error.
const ERROR: usize = 64 * 1024;
/// The rights of the callers. Who stands behind the last two says the body of each call.
const LISTS: [&str; 8] = [
    "*:rw",
    "*:r",
    "miner:rw,comments:w",
    "",
    "miner:rw,actions:rw",
    "actions:rw,container:r",
    "*:rw",
    "actions:w",
];
const GATEWAYS: usize = 6;
/// In the first byte: ours are the rules, not MiningOS's.
const SAFE: u8 = 0x40;

/// The first byte chooses who calls and whose rules hold. Calls stand with `0x1e` between them: the method, a blank, JSON.
pub fn dispatcher(data: &[u8]) {
    let Some((first, calls)) = data.get(..LONGEST).unwrap_or(data).split_first() else { return };
    let place = usize::from(*first) % LISTS.len();
    let list = LISTS[place].split(',').filter(|word| !word.is_empty());
    let Ok(permissions) = Permissions::parse(list) else { return };
    let gateway = place >= GATEWAYS;
    let who = if gateway {
        Principal::gateway("app-node", permissions)
    } else {
        Principal::new(CALLER, permissions)
    };
    let profile = if first & SAFE == 0 { Profile::Mos } else { Profile::Safe };
    let sound = template();
    run(|cx, _net| async move {
        let disk = CrashBackend::with_bytes(1, sound.to_vec());
        let made = opened(&cx, &disk, profile, permissions).await;
        let (ork, acts) = made.unwrap_or_else(|e| unreachable!("a sound store is refused: {e:?}"));
        if let Err(e) = acts.begin().await {
            unreachable!("what is approved does not begin: {e:?}");
        }
        let before = acts.mark();
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
        let writes = Area::ALL.iter().any(|area| permissions.allows(*area, Access::Write));
        assert!(writes || acts.mark() == before, "somebody without any right to write changed something");
        let theirs = acts.only_theirs().await.unwrap_or_else(|e| unreachable!("nothing begins: {e:?}"));
        let may = gateway || permissions.allows(Area::Miner, Access::Write);
        assert!(may || theirs, "somebody without the right had something sent");
        drop((ork, acts));
        if let Err(e) = opened(&cx, &disk, profile, permissions).await {
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

async fn opened(
    cx: &Ctx,
    disk: &CrashBackend,
    profile: Profile,
    permissions: Permissions,
) -> headframe_core::Result<(Orchestrator, Acts)> {
    let store = ControlStore::open_on(cx, Arc::new(disk.clone()), &options()).await?;
    let ork = over(cx, store.clone()).await?;
    let acts = Acts::over(cx, &ork, store, profile, (CALLER, permissions)).await?;
    Ok((ork, acts))
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
    let ork = over(cx, store.clone()).await?;
    let acts = Acts::over(cx, &ork, store, Profile::Mos, (CALLER, Permissions::NONE)).await?;
    acts.make().await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The corpus names the actions by these ids.
    const IDS: [(u64, &str); 6] = [
        (1_764_000_000_000, "done"),
        (1_764_000_000_001, "done"),
        (1_764_000_060_000, "voting"),
        (1_764_000_060_001, "voting"),
        (1_764_000_060_002, "ready"),
        (1_764_000_060_003, "executing"),
    ];

    #[test]
    fn there_is_an_action_in_every_list() {
        let sound = template();
        run(|cx, _net| async move {
            for profile in [Profile::Mos, Profile::Safe] {
                let disk = CrashBackend::with_bytes(1, sound.to_vec());
                let made = opened(&cx, &disk, profile, Permissions::ALL).await;
                let (ork, acts) = made.unwrap_or_else(|e| unreachable!("{e:?}"));
                acts.begin().await.unwrap_or_else(|e| unreachable!("{e:?}"));
                let who = Principal::new(CALLER, Permissions::ALL);
                for (id, list) in IDS {
                    let params = json!({"id": id, "type": list}).to_string();
                    let told = ork.call(&who, "getAction", &params).await;
                    assert!(told.is_ok(), "{profile:?}: {id} in {list}: {told:?}");
                }
            }
        });
    }
}
