//! The one line that a check prints.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::run::Run;

/// What came of a check.
#[derive(Debug, Serialize)]
pub struct Line {
    check: &'static str,
    form: String,
    n: u64,
    seed: u64,
    violations: u64,
    probes_missed: Vec<&'static str>,
    control_caught: Option<bool>,
    wall_s: f64,
    profile: &'static str,
    /// Panics, those that the store turned into errors too.
    panics: u64,
    /// The slowest of what has a time limit, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    slowest_ms: Option<u64>,
    /// Simulated hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    sim_h: Option<f64>,
    /// Simulated seconds in each second of real time.
    #[serde(skip_serializing_if = "Option::is_none")]
    sim_per_s: Option<f64>,
    /// Of a control: violations by whose turn it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<BTreeMap<&'static str, u64>>,
    /// How often each rare path was reached.
    probes: BTreeMap<&'static str, u64>,
}

impl Line {
    /// The line of a run. `control` is what the control said; the control itself says it of itself.
    pub fn new(run: &Run, wall_s: f64, control: Option<bool>, panics: u64) -> Self {
        let control_caught = if run.is_control() { Some(run.is_caught()) } else { control };
        Self {
            check: run.name(),
            form: run.form(),
            n: run.done(),
            seed: run.seed(),
            violations: run.violations(),
            // A control ends at its first findings.
            probes_missed: if run.is_control() { Vec::new() } else { run.missed() },
            control_caught,
            wall_s: round(wall_s),
            profile: run.profile().as_str(),
            panics,
            slowest_ms: run.slowest_ms(),
            sim_h: run.simulated().map(|time| round(time.as_secs_f64() / 3_600.0)),
            sim_per_s: run.simulated().map(|time| round(time.as_secs_f64() / wall_s.max(0.001))),
            found: run.is_control().then(|| run.by_turn().clone()),
            probes: run.probes().clone(),
        }
    }

    /// Whether the check is passed; of a control, whether the bug was found.
    pub fn is_well(&self, control: bool) -> bool {
        if control {
            return self.control_caught == Some(true);
        }
        self.violations == 0 && self.probes_missed.is_empty() && self.control_caught != Some(false)
    }
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::Profile, checks};

    fn run(control: bool) -> Run {
        Run::new(checks::find("s-power").unwrap(), 3, 42, Profile::Ci, control)
    }

    fn reached(run: &mut Run) {
        for probe in run.missed() {
            run.hit(probe);
        }
    }

    #[test]
    fn the_line_has_its_members_in_order() {
        let mut run = run(false);
        reached(&mut run);
        run.form_ran("backend");
        run.each(3, |_, _| Ok(()));
        let line = Line::new(&run, 1.239, Some(true), 0);
        assert!(line.is_well(false));
        let text = serde_json::to_string(&line).unwrap();
        let begin =
            r#"{"check":"s-power","form":"backend","n":3,"seed":42,"violations":0,"probes_missed":[],"#;
        assert!(text.starts_with(begin), "{text}");
        assert!(text.contains(r#""control_caught":true,"wall_s":1.24,"profile":"ci""#), "{text}");
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_violation_a_missed_probe_and_an_uncaught_control_fail() {
        let mut bad = run(false);
        reached(&mut bad);
        bad.each(1, |_, _| Err("lost".into()));
        assert!(!Line::new(&bad, 0.0, None, 0).is_well(false));

        let missed = Line::new(&run(false), 0.0, None, 0);
        assert!(!missed.probes_missed.is_empty() && !missed.is_well(false));

        let mut good = run(false);
        reached(&mut good);
        assert!(Line::new(&good, 0.0, None, 0).is_well(false));
        assert!(!Line::new(&good, 0.0, Some(false), 0).is_well(false));
    }

    #[test]
    fn a_control_is_well_when_it_found_the_bug() {
        let mut control = run(true);
        assert!(!Line::new(&control, 0.0, None, 0).is_well(true));
        control.each(1, |_, _| Err("lost".into()));
        // One workload found it; so must the others.
        assert!(!Line::new(&control, 0.0, None, 0).is_well(true));
        // In turns where it was found nothing is tried again.
        let mut tried = 0;
        control.each(7, |_, _| {
            tried += 1;
            Err("lost".into())
        });
        assert_eq!(tried, 4);
        let line = Line::new(&control, 0.0, None, 0);
        assert!(line.is_well(true) && line.control_caught == Some(true));
    }

    #[test]
    fn a_panic_is_a_violation() {
        let mut run = run(false);
        run.each(1, |_, _| panic!("no"));
        assert_eq!(run.violations(), 1);
    }
}
