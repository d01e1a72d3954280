use std::{collections::BTreeMap, io};

use super::{
    backend::Backend,
    db::Loaded,
    fault::Fault,
    record::{decode_at, raw_key},
    state::RawWrite,
};

const MAGIC: [u8; 4] = *b"HFs1";
/// Mark, checksum, the file's commit, this commit, length of what follows.
const HEAD: usize = 28;
/// How often a commit is written before its outcome counts as unknown. What a failed sync forgot is written again.
const ATTEMPTS: usize = 4;

/// The log of stop actions on a full disk.
///
/// Its space is kept beside the file: written once, never given back, and overwritten in place, so that a commit needs
/// no space of the disk and no other program can take it. When the disk has space again, the file takes over what
/// is logged, and the log begins anew.
///
/// Each entry names the commit that the file ended with. Entries that the file took over, those of an earlier turn,
/// and those that do not belong to a restored backup name another one, and are not read.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    site: String,
    /// The last commit in the file.
    base: u64,
    revision: u64,
    end: u64,
    writes: Vec<RawWrite>,
}

impl Reserve {
    /// What is logged for a file of the site `site` that ends with commit `base`.
    pub(super) fn read(backend: &dyn Backend, site: &str, base: u64) -> io::Result<Self> {
        let mut log = Self { site: site.into(), base, revision: base, ..Self::default() };
        while let Some((revision, writes, bytes)) = log.next(backend)? {
            log.take(revision, writes, bytes);
        }
        Ok(log)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> u64 {
        self.end
    }

    /// The last commit.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// All writes in their order.
    pub(super) fn writes(&self) -> &[RawWrite] {
        &self.writes
    }

    /// The file holds all of it, and ends with commit `base`.
    pub(super) fn restart(&mut self, base: u64) {
        *self = Self { site: std::mem::take(&mut self.site), base, revision: base, ..Self::default() };
    }

    /// Makes a commit durable. A fault for want of space means that nothing was written; after any other the outcome
    /// is unknown.
    pub(super) fn append(
        &mut self,
        backend: &dyn Backend,
        writes: Vec<RawWrite>,
        revision: u64,
    ) -> Result<(), Fault> {
        let entry = self.entry(&writes, revision);
        if self.end + entry.len() as u64 > backend.occupied() {
            return Err(io::Error::from(io::ErrorKind::StorageFull).into());
        }
        let mut written = Ok(());
        for _ in 0..ATTEMPTS {
            written = backend.write_kept(self.end, &entry);
            if written.is_ok() {
                self.take(revision, writes, entry.len() as u64);
                return Ok(());
            }
        }
        // Want of space is no reason here: the disk does not keep what it gave.
        written.map_err(|e| Fault::Io(io::ErrorKind::Other, e.to_string()))
    }

    /// Adds to what the file holds what is logged on top of it.
    pub(super) fn lay_over(&mut self, loaded: &mut Loaded) -> Result<(), Fault> {
        if loaded.revision >= self.revision {
            self.restart(loaded.revision);
        }
        if self.is_empty() || loaded.revision != self.base {
            return Ok(());
        }
        let last: BTreeMap<&[u8], &RawWrite> = self.writes.iter().map(|w| (w.key.as_slice(), w)).collect();
        let replaced = |space, key: &str| last.contains_key(raw_key(space, key).as_slice());
        loaded.records.retain(|framed| !replaced(framed.space, framed.record.key.as_str()));
        for write in last.values() {
            if let Some(value) = &write.value {
                let framed = decode_at(&write.key, value)
                    .map_err(|why| Fault::Damaged(format!("a logged stop action is damaged: {why}")))?;
                loaded.records.push(framed);
            }
        }
        loaded.revision = self.revision;
        Ok(())
    }

    fn take(&mut self, revision: u64, writes: Vec<RawWrite>, bytes: u64) {
        self.revision = revision;
        self.end += bytes;
        self.writes.extend(writes);
    }

    fn entry(&self, writes: &[RawWrite], revision: u64) -> Vec<u8> {
        let mut body = Vec::new();
        for write in writes {
            // Both lengths are bounded before, by the limits of a batch.
            body.extend_from_slice(&u32::try_from(write.key.len()).unwrap_or(u32::MAX).to_le_bytes());
            let value = write.value.as_deref().unwrap_or_default();
            body.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            body.extend_from_slice(&write.key);
            body.extend_from_slice(value);
        }
        let mut out = Vec::with_capacity(HEAD + body.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.base.to_le_bytes());
        out.extend_from_slice(&revision.to_le_bytes());
        out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&body);
        let sum = self.sum(&out[8..]);
        out[4..8].copy_from_slice(&sum.to_le_bytes());
        out
    }

    fn sum(&self, bytes: &[u8]) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        sum.update(self.site.as_bytes());
        sum.update(bytes);
        sum.finalize()
    }

    /// The entry at the end of what is known, when there is one that continues it.
    fn next(&self, backend: &dyn Backend) -> io::Result<Option<(u64, Vec<RawWrite>, u64)>> {
        let room = backend.occupied().saturating_sub(self.end);
        let mut head = [0; HEAD];
        if room < HEAD as u64 {
            return Ok(None);
        }
        backend.read_kept(self.end, &mut head)?;
        let (base, revision, length) = (u64_at(&head, 8), u64_at(&head, 16), u32_at(&head, 24));
        let whole = HEAD as u64 + u64::from(length);
        if head[..4] != MAGIC || base != self.base || revision <= self.revision || whole > room {
            return Ok(None);
        }
        let mut entry = vec![0; usize::try_from(whole).map_err(io::Error::other)?];
        backend.read_kept(self.end, &mut entry)?;
        if self.sum(&entry[8..]) != u32_at(&entry, 4) {
            return Ok(None);
        }
        Ok(parse(&entry[HEAD..]).map(|writes| (revision, writes, whole)))
    }
}

fn parse(mut body: &[u8]) -> Option<Vec<RawWrite>> {
    let mut writes = Vec::new();
    while !body.is_empty() {
        let (head, rest) = body.split_at_checked(8)?;
        let (key, rest) = rest.split_at_checked(u32_at(head, 0) as usize)?;
        let (value, rest) = rest.split_at_checked(u32_at(head, 4) as usize)?;
        // No record has no bytes.
        writes.push(RawWrite { key: key.into(), value: (!value.is_empty()).then(|| value.into()) });
        body = rest;
    }
    Some(writes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
