//! Files of the store: the log of stop actions that stands in the reserve, its records, and damaged files.

use std::sync::{Arc, OnceLock};

use headframe_core::{
    Error, ThingId,
    io::{Ctx, Timestamp},
    model::Snapshot,
    store::{
        Backend, Batch, ControlStore, CrashBackend, LastRow, LastStore, SealKey, Space, StoreOptions, Writer,
    },
};
use serde_json::json;

use crate::serve::{BETWEEN, LONGEST, run};

const SITE: &str = "fuzz";
const RESERVE: usize = 64 * 1024;
/// The number of the space whose records stop actions write.
const JOURNAL: u8 = 7;
/// Longest log that a case makes.
const LOG: usize = 4 * RESERVE;
const KEY_MAX: usize = 512;

/// The first byte chooses: a log of stop actions, or damage to one of the two files.
pub fn store(data: &[u8]) {
    let Some((first, bytes)) = data.get(..LONGEST).unwrap_or(data).split_first() else { return };
    let sound = template();
    run(|cx, _net| async move {
        match first % 4 {
            0 | 1 => log(&cx, sound, bytes).await,
            2 => use_it(&cx, CrashBackend::with_bytes(1, damaged(&sound.file, bytes))).await,
            _ => last(&cx, bytes),
        }
    });
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.reserve_bytes = RESERVE as u64;
    options.writer = Writer::Inline;
    options.key = Some(SealKey::from_bytes([7; 32]));
    options
}

/// A store with some records: its file, its site, its last commit.
struct Template {
    file: Vec<u8>,
    site: String,
    revision: u64,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let disk = CrashBackend::new(1);
        let (sender, receiver) = std::sync::mpsc::channel();
        let made = disk.clone();
        run(|cx, _net| async move {
            let told = ControlStore::create_on(&cx, Arc::new(made), &options()).await;
            let store = told.unwrap_or_else(|e| unreachable!("no store can be made: {e:?}"));
            for n in 0..6 {
                let batch = Batch::new().put(Space::Journal, format!("a{n}"), &json!({"n": n}));
                let batch = batch.put(Space::Meta, format!("b{n}"), &json!("é".repeat(n)));
                if let Err(e) = store.commit(batch).await {
                    unreachable!("a commit fails: {e:?}");
                }
            }
            let _sent = sender.send((store.site().to_owned(), store.revision().0));
        });
        let (site, revision) = receiver.recv().unwrap_or_default();
        Template { file: disk.bytes(), site, revision }
    })
}

/// Opens the store over `disk`, reads, writes, and opens it again: every error is one of a store.
async fn use_it(cx: &Ctx, disk: CrashBackend) {
    let store = match ControlStore::open_on(cx, Arc::new(disk.clone()), &options()).await {
        Ok(store) => store,
        Err(e) => return typed(&e),
    };
    for space in Space::ALL {
        let _records = store.scan(space, .., 1_000);
    }
    let batch = Batch::new().put(Space::Meta, "z", &json!(1));
    match store.commit(batch).await {
        Ok(revision) => {
            drop(store);
            match ControlStore::open_on(cx, Arc::new(disk), &options()).await {
                Ok(again) => {
                    assert!(again.revision() >= revision, "a commit is gone");
                    let kept = again.get::<u64>(Space::Meta, "z");
                    assert!(
                        kept.is_ok_and(|kept| kept.is_some_and(|kept| kept.value == 1)),
                        "a record is gone"
                    );
                }
                Err(e) => typed(&e),
            }
        }
        Err(e) => typed(&e),
    }
}

fn typed(e: &Error) {
    assert!(e.code().starts_with("STORE_"), "no error of a store: {e:?}");
}

/// Entries with `0x1e` between them. `k` begins one with a whole record (key, line end, JSON), `d` one that deletes
/// the key, `r` one whose inside is as it is, `c` one with a record as it is; all of them get right checksums. Any
/// other is laid down as it is.
async fn log(cx: &Ctx, sound: &Template, bytes: &[u8]) {
    let Template { file, site, revision } = sound;
    let mut log = Vec::new();
    for (n, chunk) in (1..).zip(bytes.split(|byte| *byte == BETWEEN)) {
        let (kind, rest) = chunk.split_first().unwrap_or((&b'x', &[]));
        let (key, value) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[][..]),
        };
        let key = [&[JOURNAL], key.get(..KEY_MAX).unwrap_or(key)].concat();
        let body = match kind {
            b'k' => write(&key, &record(&key[1..], revision + n, value)),
            b'd' => write(&key, &[]),
            b'c' => write(&key, value),
            b'r' => rest.to_vec(),
            _ => {
                log.extend_from_slice(chunk);
                continue;
            }
        };
        log.extend(entry(site, *revision, revision + n, &body));
    }
    log.truncate(LOG);
    let disk = CrashBackend::with_bytes(1, file.clone());
    let laid = disk.occupy(log.len().max(RESERVE) as u64).and_then(|()| disk.write_kept(0, &log));
    assert!(laid.is_ok(), "{laid:?}");
    use_it(cx, disk).await;
}

fn entry(site: &str, base: u64, revision: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let rest = [&base.to_le_bytes()[..], &revision.to_le_bytes(), &length, body].concat();
    let mut sum = crc32fast::Hasher::new();
    sum.update(site.as_bytes());
    sum.update(&rest);
    [b"HFs1", &sum.finalize().to_le_bytes()[..], &rest].concat()
}

fn write(key: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&length(key)[..], &length(value), key, value].concat()
}

/// A record as the store keeps it.
fn record(key: &[u8], revision: u64, json: &[u8]) -> Vec<u8> {
    let key_length = u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes();
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes();
    let rest = [&revision.to_le_bytes()[..], &[JOURNAL], &key_length, &length, key, json].concat();
    [b"HFR\x01", &crc32fast::hash(&rest).to_le_bytes()[..], &rest].concat()
}

/// Writes pieces of the case over a sound file: three bytes for the place, one for the length, so many bytes.
fn damaged(file: &[u8], mut bytes: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    while let Some(([a, b, c, length], rest)) = bytes.split_first_chunk() {
        let length = usize::from(*length).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        let at = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let at = at % file.len().max(1);
        for (byte, new) in file.iter_mut().skip(at).zip(piece) {
            *byte = *new;
        }
        bytes = rest;
    }
    file
}

fn last(cx: &Ctx, bytes: &[u8]) {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let disk = CrashBackend::new(1);
        let made = LastStore::create_on(Arc::new(disk.clone()), SITE)
            .and_then(|()| LastStore::open_on(cx, Arc::new(disk.clone()), SITE, Writer::Inline));
        let (store, _) = made.unwrap_or_else(|e| unreachable!("no file can be made: {e:?}"));
        for n in 0..8 {
            if let Ok(id) = ThingId::new(&format!("m{n}")) {
                store.record(&id, &row(n));
            }
        }
        if let Err(e) = store.close() {
            unreachable!("the rows are not written: {e:?}");
        }
        disk.bytes()
    });
    let disk = CrashBackend::with_bytes(1, damaged(file, bytes));
    match LastStore::open_on(cx, Arc::new(disk), SITE, Writer::Inline) {
        Ok((store, restored)) => {
            assert!(restored.rows.len() <= 8, "{} rows", restored.rows.len());
            if let Err(e) = store.close() {
                typed(&e);
            }
        }
        Err(e) => typed(&e),
    }
}

fn row(n: i64) -> LastRow {
    LastRow { ts: Timestamp(n), err: None, snap: Some(Snapshot::unusable("no answer", Timestamp(n))) }
}
