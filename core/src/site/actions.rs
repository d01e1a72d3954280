//! The archive of a site's old actions: a history of its own, so that readings do not push them out.

use std::{ops::RangeInclusive, sync::Arc};

use async_trait::async_trait;

use crate::{
    Error, ErrorKind, Result,
    action::{ActionArchive, ArchiveDocument},
    history::{Disk, History, HistoryOptions, Sample, Shape},
    io::Timestamp,
};

/// Bound of the archive, bytes.
const BOUND: u64 = 4 << 30;
/// A document is cut into pieces of at most so many bytes.
const PIECE: usize = 512 << 10;
/// So many bytes at most wait for a commit.
const AT_ONCE: usize = 8 << 20;
/// What a piece begins with: it is the whole document, or its first, an inner or its last piece.
const WHOLE: char = '=';
const FIRST: char = '<';
const INNER: char = '+';
const LAST: char = '>';

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct OldActions {
    history: Arc<History>,
    inline: bool,
}

impl OldActions {
    /// Opens the archive in a folder, or makes one where there is none.
    pub fn open(disk: Arc<dyn Disk>, now: Timestamp, inline: bool) -> Result<Self> {
        let options = HistoryOptions { bound_bytes: BOUND, ..HistoryOptions::default() };
        let old = Self { history: Arc::new(History::open_or_create(disk, options, now)?), inline };
        // Each start begins a log; those of earlier ones are put away now, as nobody may add anything for long.
        if let Err(error) = old.tidy(now) {
            tracing::warn!(%error, "the archive of actions is tidied later");
        }
        Ok(old)
    }

    /// Does what is due; nothing else changes it than who adds to it.
    fn tidy(&self, now: Timestamp) -> Result<()> {
        while self.history.maintain(now)?.is_some() {}
        Ok(())
    }

    pub const fn history(&self) -> &Arc<History> {
        &self.history
    }

    fn write(&self, at: Timestamp, documents: &[ArchiveDocument]) -> Result<()> {
        let shape = Shape::new::<&str>([])?;
        let mut waiting = 0;
        for document in documents {
            for text in pieces(&document.json) {
                let sample =
                    Sample { owner: &document.name, ts: at, shape: &shape, values: &[], texts: Some(&text) };
                self.history.append(&[sample])?;
                waiting += text.len();
                if waiting >= AT_ONCE {
                    self.history.commit()?;
                    waiting = 0;
                }
            }
        }
        self.history.commit()?;
        self.tidy(at)
    }
}

#[async_trait]
impl ActionArchive for OldActions {
    async fn keep(&self, at: Timestamp, documents: Vec<ArchiveDocument>) -> Result<()> {
        if self.inline {
            return self.write(at, &documents);
        }
        let owned = self.clone();
        let written = tokio::task::spawn_blocking(move || owned.write(at, &documents));
        let ended = |e| {
            Error::new(ErrorKind::Internal, "action.archive", "the archive came to a bad end").caused_by(e)
        };
        written.await.map_err(ended)?
    }

    fn read(&self, name: &str, times: RangeInclusive<i64>) -> Result<Vec<(Timestamp, String)>> {
        let range = Timestamp(*times.start())..Timestamp(times.end().saturating_add(1));
        let (mut documents, mut open) = (Vec::new(), String::new());
        for (at, text) in self.history.texts_in(name, range)? {
            let mut piece = text.chars();
            let mark = piece.next();
            if matches!(mark, Some(WHOLE | FIRST)) {
                // The rest of one before did not get here.
                open.clear();
            }
            open.push_str(piece.as_str());
            if matches!(mark, Some(WHOLE | LAST)) {
                documents.push((at, std::mem::take(&mut open)));
            }
        }
        Ok(documents)
    }
}

/// The pieces of a text, each with its mark.
fn pieces(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut left = Some(text);
    std::iter::from_fn(move || {
        let whole = left?;
        let (piece, rest) = whole.split_at(whole.floor_char_boundary(PIECE));
        left = Some(rest).filter(|rest| !rest.is_empty());
        let mark = match (whole.len() == text.len(), left.is_none()) {
            (true, true) => WHOLE,
            (true, false) => FIRST,
            (false, false) => INNER,
            (false, true) => LAST,
        };
        Some(format!("{mark}{piece}"))
    })
}

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests {
    use super::*;
    use crate::history::MemDisk;

    const NOON: i64 = 1_764_158_400_000;

    fn open(disk: &MemDisk) -> OldActions {
        OldActions::open(Arc::new(disk.clone()), Timestamp(NOON), true).unwrap()
    }

    fn document(name: &str, json: &str) -> ArchiveDocument {
        ArchiveDocument { name: name.into(), json: json.into() }
    }

    fn read(old: &OldActions, name: &str, times: RangeInclusive<i64>) -> Vec<(i64, String)> {
        old.read(name, times).unwrap().into_iter().map(|(at, json)| (at.0, json)).collect()
    }

    #[tokio::test]
    async fn documents_come_back_by_name_and_time_over_restarts_and_days() {
        let disk = MemDisk::new(1);
        // Characters of three bytes, which no piece may cut.
        let long = "€".repeat(PIECE);
        let old = open(&disk);
        old.keep(Timestamp(NOON), vec![document("a", "[1]"), document("b", &long)]).await.unwrap();
        old.keep(Timestamp(NOON + 5), vec![document("a", "")]).await.unwrap();
        for turn in 0..3 {
            let day = NOON + turn * 86_400_000;
            old.keep(Timestamp(day + 10), vec![document("a", &format!("[{turn}]"))]).await.unwrap();
        }
        assert!(old.history().stats().days > 1, "some are sealed");
        old.history().close().unwrap();
        let old = open(&disk);
        assert_eq!(read(&old, "a", NOON..=NOON + 9), [(NOON, "[1]".into()), (NOON + 5, String::new())]);
        assert_eq!(read(&old, "b", 0..=i64::MAX), [(NOON, long)]);
        let days: Vec<String> = read(&old, "a", NOON + 6..=i64::MAX).into_iter().map(|(_, j)| j).collect();
        assert_eq!(days, ["[0]", "[1]", "[2]"]);
        assert!(read(&old, "c", 0..=i64::MAX).is_empty());
    }

    #[tokio::test]
    async fn starts_leave_nothing_behind() {
        let disk = MemDisk::new(1);
        for turn in 0..20 {
            let old = open(&disk);
            if turn == 3 {
                old.keep(Timestamp(NOON), vec![document("a", "kept")]).await.unwrap();
            }
            old.history().close().unwrap();
        }
        let old = open(&disk);
        assert_eq!(old.history().stats().logs, 1);
        assert_eq!(read(&old, "a", NOON..=NOON), [(NOON, "kept".into())]);
        assert!(disk.list().unwrap().len() <= 3, "{:?}", disk.list().unwrap());
    }

    #[tokio::test]
    async fn what_was_kept_in_part_is_none() {
        let old = open(&MemDisk::new(1));
        let shape = Shape::new::<&str>([]).unwrap();
        let sample =
            Sample { owner: "a", ts: Timestamp(NOON), shape: &shape, values: &[], texts: Some("<begun") };
        old.history.append(&[sample]).unwrap();
        old.keep(Timestamp(NOON + 1), vec![document("a", "whole")]).await.unwrap();
        assert_eq!(read(&old, "a", 0..=i64::MAX), [(NOON + 1, "whole".into())]);
    }
}
