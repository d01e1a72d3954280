//! The npm package: built, compared with what is committed, tested, packed, and used from an empty folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::workspace::{Workspace, capture, output, show};

const PACKAGE: &str = "bindings-node";
/// What is built out of the sources, and committed.
const GENERATED: &[&str] = &["native.js", "native.d.ts", "types"];
/// What else there is in the package's folder, but for the Rust part.
const SOURCES: &[&str] = &[
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "README.md",
    "lib",
    "miningos-net",
    "npm",
    "examples",
    "test",
    "behaviour",
    "trust",
];
/// How long a program of the package may take.
const WITHIN: Duration = Duration::from_secs(300);

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
    let there = build(ws, Profile::Debug, show)?;
    compare(ws, &there)?;
    let mut tests = npm(ws, &there, &["test"]);
    tests.env("HEADFRAME_BEHAVIOUR", ws.path("behaviour"));
    let tests = ran(tests)?;
    let count = tests.lines().find_map(|line| line.strip_prefix("# pass ")).unwrap_or("0").to_owned();
    if count == "0" {
        return Err(format!("no test of {PACKAGE} ran:\n{tests}"));
    }
    from_empty_folder(ws, &layout(ws, &there)?)?;
    let size = from_empty_folder(ws, &[there])?;
    Ok(Checked::Noted(format!("{count} tests; the package has {} MiB", size >> 20)))
}

/// What is not there that it takes. Where everything has to be there, that is an error: nothing is left out.
pub fn missing(ws: &Workspace) -> Result<Option<String>, String> {
    let there = |tool: &str| capture(&mut ws.program(tool, &["--version"])).is_ok();
    let Some(tool) = ["node", "npm"].into_iter().find(|tool| !there(tool)) else { return Ok(None) };
    let why = format!("{tool} is not installed");
    if std::env::var_os("CI").is_some() { Err(why) } else { Ok(Some(why)) }
}

/// Builds the package for a trust check, and gives its folder; says nothing on the standard output.
pub fn package(ws: &Workspace, profile: Profile) -> Result<PathBuf, String> {
    eprintln!("building the npm package in {}", profile.place());
    build(ws, profile, |command| capture(command).map(drop))
}

/// Writes what is generated anew.
pub fn write(ws: &Workspace) -> Result<(), String> {
    let there = build(ws, Profile::Debug, show)?;
    for name in GENERATED {
        let to = ws.path(PACKAGE).join(name);
        let _old = fs::remove_dir_all(&to);
        copy(&there.join(name), &to).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// Builds the package as it is published, and lays that out.
pub fn release(ws: &Workspace) -> Result<(), String> {
    let there = build(ws, Profile::Release, show)?;
    layout(ws, &there).map(drop)
}

/// How the Rust part is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Debug,
    Release,
    /// With the bugs that trust checks plant.
    Planted {
        release: bool,
    },
}

impl Profile {
    const fn place(self) -> &'static str {
        match self {
            Self::Debug => "target/node/package",
            Self::Release => "target/node/release",
            Self::Planted { .. } => "target/node/planted",
        }
    }
}

