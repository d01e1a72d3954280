//! An archive of actions in one file, which outlives the process.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    action::{ActionArchive, ArchiveDocument},
    io::Timestamp,
};

/// The file, in the folder of the store.
const FILE: &str = "archive";
const OP: &str = "trust.archive";

/// See the module. Each document is one line: its time, its name and itself, with tabs between.
#[derive(Debug)]
pub struct Shelf(PathBuf);

impl Shelf {
    pub fn new(dir: &Path) -> Self {
        Self(dir.join(FILE))
    }

    fn put(&self, at: Timestamp, documents: &[ArchiveDocument]) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0)?;
        // A line that a kill cut ends here, and is none.
        file.write_all(b"\n")?;
        for ArchiveDocument { name, json } in documents {
            writeln!(file, "{}\t{name}\t{json}", at.0)?;
        }
        file.sync_all()
    }
}

#[async_trait]
impl ActionArchive for Shelf {
    async fn keep(&self, at: Timestamp, documents: Vec<ArchiveDocument>) -> Result<()> {
        self.put(at, &documents)
            .map_err(|e| Error::new(ErrorKind::Unreachable, OP, "it cannot be kept").caused_by(e))
    }

    fn read(&self, name: &str, times: RangeInclusive<i64>) -> Result<Vec<(Timestamp, String)>> {
        let unread = |e| Error::new(ErrorKind::Corrupt, OP, "it cannot be read").caused_by(e);
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(unread(e)),
        };
        let mut found = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(unread)?;
            let mut parts = line.splitn(3, '\t');
            let (Some(Ok(at)), Some(known), Some(json)) =
                (parts.next().map(str::parse::<i64>), parts.next(), parts.next())
            else {
                continue;
            };
            if known == name && times.contains(&at) {
                found.push((Timestamp(at), json.to_owned()));
            }
        }
        Ok(found)
    }
}
