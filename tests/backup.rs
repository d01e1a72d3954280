//! A whole site is backed up while it polls and acts, and comes back from the backup or not at all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "history")]
use headframe::rack::{LocalRack, Rack as _};
use headframe::{
    Error, ErrorKind, ThingId,
    action::{ActionId, Bucket, By, Draft, Person, RightsSource, StaticPrincipals, Status},
    audit::{self, AuditKey, Log},
    auth::Permissions,
    driver::Ports,
    io::{Ctx, Timestamp},
    query::{Query, Row},
    site::{Login, Site, SiteBuilder, code},
    store::{ControlStore, Space, StoreOptions, code as store_code},
};
use headframe_sim::Fleet;
use serde_json::{Value, json};
use support::{Folder, builder, fleet, me, until, until_online};

const BOUND: Duration = Duration::from_secs(5);
const KEY: &str = "site.key";

fn ann() -> By {
    By::new(Person::from_text("ann").unwrap())
}

fn site_of() -> SiteBuilder {
    let people = StaticPrincipals::new();
    let rights = Permissions::parse(["miner:rw", "actions:rw"]).unwrap();
    people.set(&Person::from_text("ann").unwrap(), rights).unwrap();
    builder().rights(RightsSource::Current(Arc::new(people)))
}

/// A site that polls `n` Whatsminers and as many Antminers.
async fn running(cx: &Ctx, folder: &Folder, octet: u8, n: usize) -> (Site, Fleet) {
    let fleet = fleet(cx, octet, n, n).await;
    let site = site_of().create(cx, folder.path()).await.unwrap();
    let login = Login::new("whatsminer").with("password", "admin");
    let range = format!("127.{octet}.0.1-127.{octet}.0.{}", 2 * n).parse().unwrap();
    let found = site.find_and_register(range, Ports::simulated(), &[login], &me()).await.unwrap();
    assert_eq!(found.registered.len(), 2 * n, "{found:?}");
    until_online(cx, &site, 2 * n).await;
    // Nothing is written to a device that cannot be told from another.
    let known = |id: &ThingId| site.things().get(id).unwrap().evidence.is_some();
    until(cx, "all identities are known", || site.things().ids().iter().all(known)).await;
    (site, fleet)
}

fn whatsminer(site: &Site) -> ThingId {
    let is_one = |id: &ThingId| &*site.things().get(id).unwrap().thing_type == "miner-wm-m50s";
    site.things().ids().into_iter().find(is_one).unwrap()
}

async fn push(site: &Site, action: &str, params: Vec<Value>) -> Result<ActionId, Error> {
    let draft = Draft::new(action, params, json!({"id": whatsminer(site)}))?;
    site.actions().push(draft, &ann()).await?.into_id()
}

async fn completed(cx: &Ctx, site: &Site, id: ActionId) {
    let done = || site.actions().header(id).unwrap().status.bucket() == Bucket::Done;
    until(cx, "the action is done", done).await;
    assert_eq!(site.actions().header(id).unwrap().status, Status::Completed);
}

/// A backup of a site that polled and acted. The site has ended; its folder is the first.
async fn backed_up(name: &str, octet: u8) -> (Folder, Folder) {
    let (cx, folder, copy) = (Ctx::system(), Folder::new(name), Folder::new(&format!("{name}-copy")));
    let (site, fleet) = running(&cx, &folder, octet, 1).await;
    let id = push(&site, "setLED", vec![true.into()]).await.unwrap();
    completed(&cx, &site, id).await;
    durable(&cx, &site).await;
    site.backup(copy.path()).await.unwrap();
    site.shutdown(BOUND).await.unwrap();
    fleet.stop().await;
    (folder, copy)
}

/// Waits until some readings of each rack are in the history.
#[cfg(feature = "history")]
async fn durable(cx: &Ctx, site: &Site) {
    let now = cx.clock.wall();
    let telemetry = site.telemetry().unwrap();
    let is_kept = |rack: &Arc<LocalRack>| telemetry.durable_until(&rack.info().id) > now;
    until(cx, "readings are durable", || site.racks().all(is_kept)).await;
}

#[cfg(not(feature = "history"))]
async fn durable(_cx: &Ctx, _site: &Site) {}

