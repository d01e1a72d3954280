//! What becomes of an action, written a second time: from the table of MiningOS's engine and the conventions of the
//! approval scenarios, in a form of its own. It shares no code with the engine.

use std::collections::BTreeMap;

/// What an action needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terms {
    /// People who have to approve.
    pub yes: usize,
    /// People who can deny.
    pub no: usize,
    /// Whether the creator is one of those who approve.
    pub own: bool,
    /// When votes end, ms.
    pub expires: i64,
    /// How long an approved action may wait, ms.
    pub within: i64,
}

/// What somebody or something does to an action. People are numbers; 0 pushed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Vote(usize, bool),
    Withdraw(usize),
    Cancel(usize),
    /// Time is looked at.
    Time,
    /// Execution is to begin; the votes of these people do not hold any more.
    Begin(Vec<usize>),
    /// A call moves from one heap to another.
    Move(Heap, Heap),
    Pause,
    Resume,
    Restart,
    /// All that was under way at the restart was looked at.
    Looked,
}

/// Where a call lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Heap {
    Waiting,
    Open,
    Ok,
    Failed,
    Unknown,
    /// Unknown since a crash.
    Lost,
}

/// An action as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    pub terms: Terms,
    /// MiningOS's name of where it stands.
    pub status: &'static str,
    /// Who voted, in order.
    pub votes: Vec<(usize, bool)>,
    pub calls: BTreeMap<Heap, u32>,
    pub held: bool,
    decided: i64,
}

const DECIDED: &str = "ERR_ACTION_DECIDED";

impl Reference {
    /// As it was pushed at `now`, with so many calls.
    pub fn pushed(terms: Terms, calls: u32, now: i64) -> Self {
        let calls = [(Heap::Waiting, calls)].into();
        let votes = vec![(0, true)];
        let mut new = Self { terms, status: "VOTING", votes, calls, held: false, decided: 0 };
        new.count(now);
        new
    }

    /// What `act` makes of it, or the code of the refusal.
    pub fn after(&self, act: &Act, now: i64) -> Result<Self, &'static str> {
        let mut next = self.clone();
        next.apply(act, now)?;
        Ok(next)
    }

    fn apply(&mut self, act: &Act, now: i64) -> Result<(), &'static str> {
        match act {
            Act::Vote(who, yes) => {
                self.must(self.status == "VOTING" && now < self.terms.expires)?;
                if self.votes.iter().any(|(voter, _)| voter == who) {
                    return Err("ERR_VOTER_EXISTS");
                }
                self.votes.push((*who, *yes));
                self.count(now);
            }
            Act::Withdraw(who) => {
                self.must(self.status == "VOTING" && now < self.terms.expires)?;
                if *who == 0 {
                    return Err("ERR_VOTER_IS_CREATOR");
                }
                let at = self.votes.iter().position(|(voter, _)| voter == who);
                self.votes.remove(at.ok_or("ERR_VOTER_NOT_FOUND")?);
            }
            Act::Cancel(who) => {
                self.must(matches!(self.status, "VOTING" | "APPROVED"))?;
                if *who != 0 {
                    return Err("ERR_CALLER_NOT_CREATOR");
                }
                self.end("CANCELLED");
            }
            Act::Time => {
                self.must(self.is_over(now))?;
                self.end("EXPIRED");
            }
            Act::Begin(void) => self.begin(void, now)?,
            Act::Move(from, to) => self.shift(*from, *to)?,
            Act::Pause => {
                self.must(matches!(self.status, "APPROVED" | "EXECUTING"))?;
                self.held = true;
            }
            Act::Resume => {
                self.must(self.held)?;
                self.held = false;
            }
            Act::Restart => {
                self.must(self.status == "EXECUTING")?;
                self.status = "INTERRUPTED";
            }
            Act::Looked => {
                self.must(self.status == "INTERRUPTED" && self.heap(Heap::Open) == 0)?;
                if self.heap(Heap::Waiting) > 0 {
                    self.status = "EXECUTING";
                } else if self.heap(Heap::Lost) == 0 {
                    self.end_by_calls();
                }
            }
        }
        Ok(())
    }

    fn must(&self, so: bool) -> Result<(), &'static str> {
        if so { Ok(()) } else { Err(DECIDED) }
    }

    /// How many calls lie on a heap.
    pub fn heap(&self, heap: Heap) -> u32 {
        self.calls.get(&heap).copied().unwrap_or(0)
    }

    /// Whether it waited for too long.
    pub fn is_over(&self, now: i64) -> bool {
        match self.status {
            "VOTING" => now >= self.terms.expires,
            "APPROVED" => now >= self.decided + self.terms.within,
            _ => false,
        }
    }

    fn count(&mut self, now: i64) {
        let on = |side: bool| self.votes.iter().filter(move |(_, yes)| *yes == side);
        let own = self.terms.own;
        let yes = on(true).filter(|(who, _)| own || *who != 0).count();
        if on(false).count() >= self.terms.no {
            self.end("DENIED");
        } else if yes >= self.terms.yes {
            (self.status, self.decided) = ("APPROVED", now);
        } else {
            self.status = "VOTING";
        }
    }

    fn begin(&mut self, void: &[usize], now: i64) -> Result<(), &'static str> {
        self.must(self.status == "APPROVED" && !self.held && !self.is_over(now))?;
        if void.contains(&0) {
            self.end("CANCELLED");
            return Ok(());
        }
        let before = self.votes.len();
        self.votes.retain(|(who, _)| !void.contains(who));
        if self.votes.len() < before {
            self.count(now);
        }
        if self.status == "APPROVED" {
            self.status = "EXECUTING";
        }
        Ok(())
    }

    fn shift(&mut self, from: Heap, to: Heap) -> Result<(), &'static str> {
        let by_calls = matches!(self.status, "COMPLETED" | "PARTIAL" | "FAILED");
        self.must(matches!(self.status, "EXECUTING" | "INTERRUPTED") || by_calls)?;
        let left = self.heap(from).checked_sub(1).ok_or("no such call")?;
        self.calls.insert(from, left);
        *self.calls.entry(to).or_default() += 1;
        if self.heap(Heap::Waiting) + self.heap(Heap::Open) > 0 {
            return Ok(());
        }
        if self.heap(Heap::Lost) > 0 {
            self.status = "INTERRUPTED";
        } else {
            self.end_by_calls();
        }
        Ok(())
    }

    fn end_by_calls(&mut self) {
        let (ok, failed, unknown) = (self.heap(Heap::Ok), self.heap(Heap::Failed), self.heap(Heap::Unknown));
        self.end(match (ok, failed, unknown) {
            (_, 0, 0) => "COMPLETED",
            (0, _, 0) => "FAILED",
            _ => "PARTIAL",
        });
    }

    fn end(&mut self, status: &'static str) {
        (self.status, self.held) = (status, false);
    }
}
