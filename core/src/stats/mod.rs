//! Statistics of things: sums, averages, counts and groups over what they said last, and their folds over racks and time.
//! Pure: no clock, no disk, no device.
//!
//! [`families`] says which statistics a type of thing has, as data. A [`Spec`] is a set of operations, a [`Tally`] applies
//! it to things and gives a [`Row`], [`fold`] makes one row of the rows of many racks, [`bucket`] puts rows of a log into
//! hours, days, weeks and months, and `range` (with the feature `store`) does so by the calendar of a time zone.
//!
//! # Two semantics
//!
//! MiningOS's statistics are wrong in known ways, and there is software that expects exactly them. So everything is there
//! twice: [`Semantics::Corrected`], the default, and [`Semantics::MiningOs`], which is true to the original to the last
//! digit. What differs:
//!
//! | | MiningOS | corrected |
//! |---|---|---|
//! | missing, `null` | adds 0, and counts in an average | contributes nothing |
//! | text of digits; other text | a number; NaN for ever | contributes nothing |
//! | nobody has a value | 0 | absent |
//! | group of things without a value | 0 | absent |
//! | `group_max` | at least 0 | the greatest |
//! | filters by what a thing is (`of: "ext"`) | seen by `sum` alone | seen by all |
//! | alert without severity | becomes `medium`, in the reading too | counts as `medium` |
//! | averages of several racks | their plain mean, a missing one is 0 | weighted by how many things they are of |
//! | averages by group of several racks | added | weighted |
//! | maxima by group of several racks | added | the greatest |
//! | texts and objects of one group in several racks | written behind one another | the later one |
//!
//! Inputs are never changed. Numbers that are NaN or infinite never come out of the corrected semantics; a result
//! beyond 1e290 is absent.

pub mod bucket;
mod corrected;
pub mod families;
mod filter;
pub mod fold;
mod group;
mod js;
pub mod live;
mod mos;
pub mod plan;
#[cfg(feature = "store")]
pub mod range;
mod row;
mod source;
mod spec;

pub use corrected::Tally;
pub use filter::{Cmp, Filter};
pub use group::{Group, Piece, Rack};
pub use js::Js;
pub use mos::MosTally;
pub use plan::{Member, Named, Plan, Totalled};
pub use row::{Cell, Merge, Row, Stat};
use serde_json::{Map, Value};
pub use source::{Json, Of, Path, Seen, Source, number};
pub use spec::{Kind, Nested, Op, Spec};

use crate::Error;

/// The code of everything that is wrong with operations.
const CODE: &str = "ERR_STATS_SPEC_INVALID";

/// What operations make of missing and odd values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Semantics {
    /// Only true values count.
    #[default]
    Corrected,
    /// As MiningOS does it.
    MiningOs,
}

/// The results over all things, in MiningOS's shape.
pub fn tally<S: Source>(
    spec: &Spec,
    semantics: Semantics,
    things: impl IntoIterator<Item = S>,
) -> Map<String, Value> {
    match semantics {
        Semantics::Corrected => {
            let mut tally = Tally::new(spec);
            things.into_iter().for_each(|thing| tally.add(&thing));
            tally.finish().to_json()
        }
        Semantics::MiningOs => {
            let mut tally = MosTally::new(spec);
            things.into_iter().for_each(|thing| tally.add(&thing));
            tally.to_json()
        }
    }
}

fn refused(field: &str, why: &str) -> Error {
    /// As much of the caller's text as an error repeats.
    const CHARS: usize = 80;
    let shown: String = field.chars().take(CHARS).collect();
    Error::invalid("stats.spec", &shown, why).code_as(CODE)
}