/// What a thing said, as far as it was durable when the backup was begun.
#[cfg(feature = "history")]
fn said(site: &Site, id: &ThingId, until: Timestamp) -> Vec<Value> {
    site.telemetry().unwrap().snapshots(id, Timestamp(0)..Timestamp(until.0 + 1)).unwrap()
}

#[cfg(not(feature = "history"))]
fn said(_site: &Site, _id: &ThingId, _until: Timestamp) -> Vec<Value> {
    Vec::new()
}

#[cfg(feature = "history")]
fn durable_until(site: &Site, id: &ThingId) -> Timestamp {
    site.telemetry().unwrap().durable_until(&site.things().get(id).unwrap().rack)
}

#[cfg(not(feature = "history"))]
fn durable_until(_site: &Site, _id: &ThingId) -> Timestamp {
    Timestamp(0)
}

/// When the polls of each thing began.
type Polls = Arc<Mutex<BTreeMap<ThingId, BTreeSet<i64>>>>;

fn follow(site: &Site) -> Polls {
    let (polls, mut readings) = (Polls::default(), site.subscribe(4_096));
    let seen = Arc::clone(&polls);
    tokio::spawn(async move {
        while let Some(event) = readings.next().await {
            let reading = event.reading;
            let began = reading.ts.0 - i64::try_from(reading.took.as_millis()).unwrap();
            seen.lock().unwrap().entry(reading.thing.clone()).or_default().insert(began);
        }
    });
    polls
}

/// When each thing gave its last good answer, also one of before the start.
async fn good_ts(site: &Site) -> BTreeMap<String, i64> {
    let query = Query::parse_str(r#"{"query":{},"fields":{"id":1,"last":1},"status":true}"#).unwrap();
    let page = site.list(&query).await.unwrap().items;
    let of = |item: &Row| {
        let get = |path: &str| item.get(path).unwrap();
        (get("id").as_str().unwrap().to_owned(), get("last.goodTs").as_i64().unwrap())
    };
    page.items.iter().map(|item| of(&item.value)).collect()
}

async fn restore(from: &Path, to: &Path, key: &Path) {
    Site::restore(from, to).await.unwrap();
    fs::copy(key.join(KEY), to.join(KEY)).unwrap();
}

/// All files of a folder, also in folders within it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_is_backed_up_while_it_runs_and_comes_back_whole() {
    let cx = Ctx::system();
    let [folder, copy, again] = ["whole", "whole-copy", "whole-again"].map(Folder::new);
    let (site, fleet) = running(&cx, &folder, 81, 2).await;
    let polls = follow(&site);
    let id = push(&site, "setLED", vec![true.into()]).await.unwrap();
    completed(&cx, &site, id).await;
    durable(&cx, &site).await;
    let key = AuditKey::random("headframe/test", &*cx.rng).unwrap();
    let head = key.checkpoint(&Log::open(site.actions().store()).unwrap());
    let view = site.actions().get(id).unwrap().unwrap().0;
    let ids = site.things().ids();
    let newest = polls.lock().unwrap().clone();
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(100)).await;
    let marks: Vec<Timestamp> = ids.iter().map(|id| durable_until(&site, id)).collect();
    let report = site.backup(copy.path()).await.unwrap();
    assert_eq!((report.site.as_str(), &report.left_out[..]), (site.id(), &[][..]), "{report:?}");
    let kept = cfg!(feature = "history");
    assert!(report.bytes > 0 && (report.samples > 0) == kept && (report.files > 3) == kept, "{report:?}");
    assert!(files(copy.path()).iter().all(|path| !path.ends_with(KEY)), "a key is in the backup");

    // What comes after it is not in it.
    let later = push(&site, "setLED", vec![false.into()]).await.unwrap();
    completed(&cx, &site, later).await;
    let things: Vec<_> = ids.iter().map(|id| site.things().get(id).unwrap()).collect();
    let before: Vec<_> = ids.iter().zip(&marks).map(|(id, mark)| said(&site, id, *mark)).collect();
    assert!(before.iter().all(|said| said.is_empty() != kept), "nothing was kept");
    let site_id = site.id().to_owned();
    site.shutdown(BOUND).await.unwrap();
    fleet.stop().await;

    let restored = Site::restore(copy.path(), again.path()).await.unwrap();
    assert_eq!(
        (&restored.site, restored.taken, restored.revision),
        (&site_id, report.taken, report.revision)
    );
    assert_eq!((restored.files, restored.bytes), (report.files, report.bytes));
    assert!(restored.audit_entries > 0 && restored.left_out.is_empty(), "{restored:?}");
    let e = site_of().open(&cx, again.path()).await.unwrap_err();
    assert_eq!(e.code(), store_code::KEY, "{e}");
    fs::copy(folder.path().join(KEY), again.path().join(KEY)).unwrap();

    let site = site_of().open(&cx, again.path()).await.unwrap();
    assert_eq!((site.id(), site.things().ids()), (site_id.as_str(), ids.clone()));
    let good = good_ts(&site).await;
    for ((id, thing), (mark, before)) in ids.iter().zip(&things).zip(marks.iter().zip(&before)) {
        assert!(*site.things().get(id).unwrap() == **thing, "{id} is another");
        let ts = good[id.as_str()];
        assert!(polls.lock().unwrap()[id].contains(&ts), "nothing was polled at {ts}");
        assert!(ts >= *newest[id].last().unwrap() && ts <= report.taken.0 + 1_000, "{ts} {newest:?}");
        assert_eq!(&said(&site, id, *mark), before, "{id}");
    }
    assert_eq!(site.actions().get(id).unwrap().unwrap().0, view);
    assert!(site.actions().get(later).unwrap().is_none());
    let checkpoint = key.verifier().open(head.as_bytes()).unwrap();
    let verified = audit::verify_stored(site.actions().store(), &[checkpoint]).unwrap();
    assert!(verified.witnessed > 0 && verified.size >= restored.audit_entries, "{verified:?}");
    site.shutdown(BOUND).await.unwrap();
}

