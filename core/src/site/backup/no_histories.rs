//! A build without the feature `history` copies none, and restores none.

use std::path::Path;

use super::{OP_RESTORE, manifest::Manifest, take::Taken};
use crate::{Error, ErrorKind, Result, io::Timestamp, site::archive::Kept};

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
