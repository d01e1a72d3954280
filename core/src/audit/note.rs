//! Signed notes, as in <https://c2sp.org/signed-note>: a text, a blank line, and lines with signatures.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::code;
use crate::{Error, ErrorKind, Result};

/// Longest note in bytes.
pub(super) const MAX_NOTE_BYTES: usize = 16 << 10;
/// Most signatures of a note.
const MAX_SIGNATURES: usize = 16;
const KEY_ID_BYTES: usize = 4;
/// How a line with a signature begins: an em dash and a space.
pub(super) const DASH: &str = "\u{2014} ";

/// The first four bytes of the hash of a key and its name.
pub(super) type KeyId = [u8; KEY_ID_BYTES];

/// A note whose signatures nobody has checked yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note<'a> {
    /// What is signed, with the line break at its end.
    pub text: &'a str,
    pub signatures: Vec<Signature<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signature<'a> {
    pub name: &'a str,
    pub id: KeyId,
    pub bytes: Vec<u8>,
}

/// A text is not a signed checkpoint.
pub(super) fn malformed(why: &str) -> Error {
    let text = format!("this is not a signed checkpoint: {why}");
    Error::new(ErrorKind::Invalid, "audit.note", text).code_as(code::NOTE)
}

/// Whether a key can have this name.
pub(super) fn is_name(name: &str) -> bool {
    let fits = (1..=255).contains(&name.len());
    fits && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl<'a> Note<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(malformed("it has more than 16 KiB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        if note.bytes().any(|b| b < b' ' && b != b'\n') {
            return Err(malformed("it has control characters"));
        }
        // The text may have empty lines itself.
        let at = note.rfind("\n\n").ok_or_else(|| malformed("it has no blank line before signatures"))?;
        let (text, rest) = (&note[..=at], &note[at + 2..]);
        let lines = rest.strip_suffix('\n').ok_or_else(|| malformed("it does not end with a line break"))?;
        let mut signatures: Vec<Signature<'a>> = Vec::new();
        for line in lines.split('\n') {
            let signature = Signature::parse(line)?;
            if signatures.len() == MAX_SIGNATURES {
                return Err(malformed("it has more than 16 signatures"));
            }
            if signatures.iter().any(|other| (other.name, other.id) == (signature.name, signature.id)) {
                return Err(malformed("two of its signatures are of the same key"));
            }
            signatures.push(signature);
        }
        Ok(Self { text, signatures })
    }
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Result<Self> {
        let wrong = || malformed("a line behind the blank one is not a signature");
        let (name, base64) = line.strip_prefix(DASH).and_then(|l| l.split_once(' ')).ok_or_else(wrong)?;
        let bytes = STANDARD.decode(base64).map_err(|_| malformed("a signature is not base64"))?;
        let (id, bytes) = bytes.split_first_chunk::<KEY_ID_BYTES>().ok_or_else(wrong)?;
        if !is_name(name) || bytes.is_empty() {
            return Err(wrong());
        }
        Ok(Self { name, id: *id, bytes: bytes.to_vec() })
    }

    /// The line of a signature, with its line break.
    pub fn line(name: &str, id: KeyId, bytes: &[u8]) -> String {
        format!("{DASH}{name} {}\n", STANDARD.encode([&id, bytes].concat()))
    }
}