/// Each is undone again; afterwards the backup is sound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_damaged_is_refused_and_nothing_is_written() {
    let (folder, copy) = backed_up("damaged", 82).await;
    let to = Folder::new("damaged-to");
    let refused = async |what: String| {
        let e = Site::restore(copy.path(), to.path()).await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Corrupt, code::BACKUP_INVALID), "{what}: {e:?}");
        assert!(e.fact("file").is_some(), "{what}: {e}");
        assert!(!to.path().exists(), "{what}: something was written");
    };
    let all = files(copy.path());
    let content: Vec<(PathBuf, Vec<u8>)> =
        all.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let mut damaged = 0;
    // Lock files hold nothing.
    for (path, bytes) in content.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let name = path.strip_prefix(copy.path()).unwrap().display();
        for at in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            fs::write(path, flipped).unwrap();
            refused(format!("{name} flipped at {at}")).await;
        }
        for len in [0, bytes.len() / 2, bytes.len() - 1] {
            fs::write(path, &bytes[..len]).unwrap();
            refused(format!("{name} cut to {len}")).await;
        }
        fs::write(path, [&bytes[..], b"x"].concat()).unwrap();
        refused(format!("{name} is longer")).await;
        fs::remove_file(path).unwrap();
        refused(format!("{name} is missing")).await;
        fs::write(path, bytes).unwrap();
        damaged += 1;
    }
    assert!(damaged >= if cfg!(feature = "history") { 8 } else { 4 }, "{all:?}");

    // What no manifest names is left where it is.
    fs::write(copy.path().join("README"), "kept by the operator").unwrap();
    fs::create_dir_all(copy.path().join("history/readings")).unwrap();
    fs::write(copy.path().join("history/readings/9999.log"), "none of it").unwrap();
    restore(copy.path(), to.path(), folder.path()).await;
    assert!(files(to.path()).iter().all(|path| !path.ends_with("README") && !path.ends_with("9999.log")));
    site_of().open(&Ctx::system(), to.path()).await.unwrap().shutdown(BOUND).await.unwrap();
}

