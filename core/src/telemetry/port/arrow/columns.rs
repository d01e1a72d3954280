//! The columns of a batch of readings.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{Float64Builder, StringDictionaryBuilder, TimestampMillisecondBuilder},
    types::Int32Type,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::Value;

use super::unmade;
use crate::{
    Error, Result,
    telemetry::port::table::{Block, Lines, OP, Seen},
};

const TS: &str = "ts";
const THING: &str = "thing";

/// A time in ms since 1970, UTC.
pub(super) fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// Texts of which many are equal.
pub(super) fn texts() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
}

/// Which columns there are.
#[derive(Debug)]
pub(super) struct Columns {
    pub schema: SchemaRef,
    /// Of each column after `thing`: the place of its member, and what it takes of it.
    members: Vec<(usize, Kind)>,
}

impl Columns {
    /// One column for each member; two for one that is said both as a number and as a text.
    pub fn new(names: &[String], seen: &Seen) -> Result<Self> {
        let mut fields = vec![Field::new(TS, time(), false), Field::new(THING, texts(), false)];
        let mut members = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            let is_text = seen.texts.contains(name);
            let is_number = seen.numbers.contains(name) || !is_text;
            if is_number {
                fields.push(Field::new(name, DataType::Float64, true));
                members.push((at, Kind::Number));
            }
            if is_text {
                let named =
                    if is_number { Cow::Owned(format!("{name} (text)")) } else { Cow::Borrowed(&**name) };
                fields.push(Field::new(named, texts(), true));
                members.push((at, Kind::Text));
            }
        }
        let mut taken = BTreeSet::new();
        if let Some(field) = fields.iter().find(|field| !taken.insert(field.name())) {
            let why = "a member is called as another column is: name members, without this one";
            return Err(Error::invalid(OP, "members", why).with("member", field.name()));
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)), members })
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }
}

type TextBuilder = StringDictionaryBuilder<Int32Type>;

enum Column {
    Numbers(Float64Builder),
    Texts(TextBuilder),
}

fn append(numbers: &mut Float64Builder, values: &[f64]) {
    if values.iter().all(|value| value.is_finite()) {
        numbers.append_slice(values);
    } else {
        values.iter().for_each(|value| numbers.append_option(Some(*value).filter(|value| value.is_finite())));
    }
}

/// A batch that is being made.
pub(super) struct Building {
    ts: TimestampMillisecondBuilder,
    things: TextBuilder,
    members: Vec<Column>,
    rows: usize,
}

impl Building {
    pub fn new(columns: &Columns) -> Self {
        let column = |(_, kind): &(usize, Kind)| match kind {
            Kind::Number => Column::Numbers(Float64Builder::with_capacity(0)),
            Kind::Text => Column::Texts(TextBuilder::with_capacity(0, 0, 0)),
        };
        Self {
            ts: TimestampMillisecondBuilder::new().with_data_type(time()),
            things: TextBuilder::new(),
            members: columns.members.iter().map(column).collect(),
            rows: 0,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a line.
    pub fn push(&mut self, columns: &Columns, line: &Lines) -> Result<()> {
        self.ts.append_value(line.ts().0);
        self.things.append(line.thing()).map_err(unmade)?;
        for ((at, _), column) in columns.members.iter().zip(&mut self.members) {
            match column {
                Column::Numbers(numbers) => numbers.append_option(line.number(*at)),
                // A reading says a member once: what is a number is no text.
                Column::Texts(texts) => match line.said(*at).filter(|_| line.number(*at).is_none()) {
                    None => texts.append_null(),
                    Some(Value::String(text)) => drop(texts.append(text).map_err(unmade)?),
                    Some(other) => drop(texts.append(other.to_string()).map_err(unmade)?),
                },
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Adds lines of a thing without their texts.
    pub fn extend(&mut self, columns: &Columns, block: &Block<'_>) -> Result<()> {
        let rows = block.ts().len();
        self.ts.append_slice(block.ts());
        self.things.append_n(block.thing(), rows).map_err(unmade)?;
        for ((at, _), column) in columns.members.iter().zip(&mut self.members) {
            match (column, block.numbers(*at)) {
                (Column::Numbers(numbers), Some(values)) => append(numbers, values),
                (Column::Numbers(numbers), None) => numbers.append_nulls(rows),
                (Column::Texts(texts), _) => texts.append_nulls(rows),
            }
        }
        self.rows += rows;
        Ok(())
    }

    pub fn finish(mut self, columns: &Columns) -> Result<RecordBatch> {
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(self.ts.finish()), Arc::new(self.things.finish())];
        arrays.extend(self.members.iter_mut().map(|column| match column {
            Column::Numbers(numbers) => Arc::new(numbers.finish()) as ArrayRef,
            Column::Texts(texts) => Arc::new(texts.finish()),
        }));
        RecordBatch::try_new(Arc::clone(&columns.schema), arrays).map_err(unmade)
    }
}
