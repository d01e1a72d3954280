use std::{fmt, net::Ipv4Addr, sync::Arc};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    api::{Caller, RackId},
    changes,
    desk::{Desk, Done, Follow, Shared, Work, again},
    history::{self, HistoryEntry},
    identity::Evidence,
    record::ThingRecord,
    sightings::{self, Sighting},
};
use crate::{
    Error, ErrorKind, Result, Sent, ThingId,
    io::Ctx,
    store::{ControlStore, Space},
};

const WAITING: usize = 1024;

/// All things of a site, over the control store: the one registry of all racks of a process.
///
/// Every change is judged against the whole site, one after the other, and is seen only when it is durable. Many
/// changes that come at once share one commit. A change whose caller went away is still carried out.
pub struct Things {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Work>,
    /// Held from asking for an address until the change that it is for was made or refused.
    pub(super) addressing: tokio::sync::Mutex<()>,
}

impl Things {
    /// Reads the registry of a site.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) for a record that this release cannot read; [`Invalid`](ErrorKind::Invalid)
    /// when no tokio runtime is running.
    pub async fn open(cx: &Ctx, store: ControlStore) -> Result<Arc<Self>> {
        let runtime = Handle::try_current().map_err(|e| {
            Error::invalid("things.open", "runtime", "no tokio runtime is running here").caused_by(e)
        })?;
        let shared = Arc::new(Shared::new(cx.clone(), store));
        let desk = Desk::open(Arc::clone(&shared))?;
        let (requests, inbox) = mpsc::channel(WAITING);
        // It ends when the last sender is gone and everything was done.
        runtime.spawn(desk.serve(inbox));
        Ok(Arc::new(Self { shared, requests, addressing: tokio::sync::Mutex::default() }))
    }

    /// Goes up with every change of a record: what was [looked up](Self::get) after it was read is still so for as long as
    /// it stays the same.
    pub fn version(&self) -> u64 {
        self.shared.version()
    }

    /// One thing's record.
    pub fn get(&self, id: &ThingId) -> Option<Arc<ThingRecord>> {
        self.shared.get(id)
    }

    /// The records of a rack, in order of ids.
    pub fn of_rack(&self, rack: &RackId) -> Vec<Arc<ThingRecord>> {
        self.shared.of_rack(rack)
    }

    /// The ids of all things of the site, in order.
    pub fn ids(&self) -> Vec<ThingId> {
        self.shared.ids()
    }

    /// How many things the site has.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was done to a thing's record, newest first; also after it was forgotten. The newest 100 entries are kept.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) for an entry that this release cannot read.
    pub fn history(&self, id: &ThingId) -> Result<Vec<HistoryEntry>> {
        let records = self.shared.store.scan_prefix(Space::Audit, &history::prefix(id));
        records.iter().rev().map(|record| record.parse()).collect()
    }

