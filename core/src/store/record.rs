use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{
    batch::Revision,
    planted::{Bug, planted},
    space::Key,
};
use crate::{Error, ErrorKind, Result};

/// Begins every record, so that salvage finds records in a file whose tree is lost. The last byte is the version of
/// this layout.
pub(super) const MAGIC: [u8; 4] = *b"HFR\x01";
/// Bytes before key and value: magic, checksum, revision, space, length of the key, length of the value.
const HEAD: usize = 4 + 4 + 8 + 1 + 2 + 4;
/// Longest value in bytes.
pub(super) const MAX_VALUE_BYTES: usize = 8 << 20;

/// The JSON text of a record: one copy for all who have it.
pub(crate) type Json = Arc<[u8]>;

/// A record as the store keeps it: its key, the batch that wrote it last, and its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Key within the space.
    pub key: Key,
    /// The commit that wrote it last.
    pub revision: Revision,
    /// Its JSON text; not copied from the store.
    pub json: Arc<[u8]>,
}

impl Record {
    /// The record as its own type.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when the JSON is not of that type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.json).map_err(|e| {
            // The error's own text can quote the value.
            let text = format!("a record has the wrong shape ({:?} at column {})", e.classify(), e.column());
            Error::new(ErrorKind::Corrupt, "store.get", text).with("key", &self.key)
        })
    }
}

/// A value and the commit that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The commit that wrote it last; [`Expect::Revision`](super::Expect::Revision) takes it.
    pub revision: Revision,
}

/// A record with its place, read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Framed {
    pub space: u8,
    pub record: Record,
}

/// The key under which the engine keeps a record.
pub(super) fn raw_key(space: u8, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(space);
    out.extend_from_slice(key.as_bytes());
    out
}

/// The bytes of a record. They name its place, so that a record at another place is noticed.
pub(super) fn encode(space: u8, key: &str, revision: u64, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + key.len() + json.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&revision.to_le_bytes());
    out.push(space);
    // Both lengths are bounded before: keys to 512 bytes, values to 8 MiB.
    out.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(json);
    let sum = crc32fast::hash(&out[8..]);
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    out
}

/// The record that begins at the first byte of `bytes`, and its length; the reason when there is none.
pub(super) fn decode(bytes: &[u8]) -> Result<(Framed, usize), &'static str> {
    let head: &[u8; HEAD] = bytes.first_chunk().ok_or("it is cut")?;
    if head[..3] != MAGIC[..3] {
        return Err("it does not begin like a record");
    }
    if head[3] != MAGIC[3] {
        return Err("its version is unknown");
    }
    let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let mut revision = [0; 8];
    revision.copy_from_slice(&head[8..16]);
    let key_len = usize::from(u16::from_le_bytes([head[17], head[18]]));
    let json_len = u32::from_le_bytes([head[19], head[20], head[21], head[22]]) as usize;
    let end = HEAD.saturating_add(key_len).saturating_add(json_len);
    let whole = bytes.get(..end).ok_or("it is cut")?;
    if crc32fast::hash(&whole[8..]) != sum && !planted(Bug::NoChecksum) {
        return Err("its checksum is wrong");
    }
    let key = std::str::from_utf8(&whole[HEAD..HEAD + key_len]).map_err(|_| "its key is not text")?;
    let record = Record {
        key: key.into(),
        revision: Revision(u64::from_le_bytes(revision)),
        json: whole[HEAD + key_len..].into(),
    };
    Ok((Framed { space: head[16], record }, end))
}

/// The record stored under `raw`; the reason when it is damaged or belongs elsewhere.
pub(super) fn decode_at(raw: &[u8], bytes: &[u8]) -> Result<Framed, &'static str> {
    let (framed, length) = decode(bytes)?;
    let here = raw.first() == Some(&framed.space) && raw[1..] == *framed.record.key.as_str().as_bytes();
    if length != bytes.len() || !(here || planted(Bug::NoChecksum)) {
        return Err("it belongs to another place");
    }
    Ok(framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_round_trip() {
        let bytes = encode(1, "wm1", 7, br#"{"a":1}"#);
        let framed = decode_at(b"\x01wm1", &bytes).unwrap();
        assert_eq!(
            (framed.space, framed.record.key.as_str(), framed.record.revision),
            (1, "wm1", Revision(7))
        );
        assert_eq!(*framed.record.json, *br#"{"a":1}"#);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = encode(1, "wm1", 7, br#"{"a":1}"#);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_at(b"\x01wm1", &bad).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(decode_at(b"\x01wm1", &bytes[..cut]).is_err(), "cut {cut}");
        }
        assert_eq!(decode_at(b"\x01wm2", &bytes), Err("it belongs to another place"));
        assert_eq!(decode_at(b"\x02wm1", &bytes), Err("it belongs to another place"));
    }

    #[test]
    fn an_error_of_shape_does_not_quote_the_value() {
        let record = Record { key: "k".into(), revision: Revision(1), json: Arc::from(*b"\"Rack_07x\"") };
        let e = record.parse::<u64>().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt);
        assert!(!format!("{e:?}").contains("Rack_07x"));
    }
}
