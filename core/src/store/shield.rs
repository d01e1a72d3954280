use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    backend::Backend,
    fault::DamagedBlock,
    planted::{Bug, planted},
};

/// Bytes that share one checksum.
pub(super) const BLOCK: usize = 4096;
const BLOCK_U64: u64 = BLOCK as u64;

type Block = [u8; BLOCK];

/// What stands between the engine and the file.
///
/// - It keeps a checksum of every block in memory, so that a bit that flips while the store is open is an error at
///   the next read and never a value.
/// - While a store is being opened nothing is written: the engine's repairs are held back until everything in the
///   file was found good, and then carried out in their order. So a refused file stays as it was.
/// - It remembers which blocks were written since the last sync that succeeded. After a failed sync the operating
///   system may show bytes that are not on the disk and never write them; the next open writes them again.
#[derive(Clone)]
pub(super) struct Shield(Arc<Inner>);

struct Inner {
    backend: Arc<dyn Backend>,
    blocks: Mutex<Blocks>,
}

struct Blocks {
    size: u64,
    sums: Vec<u32>,
    held_back: Option<HeldBack>,
    unsynced: BTreeSet<u64>,
    fenced: bool,
}

#[derive(Default)]
struct HeldBack {
    blocks: BTreeMap<u64, Box<Block>>,
    ops: Vec<Op>,
}

enum Op {
    Write(u64, Vec<u8>),
    SetSize(u64),
    Sync,
}

impl fmt::Debug for Shield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.backend, f)
    }
}

impl Shield {
    /// Reads the whole file once. Nothing is written until [`accept`](Self::accept). `suspects` are the blocks that
    /// may not be on the disk although they can be read.
    pub(super) fn attach(backend: Arc<dyn Backend>, suspects: BTreeSet<u64>) -> io::Result<Self> {
        let size = backend.size()?;
        let mut sums = Vec::new();
        let mut chunk = vec![0; 64 * BLOCK];
        let mut at = 0;
        while at < size {
            let n = usize::try_from(size - at).unwrap_or(usize::MAX).min(chunk.len());
            backend.read(at, &mut chunk[..n])?;
            chunk[n..].fill(0);
            sums.extend(chunk[..n.next_multiple_of(BLOCK)].chunks(BLOCK).map(crc32fast::hash));
            at += n as u64;
        }
        let blocks =
            Blocks { size, sums, held_back: Some(HeldBack::default()), unsynced: suspects, fenced: false };
        Ok(Self(Arc::new(Inner { backend, blocks: Mutex::new(blocks) })))
    }

    /// Carries out what was held back; writes go to the file from now on.
    pub(super) fn accept(&self) -> io::Result<()> {
        let mut blocks = self.lock();
        let Some(held) = blocks.held_back.take() else { return Ok(()) };
        let suspects = std::mem::take(&mut blocks.unsynced);
        let backend = &*self.0.backend;
        let result = (|| {
            if !suspects.is_empty() {
                rewrite(backend, &suspects)?;
            }
            for op in held.ops {
                match op {
                    Op::Write(at, bytes) => backend.write(at, &bytes)?,
                    Op::SetSize(size) => backend.set_size(size)?,
                    Op::Sync => sync(backend)?,
                }
            }
            sync(backend)
        })();
        if result.is_err() {
            // Which of them are on the disk is unknown, so the next open writes them again.
            blocks.unsynced = suspects;
            blocks.unsynced.extend(held.blocks.keys());
            blocks.fenced = true;
        }
        result
    }

    /// Refuses all writes from now on, so that an engine that is dropped after a failure changes nothing.
    pub(super) fn fence(&self) -> BTreeSet<u64> {
        let mut blocks = self.lock();
        blocks.fenced = true;
        std::mem::take(&mut blocks.unsynced)
    }

