//! One row of the rows of many racks, and one row of many windows.
//!
//! Rows fold when their `ts` is the same, or, with time spans, when they lie in the same one. Sums of a span are sums over
//! its windows, as MiningOS's are: who wants a mean divides by `aggrIntervals`. Means stay means, each row with the weight
//! of those who contributed to it, and maxima stay maxima. What no row has is absent.

mod mos;
mod span;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use mos::fold as fold_mos;
use serde::Deserialize;
use serde_json::{Map, Value};
pub use span::{Edges, Span};

use super::{
    refused,
    row::{Cell, Merge, Row, Stat},
    source::Path,
    spec::Kind,
};
use crate::{Result, io::Timestamp};

/// Fields of a fold.
const MOST_FIELDS: usize = 1_024;

/// How each field of a family's rows is folded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoldSpec {
    fields: Vec<FoldField>,
}

/// One field: which result of the rows, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FoldField {
    /// What it is called in the folded row.
    pub name: Arc<str>,
    /// MiningOS's operation.
    pub kind: Kind,
    /// What it is called in the racks' rows; `cnt` needs none.
    pub src: Option<Path>,
}

#[derive(Deserialize)]
struct Wire {
    op: String,
    src: Option<String>,
}

impl FoldSpec {
    /// Reads the written form, `{name: {op, src}}`. Operations are `sum`, `avg`, `cnt`, `obj_concat`, `arr_concat` and
    /// `alerts_aggr`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_STATS_SPEC_INVALID`.
    pub fn parse(fields: &Value) -> Result<Self> {
        let wire = BTreeMap::<String, Wire>::deserialize(fields);
        let wire = wire.map_err(|e| refused("fold", "a fold is an object of operations").caused_by(e))?;
        if wire.len() > MOST_FIELDS {
            return Err(refused("fold", "more than 1,024 fields"));
        }
        let field = |(name, Wire { op, src }): (String, Wire)| {
            let kind = Kind::parse(&op)?;
            if !FOLDS.contains(&kind) {
                return Err(
                    refused(&op, "this operation is for things, not for rows").with("statistic", name)
                );
            }
            Ok(FoldField { name: name.into(), kind, src: src.as_deref().map(Path::parse).transpose()? })
        };
        Ok(Self { fields: wire.into_iter().map(field).collect::<Result<_>>()? })
    }

    /// The fields, ordered by name.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &FoldField> {
        self.fields.iter()
    }

    /// The fields of these names; all when there are none.
    #[must_use]
    pub fn only(&self, wanted: &BTreeSet<String>) -> Self {
        if wanted.is_empty() {
            return self.clone();
        }
        Self { fields: self.fields.iter().filter(|f| wanted.contains(&*f.name)).cloned().collect() }
    }

    /// What the fields need of the racks' rows.
    pub fn sources(&self) -> BTreeSet<&str> {
        self.fields.iter().filter_map(|f| f.src.as_ref()).map(Path::text).collect()
    }
}

const FOLDS: [Kind; 6] =
    [Kind::Sum, Kind::Avg, Kind::Cnt, Kind::ObjConcat, Kind::ArrConcat, Kind::AlertsAggr];

/// What is asked of a fold.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct FoldRequest {
    /// Names of fields (`aggrFields`); all when empty.
    pub fields: BTreeSet<String>,
    /// Spans of time (`aggrTimes`); by exact `ts` without.
    pub times: Option<Vec<Span>>,
    /// To which span a row on the border of two belongs.
    pub edges: Edges,
}

