//! Statistics over time windows, kept up to date with every sample.
//!
//! A **thing** says something at a time `ts`, and that holds until it says something else or until `hold_until`, whichever
//! is first. What an [`Engine`] counts is the integral over time of what is held: per **cell** (a set of things that
//! share everything by which rows are grouped; the caller gives cells their numbers), per window, per column.
//!
//! **Accounting.** Integrals are linear, so a change by `d` at the time `t` adds `d * (end - t)` to the minute of `t`, and
//! `d` to what is held at the start of the next minute. Changes can therefore come in any order among things, in any
//! minute that is still open: the result is the same, and exact. Closing a minute is one addition per cell and column.
//!
//! **Precision.** Every sum keeps what rounding took from it in a second float ([`Sum`]), and products are added without
//! rounding. Drift after 10⁸ updates is some 10⁻²⁴ of the largest value that was ever in the sum; a sum over no
//! things is set to exactly 0.
//!
//! **Late samples** never touch totals that were given out. [`Fate::Late`] names the minutes to rebuild with
//! [`fold_series`] from the history; [`Engine::replace`] brings what changed into coarser windows that are still open.
//!
//! **A clock that jumped back.** Samples of one thing are ordered by `(ts, seq)`, and those of both passes stay. A sample
//! before the thing's last one is `Late`, so while the clock runs through the same time again, live totals of these
//! minutes are those of the first pass, and a rebuild of them, which folds the samples of both passes in order of
//! time, is what they mean in the end. Minutes after the last sample of the first pass need no rebuild. What is
//! so now ([`Engine::now_totals`]) follows the second pass from its first sample of each thing on.

mod close;
mod counters;
mod engine;
mod fold;
mod layout;
mod maxima;
mod now;
mod open;
mod replace;
mod said;
mod slots;
mod sum;
mod table;
#[cfg(test)]
mod tests;
mod window;

pub use close::{Closed, Closing};
pub use counters::Counters;
pub use engine::{Engine, Options};
pub use fold::fold_series;
pub use layout::Layout;
pub use replace::{Change, Replaced};
#[cfg(feature = "history")]
pub(crate) use said::plausible;
pub use said::{Fate, LONGEST_HOLD_MS, Late, Said};
pub use sum::Sum;
pub use table::{Rows, Totals, View};
pub use window::Window;

/// One minute in ms, the finest window.
const MINUTE: i64 = 60_000;
