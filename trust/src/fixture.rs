//! Writes the store of this release that later releases have to open: small, and the same each time.

#[path = "../../core/tests/stores/seen.rs"]
mod seen;

use std::{fs, path::Path, sync::Arc};

use headframe_core::{
    Error, ErrorKind, Result, ThingId,
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    ork::{RackRecord, ThingMap},
    query::Filter,
    rack::{Caller, CommentRef, Evidence, Rack, Sighting, ThingChange, ThingDraft, Which},
    store::{ControlStore, SealKey, StoreOptions, Writer},
};
pub use seen::Opened;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::rig::{needed, simulate};

/// What a caller of the release saw, beside the store.
pub const EXPECTED_FILE: &str = "expected.json";
const MADE_AT: Timestamp = Timestamp(1_764_000_000_000);
const SEED: u64 = 1;
/// The key of all such stores. It keeps no secret: the stores are public.
const KEY: [u8; 32] = [0x48; 32];

/// How such a store is opened.
pub fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.reserve_bytes = 0;
    options.writer = Writer::Inline;
    options.key = Some(SealKey::from_bytes(KEY));
    options
}

/// A moment at which all is the same each time.
pub fn context() -> Ctx {
    let clock = Arc::new(SystemClock::starting_at(MADE_AT));
    Ctx::new(clock, Arc::new(SeededRng::new(SEED)), Arc::new(MemNet::new()))
}

/// Makes the store and what is expected of it in the new folder `dir`.
pub fn make(dir: &Path) -> std::result::Result<(), String> {
    simulate(async {
        let cx = context();
        let expected = needed("fixture", written(&cx, dir).await)?;
        let text = serde_json::to_string_pretty(&expected).map_err(|e| e.to_string())?;
        fs::write(dir.join(EXPECTED_FILE), text + "\n").map_err(|e| e.to_string())
    })
}

async fn written(cx: &Ctx, dir: &Path) -> Result<Value> {
    let store = ControlStore::create(cx, &dir.join("made"), &options()).await?;
    let site = Opened::new(cx, store.clone()).await?;
    for rack in 0..site.racks.len() {
        things(&site, rack).await?;
    }
    identities(&site).await?;
    let remote =
        json!({"id": "miner-av-a1566-far", "type": "miner-av-a1566", "info": {"rpcPublicKey": "00ff"}});
    site.orchestrator.register_rack(RackRecord::new(read(remote)?)?).await?;
    let map = json!({"miner-am-s19xp-hall-1": "10.1.0.0/16", "miner-wm-m56s-hall-2": ["10.2.0.0/16"]});
    site.orchestrator.set_thing_map(ThingMap::parse(&map.to_string())?, None).await?;
    // A copy has no free pages, so it is small.
    store.backup(cx, dir).await?;
    let expected = site.seen(cx).await?;
    store.close().await?;
    fs::remove_dir_all(dir.join("made")).map_err(|e| {
        Error::new(ErrorKind::Internal, "trust.fixture", "a folder cannot be removed").caused_by(e)
    })?;
    Ok(expected)
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| Error::invalid("trust.fixture", "value", e.to_string()))
}

/// Things of one rack: changed, commented, forgotten, being repaired.
async fn things(site: &Opened, at: usize) -> Result<()> {
    let (rack, by) = (&site.racks[at], Caller::new("ann@example.com"));
    let hall = at + 1;
    let drafts = (1..=5).map(|n| {
        read::<ThingDraft>(json!({
            "id": format!("h{hall}-{n}"),
            "opts": {
                "address": format!("10.{hall}.0.{n}"), "port": 4028, "username": "admin",
                "password": format!("test-secret-{hall}-{n}"),
                "login": {"user": "root", "more": [{"apiKey": format!("test-key-{hall}-{n}")}]},
            },
            "info": {
                "macAddress": format!("02:00:00:0{hall}:00:0{n}"), "serialNum": format!("SN{hall}{n}"),
                "pos": format!("1-{n}"), "container": format!("c{hall}"), "powerLimit": 3_250.5,
                "poolToken": format!("test-token-{hall}-{n}"), "note": "ein Gerät, 一台",
            },
            "tags": ["north", format!("row-{n}")],
            "comment": (n == 1).then_some("installed"),
            "readOnly": n == 2,
        }))
    });
    for told in rack.register_many(drafts.collect::<Result<_>>()?, &by).await {
        told?;
    }
    let id = |n: u32| ThingId::new(&format!("h{hall}-{n}"));
    let comment =
        rack.save_comment(&id(1)?, "replaced a fan", Some("1-1"), &Caller::new("bob@example.com")).await?;
    let which = CommentRef { id: Some(comment.id), ts: None };
    rack.edit_comment(&id(1)?, &which, "replaced two fans", &Caller::new("bob@example.com")).await?;
    let repaired: ThingChange =
        read(json!({"info": {"container": "maintenance", "pos": ""}, "tags": ["north", "broken"]}))?;
    rack.update(&id(3)?, repaired, &by).await?;
    let other: ThingChange = read(json!({"opts": {"password": "test-secret-new"}, "info": {"pos": "1-9"}}))?;
    rack.update(&id(1)?, other, &by).await?;
    rack.forget(&Which::Matching(Filter::parse(&json!({ "id": id(5)?.as_str() }))?), &by).await?;
    let settings = json!({"limit": {"kw": 1500, "rampS": 0.5}, "label": format!("hall {hall}")});
    rack.save_settings(read(settings)?, &by).await.map(drop)
}

/// A device that was replaced: in one hall it is held, in the other a person decided.
async fn identities(site: &Opened) -> Result<()> {
    for hall in 1..=site.racks.len() {
        let mut said = Evidence::default();
        said.mac = Some(format!("06:00:00:0{hall}:00:04").into());
        said.serial = Some(format!("NEW{hall}").into());
        let id = ThingId::new(&format!("h{hall}-4"))?;
        site.things.sight(vec![Sighting::polled(id.clone(), said, Timestamp(MADE_AT.0 * 2))]).await?;
        if hall == 2 {
            site.things.split(&id, &Caller::new("bob@example.com")).await?;
        }
    }
    let mut known = Evidence::default();
    known.mac = Some("02:00:00:01:00:02".into());
    known.boards = vec!["B1".into(), "B2".into()];
    let sighting = Sighting::polled(ThingId::new("h1-2")?, known, Timestamp(MADE_AT.0 * 2));
    site.things.sight(vec![sighting]).await.map(drop)
}
