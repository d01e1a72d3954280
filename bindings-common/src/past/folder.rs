//! The folder of a site whose past is made: there is all of it in the end, or nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use headframe::{Error, ErrorKind, Result, store::CONTROL_FILE};

use super::OP;

/// Where the site is while its past is made, inside its folder: to move it is to give files other names then.
const UNFINISHED: &str = "unfinished";

/// An empty folder that becomes a site's. What did not come to its end is removed when this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    unfinished: PathBuf,
    /// Whether it was not there before.
    made: bool,
}

impl Folder {
    /// Takes a folder that is empty, or not there.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_FOLDER_NOT_EMPTY`; what the disk says.
    pub fn take(path: &Path) -> Result<Self> {
        let made = match fs::read_dir(path) {
            Ok(mut all) => match all.next() {
                None => false,
                Some(_) => return Err(not_empty(path)),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => true,
            Err(e) => return Err(failed(path, e)),
        };
        let folder = Self { path: path.to_owned(), unfinished: path.join(UNFINISHED), made };
        fs::create_dir_all(&folder.unfinished).map_err(|e| failed(path, e))?;
        Ok(folder)
    }

    /// Where the site is made.
    pub fn unfinished(&self) -> &Path {
        &self.unfinished
    }

    /// Puts all of the site in its place. Until the last file there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(mut self) -> Result<()> {
        let moved = || {
            synced(&self.unfinished)?;
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.unfinished)? {
                names.push(entry?.file_name());
            }
            names.sort_by_key(|name| name == CONTROL_FILE);
            names.iter().try_for_each(|name| fs::rename(self.unfinished.join(name), self.path.join(name)))?;
            if cfg!(unix) { fs::File::open(&self.path)?.sync_all() } else { Ok(()) }
        };
        moved().map_err(|e| failed(&self.path, e))?;
        self.made = false;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let gone = fs::remove_dir_all(&self.unfinished);
        if gone.is_ok() && self.made {
            // Somebody may have put something there meanwhile: then it stays.
            let _stays = fs::remove_dir(&self.path);
        }
    }
}

/// Makes all files of a folder durable.
fn synced(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            synced(&path)?;
        } else {
            // Some systems want the right to write for it.
            fs::OpenOptions::new().write(true).open(&path)?.sync_all()?;
        }
    }
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

fn not_empty(path: &Path) -> Error {
    let why = "the folder is not empty: give an empty one, or one that is not there. It was left unchanged";
    let e = Error::new(ErrorKind::Conflict, OP, why).code_as("ERR_FOLDER_NOT_EMPTY");
    e.with("folder", path.display())
}

fn failed(path: &Path, e: io::Error) -> Error {
    let kind = match e.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => ErrorKind::Invalid,
        _ => ErrorKind::Unreachable,
    };
    Error::new(kind, OP, e.to_string()).with("field", "path").with("folder", path.display()).caused_by(e)
}
