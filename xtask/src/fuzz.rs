//! `cargo xtask fuzz`: the targets of `headframe-fuzz` under libFuzzer with AddressSanitizer. It needs a nightly compiler
//! and a compiler for C++, and nothing else of the repository does.

use std::{fs, process::Command};

use crate::workspace::{Workspace, capture, show};

/// What is run, in words for the help.
pub const USAGE: &str = "fuzz TARGET|all [--minutes N], or fuzz ready";

/// What the compiler puts into the programs: counters of coverage, comparisons for libFuzzer to learn from, and the
/// checks of memory.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Zsanitizer=address -Ccodegen-units=16";
const MANIFEST: &str = "fuzz/libfuzzer/Cargo.toml";
const PROGRAMS: &str = "fuzz/libfuzzer/src/bin";
/// Programs, what they learned, and what they found.
const OUT: &str = "target/fuzz";
/// Longest case in bytes, longest time of one in seconds, most memory of the process and of one allocation in MiB.
const LIMITS: [&str; 4] = ["-max_len=16384", "-timeout=20", "-rss_limit_mb=1024", "-malloc_limit_mb=128"];
const MINUTES: u64 = 10;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whether it can be run here.
    Ready,
    /// Run one target, or all.
    Run {
        /// Its name, or `all`.
        target: String,
        /// How long each.
        minutes: u64,
    },
}

impl Asked {
    /// Reads the arguments; the error says what is wrong with them.
    pub fn read(args: &[String]) -> Result<Self, String> {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let minutes = |text: &str| match text.parse() {
            Ok(minutes) if minutes > 0 => Ok(minutes),
            _ => Err(format!("{text} is no number of minutes")),
        };
        match words[..] {
            ["ready"] => Ok(Self::Ready),
            [target] if !target.starts_with('-') => Ok(Self::Run { target: target.into(), minutes: MINUTES }),
            [target, "--minutes", n] => Ok(Self::Run { target: target.into(), minutes: minutes(n)? }),
            [] => Err("fuzz needs the name of a target, or all".into()),
            _ => Err(format!("fuzz does not understand '{}'", words.join(" "))),
        }
    }
}

/// Runs what was asked for; says in words what came of it.
pub fn run(ws: &Workspace, asked: &Asked) -> Result<String, String> {
    let host = host(ws)?;
    let Asked::Run { target, minutes } = asked else { return Ok("a nightly compiler is installed".into()) };
    let known = targets(ws)?;
    let wanted: Vec<&String> = known.iter().filter(|name| target == "all" || *name == target).collect();
    if wanted.is_empty() {
        return Err(format!("'{target}' is not a target; there are {}", known.join(", ")));
    }
    build(ws, &host, &wanted)?;
    let mut lines = Vec::new();
    let mut found = 0;
    for name in wanted {
        let (line, well) = one(ws, &host, name, *minutes)?;
        println!("{line}");
        lines.push(line);
        found += usize::from(!well);
    }
    match found {
        0 => Ok(format!("{} targets, {minutes} minutes each: nothing found", lines.len())),
        _ => Err(format!("{found} of {} targets found something", lines.len())),
    }
}

/// The nightly compiler's platform.
fn host(ws: &Workspace) -> Result<String, String> {
    let told = capture(&mut ws.program("rustup", &["run", "nightly", "rustc", "-vV"])).map_err(|_| {
        "no nightly compiler is installed: 'rustup toolchain install nightly' gets one; \
         'cargo xtask trust b-fuzz' needs none"
            .to_owned()
    })?;
    let line = told.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "the nightly compiler does not tell its platform".into())
}

/// One for each program, in order of names.
fn targets(ws: &Workspace) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(ws.path(PROGRAMS)).map_err(|e| format!("{PROGRAMS}: {e}"))?;
    let stem = |entry: fs::DirEntry| Some(entry.path().file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| stem(entry.ok()?)).collect();
    names.sort();
    Ok(names)
}

fn build(ws: &Workspace, host: &str, names: &[&String]) -> Result<(), String> {
    let args = ["run", "nightly", "cargo", "build", "--release", "--manifest-path", MANIFEST];
    let mut command = ws.program("rustup", &args);
    command.args(["--target", host, "--target-dir", OUT]).env("RUSTFLAGS", FLAGS);
    command.args(names.iter().flat_map(|name| ["--bin", name]));
    show(&mut command)
}

/// Runs one target; says what came of it, and whether it ended well.
fn one(ws: &Workspace, host: &str, name: &str, minutes: u64) -> Result<(String, bool), String> {
    let made = format!("{OUT}/artifacts/{name}/");
    let learned = format!("{OUT}/corpus/{name}");
    for dir in [&made, &learned] {
        fs::create_dir_all(ws.path(dir)).map_err(|e| format!("{dir}: {e}"))?;
    }
    let log = format!("{OUT}/{name}.log");
    let file = fs::File::create(ws.path(&log)).map_err(|e| format!("{log}: {e}"))?;
    let program = ws.path(&format!("{OUT}/{host}/release/{name}"));
    let mut command: Command = ws.program(program, &LIMITS);
    command.args([&format!("-max_total_time={}", minutes * 60), "-print_final_stats=1"]);
    command.args([&format!("-artifact_prefix={made}"), "-dict=fuzz/words.dict"]);
    command.args([&learned, &format!("fuzz/corpus/{name}")]);
    let status = command.stdin(std::process::Stdio::null()).stderr(file).status();
    let well = status.map_err(|e| format!("{name}: {e}"))?.success();
    let told = fs::read(ws.path(&log)).map_err(|e| format!("{log}: {e}"))?;
    let runs = executions(&String::from_utf8_lossy(&told)).unwrap_or(0);
    let end = if well { "nothing found".into() } else { format!("FOUND something: see {log} and {made}") };
    Ok((format!("{name:<15} {minutes:>4} min {runs:>10} executions  {end}"), well))
}

fn executions(log: &str) -> Option<u64> {
    log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Asked, String> {
        Asked::read(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_target_has_a_time() {
        let run = |target: &str, minutes| Asked::Run { target: target.into(), minutes };
        assert_eq!(read(&["http"]).unwrap(), run("http", MINUTES));
        assert_eq!(read(&["all", "--minutes", "60"]).unwrap(), run("all", 60));
        assert_eq!(read(&["ready"]).unwrap(), Asked::Ready);
    }

    #[test]
    fn wrong_arguments_are_told() {
        for words in
            [&[][..], &["--minutes", "3"], &["http", "--minutes"], &["http", "--minutes", "0"], &["a", "b"]]
        {
            assert!(read(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn the_count_of_executions_is_read() {
        let log = "Done 5 runs\nstat::number_of_executed_units: 1234\nstat::average_exec_per_sec:     12\n";
        assert_eq!(executions(log), Some(1234));
        assert_eq!(executions("==1== ERROR: libFuzzer: deadly signal\n"), None);
    }
}
