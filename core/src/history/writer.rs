//! Writes a sealed file, owner by owner in their order, under a name that makes it nobody's until it is whole.

use std::{collections::HashMap, sync::Arc};

use super::{
    catalog::Core,
    chunk::{self, ChunkRef, Place},
    column::{Codec, Scratch},
    disk::DiskFile,
    fault::{OP_MAINTAIN, failed},
    handle::Handle,
    index::IndexWriter,
    name::{Kind, sealed_name},
    sealed::{Info, Sealed, footer, header, put_shape},
    table::Table,
    types::Shape,
};
use crate::{Error, ErrorKind, Result};

const FLUSH: usize = 256 << 10;
const MOST_SHAPES: usize = 1_024;

/// A sealed file that is being written. Dropped before it is finished, it leaves nothing.
pub(super) struct Writer {
    core: Arc<Core>,
    /// Kind, day and number.
    id: (Kind, i32, u32),
    codec: Codec,
    tmp: String,
    file: Option<Box<dyn DiskFile>>,
    buffer: Vec<u8>,
    flushed: u64,
    /// Bytes taken of the bound.
    taken: u64,
    index: IndexWriter,
    shapes: HashMap<Arc<Shape>, Place>,
    scratch: Scratch,
    info: Info,
}

impl Writer {
    pub fn new(core: &Arc<Core>, kind: Kind, day: i32) -> Result<Self> {
        let number = core.number();
        let tmp = sealed_name(Kind::Unfinished, number);
        let file = core.create(OP_MAINTAIN, &tmp)?;
        let codec = match kind {
            Kind::Day { .. } => Codec::Dense(core.options.level),
            _ => Codec::Fast,
        };
        Ok(Self {
            core: core.clone(),
            id: (kind, day, number),
            codec,
            tmp,
            file: Some(file),
            buffer: header(kind, day, number).to_vec(),
            flushed: 0,
            taken: 0,
            index: IndexWriter::default(),
            shapes: HashMap::new(),
            scratch: Scratch::default(),
            info: Info { first: i64::MAX, last: i64::MIN, ..Info::default() },
        })
    }

    fn at(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Adds rows of an owner and empties the table. Owners come in their order.
    pub fn add(&mut self, owner: &str, table: &mut Table) -> Result<()> {
        if table.rows() == 0 {
            return Ok(());
        }
        table.sort();
        let shape = Shape::new(table.members.iter().cloned())?;
        let place = self.shape(&shape);
        let at = self.at();
        let chunk = chunk::encode(self.codec, table, &mut self.buffer, &mut self.scratch);
        let chunk = chunk.ok_or_else(|| {
            Error::new(ErrorKind::Internal, OP_MAINTAIN, "a chunk is too large").with("owner", owner)
        })?;
        table.clear();
        self.count(owner, ChunkRef { at, shape: place, ..chunk })
    }

    /// Adds a chunk of another file as it is.
    pub fn copy(&mut self, owner: &str, chunk: &ChunkRef, shape: &Arc<Shape>, bytes: &[u8]) -> Result<()> {
        let place = self.shape(shape);
        let at = self.at();
        self.buffer.extend_from_slice(bytes);
        self.count(owner, ChunkRef { at, shape: place, ..chunk.clone() })
    }

    fn count(&mut self, owner: &str, chunk: ChunkRef) -> Result<()> {
        self.index.add(owner, &chunk);
        self.info.rows += u64::from(chunk.rows);
        self.info.values += u64::from(chunk.values);
        self.info.chunks += 1;
        self.info.first = self.info.first.min(chunk.first);
        self.info.last = self.info.last.max(chunk.last);
        if self.buffer.len() >= FLUSH { self.flush() } else { Ok(()) }
    }

    /// Where the names of a shape are; they are written when they are not there yet.
    fn shape(&mut self, shape: &Arc<Shape>) -> Place {
        if let Some(place) = self.shapes.get(shape) {
            return *place;
        }
        let bytes = put_shape(shape);
        let place = Place { at: self.at(), len: bytes.len() as u32, crc: crc32fast::hash(&bytes) };
        self.buffer.extend_from_slice(&bytes);
        if self.shapes.len() >= MOST_SHAPES {
            self.shapes.clear();
        }
        self.shapes.insert(shape.clone(), place);
        place
    }

    fn flush(&mut self) -> Result<()> {
        let bytes = self.buffer.len() as u64;
        self.core.reserve(OP_MAINTAIN, bytes)?;
        self.taken += bytes;
        let Some(file) = &self.file else { return Ok(()) };
        file.write_at(&self.buffer, self.flushed).map_err(|e| failed(OP_MAINTAIN, &self.tmp, e))?;
        self.flushed += bytes;
        self.buffer.clear();
        Ok(())
    }

    /// Writes index and footer, makes all durable and gives the file its name, which becomes durable with the
    /// folder's next sync. It is not in the catalogue yet. `allowed` is asked just before it gets its name.
    pub fn finish(
        mut self,
        created: i64,
        (logs, replaces): (Vec<u32>, Vec<u32>),
        allowed: impl Fn() -> Result<()>,
    ) -> Result<Sealed> {
        let at = self.at();
        let (index, fence) = std::mem::take(&mut self.index).finish(at);
        self.buffer.extend_from_slice(&index);
        let info = Info { created, logs, replaces, ..std::mem::take(&mut self.info) };
        let end = footer(&info, &fence, self.at());
        self.buffer.extend_from_slice(&end);
        self.flush()?;
        let io = |e| failed(OP_MAINTAIN, &self.tmp, e);
        if let Some(file) = &self.file {
            file.sync().map_err(io)?;
        }
        allowed()?;
        let (kind, day, number) = self.id;
        let name = sealed_name(kind, number);
        // Closed first: not every system renames open files.
        drop(self.file.take());
        let renamed = self.core.disk.rename(&self.tmp, &name).map_err(io);
        let bytes = std::mem::take(&mut self.taken);
        if let Err(e) = renamed {
            // Which name it has is not certain.
            let _ = self.core.disk.remove(&name);
            let _ = self.core.unlink(self.tmp.clone(), bytes);
            return Err(e);
        }
        let handle = Arc::new(Handle::new(name));
        Ok(Sealed { kind, day, number, bytes, info: Some(info), handle })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            drop(file);
            if let Err(e) = self.core.unlink(self.tmp.clone(), self.taken) {
                tracing::warn!(error = %e, "an unfinished file of the history is removed later");
            }
        }
    }
}
