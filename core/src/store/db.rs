use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{
    backend::Backend,
    fault::Fault,
    migrate::{self, Step},
    planted::{Bug, planted},
    record::{Framed, decode_at},
    reserve::Reserve,
    seal::Sealed,
    shield::Shield,
    state::RawWrite,
};

/// The format that this release writes.
pub(super) const FORMAT: u32 = 1;
const CACHE_BYTES: usize = 16 << 20;
const MAX_ABOUT_BYTES: usize = 64 << 10;
/// Bytes of one transaction of a copy.
const PIECE: usize = 8 << 20;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const HEADER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("header");

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    /// `control` or `last`: one kind of file is not taken for the other.
    pub kind: String,
    /// Id of the site.
    pub site: String,
    /// The site's id, sealed: tells a wrong key at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Sealed>,
}

/// What was in a file when it was opened.
#[derive(Debug)]
pub(super) struct Loaded {
    pub about: About,
    pub revision: u64,
    pub records: Vec<Framed>,
}

/// What the opened file has to be.
pub(super) struct Wanted<'a> {
    pub kind: &'static str,
    pub steps: &'a [Step],
    pub format: u32,
    /// Judges the file before anything in it is changed.
    pub judge: &'a dyn Fn(&Loaded) -> Result<(), Fault>,
}

/// An open file. Panics of the engine end here, as errors.
#[derive(Debug)]
pub(super) struct Db {
    redb: Option<Database>,
    shield: Shield,
}

impl Db {
    /// Makes a store in an empty backend.
    pub(super) fn create(backend: Arc<dyn Backend>, about: &About) -> Result<Self, Fault> {
        let shield = Shield::attach(backend, BTreeSet::new())?;
        shield.accept()?;
        let redb = guarded(|| {
            let redb = builder().create_with_backend(shield.clone())?;
            let tx = begin(&redb)?;
            tx.open_table(RECORDS)?;
            write_header(&tx, about, FORMAT, 0)?;
            tx.commit()?;
            Ok(redb)
        })?;
        Ok(Self { redb: Some(redb), shield })
    }

    /// Opens what is there. The file changes only when everything in it is good.
    pub(super) fn open(
        backend: Arc<dyn Backend>,
        suspects: &mut BTreeSet<u64>,
        wanted: &Wanted<'_>,
    ) -> Result<(Self, Loaded), Fault> {
        if backend.size()? == 0 {
            if planted(Bug::CreateOnOpen) {
                return Self::create_instead(backend, wanted.kind);
            }
            return Err(Fault::Empty);
        }
        let shield = Shield::attach(backend, suspects.clone())?;
        let opened = guarded(|| {
            let redb = builder().create_with_backend(shield.clone())?;
            let (loaded, format) = load(&redb, wanted)?;
            (wanted.judge)(&loaded)?;
            let loaded =
                if format < wanted.format { upgrade(&redb, loaded, format, wanted)? } else { loaded };
            shield.accept()?;
            Ok((redb, loaded))
        });
        match opened {
            Ok((redb, loaded)) => {
                suspects.clear();
                Ok((Self { redb: Some(redb), shield }, loaded))
            }
            Err(fault) => {
                suspects.extend(shield.fence());
                Err(fault)
            }
        }
    }

    /// Writes in one transaction. After an error the outcome is unknown and this handle is of no more use.
    pub(super) fn write(&self, writes: &[RawWrite], revision: u64) -> Result<(), Fault> {
        self.transaction(|tx| {
            put(tx, writes)?;
            tx.open_table(HEADER)?.insert("revision", revision.to_le_bytes().as_slice())?;
            Ok(())
        })
    }

    /// As [`write`](Self::write), and what the file says about itself with it.
    pub(super) fn write_about(&self, writes: &[RawWrite], revision: u64, about: &About) -> Result<(), Fault> {
        self.transaction(|tx| {
            put(tx, writes)?;
            write_header(tx, about, FORMAT, revision)
        })
    }

    fn transaction(&self, work: impl FnOnce(&WriteTransaction) -> Result<(), Fault>) -> Result<(), Fault> {
        let Some(redb) = &self.redb else { return Err(Fault::Damaged("the store is closed".into())) };
        guarded(|| {
            let tx = begin(redb)?;
            work(&tx)?;
            tx.commit()?;
            Ok(())
        })
    }

