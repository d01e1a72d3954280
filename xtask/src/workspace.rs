//! Where the repository is, and how programs are run in it.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The repository that the commands work on.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    cargo: OsString,
}

impl Workspace {
    /// The workspace of the running program: the folder above its manifest, else the current one.
    pub fn find() -> Result<Self, String> {
        let root = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => Path::new(&manifest).join(".."),
            None => PathBuf::from("."),
        };
        let root = root.canonicalize().map_err(|e| format!("{}: {e}", root.display()))?;
        if !root.join("xtask/Cargo.toml").is_file() {
            return Err("start it as 'cargo xtask' inside the repository".into());
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self { root, cargo })
    }

    /// A path inside the repository.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The text of a file of the repository.
    pub fn read(&self, relative: &str) -> Result<String, String> {
        fs::read_to_string(self.path(relative)).map_err(|e| format!("{relative}: {e}"))
    }

    /// `cargo` with arguments.
    pub fn cargo(&self, args: &[&str]) -> Command {
        self.program(self.cargo.clone(), args)
    }

    /// A program, to be started in the root. It sees the captures where they stand beside the repository.
    pub fn program(&self, name: impl Into<OsString>, args: &[&str]) -> Command {
        let mut command = Command::new(name.into());
        command.args(args).current_dir(&self.root);
        for (name, value) in self.neighbours() {
            command.env(name, value);
        }
        command
    }

    /// Has a program that builds build the planted bugs in, into a folder of their own, which is given: two builds would
    /// throw away each other's work.
    pub fn planted(&self, command: &mut Command) -> PathBuf {
        let (flags, target) = (std::env::var("RUSTFLAGS").unwrap_or_default(), self.path("target/planted"));
        command.env("RUSTFLAGS", format!("{flags} --cfg planted").trim_start());
        command.env("CARGO_TARGET_DIR", &target);
        target
    }

    /// Variables that point to reference material beside the repository, where it exists and they are not set.
    pub fn neighbours(&self) -> Vec<(&'static str, PathBuf)> {
        let Some(beside) = self.root.parent() else { return Vec::new() };
        let shared = beside.join("shared");
        [("HEADFRAME_SHARED", shared.clone()), ("HEADFRAME_CAPTURES", shared.join("captures"))]
            .into_iter()
            .filter(|(name, folder)| std::env::var_os(name).is_none() && folder.is_dir())
            .collect()
    }

    /// Where tests find captures, if they find any.
    pub fn captures(&self) -> Option<PathBuf> {
        let set = std::env::var_os("HEADFRAME_CAPTURES").map(PathBuf::from);
        set.or_else(|| {
            self.neighbours().into_iter().find(|(n, _)| *n == "HEADFRAME_CAPTURES").map(|(_, f)| f)
        })
    }
}

/// Runs a program with its output shown.
pub fn show(command: &mut Command) -> Result<(), String> {
    println!("$ {}", line(command));
    let status = command.status().map_err(|e| format!("{}: {e}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", line(command))) }
}

/// Runs a program and gives what it printed.
pub fn capture(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{}: {e}", line(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{} ended with {}\n{why}", line(command), output.status))
}

/// Runs a program with its output shown, and ends it when it takes longer than `within`. Gives what it printed too.
pub fn watched(command: &mut Command, within: Option<Duration>) -> Result<Output, String> {
    run(command, within, [|bytes| print(&mut io::stdout(), bytes), |bytes| print(&mut io::stderr(), bytes)])
}

/// The same, with nothing shown.
pub fn output(command: &mut Command, within: Option<Duration>) -> Result<Output, String> {
    run(command, within, [|_| (), |_| ()])
}

/// What is done with a part of an output as it comes.
type Echo = fn(&[u8]);