/// A part of another backup of the same site is sound in itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_two_backups_make_none() {
    let (cx, folder) = (Ctx::system(), Folder::new("parts"));
    let [one, two, to] = ["parts-one", "parts-two", "parts-to"].map(Folder::new);
    let (site, fleet) = running(&cx, &folder, 83, 1).await;
    durable(&cx, &site).await;
    site.backup(one.path()).await.unwrap();
    durable(&cx, &site).await;
    let id = push(&site, "setLED", vec![true.into()]).await.unwrap();
    completed(&cx, &site, id).await;
    site.backup(two.path()).await.unwrap();
    site.shutdown(BOUND).await.unwrap();
    fleet.stop().await;
    let parts = ["control.redb", "last.redb", "site.backup", "history/readings", "history/statistics"];
    let mut swapped = 0;
    for part in parts.iter().filter(|part| one.path().join(part).exists()) {
        let (first, second) = (one.path().join(part), two.path().join(part));
        let aside = two.path().join("aside");
        fs::rename(&second, &aside).unwrap();
        fs::rename(&first, &second).unwrap();
        let e = Site::restore(two.path(), to.path()).await.unwrap_err();
        assert_eq!(e.code(), code::BACKUP_INVALID, "{part}: {e:?}");
        assert!(!to.path().exists());
        fs::rename(&second, &first).unwrap();
        fs::rename(&aside, &second).unwrap();
        swapped += 1;
    }
    assert!(swapped >= 3);
    Site::restore(two.path(), to.path()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_that_are_not_empty_are_left_as_they_are() {
    let cx = Ctx::system();
    let [folder, copy, to] = ["occupied", "occupied-copy", "occupied-to"].map(Folder::new);
    let site = site_of().create(&cx, folder.path()).await.unwrap();
    let all = |folder: &Folder| files(folder.path()).iter().map(|p| fs::read(p).unwrap()).collect::<Vec<_>>();
    fs::create_dir_all(copy.path()).unwrap();
    fs::write(copy.path().join("mine"), "mine").unwrap();
    let e = site.backup(copy.path()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::BACKUP_EXISTS), "{e}");
    assert_eq!((e.fact("file"), all(&copy)), (Some("mine"), vec![b"mine".to_vec()]));
    fs::remove_file(copy.path().join("mine")).unwrap();

    // A folder within the site's own, by whatever way it is reached.
    let within = folder.path().join("backups");
    let round = copy.path().join("..").join(folder.path().file_name().unwrap()).join("a/b");
    for inside in [folder.path(), &within, &round, &copy.path().join("none/../x")] {
        let e = site.backup(inside).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("to")), "{e}");
    }
    assert!(!within.exists() && !copy.path().join("none").exists());

    let deep = copy.path().join("2026/11/26");
    site.backup(&deep).await.unwrap();
    let e = site.backup(&deep).await.unwrap_err();
    assert_eq!(e.code(), code::BACKUP_EXISTS, "{e}");
    let before = all(&copy);
    for found in [
        site_of().open(&cx, &deep).await,
        site_of().create(&cx, &deep).await,
        site_of().open_or_create(&cx, &deep).await,
    ] {
        let e = found.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::BACKUP_EXISTS), "{e}");
    }
    let e = Site::restore(&deep, &deep.join("here")).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("to")), "{e}");
    fs::create_dir_all(to.path()).unwrap();
    fs::write(to.path().join(KEY), "put here too early").unwrap();
    let e = Site::restore(&deep, to.path()).await.unwrap_err();
    assert_eq!((e.kind(), e.code(), e.fact("file")), (ErrorKind::Conflict, code::BACKUP_EXISTS, Some(KEY)));
    assert_eq!(all(&to), vec![b"put here too early".to_vec()]);
    let nothing = copy.path().join("nothing");
    let e = Site::restore(&nothing, &copy.path().join("to")).await.unwrap_err();
    assert_eq!((e.code(), e.fact("file")), (code::BACKUP_INVALID, Some("site.backup")), "{e}");
    assert!(all(&copy) == before, "a refusal changed something");
    site.shutdown(BOUND).await.unwrap();
}

