//! Files of work orders: photographs, test reports. Headframe keeps none itself; a program gives it a store.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Error, ErrorKind, Result, ThingId, auth::Access, io::Timestamp, rack::Caller, rack::RackId};

use super::{
    Orchestrator,
    ext::NOT_CONFIGURED,
    fan::{Places, places},
};

/// Keeps files of work orders. Who may read and write them is decided before it is asked, and each call has a deadline; a
/// write that is not finished then goes on.
#[async_trait]
pub trait FileStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps a file of at most 10 MiB, durably once it answers.
    ///
    /// # Errors
    /// Whatever keeping it gives.
    async fn store(&self, owner: &FileOwner, file: FileDraft, by: &Caller) -> Result<FileMeta>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when its owner has no such file; whatever reading it gives.
    async fn load(&self, owner: &FileOwner, id: &str) -> Result<Bytes>;

    /// Removes a file; `false` when its owner has none of this id.
    ///
    /// # Errors
    /// Whatever removing it gives.
    async fn remove(&self, owner: &FileOwner, id: &str, by: &Caller) -> Result<bool>;
}

/// What a file belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileOwner {
    /// The rack of the work order.
    pub rack: RackId,
    /// The work order.
    pub work_order: ThingId,
}

impl FileOwner {
    /// The work order of this id in this rack.
    pub const fn new(rack: RackId, work_order: ThingId) -> Self {
        Self { rack, work_order }
    }
}

/// A file that is to be kept.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileDraft {
    /// Its name, without folders.
    pub name: String,
    /// Its MIME type.
    pub mime: String,
    /// Its bytes.
    pub content: Bytes,
}

impl FileDraft {
    /// A file of these bytes.
    pub fn new(name: &str, mime: &str, content: impl Into<Bytes>) -> Self {
        Self { name: name.into(), mime: mime.into(), content: content.into() }
    }
}

impl fmt::Debug for FileDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileDraft({:?}, {}, {} bytes)", self.name, self.mime, self.content.len())
    }
}

/// What is told of a file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMeta {
    /// Its id, by which it is loaded and removed.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its MIME type.
    pub mime: String,
    /// Its size, bytes.
    pub size: u64,
    /// When it was kept.
    pub ts: Timestamp,
}

impl FileMeta {
    /// What is told of `file`, kept as `id`.
    pub fn of(id: &str, file: &FileDraft, ts: Timestamp) -> Self {
        let (name, mime) = (file.name.clone(), file.mime.clone());
        Self { id: id.into(), name, mime, size: file.content.len() as u64, ts }
    }
}

/// The store that is served.
#[derive(Debug, Clone)]
pub(super) struct FileSlot {
    store: Arc<dyn FileStore>,
    places: Places,
}

impl FileSlot {
    pub fn new(store: Arc<dyn FileStore>, n: usize) -> Self {
        Self { store, places: places(n) }
    }
}

impl Orchestrator {
    /// Whether there is a store of files.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) with `ERR_NOT_CONFIGURED` when there is none.
    pub(super) fn files(&self) -> Result<&FileSlot> {
        let none = || {
            let e = Error::new(ErrorKind::Unsupported, "ork.files", "this site keeps no files");
            e.code_as(NOT_CONFIGURED)
        };
        self.0.sources.files.as_ref().ok_or_else(none)
    }

    /// Has the store of files do something.
    pub(super) async fn with_files<T, F, Fut>(&self, access: Access, work: F) -> Result<T>
    where
        F: FnOnce(Arc<dyn FileStore>) -> Fut,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let FileSlot { store, places } = self.files()?;
        self.0.fan.start(places, access, work(Arc::clone(store))).answer().await
    }
}