    /// The records of the last commit, to be read while others are written.
    pub(super) fn frozen(&self) -> Result<Frozen, Fault> {
        let Some(redb) = &self.redb else { return Err(Fault::Damaged("the store is closed".into())) };
        guarded(|| Ok(Frozen(redb.begin_read()?)))
    }

    /// Compares the checksum of every block.
    pub(super) fn scrub(&self) -> Result<(), Fault> {
        Ok(self.shield.scrub()?)
    }

    /// Gives the handle up without another write; tells which blocks may not be on the disk.
    pub(super) fn abandon(mut self) -> BTreeSet<u64> {
        let suspects = self.shield.fence();
        self.drop_engine();
        suspects
    }

    fn drop_engine(&mut self) {
        let redb = self.redb.take();
        if let Err(fault) = guarded(|| {
            drop(redb);
            Ok(())
        }) {
            tracing::warn!(?fault, "the store did not close well; the next open repairs it");
        }
    }

    fn create_instead(backend: Arc<dyn Backend>, kind: &str) -> Result<(Self, Loaded), Fault> {
        let about = About { kind: kind.into(), site: String::new(), seal: None };
        let db = Self::create(backend, &about)?;
        Ok((db, Loaded { about, revision: 0, records: Vec::new() }))
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.drop_engine();
    }
}

/// The records of one commit.
pub(super) struct Frozen(ReadTransaction);

impl Frozen {
    /// Writes all of them into a new file, which has the commit `revision` then.
    pub(super) fn copy(&self, to: &Db, revision: u64) -> Result<(), Fault> {
        let (mut writes, mut bytes) = (Vec::new(), 0);
        guarded(|| {
            for row in self.0.open_table(RECORDS)?.iter()? {
                let (key, value) = row?;
                let (key, value) = (key.value(), value.value());
                decode_at(key, value).map_err(|why| damaged(key, why))?;
                bytes += key.len() + value.len();
                writes.push(RawWrite { key: key.into(), value: Some(value.into()) });
                if bytes >= PIECE {
                    to.write(&writes, revision)?;
                    writes.clear();
                    bytes = 0;
                }
            }
            Ok(())
        })?;
        to.write(&writes, revision)
    }
}

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(!planted(Bug::NoChecksum));
    builder
}

fn begin(redb: &Database) -> Result<WriteTransaction, Fault> {
    let mut tx = redb.begin_write()?;
    // Two phases, and the allocator's state with every commit: the file opens at once after a crash.
    tx.set_quick_repair(true);
    Ok(tx)
}

fn put(tx: &WriteTransaction, writes: &[RawWrite]) -> Result<(), Fault> {
    let mut records = tx.open_table(RECORDS)?;
    for write in writes {
        match &write.value {
            Some(value) => records.insert(write.key.as_slice(), value.as_slice())?,
            None => records.remove(write.key.as_slice())?,
        };
    }
    Ok(())
}

fn write_header(tx: &WriteTransaction, about: &About, format: u32, revision: u64) -> Result<(), Fault> {
    let text = serde_json::to_vec(about)
        .map_err(|e| Fault::Damaged(format!("the header cannot be written: {e}")))?;
    let mut header = tx.open_table(HEADER)?;
    header.insert("about", text.as_slice())?;
    header.insert("format", format.to_le_bytes().as_slice())?;
    header.insert("revision", revision.to_le_bytes().as_slice())?;
    Ok(())
}

