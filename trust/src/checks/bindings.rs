//! `x-bindings`: the packages for other languages. Programs of each language call anything with anything, many calls at once,
//! with handles that are open, closed and being closed, from threads of which some are torn in the middle, in processes
//! that are forked or that end with everything open; and they open, use and leave everything again and again.
//!
//! No call ends the process, every error is one of ours, every call answers within its bound, nothing panics, and no
//! memory, thread or file is left behind. What a program does is up to its language; what it says is not: a line of
//! JSON for each thing that matters, and at last `{"ended": true}`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::Deserialize;

use super::Check;
use crate::{
    args::Profile,
    rig::Folder,
    run::{Case, Run},
    watch::{self, Ended},
};

/// The name of the check.
pub const NAME: &str = "x-bindings";

/// What programs of each language have to reach, in one list.
macro_rules! reached {
    ($($language:literal: [$($probe:literal),* $(,)?]),* $(,)?) => {
        &[$($(concat!($language, ": ", $probe)),*),*]
    };
}

pub const CHECK: Check = Check {
    name: NAME,
    bug: "unguarded-panic",
    ci: 4_000,
    long: 10_000,
    probes: reached! {
        "node": [
            "a closed handle was used",
            "closed in the middle of calls",
            "called from threads",
            "a thread was torn in the middle of calls",
            "a thread left in the middle of calls",
            "forked",
            "left in the middle of calls",
            "left with handles open",
            "closed",
            "collected",
            "a signal fired",
            "told Invalid",
            "told NotFound",
            "told Conflict",
            "told Unsupported",
            "told Forbidden",
            "told Timeout",
        ],
        "python": [
            "a closed handle was used",
            "closed in the middle of calls",
            "called from threads",
            "called from several event loops",
            "called by the collector",
            "called by the handler of a signal",
            "a call was cancelled",
            "a call had too little time",
            "a thread was torn in the middle of calls",
            "a thread left in the middle of calls",
            "interrupted in the middle of calls",
            "forked",
            "left in the middle of calls",
            "left with handles open",
            "closed",
            "collected",
            "told Invalid",
            "told NotFound",
            "told Conflict",
            "told Unsupported",
            "told Forbidden",
            "told Timeout",
        ],
    },
    run,
};

/// A language: the variable that names the folder of its package, how a program of it is started there, and the parts that it
/// has beside `calls`, `threads` and `rounds`.
struct Language {
    form: &'static str,
    package: &'static str,
    program: fn(&Path) -> Command,
    parts: &'static [&'static str],
}

/// The languages. A control has to find its bug in each of them.
pub const FORMS: &[&str] = &[LANGUAGES[0].form, LANGUAGES[1].form];

const LANGUAGES: [Language; 2] = [
    Language {
        form: "node",
        package: "HEADFRAME_NODE_PACKAGE",
        program: node_program,
        parts: &["exit", "drain", "forks"],
    },
    Language {
        form: "python",
        package: "HEADFRAME_PYTHON_PACKAGE",
        program: python_program,
        parts: &["exit", "drain", "forks", "interrupts"],
    },
];

fn node_program(package: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg("--expose-gc").arg(package.join("trust/main.mjs"));
    command
}

/// The folder holds the package `headframe`, and the programs as the package `trust`.
fn python_program(package: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-X", "faulthandler", "-m", "trust.main"]).env("PYTHONPATH", package);
    command
}

/// Calls of one process.
const CALLS: u64 = 250;
/// In how many processes a control looks for its bug.
const CONTROLS: u64 = 5;
/// How long a process may take: many times what it takes on a machine that is busy, and more than any call has.
const WITHIN: Duration = Duration::from_secs(300);
const WITHIN_EACH_ROUND: Duration = Duration::from_secs(20);
/// What an allocator and a collector may keep back or give back at any moment, KiB: a process that is some rounds old still
/// finds its size.
const NOISE_KIB: u64 = 16 * 1_024;
/// By how many threads and files two moments may differ: work of a pool is under way.
const UNDER_WAY: u64 = 4;

/// What a program says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Said {
    Probe(String),
    Violation(String),
    Calls(u64),
    Held(Held),
    Ended(bool),
}

