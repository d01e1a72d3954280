//! Readings as a Parquet file.

use std::io::{self, Write};

use ::parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};

use super::{
    export::{ExportQuery, Exported},
    failed,
};
use crate::{Result, telemetry::Telemetry};

/// Most rows of a row group.
const MOST_ROWS: usize = 1 << 17;
/// Most rows that are written at once: what is held is looked at in between.
const MOST_AT_ONCE: usize = 8_192;
/// Most bytes of a row group while it is made: it is in memory until it is written.
const MOST_BYTES: usize = 64 << 20;

impl Telemetry {
    /// Writes readings as one Parquet file, compressed with Snappy: the rows and columns of [`batches`](Self::batches), in
    /// row groups of at most 131,072 rows and about 64 MiB, of which one is in memory at one time beside a thing's
    /// day. Blocks until it is done.
    ///
    /// # Errors
    /// As [`batches`](Self::batches), and `ERR_EXPORT_OUTPUT` when the output could not be written. After an error what
    /// was written is no Parquet file: its end is missing.
    pub fn export_parquet(&self, query: &ExportQuery, out: impl Write + Send) -> Result<Exported> {
        export(self, query, out, (MOST_ROWS, MOST_BYTES))
    }
}

/// Writes row groups of at most so many rows, and of about so many bytes.
pub(super) fn export(
    telemetry: &Telemetry,
    query: &ExportQuery,
    out: impl Write + Send,
    most: (usize, usize),
) -> Result<Exported> {
    let mut batches = telemetry.batches(query)?;
    batches.most_rows = batches.most_rows.min(MOST_AT_ONCE);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("headframe version ", env!("CARGO_PKG_VERSION")).into())
        .set_max_row_group_row_count(Some(most.0))
        .set_max_row_group_bytes(Some(most.1))
        .build();
    let out = Counted { out, bytes: 0 };
    let mut writer = ArrowWriter::try_new(out, batches.schema(), Some(properties)).map_err(failed)?;
    for batch in batches.by_ref() {
        writer.write(&batch?).map_err(failed)?;
        // The bound above is on what will be written; here it is on what is held.
        if writer.memory_size() > most.1 {
            writer.flush().map_err(failed)?;
        }
    }
    writer.finish().map_err(failed)?;
    let out = writer.inner_mut();
    out.flush().map_err(failed)?;
    Ok(Exported { bytes: out.bytes, ..batches.exported().clone() })
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
