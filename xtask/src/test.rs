//! `cargo xtask test`: the steps of CI, in order, the quick ones first. The first that fails ends the run.

use std::{process::Command, time::Duration};

use crate::{
    deps, imports, node, python, trust,
    workspace::{self, Workspace, capture, show},
};

/// One part of the run.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace) -> Result<Done, String>,
}

/// How a step ended well.
#[derive(Debug)]
enum Done {
    Passed,
    Noted(String),
    Skipped(String),
}

const STEPS: &[Step] = &[
    Step { name: "fmt", about: "formatting", run: fmt },
    Step { name: "imports", about: "who imports whom", run: |ws| imports::check(ws).map(Done::Noted) },
    Step { name: "deps", about: "what the crates depend on", run: |ws| deps::check(ws).map(Done::Noted) },
    Step { name: "clippy", about: "lints, all targets and features", run: clippy },
    Step { name: "tests", about: "unit, integration and documentation tests, examples built", run: tests },
    Step {
        name: "node",
        about: "the npm package: built, tested, packed, used from an empty folder",
        run: node_package,
    },
    Step { name: "python", about: "the Python package: built, tested, type-checked", run: python_package },
    Step {
        name: "trust",
        about: "every trust check with its control, few cases",
        run: |ws| trust::quick(ws).map(Done::Noted),
    },
    Step { name: "docs", about: "documentation without warnings", run: docs },
    Step { name: "features", about: "each feature alone, and none", run: features },
    Step { name: "msrv", about: "the oldest supported compiler, where installed", run: msrv },
    Step {
        name: "deny",
        about: "licences, advisories and sources, where cargo-deny is installed",
        run: deny,
    },
];

/// The steps, one a line.
pub fn list() -> String {
    STEPS.iter().map(|s| format!("  {:<14} {}\n", s.name, s.about)).collect()
}

/// The named steps in their own order, all when none is named; an unknown name is the error.
pub fn select(names: &[String]) -> Result<Vec<Step>, String> {
    if let Some(unknown) = names.iter().find(|n| !STEPS.iter().any(|s| s.name == *n)) {
        return Err(unknown.clone());
    }
    let wanted = |s: &&Step| names.is_empty() || names.iter().any(|n| n == s.name);
    Ok(STEPS.iter().filter(wanted).copied().collect())
}

/// Runs `steps` and prints what came of each; true when all ended well.
pub fn run(ws: &Workspace, steps: &[Step]) -> bool {
    for (name, value) in ws.neighbours() {
        println!("{name}={}", value.display());
    }
    let mut lines = Vec::new();
    let mut all_well = true;
    let mut total = Duration::ZERO;
    for (i, step) in steps.iter().enumerate() {
        println!("\n==> {} ({} of {}): {}", step.name, i + 1, steps.len(), step.about);
        let (result, took) = timed(|| (step.run)(ws));
        total += took;
        let (word, text) = match result {
            Ok(Done::Passed) => ("ok", String::new()),
            Ok(Done::Noted(text)) => ("ok", text),
            Ok(Done::Skipped(why)) => ("skipped", why),
            Err(why) => {
                eprintln!("{why}");
                all_well = false;
                ("FAILED", why.lines().next().unwrap_or_default().to_owned())
            }
        };
        let line = format!("{:<9} {word:<8} {:>7.1} s  {text}", step.name, took.as_secs_f64());
        let line = line.trim_end().to_owned();
        println!("<== {line}");
        lines.push(line);
        if !all_well {
            break;
        }
    }
    println!("\nSummary\n  {}", lines.join("\n  "));
    for step in steps.iter().skip(lines.len()) {
        println!("  {:<9} not run", step.name);
    }
    println!("{} after {:.1} s", if all_well { "All ended well" } else { "FAILED" }, total.as_secs_f64());
    all_well
}

#[allow(
    clippy::disallowed_methods,
    reason = "how long a step of CI takes is no matter of the simulated clock"
)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    (work(), start.elapsed())
}

fn passed(mut command: Command) -> Result<Done, String> {
    show(&mut command).map(|()| Done::Passed)
}

fn fmt(ws: &Workspace) -> Result<Done, String> {
    passed(ws.cargo(&["fmt", "--all", "--check"]))
}

