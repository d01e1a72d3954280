//! Which generation, command and behaviour each case has.

use headframe_core::model::CommandName;

use super::site::{Generation, Site, WRITING};
use crate::{rig::simulate, run::Run};

/// One case's part of the product of generations, commands and behaviours.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// The devices.
    pub generation: &'static Generation,
    /// The command.
    pub command: CommandName,
    /// The number of the behaviour.
    pub behaviour: usize,
}

/// Goes through every generation, command and behaviour; generations alternate from case to case.
#[derive(Debug)]
pub struct Plan {
    pairs: Vec<(&'static Generation, CommandName)>,
    behaviours: usize,
    shift: u64,
}

impl Plan {
    /// Every command of the capability of each generation, beginning at a place that follows from the run's seed.
    pub fn new(run: &Run, behaviours: usize) -> Result<Self, String> {
        Self::of(run, behaviours, |_| true)
    }

    /// The same for some generations.
    pub fn of(run: &Run, behaviours: usize, with: impl Fn(&Generation) -> bool) -> Result<Self, String> {
        let mut lists = Vec::new();
        for generation in WRITING.iter().filter(|generation| with(generation)) {
            let names = simulate(async {
                let site = Site::new(generation, 7, 1).await?;
                Ok(site.direct.capability().commands().iter().map(|row| row.name).collect::<Vec<_>>())
            })?;
            if names.is_empty() {
                return Err(format!("{} has no command", generation.name));
            }
            lists.push((generation, names));
        }
        let longest = lists.iter().map(|(_, names)| names.len()).max().unwrap_or(0);
        let mut pairs = Vec::new();
        for row in 0..longest {
            pairs
                .extend(lists.iter().filter_map(|(generation, names)| Some((*generation, *names.get(row)?))));
        }
        Ok(Self { pairs, behaviours, shift: run.seed() })
    }

    /// How many pairs of a generation and a command there are.
    pub fn pairs(&self) -> &[(&'static Generation, CommandName)] {
        &self.pairs
    }

    /// The part of a case. Every pair comes once before any comes twice, each time with the next behaviour.
    pub fn turn(&self, case: u64) -> Turn {
        let at = |n: u64, len: usize| usize::try_from(n % (len as u64).max(1)).unwrap_or(0);
        let pairs = self.pairs.len() as u64;
        let pair = at(case.wrapping_add(self.shift), self.pairs.len());
        let round = case / pairs.max(1);
        let (generation, command) = self.pairs[pair];
        let behaviour = at(self.shift.wrapping_add(pair as u64).wrapping_add(round), self.behaviours);
        Turn { generation, command, behaviour }
    }
}
