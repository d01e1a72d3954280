//! A sealed file: the parts and days of a history, read owner by owner.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    bytes::{Cursor, put_bytes, put_signed, put_varint},
    chunk::{ChunkRef, Directory, Place},
    disk::DiskFile,
    fault::{OP_READ, corrupt, failed, newer},
    handle::{Handle, Handles, OpenFile},
    index::{Entry, Fence, blocks_of, find_in_block, read_block},
    name::Kind,
    table::Chunk,
    types::{MAX_MEMBERS, Shape},
};
use crate::Result;

pub(super) const MAGIC: &[u8; 8] = b"HFRMHIST";
const END_MAGIC: &[u8; 8] = b"HFRMDONE";
pub(super) const FORMAT: u32 = 1;
pub(super) const HEADER_BYTES: usize = 32;
pub(super) const TRAILER_BYTES: usize = 28;
const MOST_SHAPES: usize = 256;
/// Blocks of the index that are kept of a file: as many as there are likely to be readers.
const MOST_BLOCKS: usize = 4;
/// A footer larger than this is none.
const MOST_FOOTER: u32 = 64 << 20;

/// What a file's footer says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Info {
    pub created: i64,
    /// The logs that its rows came from.
    pub logs: Vec<u32>,
    /// Numbers of the files that went in.
    pub replaces: Vec<u32>,
    pub rows: u64,
    pub values: u64,
    pub chunks: u64,
    pub first: i64,
    pub last: i64,
}

/// What is kept of a file as long as it is open.
#[derive(Debug)]
pub(super) struct Head {
    pub fence: Vec<Fence>,
    shapes: Mutex<HashMap<u64, Arc<Shape>>>,
    /// Blocks of the index that were read of late, by their place: who is asked for next nearly always stands in one of them.
    blocks: Mutex<Vec<(u64, Arc<[u8]>)>>,
}

/// A part or a day.
#[derive(Debug)]
pub(super) struct Sealed {
    pub kind: Kind,
    pub day: i32,
    pub number: u32,
    pub bytes: u64,
    /// `None` for a file whose footer is damaged: nothing of it can be read.
    pub info: Option<Info>,
    pub handle: Arc<Handle<Head>>,
}

pub(super) type Files = Handles<Head>;

/// The first bytes of a file.
pub(super) fn header(kind: Kind, day: i32, number: u32) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    out[12] = if matches!(kind, Kind::Day { .. }) { 2 } else { 1 };
    out[16..20].copy_from_slice(&number.to_le_bytes());
    out[20..24].copy_from_slice(&day.to_le_bytes());
    let crc = crc32fast::hash(&out[..28]);
    out[28..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Footer and trailer of a file whose footer stands at byte `at`.
pub(super) fn footer(info: &Info, fence: &[Fence], at: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_signed(&mut out, info.created);
    for list in [&info.logs, &info.replaces] {
        put_varint(&mut out, list.len() as u64);
        list.iter().for_each(|number| put_varint(&mut out, (*number).into()));
    }
    [info.rows, info.values, info.chunks].into_iter().for_each(|v| put_varint(&mut out, v));
    put_signed(&mut out, info.first);
    put_signed(&mut out, info.last);
    put_varint(&mut out, fence.len() as u64);
    for Fence { first, place } in fence {
        put_bytes(&mut out, first.as_bytes());
        put_varint(&mut out, place.at);
        put_varint(&mut out, place.len.into());
        out.extend_from_slice(&place.crc.to_le_bytes());
    }
    let (len, crc) = (out.len() as u32, crc32fast::hash(&out));
    let start = out.len();
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(END_MAGIC);
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn parse_footer(bytes: &[u8]) -> Option<(Info, Vec<Fence>)> {
    let mut from = Cursor::new(bytes);
    let created = from.signed()?;
    let mut list = || {
        let n = from.count(from.left())?;
        (0..n).map(|_| u32::try_from(from.varint()?).ok()).collect::<Option<Vec<_>>>()
    };
    let (logs, replaces) = (list()?, list()?);
    let (rows, values, chunks) = (from.varint()?, from.varint()?, from.varint()?);
    let (first, last) = (from.signed()?, from.signed()?);
    let n = from.count(from.left())?;
    let mut fence = Vec::with_capacity(n);
    for _ in 0..n {
        let first = from.str()?.into();
        let (at, len) = (from.varint()?, u32::try_from(from.varint()?).ok()?);
        fence.push(Fence { first, place: Place { at, len, crc: from.u32()? } });
    }
    Some((Info { created, logs, replaces, rows, values, chunks, first, last }, fence))
}

/// Reads header and footer of a file.
pub(super) fn load(
    file: &dyn DiskFile,
    name: &str,
    (kind, day, number): (Kind, i32, u32),
) -> Result<(Info, Head)> {
    let io = |e| failed(OP_READ, name, e);
    let len = file.len().map_err(io)?;
    if len < (HEADER_BYTES + TRAILER_BYTES) as u64 {
        return Err(corrupt(name, "it is shorter than what was written"));
    }
    let mut head = [0; HEADER_BYTES];
    file.read_at(&mut head, 0).map_err(io)?;
    let mut words = Cursor::new(&head[8..]);
    let format = words.u32().unwrap_or_default();
    if head[..8] == *MAGIC && format > FORMAT && crc32fast::hash(&head[..28]).to_le_bytes() == head[28..] {
        return Err(newer(name, format));
    }
    if head != header(kind, day, number) {
        return Err(corrupt(name, "its header is not what was written"));
    }
    let mut end = [0; TRAILER_BYTES];
    file.read_at(&mut end, len - TRAILER_BYTES as u64).map_err(io)?;
    let crc = crc32fast::hash(&end[..24]).to_le_bytes();
    let mut from = Cursor::new(&end);
    let place = (|| Some(Place { at: from.u64()?, len: from.u32()?, crc: from.u32()? }))();
    let sound = |place: &Place| {
        let fits = place.at.checked_add(place.len.into()) == Some(len - TRAILER_BYTES as u64);
        crc == end[24..] && end[16..24] == *END_MAGIC && fits && place.len <= MOST_FOOTER
    };
    let place = place.filter(sound).ok_or_else(|| corrupt(name, "its end is not what was written"))?;
    let bytes = read_place(file, name, place)?;
    let (info, fence) = parse_footer(&bytes).ok_or_else(|| corrupt(name, "its footer makes no sense"))?;
    Ok((info, Head { fence, shapes: Mutex::default(), blocks: Mutex::default() }))
}

fn read_place(file: &dyn DiskFile, name: &str, place: Place) -> Result<Vec<u8>> {
    let mut bytes = vec![0; place.len as usize];
    file.read_at(&mut bytes, place.at).map_err(|e| failed(OP_READ, name, e))?;
    if crc32fast::hash(&bytes) == place.crc { Ok(bytes) } else { Err(corrupt(name, "a checksum is wrong")) }
}

pub(super) fn put_shape(shape: &Shape) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, shape.len() as u64);
    shape.members().iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
    out
}

