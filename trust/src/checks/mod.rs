//! The checks.

mod audit;
mod authz;
mod bind;
mod bindings;
mod cut;
mod eyes;
mod failpoint;
mod full;
mod fuzz;
mod hang;
mod hostile;
mod http;
mod identity;
mod ioerr;
mod jumps;
mod kept;
mod kill;
mod linear;
mod machine;
mod model;
mod model_engine;
mod power;
mod power2;
mod race;
mod refuse;
mod replay;
mod reply;
mod revoke;
mod rot;
mod secret;
mod sim;
mod soak;
mod step;
mod stop;
mod summer;

pub use full::{RESERVE, fill, is_full};
pub use ioerr::tell;
pub use power::cut as cut_power;
pub use rot::{WrongOnce, flip};
pub use secret::rotate;

use crate::{args::Profile, past, run::Run, telemetry, workload};

/// The bug that the workload's own recovery plants.
pub const SETTLES_TWICE: &str = "settles-twice";

/// How many times smaller the quick profile is than `ci`.
const QUICK: u64 = 8;

/// One check: what it tries, how much of it, and the bug that it must find.
#[derive(Debug)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// The planted bug.
    pub bug: &'static str,
    /// How many cases the profiles have.
    pub ci: u64,
    /// As `ci`, with the full figure.
    pub long: u64,
    /// Rare paths that a run has to reach.
    pub probes: &'static [&'static str],
    /// Runs it. An error is a machine that the check cannot run on, not a violation.
    pub run: fn(&mut Run) -> Result<(), String>,
}

impl Check {
    /// How many cases a profile has.
    pub fn size(&self, profile: Profile) -> u64 {
        match profile {
            // Each workload has a turn at least.
            Profile::Quick => (self.ci / QUICK).max(2).max(workloads(self).len() as u64),
            Profile::Ci => self.ci,
            Profile::Long => self.long,
        }
    }
}

/// All checks, in order.
pub const ALL: &[Check] = &[
    kill::CHECK,
    failpoint::CHECK,
    model::CHECK,
    linear::CHECK,
    sim::CHECK,
    reply::CHECK,
    cut::CHECK,
    http::CHECK,
    identity::CHECK,
    power::CHECK,
    power2::CHECK,
    rot::CHECK,
    full::CHECK,
    ioerr::CHECK,
    refuse::CHECK,
    secret::CHECK,
    race::CHECK,
    replay::CHECK,
    bind::CHECK,
    authz::CHECK,
    revoke::CHECK,
    eyes::CHECK,
    fuzz::CHECK,
    hang::CHECK,
    hostile::CHECK,
    soak::CHECK,
    audit::CHECK,
    stop::CHECK,
    jumps::CHECK,
    kept::CHECK,
    bindings::CHECK,
];

/// The workloads that take turns in a check of the store.
pub fn workloads(check: &Check) -> &'static [&'static str] {
    match check.name {
        "s-power" => &workload::WITH_TELEMETRY,
        "s-rot" => &workload::WITH_HISTORY,
        "t-kill" => &[past::NAME, telemetry::NAME],
        "x-clock" => &workload::CLOCKS,
        name if name.starts_with("s-") => &workload::TURNS,
        _ => &[],
    }
}

/// In whose turns a control has to find its bug: of all workloads, unless it is in what one of them does itself, as the
/// clean-up of records does that settles twice (the engine's own look at what was under way is in no other's reach, and has
/// its controls in `w-kill` and `w-failpoint`); of each way in which devices are spoken to.
pub fn found_by(check: &Check) -> &'static [&'static str] {
    match check.name {
        _ if check.bug == SETTLES_TWICE => &["over records"],
        "w-reply" | "w-cut" | "w-identity" | "b-hostile" => {
            &["whatsminer v2", "whatsminer v3", "antminer 2025"]
        }
        "w-http" => &["antminer 2025", "http codec"],
        bindings::NAME => bindings::FORMS,
        _ => workloads(check),
    }
}

/// The check of a name.
pub fn find(name: &str) -> Result<&'static Check, String> {
    ALL.iter().find(|check| check.name == name).ok_or_else(|| {
        let known: Vec<_> = ALL.iter().map(|check| check.name).collect();
        format!("'{name}' is not a check; there are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_found_by_its_name_only() {
        assert_eq!(find("s-rot").unwrap().name, "s-rot");
        assert!(find("s-rott").unwrap_err().contains("s-power2"));
        assert!(ALL.iter().all(|check| check.ci <= check.long && !check.probes.is_empty()));
    }
}