impl FoldRequest {
    /// Asks for fields by exact `ts`.
    pub fn of<N: Into<String>>(fields: impl IntoIterator<Item = N>) -> Self {
        Self { fields: fields.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Folds by spans.
    #[must_use]
    pub fn over(mut self, times: Vec<Span>) -> Self {
        self.times = Some(times);
        self
    }

    /// Says what the rows' `ts` is.
    #[must_use]
    pub fn edges(mut self, edges: Edges) -> Self {
        self.edges = edges;
        self
    }
}

/// A folded row.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Folded {
    /// Which rows.
    pub of: FoldedOf,
    /// How many rows.
    pub count: usize,
    /// How many different windows among rows that say anything.
    pub intervals: usize,
    /// The results.
    pub row: Row,
}

/// Which rows became one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldedOf {
    /// Those of this time; `None` for rows about now.
    At(Option<Timestamp>),
    /// Those of this span.
    Span(Span),
}

impl Folded {
    /// In MiningOS's shape, with `ts` (0 for a span), `aggrTsRange`, `aggrCount` and `aggrIntervals`.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut out = self.row.to_json();
        let (ts, span) = match self.of {
            FoldedOf::At(ts) => (ts.map(|ts| ts.0), String::new()),
            FoldedOf::Span(span) => (Some(0), span.to_string()),
        };
        out.extend(ts.map(|ts| ("ts".to_owned(), ts.into())));
        out.insert("aggrTsRange".into(), span.into());
        out.insert("aggrCount".into(), self.count.into());
        out.insert("aggrIntervals".into(), self.intervals.into());
        out
    }
}

/// Folds rows, given in any order. Of texts and objects the one of the latest `ts` counts, of one `ts` the one given last.
pub fn fold(spec: &FoldSpec, rows: &[Row], request: &FoldRequest) -> Vec<Folded> {
    let spec = spec.only(&request.fields);
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| row.ts);
    match &request.times {
        None => rows
            .chunk_by(|a, b| a.ts == b.ts)
            .map(|rows| fold_rows(&spec, rows, FoldedOf::At(rows[0].ts)))
            .collect(),
        Some(spans) => spans
            .iter()
            .map(|span| (*span, span.of(&rows, |row| row.ts, request.edges)))
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(span, rows)| fold_rows(&spec, rows, FoldedOf::Span(span)))
            .collect(),
    }
}

fn fold_rows(spec: &FoldSpec, rows: &[&Row], of: FoldedOf) -> Folded {
    let sources = spec.sources();
    let says = |row: &&&Row| row.cells().any(|(name, _)| sources.contains(&**name));
    let intervals = rows.iter().filter(says).map(|row| row.ts).collect::<BTreeSet<_>>().len();
    let mut row = Row::new(None);
    for field in &spec.fields {
        if let Some(cell) = fold_field(field, rows) {
            row.set(Arc::clone(&field.name), cell);
        }
    }
    Folded { of, count: rows.len(), intervals, row }
}

fn fold_field(field: &FoldField, rows: &[&Row]) -> Option<Cell> {
    if field.kind == Kind::Cnt {
        let count = rows.len() as f64;
        return Some(Cell::Number(Merge::Sum, Stat::new(count, count)?));
    }
    let src = field.src.as_ref()?.text();
    let mut cells = rows.iter().filter_map(|row| row.get(src)).filter(|cell| fits(field.kind, cell));
    let first = cells.next()?;
    let mut folded = if field.kind == Kind::Avg { as_mean(first)? } else { first.clone() };
    for cell in cells {
        match field.kind {
            Kind::Avg => folded.merge(&as_mean(cell)?),
            _ => folded.merge(cell),
        }
    }
    Some(folded)
}

/// Whether an operation folds results of this form.
fn fits(kind: Kind, cell: &Cell) -> bool {
    match kind {
        Kind::Sum | Kind::Avg => matches!(cell, Cell::Number(..)),
        Kind::ArrConcat => matches!(cell, Cell::List(_)),
        _ => matches!(cell, Cell::Groups(..) | Cell::Values(_)),
    }
}

/// The result as one to take the mean of: what is no mean itself counts once for each row.
fn as_mean(cell: &Cell) -> Option<Cell> {
    match cell {
        Cell::Number(Merge::Mean, _) => Some(cell.clone()),
        Cell::Number(_, stat) => Some(Cell::Number(Merge::Mean, Stat::new(stat.value(), 1.0)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
