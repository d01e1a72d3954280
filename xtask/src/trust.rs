//! `cargo xtask trust`: runs the checks of the crate `headframe-trust`, and their controls in a build that holds planted
//! bugs.

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use crate::{
    node::{self, Profile},
    python,
    workspace::{self, Workspace, capture, show},
};

/// What is run, in words for the help.
pub const USAGE: &str = "trust NAME [--profile quick|ci|long] [--n N] [--seed S] [--control]";

const PACKAGE: &str = "headframe-trust";
/// The options that the checks take themselves.
const OPTIONS: [&str; 3] = ["--profile", "--n", "--seed"];
/// How long one program may take in CI, many times what the slowest takes: what hangs is named, and not the whole of CI.
const QUICK_WITHIN: Duration = Duration::from_secs(600);
/// The check of packages for other languages.
const BINDINGS: &str = "x-bindings";

/// Another language: the variable that tells the check where its package is, what the machine lacks for it, and how it is built.
struct Language {
    name: &'static str,
    package_in: &'static str,
    missing: fn(&Workspace) -> Result<Option<String>, String>,
    package: fn(&Workspace, Profile) -> Result<PathBuf, String>,
}

const LANGUAGES: [Language; 2] = [
    Language {
        name: "node",
        package_in: "HEADFRAME_NODE_PACKAGE",
        missing: node::missing,
        package: node::package,
    },
    Language {
        name: "python",
        package_in: "HEADFRAME_PYTHON_PACKAGE",
        missing: python::missing,
        package: python::package,
    },
];

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    name: String,
    options: Vec<String>,
    control: bool,
    /// Which programs run the checks, and their controls.
    builds: (Build, Build),
}

impl Asked {
    /// Reads the arguments; the error says what is wrong with them.
    pub fn read(args: &[String]) -> Result<Self, String> {
        let (name, rest) = args.split_first().ok_or("trust needs the name of a check, or all")?;
        if name.starts_with('-') {
            return Err(format!("trust needs the name of a check, or all, before {name}"));
        }
        // All of them count only with their controls.
        let builds = (Build::Release, Build::Planted);
        let mut asked = Self { name: name.clone(), options: Vec::new(), control: name == "all", builds };
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            if word == "--control" {
                asked.control = true;
                continue;
            }
            if !OPTIONS.contains(&word.as_str()) {
                return Err(format!("trust has no option {word}"));
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let known = match word.as_str() {
                "--profile" => ["quick", "ci", "long"].contains(&value.as_str()),
                _ => value.parse::<u64>().is_ok(),
            };
            if !known {
                return Err(format!("{value} is no value of {word}"));
            }
            asked.options.extend([word.clone(), value.clone()]);
        }
        Ok(asked)
    }

    /// How long one program may take. Where the sizes are somebody's choice, so is that.
    fn within(&self) -> Option<Duration> {
        (self.builds.0 == Build::Quick).then_some(QUICK_WITHIN)
    }
}

/// Why it did not end well.
#[derive(Debug)]
pub enum Failure {
    /// There is no check of this name.
    Unknown(String),
    /// A check failed, or could not be run.
    Failed(String),
}

/// Which program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    /// As users run it.
    Release,
    /// The same with the planted bugs in it.
    Planted,
    /// With the planted bugs, and quick to build: CI builds it once for checks and controls.
    Quick,
}

/// Every check with its control, as small as it can be: the step of CI.
pub fn quick(ws: &Workspace) -> Result<String, String> {
    let asked = Asked {
        name: "all".into(),
        options: vec!["--profile".into(), "quick".into()],
        control: true,
        builds: (Build::Quick, Build::Quick),
    };
    run(ws, &asked).map_err(|failure| match failure {
        Failure::Unknown(why) | Failure::Failed(why) => why,
    })
}

/// Makes the store of this release that later ones have to open; gives its folder.
pub fn fixture(ws: &Workspace) -> Result<String, String> {
    let manifest = ws.read("Cargo.toml")?;
    let version = workspace::text(&manifest, "version").ok_or("Cargo.toml: no version")?;
    let dir = format!("core/tests/fixtures/stores/{version}");
    if ws.path(&dir).exists() {
        return Err(format!("{dir}: is there already, and a store of a release is never replaced"));
    }
    let path = ws.path(&dir);
    show(program(ws, Build::Release, &["fixture"]).arg(&path))?;
    Ok(dir)
}

