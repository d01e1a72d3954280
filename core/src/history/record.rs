//! What stands in a log: blocks of definitions and records.

use std::sync::Arc;

use super::{
    bytes::{Cursor, put_bytes, put_signed, put_varint},
    number::{put_values, take_values},
    types::{MAX_MEMBERS, MAX_OWNER_BYTES, Shape},
};
use crate::planted::{Bug, planted};

pub(super) const LOG_MAGIC: &[u8; 8] = b"HFRMHLOG";
pub(super) const LOG_FORMAT: u32 = 1;
pub(super) const LOG_HEADER: usize = 36;
const BLOCK_MAGIC: u32 = u32::from_le_bytes(*b"HFB1");
pub(super) const BLOCK_HEADER: usize = 24;
/// Largest body of a block, as it may stand in a file.
pub(super) const MAX_BODY: usize = 64 << 20;
const OWNER: u8 = 1;
const SHAPE: u8 = 2;
const RECORD: u8 = 3;
/// Length and checksum before a record's body.
pub(super) const RECORD_HEAD: usize = 8;
const HAS_TEXT: u8 = 1;

/// The first bytes of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogHeader {
    pub number: u32,
    pub created: i64,
    /// End of the last day that was removed to keep the bound; `i64::MIN` for none.
    pub removed_before: i64,
}

impl LogHeader {
    pub fn to_bytes(self) -> [u8; LOG_HEADER] {
        let mut out = [0; LOG_HEADER];
        out[..8].copy_from_slice(LOG_MAGIC);
        out[8..12].copy_from_slice(&LOG_FORMAT.to_le_bytes());
        out[12..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.created.to_le_bytes());
        out[24..32].copy_from_slice(&self.removed_before.to_le_bytes());
        let crc = crc32fast::hash(&out[..32]);
        out[32..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header, or the format of a newer release.
    pub fn parse(bytes: &[u8; LOG_HEADER]) -> Option<Result<Self, u32>> {
        if bytes[..8] != *LOG_MAGIC || crc32fast::hash(&bytes[..32]).to_le_bytes() != bytes[32..] {
            return None;
        }
        let mut from = Cursor::new(&bytes[8..]);
        let format = from.u32()?;
        if format > LOG_FORMAT {
            return Some(Err(format));
        }
        let (number, created, removed_before) = (from.u32()?, from.i64()?, from.i64()?);
        Some(Ok(Self { number, created, removed_before }))
    }
}

/// The first bytes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub len: u32,
    pub crc: u32,
    /// Number of the block in its log, from 0.
    pub number: u32,
    pub log: u32,
}

impl BlockHeader {
    pub fn to_bytes(self) -> [u8; BLOCK_HEADER] {
        let mut out = [0; BLOCK_HEADER];
        let words = [BLOCK_MAGIC, self.len, self.crc, self.number, self.log];
        for (place, word) in out.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[..20]);
        out[20..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut from = Cursor::new(bytes.get(..BLOCK_HEADER)?);
        let magic = from.u32()?;
        let header = Self { len: from.u32()?, crc: from.u32()?, number: from.u32()?, log: from.u32()? };
        let sound = magic == BLOCK_MAGIC && from.u32()? == crc32fast::hash(&bytes[..20]);
        (sound && header.len as usize <= MAX_BODY).then_some(header)
    }
}

pub(super) fn put_owner(out: &mut Vec<u8>, owner: &str) {
    out.push(OWNER);
    put_bytes(out, owner.as_bytes());
}

pub(super) fn put_shape(out: &mut Vec<u8>, shape: &Shape) {
    out.push(SHAPE);
    put_varint(out, shape.len() as u64);
    shape.members().iter().for_each(|name| put_bytes(out, name.as_bytes()));
}

/// A record but for its values and text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub owner: u32,
    /// Number of the record in its log.
    pub index: u32,
    pub ts: i64,
    /// How far before this record's own the owner's previous record is; 0 for none.
    pub back: u64,
    pub shape: u32,
}

