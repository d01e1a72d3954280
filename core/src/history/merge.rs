//! Files of a day become one: parts while the day lasts, its own file after.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use super::{
    catalog::Core, chunk::ChunkRef, fault::gone, index::Entry, name::Kind, seal::CHUNK_VALUES,
    sealed::Sealed, table::Table, types::Maintained, writer::Writer,
};
use crate::Result;

/// Chunks of parts with at least so many rows are copied as they are.
const ENOUGH_ROWS: u64 = 128;

/// Files of a day on their way into one.
pub(super) struct MergeJob {
    pub day: i32,
    kind: Kind,
    walks: Vec<Walk>,
    writer: Option<Writer>,
    table: Table,
}

/// Goes through a file in its owners' order.
struct Walk {
    file: Arc<Sealed>,
    block: usize,
    entries: VecDeque<Entry>,
}

impl Walk {
    fn peek(&mut self, core: &Core) -> Result<Option<&str>> {
        while self.entries.is_empty() {
            if self.block >= self.file.blocks(&core.files)? {
                return Ok(None);
            }
            self.entries = self.file.block(&core.files, self.block)?.into();
            self.block += 1;
        }
        Ok(self.entries.front().map(|(owner, _)| &**owner))
    }

    fn take(&mut self, core: &Core, owner: &str, out: &mut Vec<(Arc<Sealed>, ChunkRef)>) -> Result<()> {
        while self.peek(core)? == Some(owner) {
            out.extend(self.entries.pop_front().map(|(_, chunk)| (self.file.clone(), chunk)));
        }
        Ok(())
    }
}

impl MergeJob {
    pub fn new(kind: Kind, day: i32, files: Vec<Arc<Sealed>>) -> Self {
        let walk = |file| Walk { file, block: 0, entries: VecDeque::new() };
        let walks = files.into_iter().map(walk).collect();
        Self { day, kind, walks, writer: None, table: Table::default() }
    }

    /// Handles about so many values; says when all is done.
    pub fn step(&mut self, core: &Arc<Core>, now: i64, mut budget: usize) -> Result<Option<Maintained>> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::new(core, self.kind, self.day)?,
        };
        while budget > 0 {
            let Some(owner) = self.next_owner(core)? else { return self.finish(core, now, writer).map(Some) };
            let mut chunks = Vec::new();
            for walk in &mut self.walks {
                walk.take(core, &owner, &mut chunks)?;
            }
            chunks.sort_by_key(|(_, chunk)| (chunk.first, chunk.last));
            let values: u64 = chunks.iter().map(|(_, chunk)| u64::from(chunk.values.max(chunk.rows))).sum();
            budget = budget.saturating_sub(usize::try_from(values).unwrap_or(usize::MAX));
            self.owner(core, &mut writer, &owner, chunks)?;
        }
        self.writer = Some(writer);
        Ok(Some(Maintained::Working))
    }

    fn next_owner(&mut self, core: &Core) -> Result<Option<Box<str>>> {
        let mut next: Option<Box<str>> = None;
        for walk in &mut self.walks {
            if let Some(owner) = walk.peek(core)?
                && next.as_deref().is_none_or(|next| owner < next)
            {
                next = Some(owner.into());
            }
        }
        Ok(next)
    }

    fn owner(
        &mut self,
        core: &Core,
        writer: &mut Writer,
        owner: &str,
        chunks: Vec<(Arc<Sealed>, ChunkRef)>,
    ) -> Result<()> {
        let rows: u64 = chunks.iter().map(|(_, chunk)| u64::from(chunk.rows)).sum();
        let copy = matches!(self.kind, Kind::Part { .. }) && rows >= ENOUGH_ROWS * chunks.len() as u64;
        for (file, chunk) in chunks {
            if copy {
                let (shape, bytes) = file.raw(&core.files, &chunk)?;
                writer.copy(owner, &chunk, &shape, &bytes)?;
                continue;
            }
            let (shape, rows) = file.chunk(&core.files, &chunk)?;
            self.table.extend(&shape, rows);
            if self.table.values() >= CHUNK_VALUES {
                writer.add(owner, &mut self.table)?;
            }
        }
        writer.add(owner, &mut self.table)
    }

    /// The new file takes the place of the old ones.
    fn finish(&mut self, core: &Arc<Core>, now: i64, writer: Writer) -> Result<Maintained> {
        let old: Vec<Arc<Sealed>> = self.walks.drain(..).map(|walk| walk.file).collect();
        let logs: BTreeSet<u32> =
            old.iter().filter_map(|f| f.info.as_ref()).flat_map(|i| i.logs.clone()).collect();
        let numbers = old.iter().map(|file| file.number).collect();
        let made = writer.finish(now, (logs.into_iter().collect(), numbers), || {
            // Named after its day went to make room, a crash could bring that back.
            old.iter().try_for_each(|file| is_there(core, self.day, file))
        })?;
        let (file, bytes, from) = (made.name().to_owned(), made.bytes, old.len());
        let swapped = core.sync_dir().and_then(|()| {
            let mut catalog = core.catalog();
            let is_old = |file: &Arc<Sealed>| old.iter().any(|old| Arc::ptr_eq(old, file));
            let files = catalog.days.get_mut(&self.day);
            let files = files.filter(|files| files.iter().filter(|file| is_old(file)).count() == old.len());
            let files = files.ok_or_else(|| gone(&file))?;
            files.retain(|file| !is_old(file));
            files.push(Arc::new(made));
            Ok(())
        });
        if let Err(e) = swapped {
            core.unlink(file, bytes)?;
            return Err(e);
        }
        let mut outcome = Ok(());
        for file in &old {
            file.handle.retire();
            outcome = outcome.and(core.unlink(file.name().into(), file.bytes));
        }
        outcome?;
        core.settle()?;
        Ok(match self.kind {
            Kind::Day { .. } => Maintained::DayMade { file, from },
            _ => Maintained::Merged { file, from },
        })
    }
}

/// That a day still has a file.
fn is_there(core: &Core, day: i32, file: &Arc<Sealed>) -> Result<()> {
    let catalog = core.catalog();
    let there =
        catalog.days.get(&day).is_some_and(|files| files.iter().any(|known| Arc::ptr_eq(known, file)));
    if there { Ok(()) } else { Err(gone(file.name())) }
}
