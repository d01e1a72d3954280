//! Readings and series as Arrow record batches.
//!
//! Times are `timestamp[ms, UTC]`, ids and texts dictionaries, numbers `float64`. What is not known is null, never NaN
//! and never 0. [`Batches`] and [`SeriesAnswer::to_arrow`](crate::telemetry::SeriesAnswer::to_arrow) give batches to
//! Rust programs; [`Batches::into_ffi`] and [`into_ffi`] give the same buffers, not copied, through Arrow's C interfaces.
//!
//! ```no_run
//! # use headframe_core::{Result, ThingId, io::Timestamp, telemetry::{ExportQuery, Telemetry}};
//! # fn example(telemetry: &Telemetry, things: Vec<ThingId>, from: Timestamp, to: Timestamp) -> Result<()> {
//! let members = Some(vec!["stats.power_w".into()]);
//! let query = ExportQuery { things, members, range: from..to, with_texts: false };
//! for batch in telemetry.batches(&query)? {
//!     println!("{} readings", batch?.num_rows());
//! }
//! # Ok(())
//! # }
//! ```

mod columns;
mod series;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

use std::sync::Arc;

use ::arrow_array::{
    Array, RecordBatchReader, StructArray,
    ffi::{FFI_ArrowArray, FFI_ArrowSchema},
    ffi_stream::FFI_ArrowArrayStream,
};
use ::arrow_schema::{ArrowError, SchemaRef};

use super::{
    export::{ExportQuery, Exported},
    table::{Lines, OP, Seen},
};
use crate::{Error, ErrorKind, Result, telemetry::Telemetry};
use columns::{Building, Columns};

/// The crates whose types stand in this module, in the version that is used here.
pub use ::{arrow_array, arrow_array::RecordBatch, arrow_schema};

/// Most rows of a batch; with more than 64 members fewer, so that a batch has at most 2^22 numbers.
pub const MAX_BATCH_ROWS: usize = 65_536;

/// Most numbers of a batch.
const MOST_CELLS: usize = 1 << 22;
/// A batch ends once so many bytes of texts were read for it.
const MOST_TEXT: usize = 16 << 20;

/// Readings as record batches, in the order and with the cells of [`Telemetry::export_csv`]: `ts`, `thing`, then a
/// column for each member. A thing's day and one batch are in memory at one time. After an error there is no more.
///
/// Members that are texts, where these are asked for, are dictionaries. A member that is a number at one time and a text
/// at another has two columns, the second called `<member> (text)`.
#[derive(Debug)]
pub struct Batches {
    telemetry: Telemetry,
    lines: Lines,
    columns: Columns,
    pub(super) most_rows: usize,
    with_texts: bool,
    ended: bool,
}

impl Telemetry {
    /// Readings as Arrow record batches of at most [`MAX_BATCH_ROWS`]. This and each step block: use them beside tasks,
    /// not in one.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for members that come twice or are called as another column is,
    /// `ERR_EXPORT_COLUMNS` for more than 16,384; those of the history.
    pub fn batches(&self, query: &ExportQuery) -> Result<Batches> {
        let history = &self.0.raw;
        let seen = match query.members.is_some() && !query.with_texts {
            true => Seen::default(),
            false => Seen::of(history, query)?,
        };
        let names = query.members.clone().unwrap_or_else(|| seen.names());
        let lines = Lines::new(query, names)?;
        let columns = Columns::new(&lines.done.members, &seen)?;
        let most_rows = (MOST_CELLS / columns.len().max(1)).clamp(1, MAX_BATCH_ROWS);
        let with_texts = query.with_texts;
        Ok(Batches { telemetry: self.clone(), lines, columns, most_rows, with_texts, ended: false })
    }
}

impl Batches {
    /// The columns; all batches have the same.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
    }

    /// What was given out so far.
    pub fn exported(&self) -> &Exported {
        &self.lines.done
    }

    /// The batches as a reader of Arrow's own.
    pub fn into_reader(self) -> BatchReader {
        BatchReader(self)
    }

    /// The batches as a stream of Arrow's C interface. It blocks whoever asks for the next.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a name that C cannot hold.
    pub fn into_ffi(self) -> Result<FFI_ArrowArrayStream> {
        c_schema(&self.columns.schema)?;
        Ok(FFI_ArrowArrayStream::new(Box::new(self.into_reader())))
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut building = Building::new(&self.columns);
        let (history, texts) = (&self.telemetry.0.raw, self.lines.text_bytes);
        while !self.with_texts
            && building.rows() < self.most_rows
            && let Some(block) = self.lines.block(history, self.most_rows - building.rows())?
        {
            building.extend(&self.columns, &block)?;
        }
        while self.with_texts
            && building.rows() < self.most_rows
            && self.lines.text_bytes - texts < MOST_TEXT
            && self.lines.next(history)?
        {
            building.push(&self.columns, &self.lines)?;
        }
        if building.rows() == 0 {
            return Ok(None);
        }
        building.finish(&self.columns).map(Some)
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.batch();
        self.ended = !matches!(batch, Ok(Some(_)));
        batch.transpose()
    }
}

/// [`Batches`] with Arrow's own errors, which hold ours.
#[derive(Debug)]
pub struct BatchReader(Batches);

impl Iterator for BatchReader {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|batch| batch.map_err(|e| ArrowError::ExternalError(for_c(e))))
    }
}

impl RecordBatchReader for BatchReader {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}

/// The stream of the C interface aborts on an error whose text has a NUL byte.
fn for_c(e: Error) -> Box<dyn std::error::Error + Send + Sync> {
    let text = e.to_string();
    if text.contains('\0') { text.replace('\0', " ").into() } else { Box::new(e) }
}

/// A batch as an array and a schema of Arrow's C data interface, a struct with a child for each column. The buffers are
/// shared, not copied.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for a name that C cannot hold.
pub fn into_ffi(batch: RecordBatch) -> Result<(FFI_ArrowArray, FFI_ArrowSchema)> {
    let schema = c_schema(&batch.schema())?;
    Ok((FFI_ArrowArray::new(&StructArray::from(batch).to_data()), schema))
}

fn c_schema(schema: &SchemaRef) -> Result<FFI_ArrowSchema> {
    let refused = |e: ArrowError| {
        Error::invalid(OP, "members", "a name has a NUL byte, which C cannot hold").caused_by(e)
    };
    FFI_ArrowSchema::try_from(schema.as_ref()).map_err(refused)
}

/// What cannot be, unless this code is wrong.
fn unmade(e: ArrowError) -> Error {
    Error::new(ErrorKind::Internal, OP, "no batch could be made").caused_by(e)
}
