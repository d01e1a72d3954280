//! The Python package: built into an environment of its own, compared with what is committed, tested, and type-checked; and
//! with the programs of its trust check.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    node::{self, Profile},
    workspace::{Workspace, capture, output, show},
};

const PACKAGE: &str = "bindings-python";
/// What is made of the package for asyncio.
const SYNC: &str = "bindings-python/python/headframe/_sync";
/// The environment, with the package and what its tests take.
const ENVIRONMENT: &str = "target/python/venv";
/// The same with the package as it is published.
const RELEASE: &str = "target/python/release";
/// What the tests take, beside the package.
const TOOLS: &str = "requirements-dev.txt";
/// What the type checkers look at, where it is there; `pyproject.toml` says how strictly.
const TYPED: &[&str] = &["python", "tests", "examples", "trust"];
/// How long all tests of the package may take.
const WITHIN: Duration = Duration::from_secs(900);

/// What became of it.
pub enum Checked {
    Noted(String),
    Skipped(String),
}

/// Does all that the module says.
pub fn check(ws: &Workspace) -> Result<Checked, String> {
    if let Some(why) = missing(ws)? {
        return Ok(Checked::Skipped(why));
    }
    let python = environment(ws)?;
    show(&mut develop(ws, &python))?;
    compare(ws, &python)?;
    let mut tests = inside(ws, &python, &["-m", "unittest", "discover", "-v", "-s", "tests", "-t", "."]);
    tests.env("HEADFRAME_BEHAVIOUR", ws.path("behaviour"));
    let ended = output(&mut tests, Some(WITHIN))?;
    // It tells what became of the tests on its error output.
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let count = said.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next());
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    if !ended.status.success() || count == 0 {
        return Err(format!("the tests ended with {}\n{said}", ended.status));
    }
    let left_out = types(ws, &python)?.map(|why| format!(", no pyright: {why}"));
    Ok(Checked::Noted(format!("{count} tests{}", left_out.unwrap_or_default())))
}

/// Lets both type checkers look at everything; gives why one did not, if it could not.
fn types(ws: &Workspace, python: &Path) -> Result<Option<String>, String> {
    let there = |folder: &&&str| ws.path(PACKAGE).join(folder).is_dir();
    let folders: Vec<&str> = TYPED.iter().filter(there).copied().collect();
    show(inside(ws, python, &["-m", "mypy", "--strict"]).args(&folders))?;
    // It is a program for Node.
    if let Some(why) = node::missing(ws)? {
        return Ok(Some(why));
    }
    let mut pyright = inside(ws, python, &["-m", "pyright", "--warnings", "--pythonpath"]);
    // Its own part comes with it; what else it may keep does not go into the home folder.
    pyright.env("PYRIGHT_PYTHON_CACHE_DIR", ws.path("target/python/pyright"));
    // It would ask a registry for a newer one.
    pyright.env("PYRIGHT_PYTHON_IGNORE_WARNINGS", "1");
    show(pyright.arg(python))?;
    Ok(None)
}

/// Writes what is generated anew.
pub fn write(ws: &Workspace) -> Result<(), String> {
    let python = environment(ws)?;
    let made = generated(ws, &python)?;
    for old in sources(&ws.path(SYNC))? {
        fs::remove_file(ws.path(SYNC).join(old)).map_err(|e| e.to_string())?;
    }
    for (made, kept) in made {
        fs::write(&kept, made).map_err(|e| format!("{}: {e}", kept.display()))?;
    }
    Ok(())
}

/// Makes the wheel of this platform, as it is published, in `target/wheels`.
pub fn wheel(ws: &Workspace) -> Result<(), String> {
    show(&mut wheel_in(ws, &environment(ws)?, "wheel", &ws.path("target/wheels")))
}

/// What makes a wheel of some build in a folder.
fn wheel_in(ws: &Workspace, python: &Path, profile: &str, to: &Path) -> Command {
    let mut command = inside(ws, python, &["-m", "maturin", "build", "--profile", profile, "--out"]);
    command.arg(to);
    command
}

/// Makes the wheel and installs it in an environment of its own, to be measured.
pub fn installed(ws: &Workspace) -> Result<(), String> {
    let (wheels, python) = (ws.path("target/python/wheels"), environment_at(ws, RELEASE, show)?);
    let _old = fs::remove_dir_all(&wheels);
    show(&mut wheel_in(ws, &python, "wheel", &wheels))?;
    show(install(ws, &python, &wheels)?.arg("--force-reinstall"))
}