fn run(command: &mut Command, within: Option<Duration>, [out, err]: [Echo; 2]) -> Result<Output, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let (out, err) = (read(child.stdout.take(), out), read(child.stderr.take(), err));
    let ended = end(&mut child, within);
    let bytes = |reader: thread::JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    let (stdout, stderr) = (bytes(out), bytes(err));
    let said = String::from_utf8_lossy(&stderr).into_owned();
    let status = ended.map_err(|why| format!("{why}\n{said}"))?;
    Ok(Output { status, stdout, stderr })
}

fn read(pipe: Option<impl Read + Send + 'static>, echo: Echo) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        let Some(mut pipe) = pipe else { return bytes };
        // What was read before an error is shown all the same.
        while let Some(n) = pipe.read(&mut part).ok().filter(|n| *n > 0) {
            echo(&part[..n]);
            bytes.extend_from_slice(&part[..n]);
        }
        bytes
    })
}

/// Shows a part of an output. Nobody is left to tell when that fails.
fn print(to: &mut impl Write, bytes: &[u8]) {
    let _ = to.write_all(bytes).and_then(|()| to.flush());
}

#[allow(clippy::disallowed_methods, reason = "it is real time that a hanging program takes")]
fn end(child: &mut Child, within: Option<Duration>) -> Result<ExitStatus, String> {
    let Some(within) = within else { return child.wait().map_err(|e| e.to_string()) };
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        if start.elapsed() > within {
            let killed = child.kill().and_then(|()| child.wait());
            let told = killed.map_or_else(|e| format!(", and cannot be ended: {e}"), |_| String::new());
            return Err(format!("did not end within {} s{told}", within.as_secs()));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Keys of one table of a manifest, such as the features in `[features]`. Knows only what manifests here use.
pub fn keys(manifest: &str, table: &str) -> Vec<String> {
    let header = format!("[{table}]");
    manifest
        .lines()
        .map(str::trim_end)
        .skip_while(|l| *l != header)
        .skip(1)
        .take_while(|l| !l.starts_with('['))
        .filter(|l| l.starts_with(|c: char| c.is_alphanumeric() || c == '"'))
        .filter_map(|l| Some(l.split_once('=')?.0.trim().trim_matches('"').to_owned()))
        .collect()
}

/// The text of `key = "…"`, wherever it first stands in a manifest.
pub fn text<'a>(manifest: &'a str, key: &str) -> Option<&'a str> {
    manifest.lines().find_map(|l| {
        let value = l.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
        value.strip_prefix('"')?.split('"').next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
[package]
name = \"x\"
rust-version = \"1.91\"

[features]
default = [\"net\"]
# Sockets.
net = [
    \"tokio/net\",
]
testkit = []

[dependencies]
serde.workspace = true
";

    #[test]
    fn reads_the_keys_of_one_table_only() {
        assert_eq!(keys(MANIFEST, "features"), ["default", "net", "testkit"]);
        assert_eq!(keys(MANIFEST, "bin"), Vec::<String>::new());
    }

    #[test]
    fn reads_a_text_value() {
        assert_eq!(text(MANIFEST, "rust-version"), Some("1.91"));
        assert_eq!(text(MANIFEST, "rust"), None);
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_what_it_said_is_kept() {
        let mut command = Command::new("sh");
        let told =
            output(command.args(["-c", "echo why >&2; exec sleep 60"]), Some(Duration::from_millis(300)));
        assert_eq!(told.unwrap_err(), "did not end within 0 s\nwhy\n");
        let mut command = Command::new("sh");
        let command = command.args(["-c", "echo why; echo how >&2; exit 3"]);
        let told = watched(command, Some(Duration::from_secs(60))).unwrap();
        assert_eq!(
            (told.status.code(), told.stdout, told.stderr),
            (Some(3), b"why\n".into(), b"how\n".into())
        );
        let told = output(Command::new("sh").args(["-c", "echo out"]), None).unwrap();
        assert_eq!(told.stdout, b"out\n");
    }

    #[test]
    fn a_failing_program_is_named() {
        let mut command = Command::new("headframe-no-such-program");
        assert!(show(command.arg("--x")).unwrap_err().starts_with("headframe-no-such-program --x: "));
    }
}
