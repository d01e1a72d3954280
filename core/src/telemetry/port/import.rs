//! Lines of MiningOS's logs, taken into the histories.

use std::io::BufRead;

use super::{
    code,
    line::{self, Line, MOST_LINE, Read},
};
use crate::{
    Error, ErrorKind, Result,
    history::{self, History, Sample},
    telemetry::{Inner, Telemetry},
};

pub(super) const OP: &str = "telemetry.import";

/// Pieces of a history's own work after each commit.
const STEPS: usize = 4;
/// Pieces of work until room is made, at most.
const MOST_STEPS: usize = 1 << 20;

/// How an import is done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImportOptions {
    /// A commit after so many rows; 10,000.
    pub commit_rows: usize,
    /// Whether the first row that cannot be taken is an error; it is skipped and named otherwise, which is the default.
    pub strict: bool,
    /// How many reasons [`Imported::skipped`] holds; 1,000. All are counted.
    pub max_skipped: usize,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { commit_rows: 10_000, strict: false, max_skipped: 1_000 }
    }
}

/// What an import took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Lines that were read, empty ones too.
    pub lines: u64,
    /// Readings that were taken.
    pub readings: u64,
    /// Rows of statistics that were taken.
    pub rows: u64,
    /// Readings and rows that were there already.
    pub same: u64,
    /// What could not be taken: the number of the line, from 1, and why.
    pub skipped: Vec<(u64, String)>,
    /// How many were skipped, those that are not in the list too.
    pub skipped_count: u64,
}

impl Telemetry {
    /// Takes readings and statistics of MiningOS: lines of JSON, `{"thing": id, "rows": [{"ts", "err", "snap"}]}` or
    /// `{"key", "type", "tag", "rows": [{"ts", …}]}`. What is there already is not taken twice, so an import that
    /// stopped can be repeated. Blocks until it is done; collecting goes on.
    ///
    /// A reading is skipped where one of ours follows that leaves its texts to the one before: with it between them,
    /// that one would seem to say something else.
    ///
    /// # Errors
    /// With `line`, `readings` and `rows` in the context: what was taken before stays. `ERR_IMPORT_INPUT` when the input
    /// could not be read; with [`strict`](ImportOptions::strict), `ERR_IMPORT_LINE` for what cannot be taken; those of
    /// the history.
    pub fn import(&self, from: &mut dyn BufRead, options: &ImportOptions) -> Result<Imported> {
        if options.commit_rows == 0 {
            return Err(Error::invalid(OP, "commit_rows", "is at least 1"));
        }
        let mut import = Import { inner: &self.0, options, done: Imported::default(), waiting: 0 };
        let ended = import.run(from);
        let ended = ended.and(import.commit());
        let done = import.done;
        let said =
            |e: Error| e.with("line", done.lines).with("readings", done.readings).with("rows", done.rows);
        ended.map_err(said)?;
        Ok(done)
    }
}

/// An import under way.
pub(super) struct Import<'a> {
    pub inner: &'a Inner,
    options: &'a ImportOptions,
    pub done: Imported,
    waiting: usize,
}

impl Import<'_> {
    fn run(&mut self, from: &mut dyn BufRead) -> Result<()> {
        let mut buffer = Vec::new();
        loop {
            let read = line::read(from, MOST_LINE, &mut buffer).map_err(|e| {
                let text = format!("the input could not be read: {e}. What was taken stays; import again");
                Error::new(ErrorKind::Unreachable, OP, text).code_as(code::INPUT).caused_by(e)
            })?;
            if read == Read::End {
                return Ok(());
            }
            self.done.lines += 1;
            if read == Read::TooLong {
                self.skip("the line is longer than 64 MiB".into())?;
                continue;
            }
            let mark = if self.done.lines == 1 { &b"\xef\xbb\xbf"[..] } else { &[] };
            let text = buffer.strip_prefix(mark).unwrap_or(&buffer);
            if !text.trim_ascii().is_empty() {
                self.line(text)?;
            }
        }
    }

    fn line(&mut self, text: &[u8]) -> Result<()> {
        let line: Line<'_> = match serde_json::from_slice(text) {
            Ok(line) => line,
            Err(e) => return self.skip(format!("it is not a line of an export: {e}")),
        };
        match (line.thing, line.key, line.thing_type, line.tag) {
            (Some(thing), None, None, None) => self.readings(&thing, &line.rows.0),
            (None, Some(key), Some(of), Some(tag)) => self.results(&key, &of, &tag, &line.rows.0),
            _ => self.skip("it has neither thing alone nor key, type and tag".into()),
        }
    }

    /// Goes on without what cannot be taken, or ends.
    pub fn skip(&mut self, why: String) -> Result<()> {
        if self.options.strict {
            let text = format!("line {} cannot be taken: {why}", self.done.lines);
            return Err(Error::new(ErrorKind::Invalid, OP, text).code_as(code::LINE));
        }
        self.done.skipped_count += 1;
        if self.done.skipped.len() < self.options.max_skipped {
            self.done.skipped.push((self.done.lines, why));
        }
        Ok(())
    }

    /// Appends a sample, with room made for it where needed; says why when it can never be kept.
    pub fn append(
        &mut self,
        history: &History,
        sample: Sample<'_>,
    ) -> Result<std::result::Result<(), String>> {
        let mut taken = history.append(&[sample]);
        if taken.as_ref().is_err_and(|e| e.code() == history::code::BOUND) {
            self.make_room(history)?;
            taken = history.append(&[sample]);
        }
        match taken {
            Err(e) if e.kind() == ErrorKind::Invalid => Ok(Err(e.message().to_owned())),
            Err(e) => Err(e),
            Ok(_) => {
                self.waiting += 1;
                Ok(Ok(()))
            }
        }
    }

    /// Commits when enough rows wait.
    pub fn commit_some(&mut self) -> Result<()> {
        if self.waiting >= self.options.commit_rows { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<()> {
        self.waiting = 0;
        for history in [&self.inner.raw, &self.inner.rows] {
            match history.commit() {
                Err(e) if e.code() == history::code::FULL => {
                    self.make_room(history)?;
                    history.commit()?;
                }
                committed => committed?,
            }
            self.maintain(history, STEPS)?;
        }
        Ok(())
    }

    /// Seals all logs: one holds samples of a bounded number of days, and all together are bounded.
    fn make_room(&self, history: &History) -> Result<()> {
        // A log with nothing but what waits is sealed by this, and what cannot be committed yet waits for that.
        self.maintain(history, MOST_STEPS)?;
        history.rotate(self.inner.cx.clock.wall())?;
        self.maintain(history, MOST_STEPS)
    }

    fn maintain(&self, history: &History, steps: usize) -> Result<()> {
        let now = self.inner.cx.clock.wall();
        for _ in 0..steps {
            match history.maintain(now) {
                Ok(None) => break,
                Ok(Some(_)) => {}
                // Said once for each day and log; it stays as it is.
                Err(e) if e.code() == history::code::CORRUPT => self.inner.failed(&e, "import"),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
