//! Gives a store another key. Every secret is sealed anew in one transaction together with the mark of the key, so at
//! any moment the file belongs to exactly one of the two keys, and that key is beside it.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    backend::Backend,
    control::{ControlStore, StoreOptions, given_key},
    db::{About, Db, FORMAT, Loaded, Wanted},
    dir,
    fault::Fault,
    migrate::STEPS,
    record::{Framed, encode, raw_key},
    seal::{Place, SealKey, Sealed, Sealer},
    space::Space,
    state::RawWrite,
};
use crate::{
    Error, ErrorKind, Result,
    io::{Ctx, Rng},
};

const OP: &str = "store.rotate_key";
/// How often a file that failed is opened again to see which key it has.
const ATTEMPTS: usize = 4;

/// What [`ControlStore::rotate_key`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RotationReport {
    /// Records that hold secrets.
    pub records: u64,
    /// Secrets that were sealed anew.
    pub secrets: u64,
}

impl ControlStore {
    /// Gives the site in the folder `dir` another key and seals all its secrets anew with it; the site must not run.
    ///
    /// The new key, `new` or a random one, is written beside the old key file first. When the store's one transaction
    /// is durable, it takes the old file's place. Whenever this is cut short, [`open`](Self::open) finds out which of
    /// the two the store has, and finishes. Copies of the store from before need the old key: keep it with them, or
    /// make new copies and destroy both.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), so [`Conflict`](ErrorKind::Conflict) with `STORE_LOCKED` while the site runs;
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) with `STORE_KEY`, naming the record, for a secret that the old
    /// key does not open: nothing is changed then. [`Error::sent`] is [`Sent::Maybe`](crate::Sent::Maybe) when only
    /// opening the store tells which key it has. [`Invalid`](ErrorKind::Invalid) when `options.key` is given and `new`
    /// is not: the caller keeps such keys, both until this returned.
    pub async fn rotate_key(
        cx: &Ctx,
        dir: &Path,
        options: &StoreOptions,
        new: Option<&SealKey>,
    ) -> Result<RotationReport> {
        if options.key.is_some() {
            let missing = || Error::invalid(OP, "new", "a site whose key is given needs the new key too");
            let ready = dir::open(dir, options)?;
            return rotate(cx, ready.backend, Some(&ready.site), &ready.sealer, new.ok_or_else(missing)?);
        }
        // Finishes an earlier rotation, so that there are two keys at most.
        Self::open(cx, dir, options).await?.close().await?;
        let ready = dir::open(dir, options)?;
        let new = new.cloned().unwrap_or_else(|| SealKey::random(&*cx.rng));
        dir::write_next_key(dir, options, &new)?;
        // The backend keeps the folder locked until the new key has its place.
        let report = rotate(cx, ready.backend.clone(), Some(&ready.site), &ready.sealer, &new)?;
        dir::take_next_key(dir, options)?;
        Ok(report)
    }

    /// As [`rotate_key`](Self::rotate_key), from `options.key` to `new` in a backend.
    ///
    /// # Errors
    /// As [`rotate_key`](Self::rotate_key).
    pub fn rotate_key_on(
        cx: &Ctx,
        backend: Arc<dyn Backend>,
        options: &StoreOptions,
        new: &SealKey,
    ) -> Result<RotationReport> {
        rotate(cx, backend, None, &given_key(options)?, new)
    }
}

fn rotate(
    cx: &Ctx,
    backend: Arc<dyn Backend>,
    site: Option<&str>,
    old: &Sealer,
    new: &SealKey,
) -> Result<RotationReport> {
    let new = &Sealer::new(new);
    let mut suspects = BTreeSet::new();
    let (db, loaded) =
        open(&backend, &mut suspects, &|loaded| dir::judge(&loaded.about, site, old)).map_err(told)?;
    let mut report = RotationReport::default();
    let revision = loaded.revision + 1;
    let mut writes = Vec::new();
    for framed in &loaded.records {
        writes.extend(resealed(&*cx.rng, framed, (old, new), revision, &mut report)?);
    }
    let about = dir::about(&*cx.rng, &loaded.about.site, new)?;
    match db.write_about(&writes, revision, &about) {
        Ok(()) => Ok(report),
        Err(fault) => {
            suspects.extend(db.abandon());
            look(&backend, &mut suspects, new, &about, fault).map(|()| report)
        }
    }
}

