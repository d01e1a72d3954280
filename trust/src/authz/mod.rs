//! Who may call what, written down a second time: from `docs/rpc.md` and what the documents say of roles, people and states.
//! It shares nothing with the table of the dispatcher and the rules of the engine.

mod bodies;
mod expect;
mod lab;
mod people;
mod table;

pub use bodies::{good, hostile};
pub use expect::{Expect, expect};
pub use lab::{Lab, Mark, THINGS};
pub use people::{AREAS, Who, everybody};
pub use table::{Row, TABLE, Target};

/// Whose rules a site has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// MiningOS's: rights come with the call.
    Mos,
    /// Ours: the site's list of people says what everybody may.
    Safe,
}

/// What holds the whole site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Open,
    /// Everything.
    Halted,
    /// Whatever has not begun.
    Frozen,
    /// The rack of most actions.
    RackLocked,
    /// Carol, who calls.
    CarolLocked,
}

/// A kind of site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Whose rules.
    pub profile: Profile,
    /// What holds it.
    pub held: Held,
}

impl Setting {
    /// All kinds, in turn.
    pub fn of(index: u64) -> Self {
        const HELD: [Held; 5] = [Held::Open, Held::Halted, Held::Frozen, Held::RackLocked, Held::CarolLocked];
        let held = usize::try_from(index / 2 % 5).unwrap_or_default();
        let profile = if index.is_multiple_of(2) { Profile::Mos } else { Profile::Safe };
        Self { profile, held: HELD[held] }
    }
}

/// How many kinds there are.
pub const SETTINGS: u64 = 10;

/// Something that one caller asks.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// Who asks.
    pub who: usize,
    /// Which method.
    pub row: &'static Row,
    /// Of which action; of none where a method is about none.
    pub target: Target,
}

/// Everything that anybody can ask of a site.
pub fn cells(people: &[Who]) -> Vec<Cell> {
    let of_row = |who: usize, row: &'static Row| {
        row.targets().iter().map(move |target| Cell { who, row, target: *target })
    };
    (0..people.len()).flat_map(|who| TABLE.iter().flat_map(move |row| of_row(who, row))).collect()
}
