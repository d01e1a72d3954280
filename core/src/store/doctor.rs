use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde::Serialize;

use super::{
    db, dir,
    dir::{BALLAST_FILE, CONTROL_FILE, KEY_FILE, LAST_FILE, SITE_FILE},
    fault::code,
    file::FileBackend,
    seal::{SealKey, Sealer},
};
use crate::{Result, io::Ctx};

/// No disk that waits for its medium is faster than this.
const PLAUSIBLE_SYNC: Duration = Duration::from_micros(20);
const ROUNDS: usize = 16;
const LITTLE_SPACE: u64 = 256 << 20;

/// What a store's folder looks like, and what is wrong with it.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct DoctorReport {
    /// Id of the site, from the file beside the store.
    pub site: Option<String>,
    /// The control store.
    pub control: FileReport,
    /// The last snapshots.
    pub last: FileReport,
    /// Median time of a small write that is made durable, in µs.
    pub sync_us: Option<u64>,
    /// Free bytes on the disk, where the operating system tells.
    pub free_bytes: Option<u64>,
    /// Bytes kept free for stop actions.
    pub ballast_bytes: u64,
    /// What is wrong, each with what to do.
    pub problems: Vec<String>,
}

/// One file of a store.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct FileReport {
    /// Whether it is there.
    pub present: bool,
    /// Whether a process has it open; what is inside is not looked at then.
    pub locked: bool,
    /// Length in bytes.
    pub bytes: u64,
    /// The last commit, when the file is whole.
    pub revision: Option<u64>,
    /// Number of records, when the file is whole.
    pub records: Option<u64>,
}

/// Examines the folder of a store without changing the store: locks, versions, damage, the disk's honesty, free
/// space. It needs no store that opens, and locks for a moment what is not locked.
///
/// # Errors
/// When the folder itself cannot be read.
pub fn doctor(cx: &Ctx, dir: &Path) -> Result<DoctorReport> {
    fs::read_dir(dir).map_err(|e| super::file::at(dir, &e))?;
    let mut report = DoctorReport::default();
    match dir::read_site(dir) {
        Ok(Some(site)) => report.site = Some(site.site),
        Ok(None) => {
            report.problems.push(format!("{SITE_FILE} is missing: restore it from the latest backup"))
        }
        Err(e) => report.problems.push(e.to_string()),
    }
    report.control = examine(dir, CONTROL_FILE, &mut report);
    report.last = examine(dir, LAST_FILE, &mut report);
    if !report.control.present {
        report.problems.push(format!("{CONTROL_FILE} is missing: restore the latest backup"));
    }
    report.ballast_bytes = fs::metadata(dir.join(BALLAST_FILE)).map_or(0, |m| m.len());
    if report.ballast_bytes == 0 && report.control.locked {
        report.problems.push("no space is kept free for stop actions: free space on the disk".into());
    }
    match sync_time(cx, dir) {
        Ok(median) => {
            report.sync_us = Some(u64::try_from(median.as_micros()).unwrap_or(u64::MAX));
            if median < PLAUSIBLE_SYNC {
                report.problems.push(format!(
                    "a durable write takes {median:?}, which no honest disk reaches: power loss will lose commits \
                     that were confirmed. Switch the write cache's lies off, or use another disk"
                ));
            }
        }
        Err(e) => report.problems.push(format!("nothing can be written beside the store: {e}")),
    }
    report.free_bytes = free_bytes(dir);
    if report.free_bytes.is_some_and(|free| free < LITTLE_SPACE) {
        report.problems.push("less than 256 MiB are free: free space on the disk".into());
    }
    Ok(report)
}

fn examine(dir: &Path, name: &str, report: &mut DoctorReport) -> FileReport {
    let path = dir.join(name);
    let Ok(meta) = fs::metadata(&path) else { return FileReport::default() };
    let mut file = FileReport { present: true, bytes: meta.len(), ..FileReport::default() };
    let ballast = (name == CONTROL_FILE).then(|| dir.join(BALLAST_FILE));
    let backend = match FileBackend::open(&path, ballast) {
        Ok(backend) => Arc::new(backend),
        Err(e) => {
            file.locked = e.code() == code::LOCKED;
            if !file.locked {
                report.problems.push(e.to_string());
            }
            return file;
        }
    };
    let kind = if name == CONTROL_FILE { dir::CONTROL } else { super::last::KIND };
    let site = report.site.clone();
    // A key that is given by other means cannot be judged here.
    let sealer = (kind == dir::CONTROL).then(|| SealKey::load(&dir.join(KEY_FILE)).ok()).flatten();
    match db::inspect(backend, kind) {
        Ok(loaded) => {
            file.revision = Some(loaded.revision);
            file.records = Some(loaded.records.len() as u64);
            if site.as_ref().is_some_and(|site| *site != loaded.about.site) {
                report
                    .problems
                    .push(format!("{name} is of site {}, not of {SITE_FILE}'s", loaded.about.site));
            } else if let Some(key) = sealer {
                let judged = dir::judge(&loaded.about, site.as_deref(), &Sealer::new(&key));
                let cut_short = dir.join(format!("{KEY_FILE}.new")).exists();
                report.problems.extend(judged.err().map(|fault| match cut_short {
                    true => "a change of the key was cut short: open the site once to finish it".into(),
                    false => fault.to_error("store.doctor").to_string(),
                }));
            }
        }
        Err(fault) => {
            let e = fault.to_error("store.doctor").with("file", name);
            report.problems.push(e.to_string());
        }
    }
    file
}

fn sync_time(cx: &Ctx, dir: &Path) -> io::Result<Duration> {
    let path = dir.join("doctor.tmp");
    let measured = File::create(&path).and_then(|mut file| {
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let before = cx.clock.mono();
            file.write_all(&[0x5a; 4096])?;
            file.sync_data()?;
            times.push(cx.clock.mono().since(before));
        }
        times.sort();
        Ok(times[ROUNDS / 2])
    });
    let removed = fs::remove_file(&path);
    measured.and_then(|median| removed.map(|()| median))
}

#[cfg(unix)]
fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(not(unix))]
const fn free_bytes(_: &Path) -> Option<u64> {
    None
}
