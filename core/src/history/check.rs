//! Looks at every byte of a file.

use super::{
    log::Log,
    scan,
    sealed::{Files, Sealed},
    types::VerifiedFile,
};
use crate::Result;

/// What is wrong in a sealed file; an error only when the file was removed meanwhile.
pub(super) fn sealed(files: &Files, file: &Sealed) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut note = |e: crate::Error| {
        if super::fault::is_gone(&e) {
            return Err(e);
        }
        problems.push(e.to_string());
        Ok(())
    };
    let blocks = match file.blocks(files) {
        Ok(blocks) => blocks,
        Err(e) => {
            note(e)?;
            return Ok(problems);
        }
    };
    let (mut rows, mut whole) = (0, true);
    for block in 0..blocks {
        match file.block(files, block) {
            Ok(entries) => {
                for (_, chunk) in &entries {
                    rows += u64::from(chunk.rows);
                    // Decoded too: a checksum says nothing of what was written.
                    if let Err(e) = file.chunk(files, chunk) {
                        note(e)?;
                    }
                }
            }
            Err(e) => {
                whole = false;
                note(e)?;
            }
        }
    }
    if whole && rows != file.rows() {
        problems.push(format!("its index has {rows} rows and its footer {}", file.rows()));
    }
    Ok(problems)
}

/// What is wrong in the durable part of a log.
pub(super) fn log(log: &Log) -> Result<VerifiedFile> {
    let written = log.state().written;
    let checked = log.handle.peek(|open| scan::check(&*open.file, log.name(), log.header.number, written));
    let problem = match checked {
        Some(Err(e)) if super::fault::is_gone(&e) => return Err(e),
        Some(Err(e)) => Some(e.to_string()),
        _ => None,
    };
    Ok(VerifiedFile { file: log.name().to_owned(), bytes: written, problems: problem.into_iter().collect() })
}
