use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::Duration,
};

use crate::watch::{self, Watch};

/// What comes out of a process.
#[derive(Debug)]
pub enum Out {
    /// A whole line.
    Line(String),
    /// Nothing until now.
    Nothing,
    /// It ended.
    Ended,
}

/// A process of a check, whose part reads a line with how it is to begin.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
    reader: JoinHandle<()>,
    born: Watch,
}

impl Process {
    /// Starts a part in `dir`, with some variables in its environment.
    pub fn start(
        part: &str,
        dir: &Path,
        setup: &str,
        variables: &[(&str, OsString)],
    ) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command.args(["child", part]).arg(dir).envs(variables.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        let input = child.stdin.take().ok_or("no input")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (send, lines) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            // A line without its end was cut by the kill.
            while output.read_line(&mut line).is_ok_and(|n| n > 0) && line.ends_with('\n') {
                line.pop();
                if send.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { child, input, lines, reader, born: Watch::start() };
        process.say(setup);
        Ok(process)
    }

    /// Says a line. One that was killed does not hear it.
    pub fn say(&mut self, line: &str) {
        let _unheard = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
    }

    /// Waits a little for the next line.
    pub fn next(&self, wait: Duration) -> Out {
        match self.lines.recv_timeout(wait) {
            Ok(line) => Out::Line(line),
            Err(mpsc::RecvTimeoutError::Timeout) => Out::Nothing,
            Err(mpsc::RecvTimeoutError::Disconnected) => Out::Ended,
        }
    }

    /// For how long it lives, ms.
    pub fn age_ms(&self) -> u64 {
        self.born.ms()
    }

    /// Bytes of the files that it has open and that have no name any more, where the system tells.
    pub fn unlinked(&self) -> u64 {
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", self.child.id())) else { return 0 };
        let gone =
            |path: &Path| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().ends_with(" (deleted)"));
        let open = open.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| gone(path));
        open.filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).sum()
    }

    /// Kills it; gives what it had said before.
    pub fn kill(mut self) -> Result<Vec<String>, String> {
        watch::end(&mut self.child);
        let said = self.lines.iter().collect();
        self.reader.join().map_err(|_| "the reader of a process ended")?;
        Ok(said)
    }
}
