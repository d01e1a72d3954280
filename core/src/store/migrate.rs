//! How a store of an older release becomes one of this release: step by step, in one transaction, before anything in
//! the file has changed.

use std::collections::BTreeMap;

use super::fault::Fault;

/// Rows of a file: raw key to raw value.
pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Takes all rows from format `from` to `from + 1`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub from: u32,
    /// Changes the rows; the second argument is the last commit of the file. The text says what is wrong.
    pub run: fn(&mut Rows, u64) -> Result<(), String>,
}

/// The steps that this release knows. A release that changes the format adds one, and a file of the release before
/// to its tests.
pub(super) const STEPS: &[Step] = &[];

/// Whether the steps lead from one format to the other.
pub(super) fn reaches(steps: &[Step], from: u32, to: u32) -> bool {
    (from..to).all(|format| steps.iter().any(|s| s.from == format))
}

pub(super) fn run(
    steps: &[Step],
    from: u32,
    to: u32,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    revision: u64,
) -> Result<Rows, Fault> {
    let mut rows: Rows = rows.into_iter().collect();
    for format in from..to {
        let step = steps.iter().find(|s| s.from == format).ok_or(Fault::TooOld { found: from })?;
        (step.run)(&mut rows, revision).map_err(|why| {
            Fault::Damaged(format!("the store cannot be taken from format {format} to {}: {why}", format + 1))
        })?;
    }
    Ok(rows)
}
