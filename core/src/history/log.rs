//! The open log: what was appended since the last parts were made.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::HashMap;

use super::{
    fault::{OP_APPEND, OP_COMMIT, OP_READ, bound, corrupt, failed},
    handle::Handle,
    name::day_of,
    record::{
        BLOCK_HEADER, BlockHeader, Item, LogHeader, RECORD_HEAD, Record, RecordHead, put_owner, put_record,
        put_shape,
    },
    types::{Sample, Shape},
};
use crate::{
    Result,
    planted::{Bug, planted},
};

/// Days that one log may hold: each becomes a part.
const MOST_DAYS: usize = 400;
/// What is read at first of a record whose length is not known.
const GUESS: usize = 512;

/// A log, open or waiting to be sealed.
#[derive(Debug)]
pub(super) struct Log {
    pub header: LogHeader,
    pub handle: Arc<Handle<()>>,
    state: Mutex<LogState>,
}

/// What is in memory of a log.
#[derive(Debug, Default)]
pub(super) struct LogState {
    /// Bytes of the file that are durable.
    pub written: u64,
    /// The block that is not durable yet, with its header; empty when there is none.
    block: Arc<Vec<u8>>,
    blocks: u32,
    owners: HashMap<Arc<str>, u32>,
    pub heads: Vec<OwnerHead>,
    shapes: Vec<(Arc<Shape>, Vec<u8>)>,
    shape_numbers: HashMap<Arc<Shape>, u32>,
    by_address: HashMap<usize, u32>,
    /// Records, of them the durable ones.
    pub records: u32,
    pub durable: u32,
    /// Records by day.
    pub days: BTreeMap<i32, u64>,
}

/// What is in memory of an owner.
#[derive(Debug, Clone)]
pub(super) struct OwnerHead {
    pub owner: Arc<str>,
    /// Where its last record is.
    pub at: u64,
    pub first: i64,
    pub last: i64,
}

