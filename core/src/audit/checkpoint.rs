use super::{Hash, Log, note::malformed};
use crate::Result;

/// Size and root of a log at one time, as somebody signed them: <https://c2sp.org/tlog-checkpoint>. Made by
/// [`VerifierKey::open`](super::VerifierKey::open) only, so whoever has one knows that it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// Which log: the name of the key that signs it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries the log had.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree over them.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// Lines behind the root, which other software may have added before it was signed.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The text that is signed.
    pub(super) fn text(origin: &str, log: &Log) -> String {
        format!("{origin}\n{}\n{}\n", log.size(), log.root().to_base64())
    }

    /// Reads the text of a note.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(malformed("its text has fewer than three lines"));
        };
        if lines.iter().any(|line| line.is_empty()) {
            return Err(malformed("its text has an empty line"));
        }
        let digits = size.bytes().all(|b| b.is_ascii_digit()) && (!size.starts_with('0') || *size == "0");
        let size = size.parse().ok().filter(|_| digits);
        let size: u64 = size.ok_or_else(|| malformed("its second line is not a number of entries"))?;
        let root = Hash::from_base64(root).ok_or_else(|| malformed("its third line is not a root"))?;
        if size == 0 && root != Hash::empty() {
            return Err(malformed("its root is not that of a log without entries"));
        }
        let extensions = extensions.iter().map(|line| (*line).to_owned()).collect();
        Ok(Self { origin: (*origin).to_owned(), size, root, extensions })
    }
}
