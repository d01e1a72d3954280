//! Copies files between disks, and looks at every byte of one that is nobody's.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::manifest::{BackupFile, hex};
use crate::{
    Result,
    history::{
        check,
        disk::{Disk, DiskFile},
        fault::{code, corrupt, failed},
        handle::{Handle, Handles},
        name::{self, Kind},
        scan::{Scanned, scan},
        sealed::{self, Sealed},
    },
};

/// Bytes of one read.
const PIECE: usize = 1 << 20;

/// Copies the first `len` bytes of a file, which `read` gives, and makes them durable. A file that could not be copied
/// whole is removed.
pub(super) fn copy(
    op: &'static str,
    to: &dyn Disk,
    name: &str,
    len: u64,
    read: impl FnMut(&mut [u8], u64) -> Result<()>,
) -> Result<BackupFile> {
    let file = to.create(name).map_err(|e| failed(op, name, e))?;
    let copied = fill(op, &*file, name, len, read);
    drop(file);
    copied.inspect_err(|_| {
        remove(to, name);
    })
}

fn fill(
    op: &'static str,
    file: &dyn DiskFile,
    name: &str,
    len: u64,
    mut read: impl FnMut(&mut [u8], u64) -> Result<()>,
) -> Result<BackupFile> {
    let io = |e| failed(op, name, e);
    let mut sum = Sha256::new();
    pieces(len, |buffer, at| {
        read(buffer, at)?;
        sum.update(&*buffer);
        file.write_at(buffer, at).map_err(io)
    })?;
    file.sync().map_err(io)?;
    Ok(BackupFile { name: name.to_owned(), bytes: len, sha256: hex(&sum.finalize()) })
}

/// Hands out a buffer for each piece of so many bytes.
fn pieces(len: u64, mut each: impl FnMut(&mut [u8], u64) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
    let mut at = 0;
    while at < len {
        let n = usize::try_from(len - at).unwrap_or(PIECE).min(PIECE);
        each(&mut buffer[..n], at)?;
        at += n as u64;
    }
    Ok(())
}

/// The SHA-256 of a file's first bytes.
pub(super) fn sum(op: &'static str, file: &dyn DiskFile, name: &str, len: u64) -> Result<String> {
    let mut sum = Sha256::new();
    pieces(len, |buffer, at| {
        file.read_at(buffer, at).map_err(|e| failed(op, name, e))?;
        sum.update(&*buffer);
        Ok(())
    })?;
    Ok(hex(&sum.finalize()))
}

/// Removes a file of a folder that is given up; whether it is gone. That it stays is told.
pub(super) fn remove(disk: &dyn Disk, name: &str) -> bool {
    match disk.remove(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, name, "a copied file that is not wanted stays in the folder");
            false
        }
        _ => true,
    }
}

/// What is wrong with a file, by the history's own checks; nothing of it is changed. An error only when the disk does
/// not answer or a newer release wrote it.
pub(super) fn problems(disk: &dyn Disk, name: &str) -> Result<Vec<String>> {
    let found = match name::parse(name) {
        Some((Kind::Log, number)) => log(disk, name, number),
        Some((kind @ (Kind::Part { day } | Kind::Day { day }), number)) => {
            seal(disk, name, (kind, day, number))
        }
        _ => Ok(vec![format!("{name} is no name of a history's file")]),
    };
    match found {
        Err(e) if e.code() == code::CORRUPT => Ok(vec![e.message().to_owned()]),
        other => other,
    }
}

fn log(disk: &dyn Disk, name: &str, number: u32) -> Result<Vec<String>> {
    // As a log that is not the newest: a torn end is damage, and nothing is cut.
    match scan(disk, name, number, false)? {
        Scanned::Log(..) => Ok(Vec::new()),
        Scanned::Unborn => Err(corrupt(name, "its header is not what was written")),
    }
}

fn seal(disk: &dyn Disk, name: &str, (kind, day, number): (Kind, i32, u32)) -> Result<Vec<String>> {
    let io = |e| failed(super::OP_RESTORE, name, e);
    let file = disk.open(name).map_err(io)?;
    let bytes = file.len().map_err(io)?;
    let (info, head) = sealed::load(&*file, name, (kind, day, number))?;
    let handle = Arc::new(Handle::with_file(name.to_owned(), file, head));
    let sealed = Sealed { kind, day, number, bytes, info: Some(info), handle };
    check::sealed(&Handles::of_open(), &sealed)
}
