//! What a case runs on: a disk in memory or a folder, a store over it, a registry over that.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use headframe_core::{
    Result,
    io::{Clock as _, Ctx, MemNet, SeededRng, SystemClock},
    store::{Backend, ControlStore, SealKey, StoreOptions, Writer},
};

use crate::{
    run::Case,
    workload::{Registry, Workload},
};

/// Runs a case to its end. Time is simulated: waiting costs nothing.
pub fn simulate<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().map_err(|e| e.to_string())?;
    runtime.block_on(work)
}

/// Runs a case to its end in real time.
pub fn in_real_time<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build().map_err(|e| e.to_string())?;
    runtime.block_on(work)
}

/// What `work` gives, unless it takes longer than `most`.
pub async fn within<T>(most: Duration, work: impl Future<Output = T>) -> Option<T> {
    let clock = SystemClock::default();
    tokio::select! {
        biased;
        told = work => Some(told),
        () = clock.sleep_until(clock.mono() + most) => None,
    }
}

/// A text for what a case cannot do without.
pub fn needed<T>(what: &str, result: Result<T>) -> Result<T, String> {
    result.map_err(|e| format!("{what}: {e} [{}]", e.code()))
}

/// How stores of a case are opened.
#[derive(Debug)]
pub struct Rig {
    /// Time and randomness.
    pub cx: Ctx,
    /// The store's options.
    pub options: StoreOptions,
    /// Who writes.
    pub workload: &'static dyn Workload,
}

impl Rig {
    /// Everything from the case's seed, the caller writes, no reserve.
    pub fn new(case: &Case) -> Self {
        let rng = Arc::new(SeededRng::new(case.seed));
        let cx = Ctx::new(Arc::new(SystemClock::default()), rng, Arc::new(MemNet::new()));
        let mut options = StoreOptions::default();
        options.reserve_bytes = 0;
        options.writer = Writer::Inline;
        options.key = Some(SealKey::from_bytes([7; 32]));
        Self { cx, options, workload: case.workload }
    }

    /// A thread of the store's own writes.
    #[must_use]
    pub fn with_thread(mut self) -> Self {
        self.options.writer = Writer::Thread;
        self
    }

    /// Space is kept free for stop actions.
    #[must_use]
    pub fn with_reserve(mut self, bytes: u64) -> Self {
        self.options.reserve_bytes = bytes;
        self
    }

    /// Makes a store on a backend.
    pub async fn create_store(&self, backend: impl Backend) -> Result<ControlStore> {
        ControlStore::create_on(&self.cx, Arc::new(backend), &self.options).await
    }

    /// Opens the store on a backend.
    pub async fn open_store(&self, backend: impl Backend) -> Result<ControlStore> {
        ControlStore::open_on(&self.cx, Arc::new(backend), &self.options).await
    }

    /// Makes a store on a backend, and a registry over it.
    pub async fn create(&self, backend: impl Backend) -> Result<Arc<dyn Registry>> {
        self.workload.over(self.create_store(backend).await?).await
    }

    /// Opens the store on a backend, and the registry over it.
    pub async fn open(&self, backend: impl Backend) -> Result<Arc<dyn Registry>> {
        self.workload.over(self.open_store(backend).await?).await
    }
}

static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// A folder of its own, removed at the end.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder among the temporary files.
    pub fn new() -> Result<Self, String> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("headframe-trust-{}-{number}", std::process::id()));
        let _old = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

impl std::ops::Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

/// The bytes of every file in a folder.
pub fn files(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let read = || -> std::io::Result<Vec<_>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_file() {
                all.push((path.clone(), fs::read(path)?));
            }
        }
        all.sort();
        Ok(all)
    };
    read().map_err(|e| format!("{}: {e}", dir.display()))
}