/// What installs the wheels of a folder.
fn install(ws: &Workspace, python: &Path, wheels: &Path) -> Result<Command, String> {
    let pip = ["-m", "pip", "install", "--no-deps", "--quiet", "--disable-pip-version-check"];
    let mut install = inside(ws, python, &pip);
    for wheel in fs::read_dir(wheels).map_err(|e| e.to_string())? {
        install.arg(wheel.map_err(|e| e.to_string())?.path());
    }
    Ok(install)
}

/// Builds the package for a trust check, with the check's programs beside it, and gives the folder of both; says nothing on
/// the standard output.
pub fn package(ws: &Workspace, profile: Profile) -> Result<PathBuf, String> {
    let there = ws.path(place(profile));
    eprintln!("building the Python package in {}", place(profile));
    let python = environment_at(ws, ENVIRONMENT, |command| capture(command).map(drop))?;
    let _old = fs::remove_dir_all(&there);
    fs::create_dir_all(&there).map_err(|e| format!("{}: {e}", there.display()))?;
    let copied = |from: &str, to: &str| {
        node::copy(&ws.path(PACKAGE).join(from), &there.join(to)).map_err(|e| format!("{from}: {e}"))
    };
    if profile == Profile::Debug {
        capture(&mut develop(ws, &python))?;
        copied("python/headframe", "headframe")?;
    } else {
        let wheels = there.join("wheels");
        capture(&mut wheel_for(ws, &python, profile, &wheels)?)?;
        capture(install(ws, &python, &wheels)?.arg("--target").arg(&there))?;
    }
    copied("trust", "trust")?;
    Ok(there)
}

const fn place(profile: Profile) -> &'static str {
    match profile {
        Profile::Debug => "target/python/package",
        Profile::Release => "target/python/published",
        Profile::Planted { .. } => "target/python/planted",
    }
}

/// What makes the wheel that a trust check takes.
fn wheel_for(ws: &Workspace, python: &Path, profile: Profile, to: &Path) -> Result<Command, String> {
    let Profile::Planted { release } = profile else { return Ok(wheel_in(ws, python, "wheel", to)) };
    let mut command = wheel_in(ws, python, if release { "wheel" } else { "dev" }, to);
    if !release {
        // With its symbols it would take long to pack. Its dependencies are those of the npm package, which names its target.
        command.arg("--strip").arg("--target").arg(host(ws)?);
    }
    ws.planted(&mut command);
    Ok(command)
}