fn parse_shape(bytes: &[u8]) -> Option<Arc<Shape>> {
    let mut from = Cursor::new(bytes);
    let n = from.count(MAX_MEMBERS)?;
    let names = (0..n).map(|_| from.str()).collect::<Option<Vec<_>>>()?;
    Shape::new(names).ok()
}

/// A chunk's directory with the bytes of its head and its members.
pub(super) struct Opened {
    pub head: Vec<u8>,
    pub dir: Directory,
    pub shape: Arc<Shape>,
}

impl Sealed {
    pub fn name(&self) -> &str {
        self.handle.name()
    }

    pub fn rows(&self) -> u64 {
        self.info.as_ref().map_or(0, |info| info.rows)
    }

    fn bad(&self, what: &str) -> crate::Error {
        corrupt(self.name(), what)
    }

    /// Works with the open file. A file whose footer is damaged is an error.
    pub fn with<R>(&self, files: &Files, work: impl Fn(&OpenFile<Head>) -> Result<R>) -> Result<R> {
        if self.info.is_none() {
            return Err(self.bad("its header or footer is not what was written"));
        }
        let load = |file: &dyn DiskFile| {
            load(file, self.name(), (self.kind, self.day, self.number)).map(|(_, head)| head)
        };
        files.with(&self.handle, load, work)
    }

    /// Bytes of the file as they are, nothing compared.
    pub fn read_raw(&self, files: &Files, out: &mut [u8], at: u64) -> Result<()> {
        let bytes = self.with(files, |open| self.read(open, at, out.len()))?;
        out.copy_from_slice(&bytes);
        Ok(())
    }

    /// Number of blocks of the index.
    pub fn blocks(&self, files: &Files) -> Result<usize> {
        self.with(files, |open| Ok(open.head.fence.len()))
    }

    /// One block of the index.
    pub fn block(&self, files: &Files, block: usize) -> Result<Vec<Entry>> {
        self.with(files, |open| self.read_block(open, block))
    }

    fn read_block(&self, open: &OpenFile<Head>, block: usize) -> Result<Vec<Entry>> {
        let Some(Fence { place, .. }) = open.head.fence.get(block) else { return Ok(Vec::new()) };
        let bytes = read_place(&*open.file, self.name(), *place)?;
        read_block(&bytes).ok_or_else(|| self.bad("its index makes no sense"))
    }

    /// The bytes of a block of the index, whose checksum was compared.
    fn block_bytes(&self, open: &OpenFile<Head>, place: Place) -> Result<Arc<[u8]>> {
        let known = || open.head.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = known().iter().find(|(at, _)| *at == place.at) {
            return Ok(Arc::clone(bytes));
        }
        let bytes: Arc<[u8]> = read_place(&*open.file, self.name(), place)?.into();
        let mut known = known();
        if known.len() == MOST_BLOCKS {
            known.remove(0);
        }
        known.push((place.at, Arc::clone(&bytes)));
        Ok(bytes)
    }