/// What a process holds at one moment.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Held {
    kib: u64,
    threads: u64,
    files: u64,
}

fn run(run: &mut Run) -> Result<(), String> {
    // Once more for what was missed only.
    let again = !run.form().is_empty();
    for language in &LANGUAGES {
        let Some(package) = std::env::var_os(language.package).map(PathBuf::from) else {
            eprintln!("{NAME}: {} is left out: {} names no package", language.form, language.package);
            run.leave_out(language.form);
            continue;
        };
        if again && !run.missed().iter().any(|probe| language.probe_of(probe).is_some()) {
            continue;
        }
        run.form_ran(language.form);
        if run.is_control() { language.control(run, &package) } else { language.try_all(run, &package) }
    }
    if run.form().is_empty() {
        return Err("there is no package to try: cargo xtask trust builds them".into());
    }
    Ok(())
}

impl Language {
    fn try_all(&self, run: &mut Run, package: &Path) {
        let (times, rounds) = match run.profile() {
            Profile::Quick => (1, 12),
            Profile::Ci => (4, 30),
            Profile::Long => (40, 450),
        };
        run.until(run.n(), |case| {
            let part = if case.index.is_multiple_of(2) { "calls" } else { "threads" };
            self.process(case, package, part, CALLS, WITHIN).map(drop)
        });
        for part in self.parts {
            run.each(times, |_, case| self.process(case, package, part, CALLS, WITHIN).map(drop));
        }
        let within = WITHIN + WITHIN_EACH_ROUND * rounds;
        run.each(1, |_, case| judge(&self.process(case, package, "rounds", rounds.into(), within)?));
    }

    /// Looks for the bug until it is found.
    fn control(&self, run: &mut Run, package: &Path) {
        for _ in 0..CONTROLS {
            if run.by_turn().get(self.form).is_some_and(|found| *found > 0) {
                return;
            }
            run.each(1, |_, case| self.process(case, package, "calls", CALLS, WITHIN).map(drop));
        }
    }

    /// Runs a part in a process of its own; gives what it held from time to time.
    fn process(
        &self,
        case: &mut Case,
        package: &Path,
        part: &str,
        count: u64,
        within: Duration,
    ) -> Result<Vec<Held>, String> {
        case.turn = self.form;
        let mut program = (self.program)(package);
        program.args([part.to_owned(), case.seed.to_string(), count.to_string()]);
        let ended = ended(case, self, program, within);
        ended.map_err(|why| format!("{}, {part} {} {count}: {why}", self.form, case.seed))
    }

    /// A rare path as its programs name it, where it is one of theirs.
    fn probe_of<'a>(&self, probe: &'a str) -> Option<&'a str> {
        probe.strip_prefix(self.form)?.strip_prefix(": ")
    }
}

/// Runs a program in an empty folder, and judges what it says and how it ends.
fn ended(
    case: &mut Case,
    language: &Language,
    mut program: Command,
    within: Duration,
) -> Result<Vec<Held>, String> {
    let folder = Folder::new()?;
    program.current_dir(&*folder).env("RUST_BACKTRACE", "0");
    let Ended { out, err, status } = watch::ended(&mut program, within)?;
    let (mut wrong, mut held, mut ended) = (Vec::new(), Vec::new(), false);
    for line in out.lines() {
        match serde_json::from_str(line) {
            Ok(Said::Probe(probe)) => {
                let known = CHECK.probes.iter().filter(|known| language.probe_of(known) == Some(&probe));
                known.for_each(|known| case.hit(known));
            }
            Ok(Said::Violation(text)) => wrong.push(text),
            Ok(Said::Calls(calls)) => (0..calls).for_each(|_| case.unit()),
            Ok(Said::Held(now)) => held.push(now),
            Ok(Said::Ended(so)) => ended = so,
            Err(e) => wrong.push(format!("said {line}: {e}")),
        }
    }
    // Also what no call was told of.
    wrong.extend(err.lines().filter(|line| line.contains("panicked at")).map(str::to_owned));
    if !status.success() {
        let last: Vec<_> = err.lines().rev().take(3).collect();
        wrong.push(format!("ended with {status}: {}", last.join(" < ")));
    } else if !ended {
        wrong.push("ended before it was done".into());
    }
    if wrong.is_empty() { Ok(held) } else { Err(wrong.join("; ")) }
}

