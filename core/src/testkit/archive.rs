use std::{
    ops::RangeInclusive,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;

use crate::{
    Error, ErrorKind, Result,
    action::{ActionArchive, ArchiveDocument},
    io::Timestamp,
};

/// An archive of actions in memory. It outlives engines, and can be full or altered.
#[derive(Debug, Default)]
pub struct MemArchive {
    documents: Mutex<Vec<(Timestamp, ArchiveDocument)>>,
    full: AtomicBool,
}

impl MemArchive {
    /// Whether it takes nothing any more.
    pub fn full(&self, yes: bool) {
        self.full.store(yes, Ordering::SeqCst);
    }

    /// Everything that is kept.
    pub fn documents(&self) -> Vec<(Timestamp, ArchiveDocument)> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is kept.
    pub fn alter(&self, alter: impl FnOnce(&mut Vec<(Timestamp, ArchiveDocument)>)) {
        alter(&mut self.documents.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[async_trait]
impl ActionArchive for MemArchive {
    async fn keep(&self, at: Timestamp, documents: Vec<ArchiveDocument>) -> Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unreachable, "archive.mem", "the archive is full"));
        }
        self.alter(|all| all.extend(documents.into_iter().map(|document| (at, document))));
        Ok(())
    }

    fn read(&self, name: &str, times: RangeInclusive<i64>) -> Result<Vec<(Timestamp, String)>> {
        let all = self.documents().into_iter();
        let wanted = all.filter(|(at, document)| document.name == name && times.contains(&at.0));
        Ok(wanted.map(|(at, document)| (at, document.json)).collect())
    }
}
