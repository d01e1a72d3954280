//! The cases of a check, and what is counted of them.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::{
    args::Profile,
    checks::{self, Check},
    past, telemetry,
    workload::{self, Workload},
};

/// A check ends when it found this many violations, and a control when it found a few.
const ENOUGH: u64 = 100;
const ENOUGH_OF_CONTROL: u64 = 3;
/// How often as many cases are added to the few of the profile `quick` that missed a rare path by chance.
const MORE: u64 = 3;
/// How many violations are told in words.
const TOLD: u64 = 10;

/// One run of a check.
#[derive(Debug)]
pub struct Run {
    check: &'static Check,
    n: u64,
    seed: u64,
    profile: Profile,
    control: bool,
    done: u64,
    index: u64,
    violations: u64,
    probes: BTreeMap<&'static str, u64>,
    forms: Vec<&'static str>,
    slowest_ms: Option<u64>,
    simulated: Duration,
    /// Violations by whose turn it was.
    by_turn: BTreeMap<&'static str, u64>,
}

/// One case: everything random in it comes from its seed.
pub struct Case {
    /// Number of the case in the run.
    pub index: u64,
    /// Seed of what the case makes.
    pub seed: u64,
    /// Randomness of the case.
    pub rng: fastrand::Rng,
    /// Who writes to the store, where a registry does.
    pub workload: &'static dyn Workload,
    /// Whose turn it is: the workload's, or that of the devices that a check takes up.
    pub turn: &'static str,
    units: u64,
    hits: Vec<&'static str>,
    slowest_ms: Option<u64>,
    simulated: Duration,
}

impl Case {
    /// A rare path was reached.
    pub fn hit(&mut self, probe: &'static str) {
        self.hits.push(probe);
    }

    /// A rare path was reached, if `reached`.
    pub fn hit_if(&mut self, reached: bool, probe: &'static str) {
        if reached {
            self.hit(probe);
        }
    }

    /// Whether it is the turn of actions.
    pub fn is_over_actions(&self) -> bool {
        self.turn == workload::actions::NAME
    }

    /// Whether it is the turn of history.
    pub fn is_over_history(&self) -> bool {
        self.turn == past::NAME
    }

    /// Whether it is the turn of telemetry.
    pub fn is_over_telemetry(&self) -> bool {
        self.turn == telemetry::NAME
    }

    /// The case holds one more of what the check counts.
    pub fn unit(&mut self) {
        self.units += 1;
    }

    /// So much simulated time passed.
    pub fn simulated(&mut self, time: Duration) {
        self.simulated += time;
    }

    /// Something with a time limit took `ms`.
    pub fn took(&mut self, ms: u64) {
        self.slowest_ms = self.slowest_ms.max(Some(ms));
    }
}

impl Run {
    /// A run of `n` cases from `seed`.
    pub fn new(check: &'static Check, n: u64, seed: u64, profile: Profile, control: bool) -> Self {
        let turns = checks::found_by(check);
        let probes = check.probes.iter().chain(checks::workloads(check)).map(|probe| (*probe, 0)).collect();
        Self {
            check,
            n,
            seed,
            profile,
            control,
            done: 0,
            index: 0,
            violations: 0,
            probes,
            forms: Vec::new(),
            slowest_ms: None,
            simulated: Duration::ZERO,
            by_turn: turns.iter().map(|name| (*name, 0)).collect(),
        }
    }

