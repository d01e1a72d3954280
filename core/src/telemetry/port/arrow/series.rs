//! Answers over series as one batch.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field, Schema};

use super::{
    columns::{texts, time},
    unmade,
};
use crate::{
    Result,
    telemetry::{Column, Point, SeriesAnswer, Values},
};

impl SeriesAnswer {
    /// The answer as one batch in long form, a row for each value, column after column.
    ///
    /// Of steps: `thing` (null over all), `start`, `end` (a step is `[start, end)`), `value` (null where nobody was
    /// known), `coverage` and `contributors`, as in [`Point`]. Of raw samples, and of an answer without steps and
    /// columns: `thing`, `ts`, `value` (null from where on it is unknown). `failed` and `removed_before` are not in it.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when no batch can be made, which is a fault of ours.
    pub fn to_arrow(&self) -> Result<RecordBatch> {
        let is_raw = match self.columns.first() {
            Some(column) => matches!(column.values, Values::Samples(_)),
            None => self.steps.is_empty(),
        };
        if is_raw { self.samples() } else { self.points() }
    }

    fn samples(&self) -> Result<RecordBatch> {
        let samples = || self.columns.iter().flat_map(Column::samples);
        let fields = vec![
            Field::new("thing", texts(), true),
            Field::new("ts", time(), false),
            Field::new("value", DataType::Float64, true),
        ];
        let arrays: Vec<ArrayRef> = vec![
            self.things(|column| column.samples().len())?,
            times(samples().map(|sample| sample.ts.0)),
            numbers(samples().map(|sample| sample.value)),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(unmade)
    }

    fn points(&self) -> Result<RecordBatch> {
        let of = |column: &Column| column.points().len().min(self.steps.len());
        let steps = || self.columns.iter().flat_map(|column| self.steps.iter().take(of(column)));
        let points = || self.columns.iter().flat_map(|column| column.points().iter().take(of(column)));
        let known = |of: fn(&Point) -> f64| numbers(points().map(|point| Some(of(point))));
        let fields = vec![
            Field::new("thing", texts(), true),
            Field::new("start", time(), false),
            Field::new("end", time(), false),
            Field::new("value", DataType::Float64, true),
            Field::new("coverage", DataType::Float64, true),
            Field::new("contributors", DataType::Float64, true),
        ];
        let arrays: Vec<ArrayRef> = vec![
            self.things(of)?,
            times(steps().map(|step| step.start.0)),
            times(steps().map(|step| step.end.0)),
            numbers(points().map(|point| point.value)),
            known(|point| point.coverage),
            known(|point| point.contributors),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(unmade)
    }

    /// The thing of each row; each id stands there once.
    fn things(&self, rows: impl Fn(&Column) -> usize) -> Result<ArrayRef> {
        let mut ids: Vec<&str> = Vec::new();
        let mut keys: Vec<Option<i32>> = Vec::new();
        for column in &self.columns {
            let key = column.thing.as_ref().and_then(|_| i32::try_from(ids.len()).ok());
            ids.extend(column.thing.iter().map(|thing| thing.as_str()));
            keys.resize(keys.len() + rows(column), key);
        }
        let array = DictionaryArray::try_new(Int32Array::from(keys), Arc::new(StringArray::from(ids)));
        Ok(Arc::new(array.map_err(unmade)?))
    }
}

fn times(ms: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(ms).with_data_type(time()))
}

/// Numbers that are finite; others are null.
fn numbers(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(Float64Array::from_iter(values.map(|value| value.filter(|x| x.is_finite()))))
}