/// Everything in the file; also its format, when this release or a step can read it.
fn load(redb: &Database, wanted: &Wanted<'_>) -> Result<(Loaded, u32), Fault> {
    let tx = redb.begin_read()?;
    let header = tx.open_table(HEADER)?;
    let field = |name: &str| -> Result<Vec<u8>, Fault> {
        let found = header.get(name)?.ok_or_else(|| foreign(&format!("its header has no {name}")))?;
        Ok(found.value().to_vec())
    };
    let format =
        u32::from_le_bytes(field("format")?.try_into().map_err(|_| foreign("its format is no number"))?);
    if format > wanted.format {
        return Err(Fault::Newer { found: format, known: wanted.format });
    }
    if format < wanted.format && !migrate::reaches(wanted.steps, format, wanted.format) {
        return Err(Fault::TooOld { found: format });
    }
    let about = field("about")?;
    if about.len() > MAX_ABOUT_BYTES {
        return Err(foreign("its header is too large"));
    }
    let about: About = serde_json::from_slice(&about).map_err(|_| foreign("its header cannot be read"))?;
    if about.kind != wanted.kind {
        return Err(foreign(&format!("it is a '{}' store, not a '{}' store", about.kind, wanted.kind)));
    }
    let revision =
        u64::from_le_bytes(field("revision")?.try_into().map_err(|_| foreign("its revision is no number"))?);
    let mut records = Vec::new();
    // An older format can have another layout of records: its first step reads them.
    if format == wanted.format {
        for row in tx.open_table(RECORDS)?.iter()? {
            let (key, value) = row?;
            records.push(decode_at(key.value(), value.value()).map_err(|why| damaged(key.value(), why))?);
        }
    }
    Ok((Loaded { about, revision, records }, format))
}

fn upgrade(redb: &Database, loaded: Loaded, from: u32, wanted: &Wanted<'_>) -> Result<Loaded, Fault> {
    let tx = begin(redb)?;
    {
        let mut rows = Vec::new();
        let mut records = tx.open_table(RECORDS)?;
        for row in records.iter()? {
            let (key, value) = row?;
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        let old: BTreeSet<Vec<u8>> = rows.iter().map(|(key, _)| key.clone()).collect();
        let rows = migrate::run(wanted.steps, from, wanted.format, rows, loaded.revision)?;
        for key in old.iter().filter(|key| !rows.contains_key(*key)) {
            records.remove(key.as_slice())?;
        }
        for (key, value) in &rows {
            records.insert(key.as_slice(), value.as_slice())?;
        }
    }
    write_header(&tx, &loaded.about, wanted.format, loaded.revision)?;
    tx.commit()?;
    Ok(load(redb, wanted)?.0)
}

/// What is in a file, without a change to it.
pub(super) fn inspect(backend: Arc<dyn Backend>, kind: &'static str) -> Result<Loaded, Fault> {
    if backend.size()? == 0 {
        return Err(Fault::Empty);
    }
    let shield = Shield::attach(backend.clone(), BTreeSet::new())?;
    let wanted = Wanted { kind, steps: migrate::STEPS, format: FORMAT, judge: &|_| Ok(()) };
    let read = guarded(|| Ok(load(&builder().create_with_backend(shield.clone())?, &wanted)?.0));
    shield.fence();
    let mut loaded = read?;
    Reserve::read(&*backend, &loaded.about.site, loaded.revision)?.lay_over(&mut loaded)?;
    Ok(loaded)
}

/// Every row of a file of any state of health: those that read, and what did not. For export only.
pub(super) fn rescue(backend: Arc<dyn Backend>) -> Result<(Vec<Framed>, Vec<String>), Fault> {
    let shield = Shield::attach(backend, BTreeSet::new())?;
    let read = guarded(|| {
        let mut builder = redb::Builder::new();
        let redb = builder.set_cache_size(CACHE_BYTES).create_with_backend(shield.clone())?;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let tx = redb.begin_read()?;
        for row in tx.open_table(RECORDS)?.iter()? {
            let (key, value) = row?;
            match decode_at(key.value(), value.value()) {
                Ok(framed) => good.push(framed),
                Err(why) => bad.push(format!("{}: {why}", name_of(key.value()))),
            }
        }
        Ok((good, bad))
    });
    shield.fence();
    read
}

fn foreign(why: &str) -> Fault {
    Fault::Foreign(format!("the file is not this store: {why}"))
}

fn damaged(raw: &[u8], why: &str) -> Fault {
    Fault::Damaged(format!("the record {} is damaged: {why}", name_of(raw)))
}

fn name_of(raw: &[u8]) -> String {
    match raw.split_first() {
        Some((space, key)) => {
            let space =
                super::Space::from_number(*space).map_or_else(|| space.to_string(), |s| s.to_string());
            format!("{space}/{}", String::from_utf8_lossy(key))
        }
        None => "without a key".into(),
    }
}

/// Runs the engine so that a panic in it is an error here.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Fault::Damaged(format!("the store's engine stopped ({text})")))
    })
}
