//! A run of one owner's rows in a sealed file: a directory, then time, sequence, texts and one column per member.

use std::sync::Arc;

use super::{
    bytes::{Cursor, put_bytes, put_varint},
    column::{self, Codec, NOTHING, Scratch},
    table::{Chunk, Table},
};
use crate::planted::{Bug, planted};

/// A chunk of at most so many bytes has one checksum, and is read at once.
const COMPACT: usize = 4 << 10;
const COMPACT_CHUNK: u8 = 1;
const HAS_TEXTS: u8 = 2;

/// Where a chunk is and what is in it: an entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChunkRef {
    pub at: u64,
    /// Bytes of the directory.
    pub dir: u32,
    /// Bytes of directory, time, sequence.
    pub head: u32,
    /// Bytes of all.
    pub len: u32,
    /// Checksum of the directory; of all when the chunk is compact.
    pub crc: u32,
    pub flags: u8,
    pub rows: u32,
    /// Values that are present.
    pub values: u32,
    pub first: i64,
    pub last: i64,
    /// Where the names of its members are.
    pub shape: Place,
}

/// A piece of a file with its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub at: u64,
    pub len: u32,
    pub crc: u32,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    encoding: u8,
    at: usize,
    len: usize,
    crc: u32,
}

/// A chunk's directory.
#[derive(Debug)]
pub(super) struct Directory {
    rows: usize,
    compact: bool,
    ts: Column,
    seq: Column,
    texts: Column,
    members: Vec<Column>,
}

