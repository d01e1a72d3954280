use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    Checkpoint, Hash, VerifierKey, code,
    note::{DASH, MAX_NOTE_BYTES},
    proof::verify_consistency,
};
use crate::{Error, ErrorKind, Result, io::Ctx};

const OP: &str = "audit.witness";

/// Keeps a log's checkpoints where those who can change the log cannot change them.
#[async_trait]
pub trait Witness: fmt::Debug + Send + Sync + 'static {
    /// Takes a signed checkpoint; returns when it is kept durably. `proof` shows that the log begins with that of
    /// the last checkpoint which the witness took ([`Tree::consistency`](super::Tree::consistency)); the witness
    /// tells by [`size`](Self::size) which that is.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `AUDIT_SPLIT` when the log contradicts the last checkpoint; the errors of
    /// [`VerifierKey::open`]. After [`Sent::Maybe`](crate::Sent::Maybe) give it again: one that is there already is
    /// taken.
    async fn receive(&self, cx: &Ctx, note: &str, proof: &[Hash]) -> Result<()>;

    /// Size of the last checkpoint that it took; 0 before the first.
    ///
    /// # Errors
    /// When the witness cannot be asked.
    async fn size(&self, cx: &Ctx) -> Result<u64>;
}

/// A witness that appends notes to a file: on a disk that the site's administrators cannot write to, for example. Only
/// one handle may have the file.
#[derive(Debug, Clone)]
pub struct FileWitness {
    key: VerifierKey,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    file: File,
    /// Bytes of whole notes.
    length: u64,
    last: Option<Checkpoint>,
}

impl FileWitness {
    /// Makes the file of a new witness.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when there is a file already.
    pub fn create(path: &Path, key: VerifierKey) -> Result<Self> {
        let made = OpenOptions::new().read(true).write(true).create_new(true).open(path).and_then(|file| {
            file.sync_all()?;
            if cfg!(unix) {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            }
            Ok(file)
        });
        let file = made.map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                let text = "the witness has a file already: open it";
                Error::new(ErrorKind::Conflict, OP, text).code_as(code::IO).with("path", path.display())
            }
            _ => failed(path, e),
        })?;
        Ok(Self::with(key, Kept { path: path.to_owned(), file, length: 0, last: None }))
    }

    /// Opens the file of a witness; never makes one, because a new one would not know what it has seen. A note at its end
    /// that was cut short while it was written, and so never acknowledged, is removed.
    ///
    /// # Errors
    /// [`Unreachable`](ErrorKind::Unreachable) with `AUDIT_IO` when it cannot be read, the errors of
    /// [`VerifierKey::open`] about its last note.
    pub fn open(path: &Path, key: VerifierKey) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| failed(path, e))?;
        let found = Found::read(&file).map_err(|e| failed(path, e))?;
        let length = found.end;
        if !found.tail.is_empty() {
            if !is_cut_note(&found.tail, key.name()) {
                return Err(failed(path, strange()));
            }
            file.set_len(length).and_then(|()| file.sync_all()).map_err(|e| failed(path, e))?;
        }
        let last = found.last;
        let last =
            last.map(|note| key.open(&note)).transpose().map_err(|e| e.with("path", path.display()))?;
        Ok(Self::with(key, Kept { path: path.to_owned(), file, length, last }))
    }

    fn with(key: VerifierKey, kept: Kept) -> Self {
        Self { key, kept: Arc::new(Mutex::new(kept)) }
    }

    /// The last checkpoint that it took.
    pub fn last(&self) -> Option<Checkpoint> {
        self.lock().last.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked left what was kept as it was.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, note: &str, proof: &[Hash]) -> Result<()> {
        let checkpoint = self.key.open(note.as_bytes())?;
        let mut kept = self.lock();
        if let Some(last) = &kept.last {
            judge(last, &checkpoint, proof)?;
            if last.size() == checkpoint.size() {
                return Ok(());
            }
        }
        kept.append(note)?;
        kept.last = Some(checkpoint);
        Ok(())
    }
}