/// What the compiler builds for where nothing else is said.
fn host(ws: &Workspace) -> Result<String, String> {
    let version = capture(&mut ws.program("rustc", &["-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| format!("rustc names no host:\n{version}"))
}

/// What is not there that it takes. Where everything has to be there, that is an error: nothing is left out.
pub fn missing(ws: &Workspace) -> Result<Option<String>, String> {
    if capture(&mut ws.program("python3", &["-m", "venv", "--help"])).is_ok() {
        return Ok(None);
    }
    let why = "python3 is not installed, or has no venv".to_owned();
    if std::env::var_os("CI").is_some() { Err(why) } else { Ok(Some(why)) }
}

/// The Python of an environment that has what the tests take.
fn environment(ws: &Workspace) -> Result<PathBuf, String> {
    environment_at(ws, ENVIRONMENT, show)
}

/// The same in a place, made with `run`.
fn environment_at(
    ws: &Workspace,
    place: &str,
    run: fn(&mut Command) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let there = ws.path(place);
    let python = ["bin/python", "Scripts/python.exe"].map(|place| there.join(place));
    let [unix, windows] = &python;
    let tools = ws.read(&format!("{PACKAGE}/{TOOLS}"))?;
    let installed = there.join("installed.txt");
    if fs::read_to_string(&installed).ok().as_ref() != Some(&tools) {
        let place = there.to_str().ok_or("the folder's name is no text")?;
        run(&mut ws.program("python3", &["-m", "venv", "--clear", place]))?;
        let python = if unix.exists() { unix } else { windows };
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", TOOLS];
        run(&mut inside(ws, python, &pip))?;
        fs::write(&installed, tools).map_err(|e| format!("{}: {e}", installed.display()))?;
    }
    Ok(if unix.exists() { unix.clone() } else { windows.clone() })
}

/// What builds the package into the environment.
fn develop(ws: &Workspace, python: &Path) -> Command {
    let mut develop = inside(ws, python, &["-m", "maturin", "develop", "--quiet", "--profile", "dev"]);
    develop.env("VIRTUAL_ENV", ws.path(ENVIRONMENT));
    develop
}

/// What is generated is what is committed.
fn compare(ws: &Workspace, python: &Path) -> Result<(), String> {
    let all = generated(ws, python)?;
    let stale = sources(&ws.path(SYNC))?.into_iter().find(|name| {
        let kept = ws.path(SYNC).join(name);
        !all.iter().any(|(_, made)| *made == kept)
    });
    if let Some(stale) = stale {
        return Err(format!("{SYNC}/{} is made of nothing: run cargo xtask python", stale.display()));
    }
    for (made, kept) in all {
        if fs::read(&kept).ok().as_ref() != Some(&made) {
            let kept = kept.display();
            return Err(format!("{kept} is not what the sources make: run cargo xtask python"));
        }
    }
    Ok(())
}

/// What is made of the sources, and where it is kept: the synchronous package, and the types of the native part.
fn generated(ws: &Workspace, python: &Path) -> Result<Vec<(Vec<u8>, PathBuf)>, String> {
    let (made, kept) = (ws.path("target/python/made"), ws.path(PACKAGE).join("python/headframe"));
    let _old = fs::remove_dir_all(&made);
    let sync = ["tools/sync.py", "python/headframe/_async"];
    show(inside(ws, python, &sync).arg(made.join("headframe/_sync")))?;
    show(inside(ws, python, &["-m", "maturin", "generate-stubs", "--profile", "dev", "--out"]).arg(&made))?;
    let made = made.join("headframe");
    let mut names: Vec<PathBuf> =
        sources(&made.join("_sync"))?.iter().map(|name| Path::new("_sync").join(name)).collect();
    names.push("_headframe.pyi".into());
    let read = |name: PathBuf| {
        let made = made.join(&name);
        Ok((fs::read(&made).map_err(|e| format!("{}: {e}", made.display()))?, kept.join(name)))
    };
    names.into_iter().map(read).collect()
}

fn inside(ws: &Workspace, python: &Path, args: &[&str]) -> Command {
    let mut command = ws.program(python, args);
    command.current_dir(ws.path(PACKAGE));
    command
}

/// The names of the Python sources in a folder.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let wrong = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            all.extend(path.file_name().map(PathBuf::from));
        }
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn planted_bugs_are_built_in_a_place_of_their_own_and_nowhere_else() {
        let (ws, python) = (Workspace::find().unwrap(), Path::new("python"));
        let planted = |profile| {
            let command = wheel_for(&ws, python, profile, Path::new("wheels")).unwrap();
            let env = |name: &str| {
                let value = command.get_envs().find(|(there, _)| *there == name)?.1?;
                Some(value.to_string_lossy().into_owned())
            };
            let flags = env("RUSTFLAGS").is_some_and(|flags| flags.ends_with("--cfg planted"));
            (flags, env("CARGO_TARGET_DIR").is_some_and(|target| target.ends_with("planted")))
        };
        assert_eq!(planted(Profile::Release), (false, false));
        for release in [false, true] {
            assert_eq!(planted(Profile::Planted { release }), (true, true));
        }
        let places = [Profile::Debug, Profile::Release, Profile::Planted { release: true }].map(place);
        assert!(places.iter().all(|place| *place != ENVIRONMENT && *place != RELEASE));
        assert!(places[0] != places[1] && places[1] != places[2] && places[0] != places[2]);
    }

    #[test]
    fn what_is_published_is_what_is_tried_but_in_ci() {
        let (ws, python) = (Workspace::find().unwrap(), Path::new("python"));
        let profile = |profile| {
            let words = words(&wheel_for(&ws, python, profile, Path::new("wheels")).unwrap());
            words[words.iter().position(|word| word == "--profile").unwrap() + 1].clone()
        };
        assert_eq!(profile(Profile::Release), "wheel");
        assert_eq!(profile(Profile::Planted { release: true }), "wheel");
        assert_eq!(profile(Profile::Planted { release: false }), "dev");
    }
}
