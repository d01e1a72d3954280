//! A build without the feature `history` copies none, and restores none.

use std::path::Path;

use super::{OP_RESTORE, manifest::Manifest};
use crate::{Error, ErrorKind, Result, audit::Hash, io::Timestamp, site::archive::Kept};

/// What was taken of all histories.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub files: usize,
    pub bytes: u64,
    pub samples: u64,
    pub left_out: Vec<(String, String)>,
    pub manifests: Vec<(String, Hash)>,
}

pub(super) fn take(_kept: &Kept, _to: &Path, _now: Timestamp) -> Result<Taken> {
    Ok(Taken::default())
}

#[derive(Debug)]
pub(super) struct Checked;

impl Checked {
    pub fn read(_from: &Path, manifest: &Manifest) -> Result<Self> {
        let Some((folder, _)) = manifest.histories.first() else { return Ok(Self) };
        let text = format!(
            "the backup has {folder}, and this build keeps no history: restore it with one that has the feature 'history'"
        );
        Err(Error::new(ErrorKind::Unsupported, OP_RESTORE, text).with("folder", folder))
    }

    pub fn write(&self, _to: &Path) -> Result<()> {
        Ok(())
    }

    pub const fn files(&self) -> usize {
        0
    }

    pub const fn bytes(&self) -> u64 {
        0
    }

    pub const fn left_out(&self) -> Vec<String> {
        Vec::new()
    }
}
