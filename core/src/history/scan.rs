//! Reads a log that an earlier run left.

use super::{
    disk::{Disk, DiskFile},
    fault::{OP_OPEN, corrupt, failed, newer},
    handle::Handle,
    log::{Log, LogState},
    record::{BLOCK_HEADER, BlockHeader, LOG_HEADER, LogHeader},
};
use crate::{
    Result,
    planted::{Bug, planted},
};

/// What a log's file turned out to be.
#[derive(Debug)]
pub(super) enum Scanned {
    /// A log, and how many bytes were cut from its end.
    Log(Box<Log>, u64),
    /// A file that never became one: a crash came before its header was durable, so nothing was committed to it.
    Unborn,
}

/// Reads a log and checks all of it. Of the `newest` log the end may be torn, by a crash within a commit that was not
/// acknowledged: that is cut. Any other damage is an error.
pub(super) fn scan(disk: &dyn Disk, name: &str, number: u32, newest: bool) -> Result<Scanned> {
    let io = |e| failed(OP_OPEN, name, e);
    let file = disk.open(name).map_err(io)?;
    let len = file.len().map_err(io)?;
    let mut reader = Reader { file: &*file, name, number, len };
    let header = match reader.header()? {
        Some(header) => header,
        None if newest && reader.whole_block_after(0, 0)?.is_none() => return Ok(Scanned::Unborn),
        None => return Err(corrupt(name, "its header is not what was written")),
    };
    let mut state = LogState::with_bytes(LOG_HEADER as u64);
    let mut body = Vec::new();
    let mut again = false;
    while state.written < len {
        match reader.block(state.written, &mut body)? {
            Some(block) if block.number == state.blocks() => {
                if !state.replay(&block, &body) {
                    return Err(corrupt(name, "a block makes no sense"));
                }
                again = false;
            }
            // It may be the read that went wrong: what is cut was read twice.
            _ if !again => again = true,
            _ => break,
        }
    }
    let cut = len - state.written;
    if cut > 0 {
        if !newest || reader.whole_block_after(state.written, state.blocks())?.is_some() {
            return Err(corrupt(name, "a block is not what was written"));
        }
        file.set_len(state.written).map_err(io)?;
    }
    if newest {
        // A process that was killed may have written its last block and not synced it: whoever reads it can rely on it.
        file.sync().map_err(io)?;
    }
    let handle = Handle::with_file(name.into(), file, ());
    Ok(Scanned::Log(Box::new(Log::new(header, handle, state)), cut))
}

struct Reader<'a> {
    file: &'a dyn DiskFile,
    name: &'a str,
    number: u32,
    len: u64,
}

impl Reader<'_> {
    fn read(&self, at: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_at(out, at).map_err(|e| failed(OP_OPEN, self.name, e))
    }

    fn header(&self) -> Result<Option<LogHeader>> {
        if self.len < LOG_HEADER as u64 {
            return Ok(None);
        }
        let mut bytes = [0; LOG_HEADER];
        self.read(0, &mut bytes)?;
        match LogHeader::parse(&bytes) {
            Some(Err(format)) => Err(newer(self.name, format)),
            Some(Ok(header)) if header.number == self.number => Ok(Some(header)),
            _ => Ok(None),
        }
    }

    /// The block at `at`; `None` when there is none that is whole.
    fn block(&mut self, at: u64, body: &mut Vec<u8>) -> Result<Option<BlockHeader>> {
        let mut bytes = [0; BLOCK_HEADER];
        if at + BLOCK_HEADER as u64 > self.len {
            return Ok(None);
        }
        self.read(at, &mut bytes)?;
        let Some(header) = BlockHeader::parse(&bytes).filter(|header| header.log == self.number) else {
            return Ok(None);
        };
        let from = at + BLOCK_HEADER as u64;
        if from + u64::from(header.len) > self.len {
            return Ok(None);
        }
        body.resize(header.len as usize, 0);
        self.read(from, body)?;
        Ok((crc32fast::hash(body) == header.crc || planted(Bug::NoChecksum)).then_some(header))
    }

    /// Looks behind byte `from` for a whole block whose number is more than `after`: what is before it was
    /// acknowledged then.
    fn whole_block_after(&mut self, from: u64, after: u32) -> Result<Option<u64>> {
        const WINDOW: usize = 1 << 20;
        let mut window = Vec::new();
        let mut body = Vec::new();
        let mut at = from + 1;
        while at + BLOCK_HEADER as u64 <= self.len {
            let n = usize::try_from(self.len - at).unwrap_or(WINDOW).min(WINDOW);
            window.resize(n, 0);
            self.read(at, &mut window)?;
            for i in 0..=n - BLOCK_HEADER {
                let found = BlockHeader::parse(&window[i..]);
                if found.is_some_and(|block| block.log == self.number && block.number >= after)
                    && self.block(at + i as u64, &mut body)?.is_some()
                {
                    return Ok(Some(at + i as u64));
                }
            }
            at += (n - BLOCK_HEADER + 1) as u64;
        }
        Ok(None)
    }
}

/// Compares all checksums of the first `len` bytes of a log.
pub(super) fn check(file: &dyn DiskFile, name: &str, number: u32, len: u64) -> Result<()> {
    let mut reader = Reader { file, name, number, len };
    reader.header()?.ok_or_else(|| corrupt(name, "its header is not what was written"))?;
    let (mut at, mut body) = (LOG_HEADER as u64, Vec::new());
    while at < len {
        let block = reader.block(at, &mut body)?;
        let block = block.ok_or_else(|| corrupt(name, "a block is not what was written"))?;
        at += BLOCK_HEADER as u64 + u64::from(block.len);
    }
    Ok(())
}
