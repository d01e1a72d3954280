//! What is fuzzed: one function for each parser and codec that reads bytes from outside.
//!
//! A function takes any bytes, feeds them where a device, a caller or a disk could put them, and ends the program with
//! a panic when a promise is broken: a panic of the parser, a reply above its bound, a secret that shows, an answer that
//! contradicts a second reading. The same functions run under libFuzzer (`cargo xtask fuzz`), over drawn bytes
//! (`cargo xtask trust b-fuzz`), and over the corpus (`cargo test -p headframe-fuzz`).

mod acts;
mod codec;
mod device;
mod firmware;
mod ork;
mod query;
mod serve;
mod store;
mod words;

use std::{
    fs, io,
    panic::PanicHookInfo,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// One fuzzed function.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Feeds the bytes to what is fuzzed; panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All targets, the most exposed first.
pub const TARGETS: &[Target] = &[
    Target { name: "json_repair", run: codec::json_repair },
    Target { name: "cgminer", run: codec::cgminer },
    Target { name: "framed", run: codec::framed },
    Target { name: "http", run: codec::http },
    Target { name: "whatsminer_v2", run: device::whatsminer_v2 },
    Target { name: "whatsminer_v3", run: device::whatsminer_v3 },
    Target { name: "antminer", run: device::antminer },
    Target { name: "query", run: query::query },
    Target { name: "dispatcher", run: ork::dispatcher },
    Target { name: "firmware", run: firmware::firmware },
    Target { name: "store", run: store::store },
    Target { name: "words", run: words::words },
    Target { name: "probe", run: device::probe },
];

/// Runs the target of this name over `data`; panics when there is none.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|target| target.name == name) {
        Some(target) => (target.run)(data),
        None => unreachable!("{name} is no target"),
    }
}

/// The corpus of a target: names and contents of its files, in the order of their names.
///
/// # Errors
/// When its folder cannot be read.
pub fn corpus(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    files.sort();
    Ok(files)
}

/// Panics that [`note`] was told of.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Whether a panic breaks a promise wherever it ends. The store's engine may panic over a damaged file: the store turns
/// that into an error, and has to, or it leaves the target. A panic in a task of its own would be lost otherwise.
pub fn counts(info: &PanicHookInfo<'_>) -> bool {
    !info.location().is_some_and(|at| at.file().contains("/redb"))
}

/// For a panic hook: remembers a panic that [`counts`].
pub fn note(info: &PanicHookInfo<'_>) {
    if counts(info) {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many panics were noted.
pub fn noted() -> u64 {
    PANICS.load(Ordering::Relaxed)
}