/// Makes a chunk of an ordered table, without its place in the file.
pub(super) fn encode(
    codec: Codec,
    table: &Table,
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Option<ChunkRef> {
    let mut body = Vec::with_capacity(table.values());
    let mut columns = Vec::with_capacity(table.columns.len() + 3);
    let mut close = |from: usize, encoding: u8, body: &[u8]| {
        columns.push((encoding, body.len() - from, crc32fast::hash(&body[from..])));
        body.len()
    };
    let encoding = column::put_ints(codec, &table.ts, &mut body);
    let mut at = close(0, encoding, &body);
    let seq: Vec<i64> = table.seq.iter().map(|seq| *seq as i64).collect();
    let encoding = column::put_ints(codec, &seq, &mut body);
    at = close(at, encoding, &body);
    let head = at;
    put_texts(&table.texts, &mut body);
    at = close(at, NOTHING, &body);
    for values in &table.columns {
        let encoding = column::put_values(codec, values, &mut body, scratch);
        at = close(at, encoding, &body);
    }
    let compact = body.len() <= COMPACT;
    let start = out.len();
    put_varint(out, (table.rows() as u64) << 1 | u64::from(compact));
    for (encoding, len, crc) in columns {
        out.push(encoding);
        if encoding != NOTHING || len > 0 {
            put_varint(out, len as u64 + 1);
        } else {
            out.push(0);
        }
        if !compact && len > 0 {
            out.extend_from_slice(&crc.to_le_bytes());
        }
    }
    let dir = out.len() - start;
    out.extend_from_slice(&body);
    let crc = crc32fast::hash(if compact { &out[start..] } else { &out[start..start + dir] });
    let small = |n: usize| u32::try_from(n).ok();
    let present = |column: &Vec<f64>| column.iter().filter(|x| !x.is_nan()).count();
    Some(ChunkRef {
        at: 0,
        dir: small(dir)?,
        head: small(dir + head)?,
        len: small(out.len() - start)?,
        crc,
        flags: if compact { COMPACT_CHUNK } else { 0 } | if table.texts.is_empty() { 0 } else { HAS_TEXTS },
        rows: small(table.rows())?,
        values: small(table.columns.iter().map(present).sum())?,
        first: *table.ts.first()?,
        last: *table.ts.last()?,
        shape: Place { at: 0, len: 0, crc: 0 },
    })
}

fn put_texts(texts: &[(usize, Arc<str>)], out: &mut Vec<u8>) {
    for (row, text) in texts {
        put_varint(out, *row as u64);
        put_bytes(out, text.as_bytes());
    }
}

impl ChunkRef {
    /// Whether one checksum is that of all.
    pub const fn compact(&self) -> bool {
        self.flags & COMPACT_CHUNK != 0
    }

    /// Whether there are texts.
    pub const fn has_texts(&self) -> bool {
        self.flags & HAS_TEXTS != 0
    }

    /// Bytes to read for the directory, time and sequence.
    pub const fn head_len(&self) -> usize {
        (if self.compact() { self.len } else { self.head }) as usize
    }

    /// Checks what [`head_len`](Self::head_len) bytes hold and reads the directory.
    pub fn directory(&self, head: &[u8], members: usize) -> Option<Directory> {
        let checked = if self.compact() { head } else { head.get(..self.dir as usize)? };
        if crc32fast::hash(checked) != self.crc && !planted(Bug::NoChecksum) {
            return None;
        }
        let mut from = Cursor::new(head.get(..self.dir as usize)?);
        let word = from.varint()?;
        let compact = word & 1 == 1;
        if word >> 1 != u64::from(self.rows) || compact != self.compact() {
            return None;
        }
        let mut at = self.dir as usize;
        let mut column = || {
            let encoding = from.u8()?;
            let len = from.count(self.len as usize + 1)?.saturating_sub(1);
            let crc = if compact || len == 0 { 0 } else { from.u32()? };
            let column = Column { encoding, at, len, crc };
            at += len;
            Some(column)
        };
        let (ts, seq, texts) = (column()?, column()?, column()?);
        let members = (0..members).map(|_| column()).collect::<Option<Vec<_>>>()?;
        let whole = at == self.len as usize && from.left() == 0;
        whole.then_some(Directory { rows: self.rows as usize, compact, ts, seq, texts, members })
    }
}

impl Directory {
    fn bytes<'a>(&self, column: Column, bytes: &'a [u8], start: usize) -> Option<&'a [u8]> {
        let from = column.at.checked_sub(start)?;
        let bytes = bytes.get(from..from + column.len)?;
        let unchecked = self.compact || column.len == 0 || planted(Bug::NoChecksum);
        (unchecked || crc32fast::hash(bytes) == column.crc).then_some(bytes)
    }

    /// Times, of the bytes of the head.
    pub fn ts(&self, head: &[u8]) -> Option<Vec<i64>> {
        column::take_ints(self.ts.encoding, self.bytes(self.ts, head, 0)?, self.rows)
    }

    /// Sequences, of the bytes of the head.
    pub fn seq(&self, head: &[u8]) -> Option<Vec<u64>> {
        let ints = column::take_ints(self.seq.encoding, self.bytes(self.seq, head, 0)?, self.rows)?;
        Some(ints.into_iter().map(|v| v as u64).collect())
    }

    /// Where in the chunk the bytes of a member are.
    pub fn member_at(&self, member: usize) -> Option<(usize, usize)> {
        self.members.get(member).map(|column| (column.at, column.len))
    }

    /// Whether any row has a value of this member.
    pub fn has(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|column| column.encoding != NOTHING)
    }

    /// Values of a member; `bytes` begin at byte `start` of the chunk.
    pub fn member(&self, member: usize, bytes: &[u8], start: usize) -> Option<Vec<f64>> {
        let column = *self.members.get(member)?;
        column::take_values(column.encoding, self.bytes(column, bytes, start)?, self.rows)
    }

    /// Where in the chunk the texts are.
    pub const fn texts_at(&self) -> (usize, usize) {
        (self.texts.at, self.texts.len)
    }

    /// Row and text of each change; `bytes` begin at byte `start` of the chunk.
    pub fn texts(&self, bytes: &[u8], start: usize) -> Option<Vec<(usize, Arc<str>)>> {
        let mut from = Cursor::new(self.bytes(self.texts, bytes, start)?);
        let mut texts = Vec::new();
        while from.left() > 0 {
            let row = from.count(self.rows.checked_sub(1)?)?;
            texts.push((row, from.str()?.into()));
        }
        Some(texts)
    }

    /// Everything, of the bytes of the whole chunk.
    pub fn all(&self, chunk: &[u8]) -> Option<Chunk> {
        let columns = (0..self.members.len()).map(|member| self.member(member, chunk, 0));
        Some(Chunk {
            ts: self.ts(chunk)?,
            seq: self.seq(chunk)?,
            texts: self.texts(chunk, 0)?,
            columns: columns.collect::<Option<_>>()?,
        })
    }

    /// Whether all checksums are right, of the bytes of the whole chunk.
    pub fn checks(&self, chunk: &[u8]) -> bool {
        let columns = [self.ts, self.seq, self.texts].into_iter().chain(self.members.iter().copied());
        columns.into_iter().all(|column| self.bytes(column, chunk, 0).is_some())
    }
}