/// Writes a record; gives where its length stands, from the beginning of `out`.
pub(super) fn put_record(
    out: &mut Vec<u8>,
    head: RecordHead,
    values: &[f64],
    hints: &mut [u8],
    text: Option<&str>,
) -> usize {
    out.push(RECORD);
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_HEAD]);
    put_varint(out, head.owner.into());
    put_varint(out, head.index.into());
    put_signed(out, head.ts);
    put_varint(out, head.back);
    put_varint(out, head.shape.into());
    out.push(if text.is_some() { HAS_TEXT } else { 0 });
    put_values(out, values, hints);
    if let Some(text) = text {
        put_bytes(out, text.as_bytes());
    }
    let body = &out[start + RECORD_HEAD..];
    let (len, crc) = (body.len() as u32, crc32fast::hash(body));
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..start + RECORD_HEAD].copy_from_slice(&crc.to_le_bytes());
    start
}

/// Where the back reference of the record at `start` may not be known yet, this is what it takes at most.
pub(super) const fn most_bytes(values: usize, text: Option<&str>) -> usize {
    let text = match text {
        Some(text) => text.len() + 5,
        None => 0,
    };
    1 + RECORD_HEAD + 5 + 5 + 10 + 10 + 5 + 1 + values * 10 + text
}

/// A record whose checksum is right.
#[derive(Debug, Clone)]
pub(super) struct Record<'a> {
    pub head: RecordHead,
    text: bool,
    rest: Cursor<'a>,
}

impl<'a> Record<'a> {
    /// Reads what begins with a record's length.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut from = Cursor::new(bytes);
        let (len, crc) = (from.u32()?, from.u32()?);
        let body = from.take(len as usize)?;
        if crc32fast::hash(body) != crc && !planted(Bug::NoChecksum) {
            return None;
        }
        let mut from = Cursor::new(body);
        let small = |from: &mut Cursor<'_>| from.varint().and_then(|v| u32::try_from(v).ok());
        let (owner, index) = (small(&mut from)?, small(&mut from)?);
        let (ts, back, shape) = (from.signed()?, from.varint()?, small(&mut from)?);
        let text = from.u8()? & HAS_TEXT != 0;
        Some(Self { head: RecordHead { owner, index, ts, back, shape }, text, rest: from })
    }

    /// The values, appended to `values`, and the text.
    pub fn content(mut self, members: usize, values: &mut Vec<f64>) -> Option<Option<&'a str>> {
        take_values(&mut self.rest, members, values)?;
        let text = if self.text { Some(self.rest.str()?) } else { None };
        (self.rest.left() == 0).then_some(text)
    }
}

/// One item of a block's body.
#[derive(Debug)]
pub(super) enum Item<'a> {
    Owner(&'a str),
    Shape(Arc<Shape>),
    /// A record, and where its length stands in the body.
    Record(usize, Record<'a>),
}

/// Reads the body of a block item by item; the item is `None` where it makes no sense.
pub(super) fn items(body: &[u8]) -> impl Iterator<Item = Option<Item<'_>>> {
    let mut from = Cursor::new(body);
    let mut broken = false;
    std::iter::from_fn(move || {
        if broken || from.left() == 0 {
            return None;
        }
        let item = item(&mut from, body);
        broken = item.is_none();
        Some(item)
    })
}

fn item<'a>(from: &mut Cursor<'a>, body: &'a [u8]) -> Option<Item<'a>> {
    match from.u8()? {
        OWNER => from.str().filter(|owner| owner.len() <= MAX_OWNER_BYTES).map(Item::Owner),
        SHAPE => {
            let n = from.count(MAX_MEMBERS)?;
            let names = (0..n).map(|_| from.str()).collect::<Option<Vec<_>>>()?;
            Shape::new(names).ok().map(Item::Shape)
        }
        RECORD => {
            let at = body.len() - from.left();
            let record = Record::parse(&body[at..])?;
            let len = from.u32()? as usize;
            from.take(len + 4)?;
            Some(Item::Record(at, record))
        }
        _ => None,
    }
}
