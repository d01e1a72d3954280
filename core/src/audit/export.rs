use std::io::Write;

use super::{code, stored::Lines};
use crate::{Error, ErrorKind, Result, store::ControlStore};

/// Writes every entry in order, one line each, exactly as it is stored; gives how many.
///
/// # Errors
/// [`Unreachable`](ErrorKind::Unreachable) when writing fails, [`Corrupt`](ErrorKind::Corrupt) when an entry is missing.
/// Neither numbers nor chain are checked: that is for [`verify`](super::verify).
pub fn export(store: &ControlStore, out: &mut dyn Write) -> Result<u64> {
    let failed = |e: std::io::Error| {
        let text = format!("the audit log cannot be written: {e}");
        Error::new(ErrorKind::Unreachable, "audit.export", text).code_as(code::IO).caused_by(e)
    };
    let mut lines = Lines::of(store);
    let mut count = 0;
    for line in &mut lines {
        out.write_all(&line).and_then(|()| out.write_all(b"\n")).map_err(failed)?;
        count += 1;
    }
    out.flush().map_err(failed)?;
    lines.strange().map_or(Ok(count), Err)
}

/// The lines of an exported log, as [`verify`](super::verify) takes them.
pub fn lines(export: &[u8]) -> impl Iterator<Item = &[u8]> {
    let export = export.strip_suffix(b"\n").unwrap_or(export);
    export.split(|b| *b == b'\n').filter(move |_| !export.is_empty())
}
