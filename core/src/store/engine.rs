use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    backend::Backend,
    batch::{Batch, Revision},
    control::StoreHealth,
    db::{Db, Loaded, Wanted},
    dir,
    fault::{Fault, full},
    migrate::Step,
    planted::{Bug, planted},
    reserve::Reserve,
    seal::Sealer,
    state::{Changes, State},
};
use crate::{
    Error, Result,
    io::{Clock, Mono},
};

const OP: &str = "store.commit";
/// How often an engine that failed is opened again before the caller is told that the outcome is unknown.
const ATTEMPTS: usize = 4;
/// How long the disk counts as full before it is tried again.
const PROBE: Duration = Duration::from_secs(1);
/// What has to be free on the disk before it is tried again.
const ROOM: u64 = 64 << 10;

/// A batch and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub batch: Batch,
    pub reply: oneshot::Sender<Result<Revision>>,
}

impl Job {
    fn answer(self, result: Result<Revision>) {
        // The caller may have stopped waiting.
        let _unheard = self.reply.send(result);
    }
}

/// What readers see of the engine.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: RwLock<State>,
    health: Mutex<StoreHealth>,
    pub waiting: AtomicU64,
}

impl Shared {
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> MutexGuard<'_, StoreHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What an engine is made from.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub backend: Arc<dyn Backend>,
    pub clock: Arc<dyn Clock>,
    pub sealer: Sealer,
    /// The site that the file has to belong to; `None` takes the file's word.
    pub site: Option<String>,
    pub reserve: u64,
    pub steps: &'static [Step],
    pub format: u32,
}

/// The one writer of a control store: judges batches, makes groups of them durable, and finds out what became of a
/// group whose commit failed. While the disk is full, stop actions go to the reserve; while anything is there, the
/// disk counts as full.
#[derive(Debug)]
pub(super) struct Engine {
    plan: Plan,
    shared: Arc<Shared>,
    db: Option<Db>,
    reserve: Reserve,
    suspects: BTreeSet<u64>,
    next: u64,
    full_until: Option<Mono>,
    lasting: Option<Fault>,
}

struct Group {
    changes: Changes,
    jobs: Vec<(Job, Revision)>,
}

impl Engine {
    /// Opens the file; gives the site it belongs to.
    pub(super) fn open(plan: Plan, shared: Arc<Shared>) -> Result<(Self, String)> {
        let mut engine = Self {
            plan,
            shared,
            db: None,
            reserve: Reserve::default(),
            suspects: BTreeSet::new(),
            next: 0,
            full_until: None,
            lasting: None,
        };
        let site = engine.reopen().map_err(|fault| fault.to_error("store.open"))?;
        engine.plan.site = Some(site.clone());
        engine.make_room();
        Ok((engine, site))
    }

    /// Whether something is to be mended that mends itself with time.
    pub(super) fn ails(&self) -> bool {
        self.lasting.is_none() && (self.db.is_none() || self.full_until.is_some())
    }

    /// Tries to mend what ails.
    pub(super) fn mend(&mut self) {
        if self.lasting.is_none()
            && self.db.is_none()
            && let Err(fault) = self.reopen()
        {
            tracing::warn!(?fault, "the store cannot be opened again yet");
        }
        if self.db.is_some() && self.full_until.is_some_and(|at| at <= self.plan.clock.mono()) {
            self.make_room();
        }
    }