/// As a crash leaves the folder: before its last step, and earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_cut_short_is_no_site() {
    let (folder, copy) = backed_up("cut", 84).await;
    let (cx, to) = (Ctx::system(), Folder::new("cut-to"));
    restore(copy.path(), to.path(), folder.path()).await;
    let at = |name: &str| to.path().join(name);
    fs::rename(at("control.redb"), at("site.restoring")).unwrap();
    for gone in [None, Some("last.redb"), Some("site.json")] {
        if let Some(gone) = gone {
            fs::remove_file(at(gone)).unwrap();
        }
        for found in [
            site_of().open(&cx, to.path()).await,
            site_of().create(&cx, to.path()).await,
            site_of().open_or_create(&cx, to.path()).await,
        ] {
            let e = found.unwrap_err();
            assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::BACKUP_INVALID), "{e}");
        }
        let e = ControlStore::open(&cx, to.path(), &StoreOptions::default()).await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::NotFound, store_code::MISSING), "{e}");
        let e = Site::restore(copy.path(), to.path()).await.unwrap_err();
        assert_eq!(e.code(), code::BACKUP_EXISTS, "{e}");
    }
    fs::remove_dir_all(to.path()).unwrap();
    restore(copy.path(), to.path(), folder.path()).await;
    site_of().open(&cx, to.path()).await.unwrap().shutdown(BOUND).await.unwrap();

    // A backup that was cut short has no manifest.
    fs::rename(copy.path().join("site.backup"), copy.path().join("site.backup.new")).unwrap();
    fs::remove_dir_all(to.path()).unwrap();
    let e = Site::restore(copy.path(), to.path()).await.unwrap_err();
    assert!(e.code() == code::BACKUP_INVALID && e.message().contains("did not come to its end"), "{e}");
    let e = site_of().open(&cx, copy.path()).await.unwrap_err();
    assert_eq!(e.code(), code::BACKUP_EXISTS, "{e}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_backup_of_a_site_that_acts_is_whole() {
    const ROUNDS: usize = 20;
    let (cx, folder) = (Ctx::system(), Folder::new("acts"));
    let [copies, sites] = ["acts-copies", "acts-sites"].map(Folder::new);
    let (site, fleet) = running(&cx, &folder, 85, 1).await;
    let (site, ended, pushed) =
        (Arc::new(site), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let pushing = tokio::spawn({
        let (cx, site, ended, pushed) = (cx.clone(), site.clone(), ended.clone(), pushed.clone());
        async move {
            while !ended.load(Ordering::Relaxed) {
                // It waits for somebody else, who never comes.
                let id = push(&site, "factoryReset", Vec::new()).await.unwrap();
                pushed.fetch_add(1, Ordering::Relaxed);
                site.actions().cancel(id, &ann()).await.unwrap();
                cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(5)).await;
            }
        }
    });
    let mut known = Vec::new();
    for round in 0..ROUNDS {
        let n = pushed.load(Ordering::Relaxed);
        until(&cx, "another action was pushed", || pushed.load(Ordering::Relaxed) > n).await;
        let size = Log::open(site.actions().store()).unwrap().size();
        let actions = site.actions().store().count(Space::Actions);
        let report = site.backup(&copies.path().join(round.to_string())).await.unwrap();
        known.push((size, actions, report));
    }
    ended.store(true, Ordering::Relaxed);
    pushing.await.unwrap();
    let lines = audit::page(site.actions().store(), 0, 10_000).unwrap().lines;
    Arc::into_inner(site).unwrap().shutdown(BOUND).await.unwrap();
    fleet.stop().await;
    for (round, (size, actions, report)) in known.into_iter().enumerate() {
        let to = sites.path().join(round.to_string());
        let restored = Site::restore(&copies.path().join(round.to_string()), &to).await.unwrap();
        assert_eq!((restored.revision, restored.bytes), (report.revision, report.bytes));
        assert!(restored.audit_entries >= size, "{round}: {} of {size}", restored.audit_entries);
        fs::copy(folder.path().join(KEY), to.join(KEY)).unwrap();
        let store = ControlStore::open(&cx, &to, &StoreOptions::default()).await.unwrap();
        assert!(store.count(Space::Actions) >= actions, "{round}");
        let verified = audit::verify_stored(&store, &[]).unwrap();
        assert_eq!(verified.size, restored.audit_entries);
        let page = audit::page(&store, 0, 10_000).unwrap().lines;
        assert_eq!(page[..], lines[..page.len()], "{round}");
        store.close().await.unwrap();
    }
    // One of them goes on where it was.
    let site = site_of().open(&cx, &sites.path().join("7")).await.unwrap();
    site.actions().reconciled().await;
    site.shutdown(BOUND).await.unwrap();
}

#[cfg(feature = "history")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_without_history_has_a_backup_without() {
    let cx = Ctx::system();
    let [folder, copy, to] = ["bare", "bare-copy", "bare-to"].map(Folder::new);
    let site = site_of().history(None).create(&cx, folder.path()).await.unwrap();
    let report = site.backup(copy.path()).await.unwrap();
    assert_eq!((report.files, report.samples, files(copy.path()).len()), (3, 0, 4));
    site.shutdown(BOUND).await.unwrap();
    restore(copy.path(), to.path(), folder.path()).await;
    site_of().open(&cx, to.path()).await.unwrap().shutdown(BOUND).await.unwrap();
}
