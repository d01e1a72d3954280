//! Headframe's commands: the one place that knows what CI runs. `cargo xtask help` lists them.

mod deps;
mod fuzz;
mod imports;
mod node;
mod python;
mod source;
mod test;
mod trust;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const HELP: &str = "\
cargo xtask COMMAND

  test [STEP…]   run all that CI runs, or only the named steps
  docs           write docs/supported-devices.md anew from the drivers' tables
  imports        only the steps imports and deps
  trust NAME     run a trust check, or all; --profile quick|ci|long, --n N, --seed S, --control
  node           write what is generated of the npm package anew; node release builds it as it is published
  python         write what is generated of the Python package anew
  wheel          make the wheel of this platform, in target/wheels; wheel installed puts it into target/python/release
  fuzz TARGET    run a fuzz target, or all, under libFuzzer; --minutes N; needs a nightly compiler
  fixture store  make the store of this release that later ones have to open
  help           show this text
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    match command {
        "help" | "--help" | "-h" => {
            print!("{}", help());
            ExitCode::SUCCESS
        }
        "test" => run(rest),
        "imports" if rest.is_empty() => run(&["imports".into(), "deps".into()]),
        "imports" => usage("imports takes no arguments"),
        "docs" if rest.is_empty() => docs(),
        "node" if rest.is_empty() => work(node::write),
        "node" if rest == ["release"] => work(node::release),
        "python" if rest.is_empty() => work(python::write),
        "python" => usage("python takes no arguments"),
        "wheel" if rest.is_empty() => work(python::wheel),
        "wheel" if rest == ["installed"] => work(python::installed),
        "wheel" => usage("wheel takes nothing, or installed"),
        "node" => usage("node takes nothing, or release"),
        "docs" => usage("docs takes no arguments"),
        "trust" => trust(rest),
        "fuzz" => fuzz(rest),
        "fixture" if rest == ["store"] => fixture(),
        "fixture" => usage("fixture makes one thing: store"),
        unknown => usage(&format!("'{unknown}' is not a command")),
    }
}

fn run(steps: &[String]) -> ExitCode {
    let steps = match test::select(steps) {
        Ok(steps) => steps,
        Err(unknown) => return usage(&format!("'{unknown}' is not a step of test")),
    };
    match Workspace::find() {
        Ok(ws) if test::run(&ws, &steps) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn docs() -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let written = std::process::Command::new(cargo)
        .args(["test", "--quiet", "-p", "headframe-drivers", "--test", "supported"])
        .env("HEADFRAME_WRITE_DOCS", "1")
        .status();
    if written.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(work: fn(&Workspace) -> Result<(), String>) -> ExitCode {
    match Workspace::find().and_then(|ws| work(&ws)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn trust(args: &[String]) -> ExitCode {
    let asked = match trust::Asked::read(args) {
        Ok(asked) => asked,
        Err(problem) => return usage(&format!("{problem}; {}", trust::USAGE)),
    };
    let ran = Workspace::find().map_err(trust::Failure::Failed).and_then(|ws| trust::run(&ws, &asked));
    match ran {
        Ok(summary) => {
            eprintln!("trust: {summary}: all ended well");
            ExitCode::SUCCESS
        }
        Err(trust::Failure::Unknown(problem)) => usage(&problem),
        Err(trust::Failure::Failed(why)) => {
            eprintln!("trust: {why}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(args: &[String]) -> ExitCode {
    let asked = match fuzz::Asked::read(args) {
        Ok(asked) => asked,
        Err(problem) => return usage(&format!("{problem}; {}", fuzz::USAGE)),
    };
    match Workspace::find().and_then(|ws| fuzz::run(&ws, &asked)) {
        Ok(summary) => {
            eprintln!("fuzz: {summary}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("fuzz: {why}");
            ExitCode::FAILURE
        }
    }
}

fn fixture() -> ExitCode {
    match Workspace::find().and_then(|ws| trust::fixture(&ws)) {
        Ok(made) => {
            println!("{made}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("fixture: {why}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    format!("{HELP}\nSteps of test, in order:\n\n{}", test::list())
}

fn usage(problem: &str) -> ExitCode {
    eprint!("error: {problem}\n\n{}", help());
    ExitCode::from(2)
}
