use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    backend::Backend,
    db,
    dir::{BALLAST_FILE, CONTROL_FILE},
    fault::Fault,
    file::{FileBackend, at},
    record::{Framed, MAGIC, decode},
    space::Space,
};
use crate::Result;

const CHUNK: usize = 1 << 20;

/// What [`salvage`] found.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Records that were read in their order.
    pub records: u64,
    /// Records found by their marks only, because the way to them is damaged. Some of them may have been deleted, or
    /// be older than the last.
    pub carved: u64,
    /// What did not read, and why.
    pub lost: Vec<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    space: &'a str,
    key: &'a str,
    revision: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    carved: bool,
    value: &'a RawValue,
}

/// Writes every record of the control store in `dir` that still reads to the new file `out`, one JSON object a line:
/// `space`, `key`, `revision`, `value`, and `carved` where it was found by its marks only. The store stays as it is;
/// secrets stay sealed.
///
/// # Errors
/// When the store cannot be read at all, is open elsewhere, or `out` exists.
pub fn salvage(dir: &Path, out: &Path) -> Result<SalvageReport> {
    let backend = Arc::new(FileBackend::open(&dir.join(CONTROL_FILE), Some(dir.join(BALLAST_FILE)))?);
    let mut report = SalvageReport::default();
    let (records, mut whole) = match db::inspect(backend.clone(), super::dir::CONTROL) {
        Ok(loaded) => (loaded.records, true),
        Err(fault) => {
            report.lost.push(fault.to_error("store.salvage").message().into());
            (Vec::new(), false)
        }
    };
    let records = if whole {
        records
    } else {
        match db::rescue(backend.clone()) {
            Ok((records, lost)) => {
                report.lost.extend(lost);
                records
            }
            Err(fault) => {
                report.lost.push(fault.to_error("store.salvage").message().into());
                Vec::new()
            }
        }
    };
    whole &= report.lost.is_empty();
    let mut found: Vec<(Framed, bool)> = records.into_iter().map(|framed| (framed, false)).collect();
    report.records = found.len() as u64;
    if !whole {
        let known: BTreeSet<_> = found.iter().map(|(f, _)| (f.space, f.record.key.clone())).collect();
        let carved = carve(&*backend).map_err(|e| Fault::from(e).to_error("store.salvage"))?;
        let carved = carved.into_values().filter(|f| !known.contains(&(f.space, f.record.key.clone())));
        found.extend(carved.map(|framed| (framed, true)));
        report.carved = found.len() as u64 - report.records;
    }
    write(out, &found, &mut report).map_err(|e| at(out, &e))?;
    Ok(report)
}

fn write(out: &Path, found: &[(Framed, bool)], report: &mut SalvageReport) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = BufWriter::new(options.open(out)?);
    for (Framed { space, record }, carved) in found {
        let Ok(value) = serde_json::from_slice(&record.json) else {
            report.lost.push(format!("{}: its value is not JSON", record.key));
            continue;
        };
        let name = Space::from_number(*space).map_or("unknown", Space::as_str);
        let line = Line {
            space: name,
            key: record.key.as_str(),
            revision: record.revision.0,
            carved: *carved,
            value,
        };
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    file.get_ref().sync_all()
}

/// Every record in the file's bytes, the latest of each place.
fn carve(backend: &dyn Backend) -> io::Result<BTreeMap<(u8, String), Framed>> {
    let size = usize::try_from(backend.size()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; size];
    for (i, chunk) in bytes.chunks_mut(CHUNK).enumerate() {
        // What the disk does not give stays zero, and the rest is still looked through.
        if let Err(e) = backend.read((i * CHUNK) as u64, chunk) {
            tracing::warn!(error = %e, at = i * CHUNK, "a part of the store cannot be read");
        }
    }
    let mut found: BTreeMap<(u8, String), Framed> = BTreeMap::new();
    for at in 0..size.saturating_sub(MAGIC.len()) {
        if bytes[at..at + MAGIC.len()] != MAGIC {
            continue;
        }
        if let Ok((framed, _)) = decode(&bytes[at..]) {
            let place = (framed.space, framed.record.key.as_str().to_owned());
            let newer = |known: &Framed| known.record.revision < framed.record.revision;
            if found.get(&place).is_none_or(newer) {
                found.insert(place, framed);
            }
        }
    }
    Ok(found)
}
