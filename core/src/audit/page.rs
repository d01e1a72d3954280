use super::{code, stored::Lines};
use crate::{Error, ErrorKind, Result, store::ControlStore};

/// Bytes of lines after which a page ends.
const PAGE_BYTES: usize = 4 << 20;

/// Some entries of the log, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// Their lines, in order, without line breaks.
    pub lines: Vec<String>,
    /// Number of the entry with which the next page begins; `None` when there are no more now.
    pub next: Option<u64>,
}

/// The entries from the number `from` on: at most `most`, and not many more than 4 MiB.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) when an entry is missing or its line is no text. Neither numbers nor chain are checked:
/// that is for [`verify`](super::verify).
pub fn page(store: &ControlStore, from: u64, most: usize) -> Result<Page> {
    let mut entries = Lines::starting(store, from);
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < most && bytes < PAGE_BYTES {
        let Some(line) = entries.next() else {
            return entries.strange().map_or(Ok(Page { lines, next: None }), Err);
        };
        let text = std::str::from_utf8(&line).map_err(|_| {
            let at = from.saturating_add(lines.len() as u64);
            let e = Error::new(ErrorKind::Corrupt, "audit.page", "a line of the audit log is no text");
            e.code_as(code::CORRUPT).with("entry", at)
        })?;
        bytes += text.len();
        lines.push(text.to_owned());
    }
    let next = from.saturating_add(lines.len() as u64);
    Ok(Page { lines, next: entries.next().is_some().then_some(next) })
}
