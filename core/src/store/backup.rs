use std::{fs, path::Path, sync::Arc};

use tokio::sync::oneshot;

use super::{
    control::ControlStore,
    db::{About, Db},
    dir::{self, CONTROL_FILE, LAST_FILE, SITE_FILE, SiteFile},
    fault::Fault,
    file::{FileBackend, at},
    last::LastStore,
    record::{encode, raw_key},
    space::Space,
    state::RawWrite,
};
use crate::{Error, ErrorKind, Result, io::Ctx};

const OP: &str = "store.backup";

/// All of a store as its file holds it, at one commit.
struct Copy {
    about: About,
    file: SiteFile,
    writes: Vec<RawWrite>,
    revision: super::Revision,
}

impl ControlStore {
    /// Copies the store as of its last commit into the folder `to`, which may not hold one yet; gives that commit.
    /// Writing goes on meanwhile. The copy opens like any site, with the key that the store has now: the key is not
    /// copied, so keep it apart. Nothing that was deleted is in the copy.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `STORE_EXISTS` when there is a store in `to`; `STORE_FULL` and `STORE_IO`.
    pub async fn backup(&self, cx: &Ctx, to: &Path) -> Result<super::Revision> {
        if self.is_inline() {
            return self.backup_here(cx, to);
        }
        let (copy, to) = (self.copy(cx)?, to.to_owned());
        let (reply, answer) = oneshot::channel();
        let work = move || {
            let _unheard = reply.send(copy.write(&to));
        };
        let thread = std::thread::Builder::new().name("headframe-backup".into()).spawn(work);
        thread.map_err(|e| Error::new(ErrorKind::Internal, OP, "no thread can be started").caused_by(e))?;
        answer.await.map_err(|_| Error::new(ErrorKind::Internal, OP, "the copying thread ended"))?
    }

    /// As [`backup`](Self::backup), by whoever calls it.
    pub(crate) fn backup_here(&self, cx: &Ctx, to: &Path) -> Result<super::Revision> {
        self.copy(cx)?.write(to)
    }

    fn copy(&self, cx: &Ctx) -> Result<Copy> {
        let about = dir::about(&*cx.rng, self.site(), self.sealer())?;
        let file = SiteFile { site: about.site.clone(), created: cx.clock.wall() };
        let state = self.state();
        let all = Space::ALL.into_iter().flat_map(|space| state.space(space).iter().map(move |r| (space, r)));
        let raw = |(space, (key, held)): (Space, (&super::Key, &super::state::Held))| RawWrite {
            key: raw_key(space.number(), key.as_str()),
            value: Some(encode(space.number(), key.as_str(), held.revision.0, &held.json)),
        };
        let writes = all.map(raw).collect();
        Ok(Copy { about, file, writes, revision: super::Revision(state.revision) })
    }
}

impl Copy {
    fn write(self, to: &Path) -> Result<super::Revision> {
        fs::create_dir_all(to).map_err(|e| at(to, &e))?;
        let (store, site_file) = (to.join(CONTROL_FILE), to.join(SITE_FILE));
        let fresh = to.join(format!("{CONTROL_FILE}.new"));
        // As when a site is set up: what has not got its name yet was of use to nobody.
        if let Some(path) = [&store, &site_file].into_iter().find(|path| path.exists() && !fresh.exists()) {
            return Err(dir::exists(path));
        }
        let backend = Arc::new(FileBackend::create(&fresh, None)?);
        let written = Db::create(backend, &self.about).and_then(|db| db.write(&self.writes, self.revision.0));
        written.map_err(|fault| fault.to_error(OP))?;
        dir::name(to, &fresh, &self.file).map_err(|e| at(to, &e))?;
        Ok(self.revision)
    }
}

impl LastStore {
    /// Copies the rows into the folder `to`, which may not hold any yet: those taken until now, or, when the disk cannot be
    /// written, those that are durable. Rows are taken and written on meanwhile. Blocks until it is done.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `STORE_EXISTS` when there are rows in `to`; `STORE_FULL` and `STORE_IO`, and
    /// the codes of damage; [`Closed`](ErrorKind::Closed).
    pub fn backup(&self, to: &Path) -> Result<()> {
        fs::create_dir_all(to).map_err(|e| at(to, &e))?;
        let path = to.join(LAST_FILE);
        if path.exists() {
            return Err(dir::exists(&path));
        }
        let failed = |fault: Fault| fault.to_error(OP);
        let (frozen, about, revision) = self.frozen(OP)?;
        let fresh = to.join(format!("{LAST_FILE}.new"));
        let backend = Arc::new(FileBackend::create(&fresh, None)?);
        let copy = Db::create(backend, &about).map_err(failed)?;
        frozen.copy(&copy, revision).map_err(failed)?;
        // The engine writes once more when it is closed.
        drop(copy);
        dir::rename(&fresh, &path).and_then(|()| dir::sync_dir(to)).map_err(|e| at(&path, &e))
    }
}