impl Log {
    pub fn new(header: LogHeader, handle: Handle<()>, state: LogState) -> Self {
        Self { header, handle: Arc::new(handle), state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn name(&self) -> &str {
        self.handle.name()
    }

    pub const fn sequence(&self, index: u32) -> u64 {
        (self.header.number as u64) << 32 | index as u64
    }

    /// Takes samples, all or none; they are checked already. `most` bytes may wait for a commit, and the samples take
    /// `bytes` at most.
    pub fn append(&self, samples: &[Sample<'_>], bytes: usize, most: usize) -> Result<()> {
        let mut state = self.state();
        if state.block.len() + bytes > most || state.records as usize + samples.len() > 1 << 31 {
            return Err(bound(OP_APPEND, "too much waits to be committed: commit, then append again"));
        }
        let days = samples.iter().map(|s| day_of(s.ts.0));
        let new = days.filter(|day| !state.days.contains_key(day)).collect::<std::collections::BTreeSet<_>>();
        if state.days.len() + new.len() > MOST_DAYS {
            let text = "the open log holds samples of too many days: commit and maintain, then append again";
            return Err(bound(OP_APPEND, text));
        }
        samples.iter().for_each(|sample| state.push(sample));
        Ok(())
    }

    /// Bytes that a commit would write.
    pub fn waiting(&self) -> usize {
        self.state().block.len()
    }

    /// Writes the block and makes it durable; nobody appends meanwhile.
    pub fn commit(&self) -> Result<()> {
        let (block, at) = {
            let mut state = self.state();
            if state.block.is_empty() {
                return Ok(());
            }
            state.close(self.header.number);
            (state.block.clone(), state.written)
        };
        let written = self.handle.peek(|open| {
            let sync = || if planted(Bug::NoSync) { Ok(()) } else { open.file.sync() };
            let wrote = open.file.write_at(&block, at).and_then(|()| sync());
            wrote.map_err(|e| failed(OP_COMMIT, self.name(), e).maybe_sent())
        });
        written.unwrap_or_else(|| Err(bound(OP_COMMIT, "the log is closed")))?;
        let mut state = self.state();
        state.written += block.len() as u64;
        drop(block);
        Arc::make_mut(&mut state.block).clear();
        state.blocks += 1;
        state.durable = state.records;
        Ok(())
    }

    /// The records of an owner from the one that came last to the first, as bytes.
    pub fn records(&self, owner: &str, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        let (mut at, written) = {
            let state = self.state();
            let Some(number) = state.owners.get(owner) else { return Ok(()) };
            let mut at = Some(state.heads[*number as usize].at);
            while let Some(here) = at.filter(|at| *at >= state.written) {
                let bytes = &state.block[(here - state.written) as usize..];
                let record = Record::parse(bytes).ok_or_else(|| self.bad())?;
                let len = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
                waiting.push(bytes[..RECORD_HEAD + len].to_vec());
                at = self.before(here, &record)?;
            }
            (at, state.written)
        };
        for bytes in &waiting {
            each(bytes)?;
        }
        let mut buffer = Vec::new();
        while let Some(here) = at {
            self.read(here, written, &mut buffer)?;
            let record = Record::parse(&buffer).ok_or_else(|| self.bad())?;
            at = self.before(here, &record)?;
            each(&buffer)?;
        }
        Ok(())
    }

    fn before(&self, at: u64, record: &Record<'_>) -> Result<Option<u64>> {
        match record.head.back {
            0 => Ok(None),
            back => at.checked_sub(back).map(Some).ok_or_else(|| self.bad()),
        }
    }

    fn bad(&self) -> crate::Error {
        corrupt(self.name(), "a record is not what was written")
    }

    /// Reads the record at `at`.
    fn read(&self, at: u64, end: u64, buffer: &mut Vec<u8>) -> Result<()> {
        let read = self.handle.peek(|open| {
            let io = |e| failed(OP_READ, self.name(), e);
            let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            buffer.resize(left.min(GUESS), 0);
            open.file.read_at(buffer, at).map_err(io)?;
            let len = buffer.first_chunk().map(|len| u32::from_le_bytes(*len) as usize + RECORD_HEAD);
            let len = len.filter(|len| *len <= left).ok_or_else(|| self.bad())?;
            let had = buffer.len();
            buffer.resize(len, 0);
            if len > had {
                open.file.read_at(&mut buffer[had..], at + had as u64).map_err(io)?;
            }
            Ok(())
        });
        read.unwrap_or_else(|| Err(self.bad()))
    }

    /// The members of a record.
    pub fn shape(&self, number: u32) -> Result<Arc<Shape>> {
        let shape = self.state().shapes.get(number as usize).map(|(shape, _)| shape.clone());
        shape.ok_or_else(|| self.bad())
    }

    /// The times of an owner's first and last record; `None` when it has none.
    pub fn span(&self, owner: &str) -> Option<(i64, i64)> {
        let state = self.state();
        let head = &state.heads[*state.owners.get(owner)? as usize];
        Some((head.first, head.last))
    }
}

impl LogState {
    /// An empty log whose file has `written` bytes.
    pub fn with_bytes(written: u64) -> Self {
        Self { written, ..Self::default() }
    }

    fn push(&mut self, sample: &Sample<'_>) {
        if self.block.is_empty() {
            Arc::make_mut(&mut self.block).extend_from_slice(&[0; BLOCK_HEADER]);
        }
        let shape = self.shape_number(sample.shape);
        let owner = self.owner_number(sample.owner, sample.ts.0);
        let written = self.written;
        let block = Arc::make_mut(&mut self.block);
        let head = &mut self.heads[owner as usize];
        // The record stands behind its mark.
        let at = written + block.len() as u64 + 1;
        let back = if head.at == 0 { 0 } else { at - head.at };
        let record = RecordHead { owner, index: self.records, ts: sample.ts.0, back, shape };
        put_record(block, record, sample.values, &mut self.shapes[shape as usize].1, sample.texts);
        head.at = at;
        head.first = head.first.min(sample.ts.0);
        head.last = head.last.max(sample.ts.0);
        self.records += 1;
        *self.days.entry(day_of(sample.ts.0)).or_default() += 1;
    }

    fn owner_number(&mut self, owner: &str, ts: i64) -> u32 {
        if let Some(number) = self.owners.get(owner) {
            return *number;
        }
        put_owner(Arc::make_mut(&mut self.block), owner);
        self.define_owner(owner, ts)
    }

    fn define_owner(&mut self, owner: &str, ts: i64) -> u32 {
        let (number, owner) = (self.heads.len() as u32, Arc::<str>::from(owner));
        self.heads.push(OwnerHead { owner: owner.clone(), at: 0, first: ts, last: ts });
        self.owners.insert(owner, number);
        number
    }

    fn shape_number(&mut self, shape: &Arc<Shape>) -> u32 {
        let address = Arc::as_ptr(shape).addr();
        if let Some(number) = self.by_address.get(&address) {
            return *number;
        }
        if let Some(number) = self.shape_numbers.get(shape) {
            return *number;
        }
        put_shape(Arc::make_mut(&mut self.block), shape);
        let number = self.define_shape(shape.clone());
        // Its address stays its own as long as it is kept here.
        self.by_address.insert(address, number);
        number
    }

    fn define_shape(&mut self, shape: Arc<Shape>) -> u32 {
        let number = self.shapes.len() as u32;
        self.shapes.push((shape.clone(), vec![0; shape.len()]));
        self.shape_numbers.insert(shape, number);
        number
    }

    /// Writes the header of the block.
    fn close(&mut self, log: u32) {
        let number = self.blocks;
        let block = Arc::make_mut(&mut self.block);
        let body = &block[BLOCK_HEADER..];
        let header = BlockHeader { len: body.len() as u32, crc: crc32fast::hash(body), number, log };
        block[..BLOCK_HEADER].copy_from_slice(&header.to_bytes());
    }

    /// Takes over a block that was found in the file; false when it makes no sense.
    pub fn replay(&mut self, header: &BlockHeader, body: &[u8]) -> bool {
        let base = self.written + BLOCK_HEADER as u64;
        for item in super::record::items(body) {
            let known = match item {
                None => false,
                Some(Item::Owner(owner)) => {
                    self.define_owner(owner, i64::MIN);
                    true
                }
                Some(Item::Shape(shape)) => {
                    self.define_shape(shape);
                    true
                }
                Some(Item::Record(at, record)) => self.replay_record(base + at as u64, &record.head),
            };
            if !known {
                return false;
            }
        }
        self.written = base + u64::from(header.len);
        self.blocks = header.number + 1;
        self.durable = self.records;
        true
    }

    fn replay_record(&mut self, at: u64, record: &RecordHead) -> bool {
        let Some(head) = self.heads.get_mut(record.owner as usize) else { return false };
        let back = if head.at == 0 { 0 } else { at - head.at };
        if record.back != back || record.index != self.records || record.shape as usize >= self.shapes.len() {
            return false;
        }
        head.first = if head.at == 0 { record.ts } else { head.first.min(record.ts) };
        head.last = if head.at == 0 { record.ts } else { head.last.max(record.ts) };
        head.at = at;
        self.records += 1;
        *self.days.entry(day_of(record.ts)).or_default() += 1;
        true
    }

    /// Number of the next block.
    pub const fn blocks(&self) -> u32 {
        self.blocks
    }
}