#[async_trait]
impl Witness for FileWitness {
    async fn receive(&self, cx: &Ctx, note: &str, proof: &[Hash]) -> Result<()> {
        let (witness, note, proof) = (self.clone(), note.to_owned(), proof.to_vec());
        let work = async {
            let done = tokio::task::spawn_blocking(move || witness.take(&note, &proof)).await;
            done.map_err(|e| {
                Error::new(ErrorKind::Internal, OP, "the witness ended").caused_by(e).maybe_sent()
            })?
        };
        // What was begun goes on when the time is over.
        let late = |e: Error| if e.kind() == ErrorKind::Timeout { e.maybe_sent() } else { e };
        cx.within(OP, work).await.map_err(late)
    }

    async fn size(&self, _: &Ctx) -> Result<u64> {
        Ok(self.last().map_or(0, |last| last.size()))
    }
}

impl Kept {
    fn append(&mut self, note: &str) -> Result<()> {
        let mut file = &self.file;
        // What a failed attempt may have left goes first.
        let written = file.set_len(self.length).and_then(|()| {
            file.seek(SeekFrom::Start(self.length))?;
            file.write_all(note.as_bytes())?;
            file.sync_all()
        });
        if let Err(e) = written {
            // Where this fails too, opening finds the whole note, or removes a part of it.
            let undone = file.set_len(self.length).and_then(|()| file.sync_all());
            let error = failed(&self.path, e);
            return Err(if undone.is_ok() { error } else { error.maybe_sent() });
        }
        self.length += note.len() as u64;
        Ok(())
    }
}

/// Whether `new` may follow `last`.
fn judge(last: &Checkpoint, new: &Checkpoint, proof: &[Hash]) -> Result<()> {
    let split = |why: &str| {
        let text =
            format!("{why}: the log was rolled back or made anew. Compare it with what the witness has");
        let error = Error::new(ErrorKind::Conflict, OP, text).code_as(code::SPLIT);
        Err(error.with("witnessed", last.size()).with("received", new.size()))
    };
    if new.size() < last.size() {
        return split("the checkpoint is of fewer entries than one before");
    }
    if new.size() == last.size() {
        return if new.root() == last.root() { Ok(()) } else { split("two checkpoints of one size differ") };
    }
    let grows = verify_consistency((last.size(), &last.root()), (new.size(), &new.root()), proof);
    if grows { Ok(()) } else { split("nothing shows that the log begins with the one before") }
}

/// What a witness's file holds.
#[derive(Debug, Default)]
struct Found {
    /// The last whole note.
    last: Option<Vec<u8>>,
    /// Where it ends.
    end: u64,
    /// What is behind it.
    tail: Vec<u8>,
}

impl Found {
    /// Reads a file. A note ends with its last line that has a signature.
    fn read(file: &File) -> std::io::Result<Self> {
        let mut reader = BufReader::new(file);
        let (mut found, mut note, mut at) = (Self::default(), Vec::new(), 0);
        loop {
            let from = note.len();
            let read = (&mut reader).take(MAX_NOTE_BYTES as u64 + 1).read_until(b'\n', &mut note)?;
            let is_signature = note[from..].starts_with(DASH.as_bytes());
            let behind_one = found.end == at && found.end > 0;
            if behind_one && !is_signature {
                note.drain(..from);
            }
            if note.len() > MAX_NOTE_BYTES {
                return Err(strange());
            }
            if !note.ends_with(b"\n") || read == 0 {
                found.tail = if behind_one && is_signature { note.split_off(from) } else { note };
                return Ok(found);
            }
            at += read as u64;
            if is_signature {
                (found.last, found.end) = (Some(note.clone()), at);
            }
        }
    }
}

/// Whether bytes at a file's end may be a note that was cut short; nothing else is removed.
fn is_cut_note(tail: &[u8], name: &str) -> bool {
    let begins = |with: &[u8]| tail.starts_with(with) || with.starts_with(tail);
    begins(format!("{name}\n").as_bytes()) || begins(DASH.as_bytes()) || tail.iter().all(|b| *b == 0)
}

fn strange() -> std::io::Error {
    std::io::Error::other("it holds something that is not a checkpoint")
}

fn failed(path: &Path, e: std::io::Error) -> Error {
    let text = format!("the file of the witness cannot be used: {e}");
    Error::new(ErrorKind::Unreachable, OP, text).code_as(code::IO).with("path", path.display()).caused_by(e)
}
