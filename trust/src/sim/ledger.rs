//! What people asked for and what they were told, over all starts of the site.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use headframe_core::io::Mono;

/// An action whose push was answered.
#[derive(Debug, Clone)]
pub struct Push {
    /// Who pushed it.
    pub who: &'static str,
    /// What it does.
    pub action: &'static str,
    /// It sheds load.
    pub shed: bool,
    /// The things that it should be for, at most.
    pub things: BTreeSet<String>,
}

/// A vote that somebody asked for.
#[derive(Debug, Clone)]
pub struct Vote {
    /// For which action.
    pub id: u64,
    /// Whose.
    pub who: &'static str,
    /// For or against.
    pub approve: bool,
    /// When it was asked for.
    pub asked: Mono,
    /// Whether it was acknowledged.
    pub acked: bool,
}

/// A halt.
#[derive(Debug, Clone, Copy)]
pub struct Halt {
    /// When it was acknowledged.
    pub from: Mono,
    /// When the second person asked for its end.
    pub to: Option<Mono>,
    /// How many asked.
    pub lifts: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Book {
    /// By the id of the action.
    pub pushes: BTreeMap<u64, Push>,
    /// Every vote.
    pub votes: Vec<Vote>,
    /// Votes that somebody wanted back.
    pub withdrawn: BTreeSet<(u64, &'static str)>,
    /// Actions of which a cancel was acknowledged.
    pub cancelled: BTreeSet<u64>,
    /// What a person said became of calls.
    pub settled: BTreeMap<(u64, String), &'static str>,
    /// Every halt that was acknowledged.
    pub halts: Vec<Halt>,
    /// A halt failed: the process is halted, and nothing says so.
    pub half_halted: bool,
    /// People who were locked at some time: what they voted for may have been judged without them.
    pub locked: BTreeSet<String>,
    /// Load that was shed without a record, or with one that nobody was told of.
    pub shed_untold: bool,
    /// The codes that people were told.
    pub codes: BTreeMap<String, u64>,
    /// What was reached.
    pub hits: BTreeSet<&'static str>,
    /// What was wrong already.
    pub wrong: Vec<String>,
}

/// The book, shared.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    /// Reads or writes in it.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was reached.
    pub fn hit(&self, probe: &'static str) {
        self.book().hits.insert(probe);
    }

    /// Whether a halt holds that was acknowledged.
    pub fn is_halted(&self) -> bool {
        self.book().halts.last().is_some_and(|halt| halt.to.is_none())
    }
}