fn told(fault: Fault) -> Error {
    fault.to_error(OP)
}

fn open(
    backend: &Arc<dyn Backend>,
    suspects: &mut BTreeSet<u64>,
    judge: &dyn Fn(&Loaded) -> Result<(), Fault>,
) -> Result<(Db, Loaded), Fault> {
    Db::open(backend.clone(), suspects, &Wanted { kind: dir::CONTROL, steps: STEPS, format: FORMAT, judge })
}

/// A failed commit may be durable all the same: opens the file again and looks which key it has.
fn look(
    backend: &Arc<dyn Backend>,
    suspects: &mut BTreeSet<u64>,
    new: &Sealer,
    about: &About,
    fault: Fault,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        if let Ok((_, found)) = open(backend, suspects, &|_| Ok(())) {
            let done = dir::judge(&found.about, Some(&about.site), new).is_ok();
            return if done { Ok(()) } else { Err(told(fault)) };
        }
    }
    let text = "the disk failed while the key was changed, so which key the store has is unknown: keep both and open \
                the store";
    Err(Error::new(told(fault.clone()).kind(), OP, text).code_as(told(fault).code()).maybe_sent())
}

/// The record with its secrets sealed by the new key; `None` when it has none.
fn resealed(
    rng: &dyn Rng,
    Framed { space, record }: &Framed,
    keys: (&Sealer, &Sealer),
    revision: u64,
    report: &mut RotationReport,
) -> Result<Option<RawWrite>> {
    if !contains(&record.json, MARK) {
        return Ok(None);
    }
    let unread = || {
        let e = Error::new(ErrorKind::Corrupt, OP, "a record is not JSON: export what reads with salvage");
        e.with("key", &record.key)
    };
    let value: Value = record.parse().map_err(|_| unread())?;
    let mut walk = Walk { rng, keys, space: *space, key: &record.key, changed: Vec::new() };
    walk.value("", &value)?;
    if walk.changed.is_empty() {
        return Ok(None);
    }
    report.records += 1;
    report.secrets += walk.changed.len() as u64;
    // Only these texts change: numbers and the order of members stay as they were written.
    let mut json = std::str::from_utf8(&record.json).map_err(|_| unread())?.to_owned();
    for (before, after) in walk.changed {
        json = json.replace(&before, &after);
    }
    let key = record.key.as_str();
    let value = encode(*space, key, revision, json.as_bytes());
    Ok(Some(RawWrite { key: raw_key(*space, key), value: Some(value) }))
}

const MARK: &[u8] = b"\"$sealed\"";

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Finds what is sealed in a record. The path of a member is the place for which it was sealed.
struct Walk<'a> {
    rng: &'a dyn Rng,
    keys: (&'a Sealer, &'a Sealer),
    space: u8,
    key: &'a super::Key,
    changed: Vec<(String, String)>,
}

impl Walk<'_> {
    fn value(&mut self, path: &str, value: &Value) -> Result<()> {
        if let Ok(sealed) = Sealed::deserialize(value) {
            let space = Space::from_number(self.space).unwrap_or(Space::Meta);
            let place = Place { space, key: self.key, field: path };
            let (old, new) = self.keys;
            let secret = old.open(&place, &sealed)?;
            let fresh = new.seal(self.rng, &place, &secret)?;
            self.changed.push((sealed.text().to_owned(), fresh.text().to_owned()));
            return Ok(());
        }
        match value {
            Value::Object(map) => map.iter().try_for_each(|(name, value)| {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                self.value(&inner, value)
            }),
            // Elements of a list have the list's place.
            Value::Array(list) => list.iter().try_for_each(|value| self.value(path, value)),
            _ => Ok(()),
        }
    }
}
