//! Takes over what earlier runs left in the folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    backup,
    catalog::Catalog,
    disk::Disk,
    fault::{OP_OPEN, code, failed},
    handle::Handle,
    log::Log,
    name::{self, DAY_MS, Kind},
    scan::{Scanned, scan},
    sealed::{self, Sealed},
    types::OpenReport,
};
use crate::Result;

/// What is in the folder, sorted.
#[derive(Debug, Default)]
struct Found {
    logs: BTreeMap<u32, (String, u64)>,
    sealed: Vec<(Kind, i32, u32, String, u64)>,
    unfinished: Vec<String>,
    /// Days that were being removed, the numbers of their last files, and the notes that say so.
    gone: Vec<(i32, u32, String)>,
    foreign: Vec<String>,
}

fn look(disk: &dyn Disk) -> Result<Found> {
    let mut found = Found::default();
    let files = disk.list().map_err(|e| failed(OP_OPEN, "the folder", e))?;
    backup::refuse(&files)?;
    for (file, bytes) in files {
        match name::parse(&file) {
            Some((Kind::Log, number)) => {
                found.logs.insert(number, (file, bytes));
            }
            Some((kind @ (Kind::Part { day } | Kind::Day { day }), number)) => {
                found.sealed.push((kind, day, number, file, bytes));
            }
            Some((Kind::Unfinished, _)) => found.unfinished.push(file),
            Some((Kind::Gone { day }, number)) => found.gone.push((day, number, file)),
            None => found.foreign.push(file),
        }
    }
    found.sealed.sort_by_key(|(_, _, number, ..)| *number);
    found.foreign.sort();
    Ok(found)
}

/// Whether the folder holds a history, or a part of one.
pub(super) fn is_there(disk: &dyn Disk) -> Result<bool> {
    let found = look(disk)?;
    Ok(!found.logs.is_empty() || !found.sealed.is_empty())
}

/// Reads the folder, removes what interrupted steps left, and cuts the torn end of the last log.
pub(super) fn take_over(disk: &Arc<dyn Disk>) -> Result<(Catalog, OpenReport)> {
    let found = look(&**disk)?;
    let mut report = OpenReport { foreign: found.foreign, ..OpenReport::default() };
    let mut remove = found.unfinished;
    let numbers = found.sealed.iter().map(|file| file.2).chain(found.gone.iter().map(|gone| gone.1));
    let highest = found.logs.keys().copied().chain(numbers).max();

    let mut sealed = Vec::new();
    for file in found.sealed {
        sealed.push(load(&**disk, file, &mut report)?);
    }
    let (merged, replaced) = lists(&sealed);
    let mut logs: BTreeMap<u32, Arc<Log>> = BTreeMap::new();
    let newest = found.logs.keys().next_back().copied();
    for (number, (name, _)) in found.logs {
        if merged.contains(&number) {
            // Its parts were whole before they were merged.
            remove.push(name);
            continue;
        }
        match scan(&**disk, &name, number, newest == Some(number))? {
            Scanned::Unborn => remove.push(name),
            Scanned::Log(log, cut) => {
                report.cut_bytes += cut;
                report.records += u64::from(log.state().records);
                logs.insert(number, Arc::new(*log));
            }
        }
    }
    report.logs = logs.len();
    let mut catalog = Catalog { next: highest.map_or(1, |n| n + 1), ..Catalog::default() };
    for file in sealed {
        // A log that is there is sealed again, so what a seal began goes. So does what went into another file.
        let unfinished = file.info.as_ref().is_some_and(|info| {
            info.replaces.is_empty() && info.logs.iter().any(|log| logs.contains_key(log))
        });
        let gone = found.gone.iter().any(|(day, last, _)| *day == file.day && file.number <= *last);
        if unfinished || gone || replaced.contains(&file.number) {
            remove.push(file.name().to_owned());
        } else {
            catalog.used += file.bytes;
            catalog.days.entry(file.day).or_default().push(Arc::new(file));
        }
    }
    if !remove.is_empty() {
        // What takes their place may have been named a moment before the process ended.
        disk.sync_dir().map_err(|e| failed(OP_OPEN, "the folder", e))?;
    }
    for file in remove {
        disk.remove(&file).map_err(|e| failed(OP_OPEN, &file, e))?;
        report.leftovers += 1;
    }
    disk.sync_dir().map_err(|e| failed(OP_OPEN, "the folder", e))?;
    catalog.used += logs.values().map(|log| log.state().written).sum::<u64>();
    let ends = found.gone.iter().map(|(day, ..)| (i64::from(*day) + 1) * DAY_MS);
    let before = logs.values().map(|log| log.header.removed_before).chain(ends).max();
    catalog.removed.before = before.filter(|before| *before > i64::MIN);
    catalog.notes = found.gone.into_iter().map(|(_, _, name)| name).collect();
    catalog.logs = logs;
    Ok((catalog, report))
}

/// Logs that are known to be sealed as a whole, and files that went into others.
fn lists(sealed: &[Sealed]) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let infos = sealed.iter().filter_map(|file| file.info.as_ref());
    let merged: Vec<_> = infos.filter(|info| !info.replaces.is_empty()).collect();
    (
        merged.iter().flat_map(|info| info.logs.iter().copied()).collect(),
        merged.iter().flat_map(|info| info.replaces.iter().copied()).collect(),
    )
}

fn load(
    disk: &dyn Disk,
    (kind, day, number, name, bytes): (Kind, i32, u32, String, u64),
    report: &mut OpenReport,
) -> Result<Sealed> {
    let file = disk.open(&name).map_err(|e| failed(OP_OPEN, &name, e))?;
    let info = match sealed::load(&*file, &name, (kind, day, number)) {
        Ok((info, _)) => Some(info),
        Err(e) if e.code() == code::CORRUPT => {
            report.damaged.push((name.clone(), e.message().to_owned()));
            None
        }
        Err(e) => return Err(e),
    };
    Ok(Sealed { kind, day, number, bytes, info, handle: Arc::new(Handle::new(name)) })
}