/// Builds the package in a folder below `target`, and gives that. Programs are run with `run`.
fn build(
    ws: &Workspace,
    profile: Profile,
    run: fn(&mut Command) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let (from, there) = (ws.path(PACKAGE), ws.path(profile.place()));
    fs::create_dir_all(&there).map_err(|e| e.to_string())?;
    for name in SOURCES {
        let to = there.join(name);
        let _old = fs::remove_dir_all(&to);
        copy(&from.join(name), &to).map_err(|e| format!("{PACKAGE}/{name}: {e}"))?;
    }
    run(&mut npm(ws, &there, &["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    let manifest = from.join("Cargo.toml");
    let manifest = manifest.to_str().ok_or("the folder's name is no text")?;
    let napi = ["napi", "build", "--platform", "--manifest-path", manifest, "--output-dir", "."];
    let mut napi = npx(ws, &there, &napi);
    if let Profile::Planted { .. } = profile {
        let target = ws.planted(&mut napi);
        napi.arg("--target-dir").arg(target);
    }
    if matches!(profile, Profile::Release | Profile::Planted { release: true }) {
        napi.arg("--release");
    }
    run(napi.args(["--js", "native.js", "--dts", "native.d.ts"]))?;
    let _old = fs::remove_dir_all(there.join("types"));
    run(&mut npm(ws, &there, &["run", "types"]))?;
    Ok(there)
}

/// What is generated is what is committed.
fn compare(ws: &Workspace, there: &Path) -> Result<(), String> {
    for name in GENERATED {
        let (made, kept) = (files(&there.join(name))?, files(&ws.path(PACKAGE).join(name))?);
        if made != kept {
            return Err(format!("{PACKAGE}/{name} is not what the sources make: run cargo xtask node"));
        }
    }
    Ok(())
}

/// Lays out what is published, in a folder below `target`, and gives the packages.
fn layout(ws: &Workspace, there: &Path) -> Result<Vec<PathBuf>, String> {
    let to = ws.path("target/node/published");
    let place = to.to_str().ok_or("the folder's name is no text")?;
    show(&mut inside(ws, "node", there, &["npm/layout.mjs", place]))?;
    let packages = fs::read_dir(&to).and_then(|all| all.map(|entry| Ok(entry?.path())).collect());
    packages.map_err(|e| format!("{place}: {e}"))
}

/// Packs packages, installs them in an empty folder and runs the README's first program there; gives their size.
fn from_empty_folder(ws: &Workspace, packages: &[PathBuf]) -> Result<u64, String> {
    let empty = ws.path("target/node/empty");
    let _old = fs::remove_dir_all(&empty);
    fs::create_dir_all(&empty).map_err(|e| e.to_string())?;
    let place = empty.to_str().ok_or("the folder's name is no text")?;
    let (mut tarballs, mut size) = (Vec::new(), 0);
    for package in packages {
        let pack = ["pack", "--loglevel=error", "--pack-destination", place];
        let packed = capture(&mut npm(ws, package, &pack))?;
        let tarball = packed.lines().last().unwrap_or_default().trim();
        size += fs::metadata(empty.join(tarball)).map_err(|e| format!("{tarball}: {e}"))?.len();
        tarballs.push(format!("./{tarball}"));
    }
    fs::write(empty.join("package.json"), r#"{"private": true, "type": "module"}"#)
        .map_err(|e| e.to_string())?;
    // What is not published yet cannot be fetched: the parts of other platforms are left out.
    let mut install = npm(ws, &empty, &["install", "--omit=optional", "--no-audit", "--no-fund"]);
    show(install.arg("--loglevel=error").args(&tarballs))?;
    let readme = ws.read(&format!("{PACKAGE}/README.md"))?;
    let program = readme.split("```js\n").nth(1).and_then(|rest| rest.split("```").next());
    fs::write(empty.join("first.js"), program.ok_or("the README has no program")?)
        .map_err(|e| e.to_string())?;
    let said = ran(inside(ws, "node", &empty, &["first.js"]))?;
    if !said.contains("whatsminer") || !said.contains("summary") {
        return Err(format!("the README's program found nothing:\n{said}"));
    }
    Ok(size)
}

fn ran(mut command: Command) -> Result<String, String> {
    let ended = output(&mut command, Some(WITHIN))?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() {
        return Ok(said);
    }
    Err(format!("ended with {}\n{said}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr)))
}

fn npm(ws: &Workspace, there: &Path, args: &[&str]) -> Command {
    inside(ws, "npm", there, args)
}

fn npx(ws: &Workspace, there: &Path, args: &[&str]) -> Command {
    let mut command = inside(ws, "npx", there, &["--no-install"]);
    command.args(args);
    command
}

fn inside(ws: &Workspace, program: &str, there: &Path, args: &[&str]) -> Command {
    let mut command = ws.program(program, args);
    command.current_dir(there);
    command
}

/// A file, or all of a folder, by name.
fn files(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let wrong = |e: io::Error| format!("{}: {e}", path.display());
    if !path.is_dir() {
        return Ok(vec![(
            path.file_name().map(PathBuf::from).unwrap_or_default(),
            fs::read(path).map_err(wrong)?,
        )]);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let inner = files(&entry.path())?.into_iter();
        all.extend(inner.map(|(name, bytes)| (Path::new(&entry.file_name()).join(name), bytes)));
    }
    all.sort();
    Ok(all)
}

/// Copies a file, or a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
