//! Folders that are filled, and the files in them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{failed, not_empty};
use crate::{
    Error, Result,
    audit::Hash,
    store::{CONTROL_FILE, LAST_FILE, SITE_FILE, sync_dir},
};

/// Bytes of one read.
const PIECE: usize = 1 << 20;
/// The folder that the histories of a site have theirs in.
pub(super) const HISTORY: &str = "history";

/// Length and SHA-256 of a file.
pub(super) type Sum = (u64, Hash);

/// SHA-256 of bytes.
pub(super) fn hash(bytes: &[u8]) -> Hash {
    Hash::from_bytes(Sha256::digest(bytes).into())
}

/// Reads a file to its end.
pub(super) fn sum(path: &Path) -> io::Result<Sum> {
    pass(path, |_| Ok(()))
}

/// Writes a copy of a file, and makes its content durable.
pub(super) fn copy(from: &Path, mut to: &File) -> io::Result<Sum> {
    let sum = pass(from, |bytes| to.write_all(bytes))?;
    to.sync_all()?;
    Ok(sum)
}

/// Makes the content of a file durable that somebody else wrote.
pub(super) fn settle(path: &Path) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).open(path)?.sync_all()
}

/// Makes a file that must not exist.
pub(super) fn make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn pass(path: &Path, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Sum> {
    let (mut file, mut sum, mut bytes) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, Hash::from_bytes(sum.finalize().into()))),
            Ok(n) => {
                sum.update(&buffer[..n]);
                each(&buffer[..n])?;
                bytes += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Refuses a folder `to` that lies in the folder `dir`, or is it.
pub(super) fn outside(op: &'static str, dir: &Path, to: &Path, whose: &str) -> Result<()> {
    let dir = fs::canonicalize(dir).map_err(|e| failed(op, dir, e))?;
    if real(op, to)?.starts_with(dir) {
        let text = format!("the folder lies in that of the {whose}: give one outside. Nothing was written");
        return Err(Error::invalid(op, "to", text).with("path", to.display()));
    }
    Ok(())
}

/// A path that says nothing is the folder of the process.
fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Where a path leads to whose last folders may not be there.
fn real(op: &'static str, path: &Path) -> Result<PathBuf> {
    let (mut at, mut rest) = (path, Vec::new());
    loop {
        match fs::canonicalize(here(at)) {
            Ok(there) => return Ok(rest.iter().rev().fold(there, |path, name| path.join(name))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match (at.file_name(), at.parent()) {
                (Some(name), Some(parent)) => {
                    rest.push(name);
                    at = parent;
                }
                _ => {
                    let text = "it goes back through a folder that is not there: give a plain path";
                    return Err(Error::invalid(op, "to", text).with("path", path.display()));
                }
            },
            Err(e) => return Err(failed(op, at, e)),
        }
    }
}

/// Refuses a folder in which something is. It need not be there.
pub(super) fn empty(op: &'static str, dir: &Path) -> Result<()> {
    others(op, dir, None)
}

/// Refuses a folder in which something else is than one file.
fn others(op: &'static str, dir: &Path, file: Option<&str>) -> Result<()> {
    let at = |e| failed(op, dir, e);
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(at)?,
    };
    for entry in entries {
        let name = entry.map_err(at)?.file_name();
        if file.is_none_or(|file| name != file) {
            return Err(not_empty(op, dir, &name.to_string_lossy()));
        }
    }
    Ok(())
}

/// An empty folder that is being filled. A file in it says so, and gets another name at the end.
#[derive(Debug)]
pub(super) struct Target<'a> {
    op: &'static str,
    dir: &'a Path,
    claim: &'static str,
    /// The file that says it.
    pub file: File,
    /// Folders that were not there before, the outermost first.
    made: Vec<PathBuf>,
}

impl<'a> Target<'a> {
    /// Takes a folder that is empty, or is made here.
    pub fn take(op: &'static str, dir: &'a Path, claim: &'static str) -> Result<Self> {
        empty(op, dir)?;
        let io = |e| failed(op, dir, e);
        let missing = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        let mut made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        made.reverse();
        fs::create_dir_all(dir).map_err(io)?;
        let file = match make(&dir.join(claim)) {
            Ok(file) => file,
            // Somebody else fills it.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(not_empty(op, dir, claim)),
            Err(e) => {
                unmake(&made);
                return Err(io(e));
            }
        };
        let target = Self { op, dir, claim, file, made };
        // Whoever comes from now on finds the file. Who came just before may not have seen it.
        let taken = others(op, dir, Some(claim)).and_then(|()| target.sync().map_err(io));
        match taken {
            Ok(()) => Ok(target),
            Err(e) => {
                target.remove_claim();
                Err(e)
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        sync_dir(self.dir)?;
        self.made.iter().filter_map(|dir| dir.parent()).try_for_each(|dir| sync_dir(here(dir)))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir
    }

    /// Gives the file its name, once everything beside it is durable. When it cannot get that, all is given up.
    pub fn finish(self, name: &str) -> Result<()> {
        let (op, dir, path) = (self.op, self.dir, self.dir.join(name));
        let durable = self.file.sync_all().and_then(|()| sync_dir(dir));
        if let Err(e) = durable.and_then(|()| fs::rename(dir.join(self.claim), &path)) {
            self.give_up();
            return Err(failed(op, &path, e));
        }
        sync_dir(dir).map_err(|e| failed(op, &path, e))
    }

    /// Removes what was written. What cannot be removed is told, and the file that says that the folder is not whole stays
    /// with it.
    pub fn give_up(self) {
        let gone = |removed: io::Result<()>| match removed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        };
        let names = [CONTROL_FILE, LAST_FILE, SITE_FILE];
        let both = names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.new")]);
        let mut removed = gone(fs::remove_dir_all(self.dir.join(HISTORY)));
        for name in both {
            removed = removed.and(gone(fs::remove_file(self.dir.join(name))));
        }
        match removed {
            Ok(()) => self.remove_claim(),
            Err(error) => {
                let folder = self.dir.display();
                tracing::warn!(%error, %folder, op = self.op, "a part of a copy that is given up stays");
            }
        }
    }

    fn remove_claim(self) {
        let Self { op, dir, claim, file, made } = self;
        drop(file);
        if let Err(error) = fs::remove_file(dir.join(claim)) {
            let folder = dir.display();
            tracing::warn!(%error, %folder, op, "the mark of a copy that is given up stays");
        }
        unmake(&made);
    }
}

/// Removes folders that were made. Where something else came into one, it stays.
fn unmake(made: &[PathBuf]) {
    for dir in made.iter().rev() {
        let _kept = fs::remove_dir(dir);
    }
}
