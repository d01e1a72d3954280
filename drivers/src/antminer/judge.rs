//! What the readings mean: errors, status and state.

use std::time::Duration;

use headframe_core::model::{DeviceError, ErrorCode, PowerMode, Severity, State, Status};

use super::{
    warnings,
    wire::{Pool, SelfTest},
};

/// How long a machine may take until it hashes.
const START: Duration = Duration::from_secs(600);
/// From when a rate below nominal is no longer a matter of tuning.
const SETTLED: Duration = Duration::from_secs(1200);
/// Below this part of its nominal rate a machine is degraded.
const FULL: f64 = 0.8;

/// MiningOS's power mode for a work mode; `None` for a number that is not known.
pub(super) fn power_mode(mode: i64) -> Option<PowerMode> {
    match mode {
        0 => Some(PowerMode::Normal),
        // Firmware from 2023-07 also writes 5 for a machine that was told to stop.
        1 | 5 => Some(PowerMode::Sleep),
        2 => Some(PowerMode::High),
        3 => Some(PowerMode::Low),
        _ => None,
    }
}

/// What status and state follow from.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Whether its work mode, read in this poll, says that it does not hash; `None` when it was not read.
    pub asleep: Option<bool>,
    /// Hashrate now, MH/s.
    pub rate: Option<f64>,
    /// What it should be, MH/s.
    pub ideal: Option<f64>,
    /// Time since mining started.
    pub elapsed: Option<Duration>,
    /// Since when it reports no values at all, though asked for them.
    pub silent: Option<Duration>,
    /// Whether its self-tests have no result yet.
    pub untested: bool,
    /// Whether it reports errors.
    pub errors: bool,
    /// Whether boards are absent or do nothing.
    pub boards_missing: bool,
}

impl Facts {
    /// Whether it hashes.
    pub fn is_mining(&self) -> Option<bool> {
        match (self.asleep, self.rate) {
            (Some(true), _) => Some(false),
            (_, Some(rate)) => Some(rate > 0.0),
            (_, None) => None,
        }
    }

    /// MiningOS's status.
    pub fn status(&self) -> Status {
        match self.is_mining() {
            _ if self.errors => Status::Error,
            Some(true) => Status::Mining,
            Some(false) if self.asleep == Some(true) => Status::Sleeping,
            Some(false) => Status::NotMining,
            // Nothing in its lists is nothing that runs.
            None if self.silent.is_some() => Status::NotMining,
            None => Status::Error,
        }
    }

    /// Headframe's state.
    pub fn state(&self) -> State {
        let young = self.elapsed.is_some_and(|t| t < START);
        if self.asleep == Some(true) {
            return State::Idle;
        }
        match self.rate {
            None => match self.silent {
                Some(silent) if silent < START && self.asleep.is_some() => State::Starting,
                // It answers, but the mining software does not come back.
                Some(_) if self.asleep == Some(false) => State::Fault,
                _ => State::Unknown,
            },
            Some(rate) if rate > 0.0 => {
                if self.untested && self.elapsed.is_none_or(|t| t < SETTLED) {
                    State::Starting
                } else if self.errors || self.boards_missing || self.is_slow(rate) {
                    State::Degraded
                } else {
                    State::Hashing
                }
            }
            Some(_) if young && !self.errors => State::Starting,
            // Without its work mode nobody knows whether it should hash.
            Some(_) if self.asleep.is_none() && !self.errors => State::Unknown,
            Some(_) => State::Fault,
        }
    }

    fn is_slow(&self, rate: f64) -> bool {
        let settled = self.elapsed.is_some_and(|t| t > SETTLED);
        settled && self.ideal.is_some_and(|ideal| rate < FULL * ideal)
    }
}

