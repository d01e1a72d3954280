use std::{path::Path, sync::Arc};

use super::{
    batch::Revision,
    db::{self, Loaded},
    dir::{self, CONTROL, CONTROL_FILE, LAST_FILE, SITE_FILE},
    fault::Fault,
    file::FileBackend,
    last,
    record::{Framed, Record},
    space::Space,
};
use crate::Result;

const OP: &str = "store.check";

/// What a copy of a site's files holds. It is read without the site's key and without a change to the copy; that all
/// of it reads was checked.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Id of the site.
    pub site: String,
    /// The last commit.
    pub revision: Revision,
    records: Vec<Framed>,
}

impl Contents {
    /// The control store in the folder `dir`.
    ///
    /// # Errors
    /// As [`ControlStore::open`](super::ControlStore::open), but for the key, which is not asked for.
    pub fn control(dir: &Path) -> Result<Self> {
        let contents = Self::read(dir, CONTROL_FILE, CONTROL)?;
        let mut kinds = contents.records.iter().map(|framed| framed.space);
        if let Some(kind) = kinds.find(|kind| Space::from_number(*kind).is_none()) {
            return Err(Fault::Damaged(format!("a record is of the unknown kind {kind}")).to_error(OP));
        }
        Ok(contents)
    }

    /// The last rows in the folder `dir`.
    ///
    /// # Errors
    /// As [`LastStore::open`](super::LastStore::open).
    pub fn last(dir: &Path) -> Result<Self> {
        Self::read(dir, LAST_FILE, last::KIND)
    }

    /// The records of a space, in the order of their keys.
    pub fn of(&self, space: Space) -> impl Iterator<Item = &Record> {
        let own = move |framed: &&Framed| framed.space == space.number();
        self.records.iter().filter(own).map(|framed| &framed.record)
    }

    fn read(dir: &Path, name: &'static str, kind: &'static str) -> Result<Self> {
        let backend = Arc::new(FileBackend::open_to_read(&dir.join(name))?);
        let loaded = db::inspect(backend, kind).map_err(|fault| fault.to_error(OP).with("file", name))?;
        let Loaded { about, revision, records } = loaded;
        match dir::read_site(dir)? {
            Some(file) if file.site == about.site => {}
            _ => {
                let text = format!("{name} is of another site than {SITE_FILE}");
                return Err(Fault::Foreign(text).to_error(OP).with("file", name));
            }
        }
        Ok(Self { site: about.site, revision: Revision(revision), records })
    }
}