    /// Reads every block and compares its checksum.
    pub(super) fn scrub(&self) -> io::Result<()> {
        let blocks = self.lock();
        let mut block = [0; BLOCK];
        for index in 0..blocks.sums.len() as u64 {
            self.block(&blocks, index, &mut block)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.0.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One block, zero beyond the end of the file, after comparing its checksum.
    fn block(&self, blocks: &Blocks, index: u64, out: &mut Block) -> io::Result<()> {
        match blocks.held_back.as_ref().and_then(|h| h.blocks.get(&index)) {
            Some(held) => out.copy_from_slice(&**held),
            None => {
                let at = index * BLOCK_U64;
                let n = usize::try_from(blocks.size.saturating_sub(at)).unwrap_or(BLOCK).min(BLOCK);
                self.0.backend.read(at, &mut out[..n])?;
                out[n..].fill(0);
            }
        }
        compare(blocks, index, out)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let blocks = self.lock();
        let end = end_within(&blocks, at, out.len())?;
        let whole = at.is_multiple_of(BLOCK_U64) && end.is_multiple_of(BLOCK_U64);
        let span = at / BLOCK_U64..end.div_ceil(BLOCK_U64);
        let held = blocks.held_back.as_ref().is_some_and(|h| h.blocks.range(span.clone()).next().is_some());
        if whole && !held {
            self.0.backend.read(at, out)?;
            for (index, bytes) in span.zip(out.chunks(BLOCK)) {
                compare(&blocks, index, bytes)?;
            }
            return Ok(());
        }
        let mut block = [0; BLOCK];
        for index in span {
            self.block(&blocks, index, &mut block)?;
            let (from, to) = overlap(index, at, end);
            let start = usize_of(index * BLOCK_U64 + from as u64 - at);
            out[start..start + (to - from)].copy_from_slice(&block[from..to]);
        }
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut blocks = self.lock();
        if blocks.fenced {
            return Err(fenced());
        }
        let end = end_within(&blocks, at, bytes.len())?;
        let mut changed = Vec::new();
        for index in at / BLOCK_U64..end.div_ceil(BLOCK_U64) {
            let (from, to) = overlap(index, at, end);
            let mut block = [0; BLOCK];
            if to - from < BLOCK {
                self.block(&blocks, index, &mut block)?;
            }
            let start = usize_of(index * BLOCK_U64 + from as u64 - at);
            block[from..to].copy_from_slice(&bytes[start..start + (to - from)]);
            changed.push((index, crc32fast::hash(&block), block));
        }
        match &mut blocks.held_back {
            Some(held) => {
                held.blocks.extend(changed.iter().map(|(index, _, block)| (*index, Box::new(*block))));
                held.ops.push(Op::Write(at, bytes.to_vec()));
            }
            None => {
                blocks.unsynced.extend(changed.iter().map(|(index, _, _)| *index));
                self.0.backend.write(at, bytes)?;
            }
        }
        for (index, sum, _) in changed {
            blocks.sums[usize_of(index)] = sum;
        }
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut blocks = self.lock();
        if blocks.fenced {
            return Err(fenced());
        }
        let old = blocks.size;
        // A block of which only the beginning is in the file, before or after.
        let edge = old.min(size);
        let tail = edge / BLOCK_U64;
        let mut block = [0; BLOCK];
        let cut = size != old && !edge.is_multiple_of(BLOCK_U64);
        if cut {
            self.block(&blocks, tail, &mut block)?;
            block[usize_of(edge % BLOCK_U64)..].fill(0);
        }
        match &mut blocks.held_back {
            Some(held) => {
                held.ops.push(Op::SetSize(size));
                held.blocks.retain(|index, _| *index < size.div_ceil(BLOCK_U64));
                if cut {
                    held.blocks.insert(tail, Box::new(block));
                }
                // What the file has behind its end for the engine is not what it reads there: zeros.
                let fresh = old.div_ceil(BLOCK_U64)..size.div_ceil(BLOCK_U64);
                held.blocks.extend(fresh.map(|index| (index, Box::new([0; BLOCK]))));
            }
            None => self.0.backend.set_size(size)?,
        }
        let zero = crc32fast::hash(&[0; BLOCK]);
        blocks.sums.resize(usize_of(size.div_ceil(BLOCK_U64)), zero);
        if cut {
            blocks.sums[usize_of(tail)] = crc32fast::hash(&block);
        }
        blocks.size = size;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut blocks = self.lock();
        if blocks.fenced {
            return Err(fenced());
        }
        if let Some(held) = &mut blocks.held_back {
            held.ops.push(Op::Sync);
            return Ok(());
        }
        sync(&*self.0.backend)?;
        blocks.unsynced.clear();
        Ok(())
    }
}

impl redb::StorageBackend for Shield {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().size)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        Self::read(self, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.set_size(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Self::write(self, offset, data)
    }
}

fn sync(backend: &dyn Backend) -> io::Result<()> {
    if planted(Bug::NoSync) { Ok(()) } else { backend.sync() }
}

fn rewrite(backend: &dyn Backend, suspects: &BTreeSet<u64>) -> io::Result<()> {
    let size = backend.size()?;
    backend.set_size(size)?;
    let mut block = [0; BLOCK];
    for at in suspects.iter().map(|index| index * BLOCK_U64).take_while(|at| *at < size) {
        let n = usize_of((size - at).min(BLOCK_U64));
        backend.read(at, &mut block[..n])?;
        backend.write(at, &block[..n])?;
    }
    sync(backend)
}

fn compare(blocks: &Blocks, index: u64, bytes: &[u8]) -> io::Result<()> {
    let same = blocks.sums.get(usize_of(index)).is_some_and(|sum| *sum == crc32fast::hash(bytes));
    if same || planted(Bug::NoChecksum) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, DamagedBlock(index)))
}

/// The part of block `index` that lies within `at..end`.
fn overlap(index: u64, at: u64, end: u64) -> (usize, usize) {
    let start = index * BLOCK_U64;
    (usize_of(at.saturating_sub(start)), usize_of((end - start).min(BLOCK_U64)))
}

fn end_within(blocks: &Blocks, at: u64, len: usize) -> io::Result<u64> {
    let end = at.checked_add(len as u64).filter(|end| *end <= blocks.size);
    end.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of the file"))
}

fn fenced() -> io::Error {
    io::Error::other("the file is being opened again after an error")
}

/// Positions in blocks and in buffers fit; a file whose block count does not is refused by its size.
fn usize_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