/// Whether no pool that is in use answers. A list that was not read, or is empty, says nothing.
pub(super) fn all_pools_dead(pools: &[Pool]) -> bool {
    let is = |pool: &Pool, word: &str| pool.status.as_deref().is_some_and(|s| s.eq_ignore_ascii_case(word));
    let used = |pool: &&Pool| pool.url.as_deref().is_some_and(|u| !u.is_empty()) && !is(pool, "Disabled");
    let mut used = pools.iter().filter(used).peekable();
    used.peek().is_some() && used.all(|p| is(p, "Dead"))
}

/// The error of [`all_pools_dead`]; MiningOS gives it a name and nothing else.
pub(super) fn dead_pools() -> DeviceError {
    let mut error = DeviceError::default();
    error.name = Some("all_pools_dead".into());
    error.text = Some("no configured pool answers".into());
    error.severity = Some(Severity::Critical);
    error
}

/// The error behind a code of `/warning`. One that is not listed is kept under its code.
pub(super) fn warned(code: &str) -> DeviceError {
    let mut error = DeviceError::default();
    error.code = Some(ErrorCode::One(code.to_owned()));
    let (name, text, component, severity) = match warnings::meaning(code) {
        Some(known) => (known.name, known.text, known.component.map(str::to_owned), known.severity()),
        None => ("unknown_error", "a code that is not listed", board_of(code), Severity::High),
    };
    error.severity = Some(severity);
    error.name = Some(name.into());
    error.message = Some(name.into());
    error.text = Some(text.into());
    error.component = component;
    error
}

/// `J3:2` and `L1:1` name a board.
fn board_of(code: &str) -> Option<String> {
    let (place, _) = code.split_once(':')?;
    let number: u8 = place.strip_prefix(['J', 'L'])?.parse().ok()?;
    (number < u8::MAX).then(|| format!("board:{number}"))
}

/// The self-tests that failed and are not the same as `code`, and those that only warn.
///
/// Where the side port names a code it is the authority. It has no codes for fans and network, so failed tests of
/// those are errors of their own; the other tests show that code a second time.
pub(super) fn failed_tests<'a>(
    tests: &'a [SelfTest],
    code: Option<&str>,
) -> (Vec<DeviceError>, Vec<&'a SelfTest>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for test in tests {
        match test.status.as_deref().unwrap_or_default() {
            "" | "s" => {}
            "e" => {
                let kind = test.kind.as_deref().unwrap_or_default();
                if code.is_none() || matches!(kind, "fans" | "network") {
                    errors.push(failed_test(test, kind));
                }
            }
            _ => warnings.push(test),
        }
    }
    (errors, warnings)
}

fn failed_test(test: &SelfTest, kind: &str) -> DeviceError {
    let mut error = DeviceError::default();
    let name = if kind.is_empty() { "test_error".into() } else { format!("{kind}_error") };
    error.message = Some(test.msg.clone().filter(|m| !m.is_empty()).unwrap_or_else(|| name.clone()));
    error.name = Some(name);
    error.code = test.code.clone().filter(|c| !c.is_empty() && c != "0").map(ErrorCode::One);
    error.component = (!kind.is_empty()).then(|| kind.to_owned());
    error
}