/// Runs what was asked for; prints one line for each check, and says how many there were.
pub fn run(ws: &Workspace, asked: &Asked) -> Result<String, Failure> {
    let (build, _) = asked.builds;
    let listed = capture(&mut program(ws, build, &["list"])).map_err(Failure::Failed)?;
    let known: Vec<(&str, &str)> = listed.lines().filter_map(|l| l.split_once(' ')).collect();
    let mut wanted: Vec<_> =
        known.iter().filter(|(name, _)| asked.name == "all" || asked.name == *name).copied().collect();
    if wanted.is_empty() {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        return Err(Failure::Unknown(format!("'{}' is not a check: {}", asked.name, names.join(", "))));
    }
    if wanted.iter().any(|(name, _)| *name == BINDINGS) && languages(ws).map_err(Failure::Failed)?.is_empty()
    {
        if asked.name == BINDINGS {
            return Err(Failure::Failed("there is no package to try without its language".into()));
        }
        wanted.retain(|(name, _)| *name != BINDINGS);
    }
    let mut failed = Vec::new();
    for (name, bug) in &wanted {
        let caught =
            asked.control.then(|| control(ws, asked, name, bug)).transpose().map_err(Failure::Failed)?;
        let mut command = program(ws, build, &["run", name]);
        command.args(&asked.options);
        if *name == BINDINGS {
            // In CI the steps `node` and `python` built them a moment ago.
            let profile = if build == Build::Quick { Profile::Debug } else { Profile::Release };
            packages(ws, profile, &mut command).map_err(Failure::Failed)?;
        }
        if let Some(caught) = caught {
            command.args(["--control-caught", if caught { "true" } else { "false" }]);
        }
        match workspace::watched(&mut command, asked.within()) {
            Ok(output) if output.status.success() => {}
            Ok(output) => failed.push((*name, said(&output))),
            Err(why) => failed.push((*name, why)),
        }
    }
    let controls = if asked.control { "with their controls" } else { "without controls" };
    if failed.is_empty() {
        return Ok(format!("{} checks {controls}", wanted.len()));
    }
    // Said again where the end of a long log is looked at.
    failed.iter().for_each(|(name, said)| eprintln!("{name} failed:\n{}", said.trim_end()));
    let names: Vec<_> = failed.iter().map(|(name, _)| *name).collect();
    Err(Failure::Failed(format!("failed: {} of {} checks {controls}", names.join(", "), wanted.len())))
}

/// The languages that the machine has; where everything has to be there, one that is not is an error.
fn languages(ws: &Workspace) -> Result<Vec<&'static Language>, String> {
    let mut there = Vec::new();
    for language in &LANGUAGES {
        match (language.missing)(ws)? {
            None => there.push(language),
            Some(why) => eprintln!("{BINDINGS} is left out in {}: {why}", language.name),
        }
    }
    Ok(there)
}

/// Builds the packages that the machine can build, and tells a program where they are.
fn packages(ws: &Workspace, profile: Profile, command: &mut Command) -> Result<(), String> {
    for language in &LANGUAGES {
        command.env_remove(language.package_in);
    }
    for language in languages(ws)? {
        command.env(language.package_in, (language.package)(ws, profile)?);
    }
    Ok(())
}

/// How a check ended, and what it printed.
fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes);
    format!("{}\n{}{}", output.status, text(&output.stderr), text(&output.stdout))
}

/// Whether the check notices its planted bug. The control's own line goes to the error output.
fn control(ws: &Workspace, asked: &Asked, name: &str, bug: &str) -> Result<bool, String> {
    let (_, planted) = asked.builds;
    let mut command = program(ws, planted, &["run", name, "--planted"]);
    command.args(&asked.options).env("HEADFRAME_PLANTED", bug);
    if name == BINDINGS {
        packages(ws, Profile::Planted { release: planted != Build::Quick }, &mut command)?;
    }
    let output = workspace::output(&mut command, asked.within());
    let output = output.map_err(|e| format!("the control of {name}: {e}"))?;
    let line = String::from_utf8_lossy(&output.stdout);
    eprintln!("control of {name} ({bug}): {}", line.trim());
    if line.trim().is_empty() && !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        // Without a line it ended before it could judge; an engine that ends the process is a finding too, but not
        // one that is told apart from a build that failed.
        return Err(format!("the control of {name} ended with {}\n{why}", output.status));
    }
    Ok(output.status.success())
}

/// The program, built for release where not said otherwise: what users run is what is tried.
fn program(ws: &Workspace, build: Build, args: &[&str]) -> Command {
    let profile = if build == Build::Quick { "trust" } else { "release" };
    let mut command = ws.cargo(&["run", "--quiet", "--profile", profile, "--package", PACKAGE, "--"]);
    command.args(args).env_remove("HEADFRAME_PLANTED");
    if build != Build::Release {
        ws.planted(&mut command);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Asked, String> {
        Asked::read(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_passed_on_and_the_control_is_not() {
        let asked = read(&["s-rot", "--seed", "7", "--control", "--profile", "long"]).unwrap();
        assert_eq!(asked.options, ["--seed", "7", "--profile", "long"]);
        assert!(asked.control && asked.name == "s-rot");
        assert!(!read(&["s-rot"]).unwrap().control);
    }

    #[test]
    fn the_check_of_packages_knows_the_same_languages() {
        let check = Workspace::find().unwrap().read("trust/src/checks/bindings.rs").unwrap();
        let (forms, packages) = (check.matches("form: \"").count(), check.matches("package: \"").count());
        assert_eq!((forms, packages), (LANGUAGES.len(), LANGUAGES.len()));
        for Language { name, package_in, .. } in &LANGUAGES {
            assert!(check.contains(&format!("form: \"{name}\"")), "{name}");
            assert!(check.contains(&format!("package: \"{package_in}\"")), "{package_in}");
        }
    }

    #[test]
    fn all_means_with_controls() {
        assert!(read(&["all", "--profile", "ci"]).unwrap().control);
    }

    #[test]
    fn wrong_arguments_are_told() {
        for (words, part) in [
            (&[][..], "name of a check"),
            (&["--seed", "7"], "before --seed"),
            (&["s-rot", "--sead", "7"], "no option --sead"),
            (&["s-rot", "--seed"], "needs a value"),
            (&["s-rot", "--n", "many"], "no value of --n"),
            (&["s-rot", "--profile", "night"], "no value of --profile"),
        ] {
            let e = read(words).unwrap_err();
            assert!(e.contains(part), "{words:?}: {e}");
        }
    }
}