fn clippy(ws: &Workspace) -> Result<Done, String> {
    passed(ws.cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]))
}

fn tests(ws: &Workspace) -> Result<Done, String> {
    show(&mut ws.cargo(&["test", "--workspace", "--all-features"]))?;
    Ok(match ws.captures() {
        Some(_) => Done::Passed,
        None => Done::Noted("without captures: HEADFRAME_CAPTURES is not set".into()),
    })
}

fn node_package(ws: &Workspace) -> Result<Done, String> {
    Ok(match node::check(ws)? {
        node::Checked::Noted(text) => Done::Noted(text),
        node::Checked::Skipped(why) => Done::Skipped(why),
    })
}

fn python_package(ws: &Workspace) -> Result<Done, String> {
    Ok(match python::check(ws)? {
        python::Checked::Noted(text) => Done::Noted(text),
        python::Checked::Skipped(why) => Done::Skipped(why),
    })
}

fn docs(ws: &Workspace) -> Result<Done, String> {
    let mut command = ws.cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    passed(command)
}

fn features(ws: &Workspace) -> Result<Done, String> {
    let mut count = 0;
    for (package, manifest) in [
        ("headframe-core", "core/Cargo.toml"),
        ("headframe-drivers", "drivers/Cargo.toml"),
        ("headframe", "Cargo.toml"),
    ] {
        let manifest = ws.read(manifest)?;
        let alone = workspace::keys(&manifest, "features").into_iter().filter(|f| f != "default");
        for feature in std::iter::once(String::new()).chain(alone) {
            // Clippy checks as `cargo check` does, and lets a warning of these crates fail.
            let args = ["clippy", "--package", package, "--no-default-features", "--features", &feature];
            show(ws.cargo(&args).args(["--", "-D", "warnings"]))?;
            count += 1;
        }
    }
    Ok(Done::Noted(format!("{count} sets of features")))
}

fn msrv(ws: &Workspace) -> Result<Done, String> {
    let manifest = ws.read("Cargo.toml")?;
    let version = workspace::text(&manifest, "rust-version").ok_or("Cargo.toml: no rust-version")?;
    let installed = capture(&mut ws.program("rustup", &["toolchain", "list"])).unwrap_or_default();
    let prefix = format!("{version}-");
    let dotted = format!("{version}.");
    let Some(toolchain) = installed
        .lines()
        .filter_map(|l| l.split_whitespace().next())
        .find(|l| l.starts_with(&prefix) || l.starts_with(&dotted))
    else {
        return Ok(Done::Skipped(format!("Rust {version} is not installed")));
    };
    let args = ["run", toolchain, "cargo", "check", "--workspace", "--all-features"];
    let mut command = ws.program("rustup", &args);
    // A folder of its own, or the two compilers would throw away each other's work.
    command.env("CARGO_TARGET_DIR", ws.path("target/msrv"));
    show(&mut command)?;
    Ok(Done::Noted(format!("Rust {version}")))
}

fn deny(ws: &Workspace) -> Result<Done, String> {
    if capture(&mut ws.cargo(&["deny", "--version"])).is_err() {
        return Ok(Done::Skipped("cargo-deny is not installed".into()));
    }
    passed(ws.cargo(&["deny", "check"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str]) -> Result<Vec<&'static str>, String> {
        let wanted: Vec<String> = wanted.iter().map(|s| (*s).to_owned()).collect();
        Ok(select(&wanted)?.iter().map(|s| s.name).collect())
    }

    #[test]
    fn steps_are_chosen_by_name_and_keep_their_order() {
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["docs", "fmt"]).unwrap(), ["fmt", "docs"]);
        assert_eq!(names(&["fmt", "lint"]).unwrap_err(), "lint");
    }

    #[test]
    fn a_failing_step_ends_the_run() {
        let ws = Workspace::find().unwrap();
        let fails = Step { name: "a", about: "", run: |_| Err("no".into()) };
        let never = Step { name: "b", about: "", run: |_| std::process::exit(70) };
        let skips = Step { name: "c", about: "", run: |_| Ok(Done::Skipped("why".into())) };
        assert!(!run(&ws, &[skips, fails, never]));
        assert!(run(&ws, &[skips]));
    }
}
