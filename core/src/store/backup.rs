use std::{fs, path::Path, sync::Arc};

use tokio::sync::oneshot;

use super::{
    control::ControlStore,
    db::Db,
    dir::{self, CONTROL_FILE, SITE_FILE, SiteFile},
    file::{FileBackend, at},
    record::{encode, raw_key},
    space::Space,
    state::RawWrite,
};
use crate::{Error, ErrorKind, Result, io::Ctx};

const OP: &str = "store.backup";

impl ControlStore {
    /// Copies the store as of its last commit into the folder `to`, which may not hold one yet; gives that commit.
    /// Writing goes on meanwhile. The copy opens like any site, with the key that the store has now: the key is not
    /// copied, so keep it apart. Nothing that was deleted is in the copy.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `STORE_EXISTS` when there is a store in `to`; `STORE_FULL` and `STORE_IO`.
    pub async fn backup(&self, cx: &Ctx, to: &Path) -> Result<super::Revision> {
        let about = dir::about(&*cx.rng, self.site(), self.sealer())?;
        let (writes, revision) = self.frozen();
        let (to, created) = (to.to_owned(), cx.clock.wall());
        let (reply, answer) = oneshot::channel();
        let work = move || {
            let site = SiteFile { site: about.site.clone(), created };
            let _unheard = reply.send(write(&to, &about, &site, &writes, revision.0));
        };
        let thread = std::thread::Builder::new().name("headframe-backup".into()).spawn(work);
        thread.map_err(|e| Error::new(ErrorKind::Internal, OP, "no thread can be started").caused_by(e))?;
        answer.await.map_err(|_| Error::new(ErrorKind::Internal, OP, "the copying thread ended"))??;
        Ok(revision)
    }

    /// All records of one commit as the file holds them.
    fn frozen(&self) -> (Vec<RawWrite>, super::Revision) {
        let state = self.state();
        let all = Space::ALL.into_iter().flat_map(|space| state.space(space).iter().map(move |r| (space, r)));
        let raw = |(space, (key, held)): (Space, (&super::Key, &super::state::Held))| RawWrite {
            key: raw_key(space.number(), key.as_str()),
            value: Some(encode(space.number(), key.as_str(), held.revision.0, &held.json)),
        };
        (all.map(raw).collect(), super::Revision(state.revision))
    }
}

fn write(
    to: &Path,
    about: &super::db::About,
    site: &SiteFile,
    writes: &[RawWrite],
    revision: u64,
) -> Result<()> {
    fs::create_dir_all(to).map_err(|e| at(to, &e))?;
    let (store, site_file) = (to.join(CONTROL_FILE), to.join(SITE_FILE));
    let fresh = to.join(format!("{CONTROL_FILE}.new"));
    // As when a site is set up: what has not got its name yet was of use to nobody.
    if let Some(path) = [&store, &site_file].into_iter().find(|path| path.exists() && !fresh.exists()) {
        return Err(dir::exists(path));
    }
    let backend = Arc::new(FileBackend::create(&fresh, None)?);
    let written = Db::create(backend.clone(), about).and_then(|db| db.write(writes, revision));
    written.map_err(|fault| fault.to_error(OP))?;
    dir::name(to, &fresh, site).map_err(|e| at(to, &e))
}