    /// The chunks of an owner.
    pub fn find(&self, files: &Files, owner: &str) -> Result<Vec<ChunkRef>> {
        self.with(files, |open| {
            let mut chunks = Vec::new();
            for Fence { place, .. } in &open.head.fence[blocks_of(&open.head.fence, owner)] {
                let bytes = self.block_bytes(open, *place)?;
                let found = find_in_block(&bytes, owner, &mut chunks);
                found.ok_or_else(|| self.bad("its index makes no sense"))?;
            }
            Ok(chunks)
        })
    }

    fn read_shape(&self, open: &OpenFile<Head>, chunk: &ChunkRef) -> Result<Arc<Shape>> {
        let known = || open.head.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = known().get(&chunk.shape.at) {
            return Ok(shape.clone());
        }
        let bytes = read_place(&*open.file, self.name(), chunk.shape)?;
        let shape = parse_shape(&bytes).ok_or_else(|| self.bad("its names make no sense"))?;
        let mut known = known();
        if known.len() >= MOST_SHAPES {
            known.clear();
        }
        known.insert(chunk.shape.at, shape.clone());
        Ok(shape)
    }

    fn read(&self, open: &OpenFile<Head>, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        open.file.read_at(&mut bytes, at).map_err(|e| failed(OP_READ, self.name(), e))?;
        Ok(bytes)
    }

    fn open_chunk(&self, open: &OpenFile<Head>, chunk: &ChunkRef, len: usize) -> Result<Opened> {
        let shape = self.read_shape(open, chunk)?;
        let head = self.read(open, chunk.at, len)?;
        let dir = chunk.directory(&head, shape.len());
        Ok(Opened { dir: dir.ok_or_else(|| self.bad("a checksum is wrong"))?, head, shape })
    }

    /// Directory, time and sequence of a chunk.
    pub fn head(&self, files: &Files, chunk: &ChunkRef) -> Result<Opened> {
        self.with(files, |open| self.open_chunk(open, chunk, chunk.head_len()))
    }

    /// Times of a chunk, sequences where `order` asks for them, and the values of some members.
    pub fn pick(&self, files: &Files, chunk: &ChunkRef, members: &[&str], order: bool) -> Result<Picked> {
        self.with(files, |open| {
            let Opened { head, dir, shape } = self.open_chunk(open, chunk, chunk.head_len())?;
            let bad = || self.bad("a checksum is wrong");
            let ts = dir.ts(&head).ok_or_else(bad)?;
            let seq = if order { dir.seq(&head).ok_or_else(bad)? } else { Vec::new() };
            let values = members.iter().map(|member| {
                let Some(member) = shape.position(member).filter(|member| dir.has(*member)) else {
                    return Ok(None);
                };
                let (at, len) = dir.member_at(member).ok_or_else(bad)?;
                let values = if chunk.compact() {
                    dir.member(member, &head, 0)
                } else {
                    dir.member(member, &self.read(open, chunk.at + at as u64, len)?, at)
                };
                values.map(Some).ok_or_else(bad)
            });
            Ok(Picked { ts, seq, values: values.collect::<Result<_>>()? })
        })
    }

    /// Times and texts of a chunk's changes, with their sequences.
    pub fn texts(&self, files: &Files, chunk: &ChunkRef) -> Result<Vec<(i64, u64, Arc<str>)>> {
        self.with(files, |open| {
            let Opened { head, dir, .. } = self.open_chunk(open, chunk, chunk.head_len())?;
            let bad = || self.bad("a checksum is wrong");
            let (ts, seq) = (dir.ts(&head).ok_or_else(bad)?, dir.seq(&head).ok_or_else(bad)?);
            let (at, len) = dir.texts_at();
            let texts = if chunk.compact() {
                dir.texts(&head, 0)
            } else {
                dir.texts(&self.read(open, chunk.at + at as u64, len)?, at)
            };
            let texts = texts.ok_or_else(bad)?;
            Ok(texts.into_iter().map(|(row, text)| (ts[row], seq[row], text)).collect())
        })
    }

    /// All of a chunk.
    pub fn chunk(&self, files: &Files, chunk: &ChunkRef) -> Result<(Arc<Shape>, Chunk)> {
        let Opened { head, dir, shape } =
            self.with(files, |open| self.open_chunk(open, chunk, chunk.len as usize))?;
        let all = dir.all(&head).ok_or_else(|| self.bad("a checksum is wrong"))?;
        Ok((shape, all))
    }

    /// The bytes of a chunk and its members, all checksums compared.
    pub fn raw(&self, files: &Files, chunk: &ChunkRef) -> Result<(Arc<Shape>, Vec<u8>)> {
        let Opened { head, dir, shape } =
            self.with(files, |open| self.open_chunk(open, chunk, chunk.len as usize))?;
        if dir.checks(&head) { Ok((shape, head)) } else { Err(self.bad("a checksum is wrong")) }
    }
}

/// Some members' values in a chunk.
#[derive(Debug)]
pub(super) struct Picked {
    pub ts: Vec<i64>,
    pub seq: Vec<u64>,
    /// NaN where absent; `None` when no row has any.
    pub values: Vec<Option<Vec<f64>>>,
}
