//! The index of a sealed file: chunks by owner, in blocks with a checksum each, and a fence of their first owners.

use std::cmp::Ordering;

use super::{
    bytes::{Cursor, put_bytes, put_signed, put_varint},
    chunk::{ChunkRef, Place},
    types::MAX_OWNER_BYTES,
};

/// Entries of one block.
const ENTRIES: usize = 32;

/// One block of the index: its first owner, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fence {
    pub first: Box<str>,
    pub place: Place,
}

/// An owner's chunk.
pub(super) type Entry = (Box<str>, ChunkRef);

/// Collects the entries of a file that is being written, in the owners' order.
#[derive(Debug, Default)]
pub(super) struct IndexWriter {
    bytes: Vec<u8>,
    block: Vec<u8>,
    entries: usize,
    fence: Vec<Fence>,
}

impl IndexWriter {
    pub fn add(&mut self, owner: &str, chunk: &ChunkRef) {
        if self.entries == 0 {
            // Its place follows when the block is full.
            let place = Place { at: 0, len: 0, crc: 0 };
            self.fence.push(Fence { first: owner.into(), place });
        }
        let out = &mut self.block;
        put_bytes(out, owner.as_bytes());
        for v in [chunk.at, chunk.dir.into(), chunk.head.into(), chunk.len.into()] {
            put_varint(out, v);
        }
        out.extend_from_slice(&chunk.crc.to_le_bytes());
        out.push(chunk.flags);
        put_varint(out, chunk.rows.into());
        put_varint(out, chunk.values.into());
        put_signed(out, chunk.first);
        put_signed(out, chunk.last);
        put_varint(out, chunk.shape.at);
        put_varint(out, chunk.shape.len.into());
        out.extend_from_slice(&chunk.shape.crc.to_le_bytes());
        self.entries += 1;
        if self.entries == ENTRIES {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some(last) = self.fence.last_mut().filter(|_| self.entries > 0) {
            let (at, len) = (self.bytes.len() as u64, self.block.len() as u32);
            last.place = Place { at, len, crc: crc32fast::hash(&self.block) };
        }
        self.bytes.append(&mut self.block);
        self.entries = 0;
    }

    /// All blocks, which will stand at byte `at` of the file, and the fence.
    pub fn finish(mut self, at: u64) -> (Vec<u8>, Vec<Fence>) {
        self.close();
        self.fence.iter_mut().for_each(|fence| fence.place.at += at);
        (self.bytes, self.fence)
    }
}

/// Reads a block, whose checksum was compared.
pub(super) fn read_block(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut from = Cursor::new(bytes);
    let mut entries = Vec::with_capacity(ENTRIES);
    while from.left() > 0 {
        let (owner, chunk) = entry(&mut from)?;
        entries.push((owner.into(), chunk));
    }
    Some(entries)
}

/// Adds the chunks of an owner in a block, whose checksum was compared.
pub(super) fn find_in_block(bytes: &[u8], owner: &str, chunks: &mut Vec<ChunkRef>) -> Option<()> {
    let mut from = Cursor::new(bytes);
    while from.left() > 0 {
        let (of, chunk) = entry(&mut from)?;
        match of.cmp(owner) {
            Ordering::Less => {}
            Ordering::Equal => chunks.push(chunk),
            Ordering::Greater => break,
        }
    }
    Some(())
}

fn entry<'b>(from: &mut Cursor<'b>) -> Option<(&'b str, ChunkRef)> {
    let owner = from.str()?;
    let at = from.varint()?;
    let small = |from: &mut Cursor<'_>| from.varint().and_then(|v| u32::try_from(v).ok());
    let (dir, head, len) = (small(from)?, small(from)?, small(from)?);
    let (crc, flags) = (from.u32()?, from.u8()?);
    let (rows, values) = (small(from)?, small(from)?);
    let (first, last) = (from.signed()?, from.signed()?);
    let shape = Place { at: from.varint()?, len: small(from)?, crc: from.u32()? };
    let sound = dir <= head && head <= len && rows > 0 && first <= last;
    let chunk = ChunkRef { at, dir, head, len, crc, flags, rows, values, first, last, shape };
    (sound && owner.len() <= MAX_OWNER_BYTES).then_some((owner, chunk))
}

/// The blocks that may hold an owner.
pub(super) fn blocks_of(fence: &[Fence], owner: &str) -> std::ops::Range<usize> {
    let from = fence.partition_point(|f| *f.first < *owner).saturating_sub(1);
    from..fence.partition_point(|f| *f.first <= *owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(at: u64) -> ChunkRef {
        let shape = Place { at: at + 7, len: 9, crc: 11 };
        ChunkRef {
            at,
            dir: 3,
            head: 5,
            len: 9,
            crc: 77,
            flags: (at % 4) as u8,
            rows: 4,
            values: 12,
            first: -5,
            last: 1_764_000_000_000,
            shape,
        }
    }

    #[test]
    fn every_owner_is_found_in_its_blocks() {
        let mut writer = IndexWriter::default();
        let mut all = Vec::new();
        for i in 0..300_u64 {
            // Owners with several chunks, over the borders of blocks.
            let owner = format!("thing-{:03}", i / 5);
            writer.add(&owner, &chunk(i));
            all.push((Box::<str>::from(owner), chunk(i)));
        }
        let (bytes, fence) = writer.finish(1_000);
        let read = |f: &Fence| {
            let at = (f.place.at - 1_000) as usize;
            read_block(&bytes[at..at + f.place.len as usize]).unwrap()
        };
        for i in 0..60 {
            let owner = format!("thing-{i:03}");
            let found: Vec<Entry> =
                fence[blocks_of(&fence, &owner)].iter().flat_map(read).filter(|e| *e.0 == *owner).collect();
            let expected: Vec<Entry> = all.iter().filter(|e| *e.0 == *owner).cloned().collect();
            assert_eq!(found, expected);
            let mut chunks = Vec::new();
            for Fence { place, .. } in &fence[blocks_of(&fence, &owner)] {
                let at = (place.at - 1_000) as usize;
                find_in_block(&bytes[at..at + place.len as usize], &owner, &mut chunks).unwrap();
            }
            assert_eq!(chunks, expected.into_iter().map(|(_, chunk)| chunk).collect::<Vec<_>>());
        }
        for owner in ["", "thing-0005", "zzz"] {
            let mut found = fence[blocks_of(&fence, owner)].iter().flat_map(read);
            assert!(found.all(|e| *e.0 != *owner));
        }
        let place = fence[1].place;
        let block = &bytes[(place.at - 1_000) as usize..][..place.len as usize];
        let cut = &block[..block.len() - 3];
        assert_eq!(read_block(cut), None);
        assert_eq!(find_in_block(cut, "thing-999", &mut Vec::new()), None);
    }
}
