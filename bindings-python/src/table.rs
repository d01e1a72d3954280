//! Tables as Arrow hands them on, without a copy.

use headframe::{
    Error, Result, ThingId,
    io::Timestamp,
    site::Site,
    telemetry::{
        ExportQuery, SeriesQuery,
        arrow::{
            RecordBatch,
            arrow_array::{RecordBatchIterator, ffi_stream::FFI_ArrowArrayStream},
            arrow_schema::SchemaRef,
        },
    },
};
use headframe_binding::{asked::read, site::with_history};
use pyo3::{prelude::*, types::PyCapsule};
use serde::Deserialize;

/// A table of what things said. `pyarrow.table`, `polars.DataFrame` and `pandas.DataFrame.from_arrow` read it by Arrow's PyCapsule
/// interface, and share its buffers.
#[pyclass(frozen, module = "headframe")]
pub struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

#[pymethods]
impl Table {
    /// Names of the columns.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Arrow's stream of its batches, as often as it is asked for.
    #[pyo3(signature = (requested_schema: "object | None" = None) -> "object")]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // It may be left out of account: the consumer casts.
        drop(requested_schema);
        let batches: Vec<_> = self.batches.iter().cloned().map(Ok).collect();
        let reader = RecordBatchIterator::new(batches, self.schema.clone());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), c"arrow_array_stream")
    }

    fn __repr__(&self) -> String {
        format!("<Table of {} rows, {} columns>", self.__len__(), self.schema.fields().len())
    }
}

/// Which readings are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    things: Vec<ThingId>,
    members: Option<Vec<String>>,
    from: i64,
    to: i64,
    #[serde(default)]
    texts: bool,
}

/// Readings of things, by a question in JSON.
pub async fn readings(site: &Site, query: &str) -> Result<Table> {
    let Asked { things, members, from, to, texts } = read("query", query)?;
    if to < from {
        return Err(Error::invalid("site.readings", "to", "is before from"));
    }
    let query = ExportQuery { things, members, range: Timestamp(from)..Timestamp(to), with_texts: texts };
    with_history(site, move |telemetry| {
        let batches = telemetry.batches(&query)?;
        let schema = batches.schema();
        Ok(Table { schema, batches: batches.collect::<Result<_>>()? })
    })
    .await
}

/// One number of things over time, by a question in JSON.
pub async fn series(site: &Site, query: &str) -> Result<Table> {
    let query = SeriesQuery::from_json(query)?;
    with_history(site, move |telemetry| {
        let batch = telemetry.series(&query)?.to_arrow()?;
        Ok(Table { schema: batch.schema(), batches: vec![batch] })
    })
    .await
}
