//! A log becomes parts: one for each day that it has samples of.

use std::sync::Arc;

use super::{
    catalog::Core,
    fault::{OP_MAINTAIN, corrupt, failed},
    log::Log,
    name::{Kind, day_of},
    record::Record,
    sealed::Sealed,
    table::Table,
    types::Maintained,
    writer::Writer,
};
use crate::{
    Result,
    planted::{Bug, planted},
};

/// Values of one owner that are made into one chunk at most.
pub(super) const CHUNK_VALUES: usize = 1 << 20;

/// A log on its way into parts.
pub(super) struct SealJob {
    pub log: Arc<Log>,
    bytes: Vec<u8>,
    /// Owner, place of its last record, first and last day; in the owners' order.
    owners: Vec<(Arc<str>, u64, i32, i32)>,
    days: Vec<i32>,
    owner: usize,
    writer: Option<Writer>,
    table: Table,
    made: Vec<Sealed>,
    values: Vec<f64>,
}

impl SealJob {
    pub fn new(core: &Core, log: Arc<Log>) -> Result<Self> {
        let (written, mut owners, days) = {
            let state = log.state();
            let heads = state.heads.iter().filter(|head| head.at > 0);
            let owners: Vec<_> =
                heads.map(|h| (h.owner.clone(), h.at, day_of(h.first), day_of(h.last))).collect();
            (state.written, owners, state.days.keys().copied().collect::<Vec<_>>())
        };
        owners.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut bytes = vec![0; usize::try_from(written).unwrap_or(0)];
        let read = log
            .handle
            .peek(|open| open.file.read_at(&mut bytes, 0).map_err(|e| failed(OP_MAINTAIN, log.name(), e)));
        read.unwrap_or_else(|| Err(corrupt(log.name(), "it is closed")))?;
        if planted(Bug::RemoveFirst) {
            core.unlink(log.name().into(), 0)?;
        }
        let (owner, writer, table, made) = (0, None, Table::default(), Vec::new());
        Ok(Self { log, bytes, owners, days, owner, writer, table, made, values: Vec::new() })
    }

    /// Handles about so many values; says when all is done.
    pub fn step(&mut self, core: &Arc<Core>, now: i64, mut budget: usize) -> Result<Option<Maintained>> {
        while let Some(day) = self.days.get(self.made.len()).copied() {
            let mut writer = match self.writer.take() {
                Some(writer) => writer,
                None => Writer::new(core, Kind::Part { day }, day)?,
            };
            while let Some((owner, at, first, last)) = self.owners.get(self.owner).cloned() {
                if budget == 0 {
                    self.writer = Some(writer);
                    return Ok(Some(Maintained::Working));
                }
                self.owner += 1;
                if (first..=last).contains(&day) {
                    let values = self.owner(&mut writer, &owner, at, day)?;
                    budget = budget.saturating_sub(values);
                }
            }
            self.made.push(writer.finish(now, (vec![self.log.header.number], Vec::new()), || Ok(()))?);
            self.owner = 0;
        }
        self.swap(core).map(Some)
    }

    /// Adds the rows that an owner has of a day; gives how many values were looked at.
    fn owner(&mut self, writer: &mut Writer, owner: &str, last: u64, day: i32) -> Result<usize> {
        let bad = || corrupt(self.log.name(), "a record is not what was written");
        let mut places = Vec::new();
        let mut at = Some(last);
        while let Some(here) = at {
            let bytes = usize::try_from(here).ok().and_then(|here| self.bytes.get(here..));
            let record = bytes.and_then(Record::parse).ok_or_else(bad)?;
            if day_of(record.head.ts) == day {
                places.push(record.clone());
            }
            at = match record.head.back {
                0 => None,
                back => Some(here.checked_sub(back).ok_or_else(bad)?),
            };
        }
        let mut seen = 0;
        for record in places.into_iter().rev() {
            let head = record.head;
            let shape = self.log.shape(head.shape)?;
            self.values.clear();
            let text = record.content(shape.len(), &mut self.values).ok_or_else(bad)?;
            self.table.push(head.ts, self.log.sequence(head.index), &shape, &self.values, text);
            seen += shape.len().max(1);
            if self.table.values() >= CHUNK_VALUES {
                writer.add(owner, &mut self.table)?;
            }
        }
        writer.add(owner, &mut self.table)?;
        Ok(seen)
    }

    /// The parts take the log's place.
    fn swap(&mut self, core: &Arc<Core>) -> Result<Maintained> {
        core.sync_dir()?;
        let parts = self.made.len();
        let number = self.log.header.number;
        {
            let mut catalog = core.catalog();
            for part in self.made.drain(..) {
                catalog.days.entry(part.day).or_default().push(Arc::new(part));
            }
            catalog.logs.remove(&number);
        }
        self.log.handle.retire();
        // From here on the log is sealed, whether or not its file can be removed now.
        core.unlink(self.log.name().into(), self.log.state().written)?;
        core.settle()?;
        Ok(Maintained::Sealed { log: number, parts })
    }

    /// Removes what was made: the log stays as it is.
    pub fn abandon(&mut self, core: &Arc<Core>) {
        self.writer = None;
        for part in self.made.drain(..) {
            if let Err(e) = core.unlink(part.name().into(), part.bytes) {
                tracing::warn!(error = %e, "a part of a log that could not be sealed is removed later");
            }
        }
    }
}
