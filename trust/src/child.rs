//! The parts of processes that checks start.

use std::{
    io::{Read, Write},
    path::Path,
};

use headframe_core::{
    io::Ctx,
    store::{ControlStore, StoreOptions},
};

use crate::{
    act,
    args::Part,
    checks, past,
    rig::{in_real_time, needed},
    telemetry,
};

/// What a child says when it could begin.
pub const BEGAN: &str = "began";

/// Does a child's part in `dir`.
pub fn run(part: Part, dir: &Path) -> Result<(), String> {
    match part {
        Part::Hold => in_real_time(hold(dir)),
        Part::Fill => checks::fill(dir),
        Part::Tell => in_real_time(checks::tell(dir)),
        Part::Rotate => in_real_time(checks::rotate(dir)),
        Part::Act => in_real_time(act::serve(dir)),
        Part::Keep => past::keep(dir),
        Part::Measure => in_real_time(telemetry::measure(dir)),
    }
}

/// Says one line to the parent.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that no longer listens learns nothing.
    let _unheard = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// How children open a store.
pub fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.reserve_bytes = 0;
    options
}

async fn hold(dir: &Path) -> Result<(), String> {
    let store = needed("open", ControlStore::open(&Ctx::system(), dir, &options()).await)?;
    say(BEGAN);
    let _end = std::io::stdin().read_to_end(&mut Vec::new());
    needed("close", store.close().await)
}
