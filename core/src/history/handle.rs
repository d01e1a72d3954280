use std::sync::{
    Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    disk::{Disk, DiskFile},
    fault::{OP_READ, failed, gone},
};
use crate::Result;

/// A file that is opened when somebody reads it, and closed before it is removed. Its own lock is held over one
/// read, so that closing waits for that and for nothing else.
#[derive(Debug)]
pub(super) struct Handle<T> {
    name: String,
    state: RwLock<State<T>>,
    used_at: AtomicU64,
}

#[derive(Debug)]
enum State<T> {
    Closed,
    Open(OpenFile<T>),
    Gone,
}

/// An open file, with what of it is kept in memory as long as it is open.
#[derive(Debug)]
pub(super) struct OpenFile<T> {
    pub file: Box<dyn DiskFile>,
    pub head: T,
}

impl<T> Handle<T> {
    pub const fn new(name: String) -> Self {
        Self { name, state: RwLock::new(State::Closed), used_at: AtomicU64::new(0) }
    }

    pub const fn with_file(name: String, file: Box<dyn DiskFile>, head: T) -> Self {
        let state = RwLock::new(State::Open(OpenFile { file, head }));
        Self { name, state, used_at: AtomicU64::new(0) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn read(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with the file if it is open; `None` when it is closed.
    pub fn peek<R>(&self, work: impl FnOnce(&OpenFile<T>) -> Result<R>) -> Option<Result<R>> {
        match &*self.read() {
            State::Open(open) => Some(work(open)),
            State::Gone => Some(Err(gone(&self.name))),
            State::Closed => None,
        }
    }

    /// Closes the file for good; after this it can be removed.
    pub fn retire(&self) {
        *self.write() = State::Gone;
    }

    /// Closes the file until it is read again, unless somebody reads it now.
    fn try_close(&self) -> bool {
        let Ok(mut state) = self.state.try_write() else { return false };
        if matches!(*state, State::Open(_)) {
            *state = State::Closed;
        }
        true
    }
}

/// The files that are open for reading; not more than a bound.
#[derive(Debug)]
pub(super) struct Handles<T> {
    /// Without it there are only files that are open already.
    disk: Option<Arc<dyn Disk>>,
    most: usize,
    clock: AtomicU64,
    open: Mutex<Vec<Weak<Handle<T>>>>,
}

impl<T> Handles<T> {
    pub fn new(disk: Arc<dyn Disk>, most: usize) -> Self {
        Self { disk: Some(disk), most, ..Self::of_open() }
    }

    /// For files that are open already, and stay so.
    pub const fn of_open() -> Self {
        Self { disk: None, most: 0, clock: AtomicU64::new(0), open: Mutex::new(Vec::new()) }
    }

    /// Works with the file, which is opened when it is not; `load` reads what is kept of it.
    pub fn with<R>(
        &self,
        handle: &Arc<Handle<T>>,
        load: impl FnOnce(&dyn DiskFile) -> Result<T>,
        work: impl Fn(&OpenFile<T>) -> Result<R>,
    ) -> Result<R> {
        handle.used_at.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        if let Some(done) = handle.peek(&work) {
            return done;
        }
        self.make_place();
        let mut state = handle.write();
        if let Some(disk) = self.disk.as_ref().filter(|_| matches!(*state, State::Closed)) {
            let file = disk.open(&handle.name).map_err(|e| failed(OP_READ, &handle.name, e))?;
            let head = load(&*file)?;
            *state = State::Open(OpenFile { file, head });
            self.lock().push(Arc::downgrade(handle));
        }
        // Held for this first read only; closing has to wait for either.
        match &*state {
            State::Open(open) => work(open),
            _ => Err(gone(&handle.name)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Handle<T>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_place(&self) {
        let mut open = self.lock();
        open.retain(|handle| {
            handle
                .upgrade()
                .is_some_and(|handle| handle.state.try_read().map_or(true, |s| matches!(*s, State::Open(_))))
        });
        while open.len() >= self.most {
            let age = |h: &Weak<Handle<T>>| h.upgrade().map_or(0, |h| h.used_at.load(Relaxed));
            let Some(oldest) = (0..open.len()).min_by_key(|i| age(&open[*i])) else { return };
            let closed = open[oldest].upgrade().is_none_or(|handle| handle.try_close());
            if !closed {
                // Everything older is being read: one more for a moment.
                return;
            }
            open.swap_remove(oldest);
        }
    }
}