    /// What was done to the records of things that were forgotten, each thing's newest first.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    pub fn history_of_forgotten(&self) -> Result<Vec<HistoryEntry>> {
        let mut records = self.shared.store.scan_prefix(Space::Audit, history::PREFIX);
        records.retain(|record| {
            history::thing_of(record.key.as_str()).is_some_and(|id| self.get(&id).is_none())
        });
        records.iter().rev().map(|record| record.parse()).collect()
    }

    /// Applies what devices said of themselves; gives the things whose records changed. Racks do this with their
    /// readings; a scan can do it with what it found.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sight(&self, seen: Vec<Sighting>) -> Result<Vec<ThingId>> {
        self.ask(move |desk| Ok(seen.iter().flat_map(|s| sightings::apply(desk, s)).collect())).await
    }

    /// The miners of which the MAC address or the serial number in `seen` is known.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) when the registry was closed.
    pub async fn showing(&self, seen: &Evidence) -> Result<Vec<Arc<ThingRecord>>> {
        let seen = seen.clone();
        self.ask(move |desk| Ok(desk.with_identity(&seen))).await
    }

    /// Whether a miner has this address.
    pub(super) async fn has_address(&self, ip: Ipv4Addr) -> Result<bool> {
        self.ask(move |desk| Ok(desk.has_address(&ip.to_string()))).await
    }

    /// A person says that two things are one device: `keep` stays, without doubts and with the comments of both, and
    /// `drop` is forgotten.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for either, [`Conflict`](ErrorKind::Conflict) when neither is in doubt; those of
    /// the store.
    pub async fn merge(&self, keep: &ThingId, drop: &ThingId, by: &Caller) -> Result<Arc<ThingRecord>> {
        let (keep, drop, by) = (keep.clone(), drop.clone(), by.clone());
        self.ask(move |desk| sightings::merge(desk, &keep, &drop, &by)).await
    }

    /// A person says that a held thing is a device of its own: that which answered when the doubt was raised. A MAC
    /// address or serial number that was registered becomes the device's.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`Conflict`](ErrorKind::Conflict) when there is no doubt; those of the store.
    pub async fn split(&self, id: &ThingId, by: &Caller) -> Result<Arc<ThingRecord>> {
        let (id, by) = (id.clone(), by.clone());
        self.ask(move |desk| sightings::split(desk, &id, &by)).await
    }

    /// Takes a thing from one rack of this process to another one, in one durable step; gives its new record.
    ///
    /// It keeps everything but its rack, the rack's type and the tags made from these: its id and code, so that labels
    /// stay true, its driver, comments, history and what it said last. The old rack breaks off its poll, then the new
    /// one begins to ask; the old connection may close a moment later.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a thing that is not registered, or a rack `to` that is not open here;
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_THING_RACK_CHANGED` when the thing is not in `from`;
    /// [`Invalid`](ErrorKind::Invalid) when `to` is `from`, is for another family or has not the thing's driver; those
    /// of the store.
    pub async fn reassign(
        &self,
        id: &ThingId,
        from: &RackId,
        to: &RackId,
        by: &Caller,
    ) -> Result<Arc<ThingRecord>> {
        let (id, from, to, by) = (id.clone(), from.clone(), to.clone(), by.clone());
        self.ask(move |desk| changes::reassign(desk, &id, &from, &to, &by)).await
    }

    /// The store behind it.
    pub fn store(&self) -> &ControlStore {
        &self.shared.store
    }

    /// Has `work` done in its turn and gives its result when it is durable. `work` stages changes only when it
    /// succeeds.
    pub(super) async fn ask<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Desk) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request: Work = Box::new(move |desk| {
            let result = work(desk);
            let done: Done = Box::new(move |durable| {
                let result = match (durable, result) {
                    (Ok(()), result) => result,
                    // Nothing in a request that is wrong by itself depends on what else there is.
                    (Err(_), Err(own)) if own.kind() == ErrorKind::Invalid => Err(own),
                    // It was refused because of what is not so, or not known to be so.
                    (Err(e), Err(_)) => Err(again(e, Sent::No)),
                    (Err(e), Ok(_)) => Err(again(e, e.sent())),
                };
                // Nobody waits when the caller went away.
                drop(reply.send(result));
            });
            done
        });
        let closed = || Error::new(ErrorKind::Closed, "things", "the registry was closed");
        self.requests.send(request).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed().maybe_sent())?
    }

    /// Tells `follower` of all changes to the rack's things, beginning with those that are there.
    pub(super) async fn follow(&self, rack: &RackId, follower: Arc<dyn Follow>) -> Result<()> {
        let rack = rack.clone();
        self.ask(move |desk| {
            let mut followers = desk.shared.followers();
            if followers.get(&rack).is_some_and(|other| other.strong_count() > 0) {
                let e = Error::new(ErrorKind::Conflict, "rack.open", "the rack is open already");
                return Err(e.with("rack", &rack));
            }
            followers.insert(rack.clone(), Arc::downgrade(&follower));
            drop(followers);
            for record in desk.shared.of_rack(&rack) {
                follower.changed(&record.id, None, Some(&record));
            }
            Ok(())
        })
        .await
    }

    pub(super) fn unfollow(&self, rack: &RackId) {
        self.shared.followers().remove(rack);
    }
}

impl fmt::Debug for Things {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Things").field("things", &self.len()).finish_non_exhaustive()
    }
}
