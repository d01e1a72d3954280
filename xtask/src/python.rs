//! The Python package: built into an environment of its own, compared with what is committed, tested, and type-checked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::workspace::{Workspace, capture, output, show};

const PACKAGE: &str = "bindings-python";
/// What is made of the package for asyncio.
const SYNC: &str = "bindings-python/python/headframe/_sync";
/// The environment, with the package and what its tests take.
const ENVIRONMENT: &str = "target/python/venv";
/// The same with the package as it is published.
const RELEASE: &str = "target/python/release";
/// What the tests take, beside the package.
const TOOLS: &str = "requirements-dev.txt";
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
    build(ws, &python)?;
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
    show(&mut inside(ws, &python, &["-m", "mypy", "--strict", "python", "tests", "examples"]))?;
    Ok(Checked::Noted(format!("{count} tests")))
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
    wheel_in(ws, &environment(ws)?, &ws.path("target/wheels"))
}

fn wheel_in(ws: &Workspace, python: &Path, to: &Path) -> Result<(), String> {
    show(inside(ws, python, &["-m", "maturin", "build", "--profile", "wheel", "--out"]).arg(to))
}

/// Makes the wheel and installs it in an environment of its own, to be measured.
pub fn installed(ws: &Workspace) -> Result<(), String> {
    let (wheels, python) = (ws.path("target/python/wheels"), environment_at(ws, RELEASE)?);
    let _old = fs::remove_dir_all(&wheels);
    wheel_in(ws, &python, &wheels)?;
    let mut install =
        inside(ws, &python, &["-m", "pip", "install", "--force-reinstall", "--no-deps", "--quiet"]);
    for wheel in fs::read_dir(&wheels).map_err(|e| e.to_string())? {
        install.arg(wheel.map_err(|e| e.to_string())?.path());
    }
    show(&mut install)
}

/// What is not there that it takes. Where everything has to be there, that is an error: nothing is left out.
fn missing(ws: &Workspace) -> Result<Option<String>, String> {
    if capture(&mut ws.program("python3", &["-m", "venv", "--help"])).is_ok() {
        return Ok(None);
    }
    let why = "python3 is not installed, or has no venv".to_owned();
    if std::env::var_os("CI").is_some() { Err(why) } else { Ok(Some(why)) }
}

/// The Python of an environment that has what the tests take.
fn environment(ws: &Workspace) -> Result<PathBuf, String> {
    environment_at(ws, ENVIRONMENT)
}

fn environment_at(ws: &Workspace, place: &str) -> Result<PathBuf, String> {
    let there = ws.path(place);
    let python = ["bin/python", "Scripts/python.exe"].map(|place| there.join(place));
    let [unix, windows] = &python;
    let tools = ws.read(&format!("{PACKAGE}/{TOOLS}"))?;
    let installed = there.join("installed.txt");
    if fs::read_to_string(&installed).ok().as_ref() != Some(&tools) {
        let place = there.to_str().ok_or("the folder's name is no text")?;
        show(&mut ws.program("python3", &["-m", "venv", "--clear", place]))?;
        let python = if unix.exists() { unix } else { windows };
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", TOOLS];
        show(&mut inside(ws, python, &pip))?;
        fs::write(&installed, tools).map_err(|e| format!("{}: {e}", installed.display()))?;
    }
    Ok(if unix.exists() { unix.clone() } else { windows.clone() })
}

/// Builds the package into the environment.
fn build(ws: &Workspace, python: &Path) -> Result<(), String> {
    let mut develop = inside(ws, python, &["-m", "maturin", "develop", "--quiet", "--profile", "dev"]);
    develop.env("VIRTUAL_ENV", ws.path(ENVIRONMENT));
    show(&mut develop)
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