    /// Judges each batch alone, commits those that pass in one transaction, stop actions first, and answers all.
    pub(super) fn run(&mut self, jobs: Vec<Job>) {
        let (mut jobs, ordinary): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.batch.urgent);
        if self.full_until.is_some() && self.unusable().is_none() {
            // They do not wait until the disk was tried again.
            jobs = self.commit_kept(jobs);
        }
        self.mend();
        jobs.extend(ordinary);
        if let Some(fault) = self.unusable() {
            jobs.into_iter().for_each(|job| job.answer(Err(fault.to_error(OP))));
        } else if self.full_until.is_some() {
            let urgent = self.refuse_ordinary(jobs);
            self.commit_somewhere(urgent);
        } else {
            self.commit(jobs, false);
        }
    }

    /// Compares every block of the file with what was written.
    pub(super) fn scrub(&mut self) -> Result<()> {
        self.mend();
        if let Some(fault) = self.unusable() {
            return Err(fault.to_error("store.verify"));
        }
        let scrubbed = self.db.as_ref().map_or(Ok(()), Db::scrub);
        scrubbed.map_err(|fault| fault.to_error("store.verify"))
    }

    fn unusable(&self) -> Option<Fault> {
        match (&self.lasting, &self.db) {
            (Some(fault), _) => Some(fault.clone()),
            (None, None) => Some(std::io::Error::other("the store cannot be opened again yet").into()),
            (None, Some(_)) => None,
        }
    }

    fn commit(&mut self, jobs: Vec<Job>, last_resort: bool) {
        let group = self.judge(jobs);
        let Some(db) = self.db.as_ref().filter(|_| !group.jobs.is_empty()) else { return };
        match db.write(&group.changes.raw(), group.changes.revision) {
            Ok(()) => {
                self.shared.change(|state| state.apply(&group.changes));
                self.confirm(group);
            }
            Err(fault) => self.settle(group, &fault, last_resort),
        }
    }

    fn judge(&mut self, jobs: Vec<Job>) -> Group {
        let mut group = Group { changes: Changes::default(), jobs: Vec::new() };
        let shared = self.shared.clone();
        let state = shared.state();
        for job in jobs {
            let revision = self.next;
            match group.changes.judge(&state, &job.batch, revision) {
                Ok(()) => {
                    self.next += 1;
                    group.jobs.push((job, Revision(revision)));
                }
                Err(refused) => {
                    shared.health().refused += 1;
                    job.answer(Err(refused));
                }
            }
        }
        group
    }

    fn confirm(&self, group: Group) {
        {
            let mut health = self.shared.health();
            health.commits += 1;
            health.batches += group.jobs.len() as u64;
        }
        group.jobs.into_iter().for_each(|(job, revision)| job.answer(Ok(revision)));
    }

    /// Finds out what became of a group whose commit failed: opens the file again and looks.
    fn settle(&mut self, group: Group, fault: &Fault, last_resort: bool) {
        tracing::warn!(?fault, "a commit failed: the store is opened again");
        let wanted = group.changes.revision;
        self.abandon();
        let reopened = self.reopen_firmly();
        let error = || fault.to_error(OP);
        match reopened {
            Ok(()) if planted(Bug::FailedIsUndone) => answer_all(group, error),
            Ok(()) if self.shared.state().revision >= wanted => self.confirm(group),
            Ok(()) if fault.is_full() => self.out_of_space(group, last_resort),
            Ok(()) => answer_all(group, error),
            Err(second) => {
                let maybe = || {
                    let text = "the commit failed and the store cannot be opened again, so its outcome is \
                                unknown: read the record before trying again";
                    let cause = second.to_error("store.open");
                    Error::new(cause.kind(), OP, format!("{text} ({})", cause.message()))
                        .code_as(cause.code())
                        .maybe_sent()
                };
                answer_all(group, maybe);
            }
        }
    }

    /// Nothing of `group` is durable, for want of space: stop actions get what was kept for them.
    fn out_of_space(&mut self, group: Group, last_resort: bool) {
        self.is_full();
        let jobs = group.jobs.into_iter().map(|(job, _)| job).collect();
        let urgent = self.refuse_ordinary(jobs);
        if last_resort {
            urgent.into_iter().for_each(|job| job.answer(Err(full(OP))));
        } else {
            self.commit_somewhere(urgent);
        }
    }

    /// Makes stop actions durable in the space kept for them; gives those back that find none there.
    fn commit_kept(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let group = self.judge(jobs);
        if group.jobs.is_empty() {
            return Vec::new();
        }
        if self.reserve.is_empty() {
            self.reserve.restart(self.shared.state().revision);
        }
        let kept = self.reserve.append(&*self.plan.backend, group.changes.raw(), group.changes.revision);
        match kept {
            Ok(()) => {
                self.shared.change(|state| state.apply(&group.changes));
                self.tell();
                self.confirm(group);
            }
            Err(fault) if fault.is_full() => {
                let jobs: Vec<Job> = group.jobs.into_iter().map(|(job, _)| job).collect();
                if jobs.len() == 1 {
                    return jobs;
                }
                return jobs.into_iter().flat_map(|job| self.commit_kept(vec![job])).collect();
            }
            Err(fault) => answer_all(group, || fault.to_error(OP).maybe_sent()),
        }
        Vec::new()
    }

    /// As [`commit_kept`](Self::commit_kept); without a reserve the file may have space within.
    fn commit_somewhere(&mut self, jobs: Vec<Job>) {
        let left = self.commit_kept(jobs);
        if self.reserve.is_empty() {
            self.commit(left, true);
        } else {
            left.into_iter().for_each(|job| job.answer(Err(full(OP))));
        }
    }

    fn refuse_ordinary(&self, jobs: Vec<Job>) -> Vec<Job> {
        let (urgent, ordinary): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.batch.urgent);
        self.shared.health().refused_full += ordinary.len() as u64;
        ordinary.into_iter().for_each(|job| job.answer(Err(full(OP))));
        urgent
    }

    /// Tries whether the disk has space again: what is in the reserve goes to the file, and the reserve is whole.
    fn make_room(&mut self) {
        let probed = self.plan.backend.probe(self.reserve.used() + ROOM);
        if self.full_until.take().is_some() && probed.is_err_and(|e| Fault::from(e).is_full()) {
            // To fail in the file would cost opening it again, and stop actions would wait for that.
            self.is_full();
            return;
        }
        self.empty_reserve();
        if self.full_until.is_none() {
            self.occupy();
        }
        self.tell();
    }

    fn empty_reserve(&mut self) {
        let Some(db) = self.db.as_ref().filter(|_| !self.reserve.is_empty()) else { return };
        let Err(fault) = db.write(self.reserve.writes(), self.reserve.revision()) else {
            self.reserve.restart(self.reserve.revision());
            return;
        };
        tracing::warn!(?fault, "stop actions stay in their reserve: the store is opened again");
        self.abandon();
        if let Err(second) = self.reopen_firmly() {
            tracing::warn!(fault = ?second, "the store cannot be opened again yet");
        }
        // It may have become durable all the same.
        if fault.is_full() || !self.reserve.is_empty() {
            self.is_full();
        }
    }

    /// Takes the space for stop actions. While not all of it can be had, the disk counts as full.
    fn occupy(&mut self) {
        let wanted = if planted(Bug::NoBallast) { 0 } else { self.plan.reserve };
        if wanted > 0
            && let Err(e) = self.plan.backend.occupy(wanted)
        {
            tracing::warn!(error = %e, "the space for stop actions cannot be kept");
            if Fault::from(e).is_full() {
                self.is_full();
            }
        }
    }

    fn is_full(&mut self) {
        self.full_until = Some(self.plan.clock.mono() + PROBE);
        self.tell();
    }

    fn tell(&self) {
        let mut health = self.shared.health();
        health.reserve_bytes = self.plan.backend.occupied().saturating_sub(self.reserve.used());
        health.full = self.full_until.is_some();
    }

    fn abandon(&mut self) {
        if let Some(db) = self.db.take() {
            self.suspects.extend(db.abandon());
        }
    }

    fn reopen_firmly(&mut self) -> Result<(), Fault> {
        let mut last = Fault::Empty;
        for _ in 0..ATTEMPTS {
            match self.reopen() {
                Ok(_) => return Ok(()),
                Err(fault) if fault.is_lasting() => return Err(fault),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    fn reopen(&mut self) -> Result<String, Fault> {
        let (site, sealer) = (self.plan.site.clone(), self.plan.sealer.clone());
        let wanted = Wanted {
            kind: dir::CONTROL,
            steps: self.plan.steps,
            format: self.plan.format,
            judge: &|loaded| dir::judge(&loaded.about, site.as_deref(), &sealer),
        };
        let opened = Db::open(self.plan.backend.clone(), &mut self.suspects, &wanted);
        let result = opened.and_then(|(db, loaded)| {
            let site = loaded.about.site.clone();
            self.db = Some(db);
            self.take_over(loaded).map(|()| site)
        });
        let mut health = self.shared.health();
        match &result {
            Ok(_) => {
                health.opened += 1;
                health.broken = None;
            }
            Err(fault) => health.broken = Some(fault.to_error("store.open").to_string()),
        }
        drop(health);
        if let Err(fault) = &result {
            self.abandon();
            // Once the store was open, damage does not go away by opening it again.
            if fault.is_lasting() && self.next > 0 {
                self.lasting = Some(fault.clone());
            }
        }
        result
    }

    /// Makes the file's content the state. After a failure it is the same as before, or one group further.
    fn take_over(&mut self, mut loaded: Loaded) -> Result<(), Fault> {
        if self.next == 0 {
            self.reserve = Reserve::read(&*self.plan.backend, &loaded.about.site, loaded.revision)?;
        }
        self.reserve.lay_over(&mut loaded)?;
        let found = loaded.revision;
        let fresh = State::load(loaded.records, found)
            .map_err(|space| Fault::Damaged(format!("a record is of the unknown kind {space}")))?;
        let known = self.shared.state().revision;
        if self.next > 0 && found < known {
            return Err(Fault::Lost { acknowledged: known, found });
        }
        if self.next > 0 && found == known && *self.shared.state() != fresh && !planted(Bug::NoChecksum) {
            return Err(Fault::Damaged("the file no longer holds what was committed".into()));
        }
        self.next = self.next.max(found + 1);
        self.shared.change(|state| *state = fresh);
        Ok(())
    }
}

fn answer_all(group: Group, error: impl Fn() -> Error) {
    group.jobs.into_iter().for_each(|(job, _)| job.answer(Err(error())));
}

/// Counts a batch from the moment it is handed over until it is answered.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