    /// The check's name.
    pub fn name(&self) -> &'static str {
        self.check.name
    }

    /// How many cases were asked for.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Where the cases come from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How much is run.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether this is the run with the planted bug.
    pub fn is_control(&self) -> bool {
        self.control
    }

    /// How many cases were run.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How many of them, or parts of them, broke a promise.
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// How often each rare path was reached.
    pub fn probes(&self) -> &BTreeMap<&'static str, u64> {
        &self.probes
    }

    /// The rare paths that were never reached.
    pub fn missed(&self) -> Vec<&'static str> {
        self.probes.iter().filter(|(_, count)| **count == 0).map(|(probe, _)| *probe).collect()
    }

    /// The slowest of what has a time limit.
    pub fn slowest_ms(&self) -> Option<u64> {
        self.slowest_ms
    }

    /// How much simulated time passed, where that is told.
    pub fn simulated(&self) -> Option<Duration> {
        Some(self.simulated).filter(|time| !time.is_zero())
    }

    /// Says in which form cases ran.
    pub fn form_ran(&mut self, form: &'static str) {
        if !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }

    /// What a machine does not have is not asked for: rare paths whose names begin with it, and the turn that it has.
    pub fn leave_out(&mut self, what: &str) {
        self.probes.retain(|probe, _| probe.split_once(": ").is_none_or(|(of, _)| of != what));
        self.by_turn.remove(what);
    }

    /// The forms that ran.
    pub fn form(&self) -> String {
        self.forms.join("+")
    }

    /// A rare path was reached.
    pub fn hit(&mut self, probe: &'static str) {
        *self.probes.entry(probe).or_default() += 1;
    }

    /// A promise was broken.
    pub fn violation(&mut self, text: &str) {
        self.violations += 1;
        if self.violations <= TOLD {
            eprintln!("{}: seed {}, case {}: {text}", self.check.name, self.seed, self.index);
        }
    }

    /// Whether enough was found to stop.
    pub fn enough(&self) -> bool {
        self.violations >= ENOUGH
            || (self.control && self.violations >= ENOUGH_OF_CONTROL && self.is_caught())
    }

    /// Whether the planted bug was found, in the turn of everybody whose code holds it.
    pub fn is_caught(&self) -> bool {
        self.violations > 0 && self.by_turn.values().all(|n| *n > 0)
    }

    /// Whether a control has found the bug in these turns, and looks for it in others yet.
    fn has_found(&self, turn: &str) -> bool {
        let turns = self.by_turn.len() as u64;
        self.control && turns >= ENOUGH_OF_CONTROL && self.by_turn.get(turn).is_some_and(|n| *n > 0)
    }

    /// Violations by whose turn it was.
    pub fn by_turn(&self) -> &BTreeMap<&'static str, u64> {
        &self.by_turn
    }

    /// Runs the check.
    pub fn whole(&mut self) -> Result<(), String> {
        (self.check.run)(self)?;
        let more = if self.profile == Profile::Quick && !self.control { MORE } else { 0 };
        for _ in 0..more {
            if self.violations > 0 || self.missed().is_empty() {
                break;
            }
            eprintln!("{}: as many cases again for {:?}", self.check.name, self.missed());
            (self.check.run)(self)?;
        }
        Ok(())
    }

    /// Runs cases until `n` of what the check counts are done. The text of an error is a violation.
    pub fn until(&mut self, n: u64, mut work: impl FnMut(&mut Case) -> Result<(), String>) {
        let end = self.done + n;
        while self.done < end && !self.enough() {
            self.one(&mut work);
        }
    }

    /// Runs exactly `n` cases, which get their number.
    pub fn each(&mut self, n: u64, mut work: impl FnMut(u64, &mut Case) -> Result<(), String>) {
        for i in 0..n {
            if self.enough() {
                return;
            }
            self.one(&mut |case| work(i, case));
        }
    }

    fn one(&mut self, work: &mut dyn FnMut(&mut Case) -> Result<(), String>) {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ self.index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (turn, workload) = workload::of(checks::workloads(self.check), self.index);
        let mut case = Case {
            index: self.index,
            seed: rng.u64(..),
            rng,
            workload,
            turn,
            units: 0,
            hits: Vec::new(),
            slowest_ms: None,
            simulated: Duration::ZERO,
        };
        let found = self.violations;
        if self.has_found(case.turn) {
            // A store with a bug can end the process, and then nobody is told what was found.
            self.index += 1;
            self.done += 1;
            return;
        }
        let ended = catch_unwind(AssertUnwindSafe(|| work(&mut case)));
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(text)) => self.violation(&text),
            Err(payload) => {
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
                self.violation(&format!("panic: {text}"));
            }
        }
        if self.violations > found {
            *self.by_turn.entry(case.turn).or_default() += 1;
        }
        case.hit_if(!case.turn.is_empty(), case.turn);
        case.hits.iter().for_each(|probe| self.hit(probe));
        self.slowest_ms = self.slowest_ms.max(case.slowest_ms);
        self.simulated += case.simulated;
        self.done += case.units.max(1);
        self.index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reaches its rare path in the second case, or never.
    static RARE: Check =
        Check { name: "rare", bug: "none", ci: 1, long: 1, probes: &["rare"], run: |run| hit_at(run, 1) };
    static NEVER: Check =
        Check { name: "never", bug: "none", ci: 1, long: 1, probes: &["rare"], run: |run| hit_at(run, 9) };

    fn hit_at(run: &mut Run, index: u64) -> Result<(), String> {
        run.until(1, |case| {
            case.hit_if(case.index == index, "rare");
            Ok(())
        });
        Ok(())
    }

    fn whole(check: &'static Check, profile: Profile, control: bool) -> (u64, usize) {
        let mut run = Run::new(check, 1, 7, profile, control);
        run.whole().unwrap();
        (run.done(), run.missed().len())
    }

    #[test]
    fn few_cases_are_added_to_where_a_rare_path_was_missed() {
        assert_eq!(whole(&RARE, Profile::Quick, false), (2, 0));
        assert_eq!(whole(&NEVER, Profile::Quick, false), (1 + MORE, 1));
    }

    #[test]
    fn what_a_machine_has_not_is_neither_missed_nor_looked_for() {
        static EITHER: Check = Check {
            name: "x-bindings",
            bug: "none",
            ci: 1,
            long: 1,
            probes: &["node: rare", "python: rare"],
            run: |_| Ok(()),
        };
        let mut run = Run::new(&EITHER, 1, 7, Profile::Ci, true);
        run.leave_out("node");
        assert_eq!(run.missed(), ["python: rare"]);
        assert_eq!(run.by_turn().keys().collect::<Vec<_>>(), [&"python"]);
        run.violation("none of theirs");
        assert!(!run.is_caught());
        run.leave_out("python");
        assert!(run.is_caught());
    }

    #[test]
    fn many_cases_miss_nothing_by_chance() {
        assert_eq!(whole(&RARE, Profile::Ci, false), (1, 1));
        assert_eq!(whole(&RARE, Profile::Quick, true), (1, 1));
    }
}