/// Whether there are self-tests and none has a result: the machine starts.
pub(super) fn untested(tests: &[SelfTest]) -> bool {
    !tests.is_empty() && tests.iter().all(|t| t.status.as_deref().is_none_or(str::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

    fn awake(rate: f64) -> Facts {
        Facts { asleep: Some(false), rate: Some(rate), ideal: Some(200e6), elapsed: HOUR, ..Facts::default() }
    }

    fn test(kind: &str, status: &str) -> SelfTest {
        SelfTest { kind: Some(kind.into()), status: Some(status.into()), ..SelfTest::default() }
    }

    #[test]
    fn hashing_degraded_and_fault() {
        let judged = |f: Facts| (f.status(), f.state(), f.is_mining());
        assert_eq!(judged(awake(199e6)), (Status::Mining, State::Hashing, Some(true)));
        assert_eq!(judged(awake(150e6)), (Status::Mining, State::Degraded, Some(true)));
        assert_eq!(judged(awake(0.0)), (Status::NotMining, State::Fault, Some(false)));
        let untold = Facts { asleep: None, ..awake(0.0) };
        assert_eq!(judged(untold), (Status::NotMining, State::Unknown, Some(false)));
        let errors = Facts { errors: true, ..awake(199e6) };
        assert_eq!(judged(errors), (Status::Error, State::Degraded, Some(true)));
        let board = Facts { boards_missing: true, ..awake(199e6) };
        assert_eq!(judged(board).1, State::Degraded);
    }

    #[test]
    fn starting_is_no_fault_and_does_not_last() {
        let minute = Some(Duration::from_secs(60));
        assert_eq!(Facts { elapsed: minute, ..awake(0.0) }.state(), State::Starting);
        assert_eq!(Facts { elapsed: minute, ..awake(50e6) }.state(), State::Hashing);
        assert_eq!(Facts { elapsed: minute, untested: true, ..awake(50e6) }.state(), State::Starting);
        assert_eq!(Facts { untested: true, ..awake(199e6) }.state(), State::Hashing);
        let silent = |t| Facts { asleep: Some(false), silent: t, ..Facts::default() };
        assert_eq!(silent(minute).state(), State::Starting);
        assert_eq!(silent(HOUR).state(), State::Fault);
        // Without its work mode it may as well sleep.
        assert_eq!(Facts { silent: minute, ..Facts::default() }.state(), State::Unknown);
    }

    #[test]
    fn asleep_only_by_its_own_word() {
        let asleep = Facts { asleep: Some(true), rate: Some(0.0), ..Facts::default() };
        assert_eq!((asleep.status(), asleep.state()), (Status::Sleeping, State::Idle));
        let unread = Facts::default();
        assert_eq!((unread.is_mining(), unread.state()), (None, State::Unknown));
        assert_ne!(unread.status(), Status::Sleeping);
    }

    #[test]
    fn pools_are_dead_when_all_used_ones_are() {
        let pool = |url: &str, status: &str| Pool {
            url: Some(url.into()),
            status: Some(status.into()),
            ..Pool::default()
        };
        assert!(!all_pools_dead(&[]));
        assert!(!all_pools_dead(&[pool("", "Dead")]));
        assert!(!all_pools_dead(&[pool("a", "Dead"), pool("b", "Alive")]));
        assert!(all_pools_dead(&[pool("a", "Dead"), pool("b", "Disabled"), pool("", "")]));
    }

    #[test]
    fn codes_listed_and_not() {
        let error = warned("J1:2");
        assert_eq!(error.name.as_deref(), Some("chip_insufficient"));
        assert_eq!((error.message, error.component.as_deref()), (error.name, Some("board:1")));
        let error = warned("J3:2");
        assert_eq!(error.name.as_deref(), Some("unknown_error"));
        assert_eq!(error.code, Some(ErrorCode::One("J3:2".into())));
        assert_eq!(error.component.as_deref(), Some("board:3"));
        assert_eq!(error.severity, Some(Severity::High), "nobody knows what it means");
        assert_eq!(warned("P:1").severity, Some(Severity::Critical));
        assert_eq!(warned("X").component, None);
        assert_eq!(warned("L255:9").component, None);
    }

    #[test]
    fn a_failed_test_is_not_reported_twice() {
        let tests = [test("temp", "e"), test("network", "e"), test("rate", "w"), test("fans", "s")];
        let names = |code| -> Vec<String> {
            failed_tests(&tests, code).0.into_iter().filter_map(|e| e.name).collect()
        };
        assert_eq!(names(None), ["temp_error", "network_error"]);
        assert_eq!(names(Some("P:1")), ["network_error"]);
        assert_eq!(failed_tests(&tests, None).1.len(), 1);
        assert!(untested(&[test("rate", ""), test("temp", "")]) && !untested(&tests) && !untested(&[]));
    }
}