/// What is held at the end is what was held after a third of the rounds.
fn judge(held: &[Held]) -> Result<(), String> {
    let after = &held[held.len() / 3..];
    let (first, second) = after.split_at(after.len() / 2);
    for (what, of, most) in [
        ("KiB of memory", (|h| h.kib) as fn(&Held) -> u64, NOISE_KIB),
        ("threads", |h| h.threads, UNDER_WAY),
        ("files", |h| h.files, UNDER_WAY),
    ] {
        let (before, now) = (upper(first, of), upper(second, of));
        if now > before + most {
            return Err(format!("{before} {what} were held, and {now} after {} more rounds", second.len()));
        }
    }
    Ok(())
}

/// What is exceeded in one round of four: collectors give back now and then, and one round may need more than others.
fn upper(held: &[Held], of: fn(&Held) -> u64) -> u64 {
    let mut all: Vec<u64> = held.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() * 3 / 4).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(each: impl Fn(u64) -> Held) -> Vec<Held> {
        (0..15).map(each).collect()
    }

    #[test]
    fn what_grows_with_every_round_is_a_leak() {
        let well = |n| Held { kib: 90_000 + n % 2 * 3_000, threads: 20 + n % 3, files: 40 };
        assert_eq!(judge(&rounds(well)), Ok(()));
        for (leak, what) in [
            (Held { kib: 6_000, threads: 0, files: 0 }, "KiB"),
            (Held { kib: 0, threads: 1, files: 0 }, "threads"),
            (Held { kib: 0, threads: 0, files: 1 }, "files"),
        ] {
            let grows = |n| Held {
                kib: well(n).kib + n * leak.kib,
                threads: well(n).threads + n * leak.threads,
                files: well(n).files + n * leak.files,
            };
            assert!(judge(&rounds(grows)).unwrap_err().contains(what));
        }
    }

    #[test]
    fn each_language_has_rare_paths_of_its_own_and_a_turn_in_controls() {
        for language in &LANGUAGES {
            let of_it = CHECK.probes.iter().filter_map(|probe| language.probe_of(probe));
            assert!(of_it.clone().count() > 15 && of_it.clone().any(|probe| probe == "told Invalid"));
            assert!(of_it.clone().all(|probe| !probe.contains(": ")));
        }
        let run = Run::new(&CHECK, 1, 7, Profile::Quick, true);
        assert_eq!(run.by_turn().keys().copied().collect::<Vec<_>>(), FORMS);
    }

    #[test]
    fn what_a_program_says_is_judged() {
        let mut run = Run::new(&CHECK, 1, 7, Profile::Quick, false);
        let said = |text: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", text]);
            command
        };
        let mut found = Vec::new();
        for text in [
            r#"echo '{"calls":3}' '
{"probe":"forked"}' '
{"held":{"kib":1,"threads":2,"files":3}}' '
{"ended":true}'"#,
            r#"echo '{"ended":true}'; kill -SEGV $$"#,
            r#"echo '{"calls":3}'"#,
            r#"echo '{"violation":"call 7"}' '
{"ended":true}'"#,
            r#"echo '{"ended":true}'; echo "thread 'x' panicked at y" >&2"#,
            "exit 1",
        ] {
            run.each(1, |_, case| {
                let told = ended(case, &LANGUAGES[1], said(text), Duration::from_secs(60));
                found.push(told.map(|held| held.len()));
                Ok(())
            });
        }
        assert_eq!(run.done(), 3 + 1 + 3 + 3);
        assert_eq!((run.probes()["python: forked"], run.probes()["node: forked"]), (1, 0));
        assert_eq!(found[0], Ok(1));
        for (told, part) in found[1..].iter().zip([
            "signal: 11",
            "before it was done",
            "call 7",
            "panicked at y",
            "exit status: 1",
        ]) {
            assert!(told.as_ref().unwrap_err().contains(part), "{told:?}, {part}");
        }
    }
}
