use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use headframe_benches::cpu;
use headframe_core::Result;

use crate::{failed, since};

/// One second in so many has a bare commit beside the history's.
const ONE_IN: i64 = 40;

/// What a bare commit costs: bytes added to a file, and synced.
pub struct Floor {
    file: File,
    path: PathBuf,
    bytes: Vec<u8>,
    spent: f64,
    commits: u32,
}

impl Floor {
    /// Writes beside a folder, which is the history's alone.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let path = folder.with_extension("floor");
        let file = File::create(&path).map_err(failed)?;
        Ok(Self { file, path, bytes: Vec::new(), spent: 0.0, commits: 0 })
    }

    /// Commits so many bytes, in some seconds.
    pub fn write(&mut self, second: i64, bytes: usize) -> Result<()> {
        if second % ONE_IN != 0 {
            return Ok(());
        }
        // They are not compressed, and differ.
        self.bytes.resize(bytes, 0);
        self.bytes.fill((second / ONE_IN).to_le_bytes()[0]);
        let before = cpu::time();
        self.file.write_all(&self.bytes).and_then(|()| self.file.sync_data()).map_err(failed)?;
        self.spent += since(before);
        self.commits += 1;
        Ok(())
    }

    /// CPU seconds of so many commits.
    pub fn cpu_s(&self, commits: i64) -> f64 {
        self.spent / f64::from(self.commits.max(1)) * commits as f64
    }

    /// Removes its file.
    pub fn end(&self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(failed)
    }
}
