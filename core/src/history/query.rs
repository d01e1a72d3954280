//! Questions: over days, parts and logs, as they are at one moment.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use super::{
    chunk::ChunkRef,
    fault::{OP_READ, bound, is_gone},
    history::{History, bad_record, bounds},
    log::Log,
    name::{DAY_MS, day_of},
    record::Record,
    sealed::Sealed,
    table::Table,
    types::{Columns, HistoryRow, MAX_TS, Rows, Series, Shape, TextChange},
};
use crate::{Result, io::Timestamp};

/// How often a question begins anew because files were merged under it.
const TRIES: usize = 64;

/// The files of some days, and all logs, at one moment.
struct View {
    files: Vec<Arc<Sealed>>,
    logs: Vec<Arc<Log>>,
    removed_before: Option<Timestamp>,
}

/// Which rows [`History::rows`] gives.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowsQuery<'a> {
    /// Only these members, in this order; all without it.
    pub members: Option<&'a [&'a str]>,
    /// Of several rows with the same time only the one that came last.
    pub latest_per_ts: bool,
}

impl History {
    fn view(&self, (from, to): (i64, i64)) -> View {
        let catalog = self.core.catalog();
        let files = catalog.days.range(day_of(from)..=day_of(to)).flat_map(|(_, files)| files.clone());
        View {
            files: files.collect(),
            logs: catalog.logs.values().cloned().collect(),
            removed_before: catalog.removed.before.filter(|before| *before > from).map(Timestamp),
        }
    }

    /// The start of the first day of which there is a sample, and before when samples were removed to keep the bound.
    pub(crate) fn begins(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let first = self.next_day(Timestamp(0));
        (first, self.core.catalog().removed.before.map(Timestamp))
    }

    /// The start of the first day, that of the time or a later one, of which there is a sample.
    pub(crate) fn next_day(&self, time: Timestamp) -> Option<Timestamp> {
        let catalog = self.core.catalog();
        let from = day_of(time.0)..;
        let open = |log: &Arc<Log>| log.state().days.range(from.clone()).next().map(|(day, _)| *day);
        let sealed = catalog.days.range(from.clone()).next().map(|(day, _)| *day);
        let day = sealed.into_iter().chain(catalog.logs.values().filter_map(open)).min()?;
        Some(Timestamp(i64::from(day) * DAY_MS))
    }

    /// Asks again when a file was merged or removed meanwhile.
    fn ask<T>(&self, span: (i64, i64), question: impl Fn(&View) -> Result<T>) -> Result<T> {
        let mut tries = 1;
        loop {
            match question(&self.view(span)) {
                Err(e) if is_gone(&e) && tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    /// Values of one member in a range, by time and sequence. Samples without the member are left out.
    ///
    /// # Errors
    /// `ERR_HISTORY_CORRUPT` when a file that holds a part of it is damaged, `ERR_HISTORY_BOUND` when the answer would
    /// be too large.
    pub fn series(&self, owner: &str, member: &str, range: Range<Timestamp>) -> Result<Series> {
        let mut series = self.series_with_gaps(owner, member, range)?;
        series.points.retain(|(_, value)| !value.is_nan());
        Ok(series)
    }

    /// As [`series`](Self::series), with NaN where a sample of the owner has no such value: it is unknown from there.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub fn series_with_gaps(&self, owner: &str, member: &str, range: Range<Timestamp>) -> Result<Series> {
        let Some(span) = bounds(&range) else { return Ok(Series::default()) };
        self.ask(span, |view| {
            let mut recent = Vec::new();
            view.records(owner, span, |log, record| {
                let (head, shape) = (record.head, log.shape(record.head.shape)?);
                let mut values = Vec::with_capacity(shape.len());
                record.content(shape.len(), &mut values).ok_or_else(|| bad_record(log))?;
                let value = shape.position(member).map_or(f64::NAN, |at| values[at]);
                recent.push((head.ts, log.sequence(head.index), value));
                self.limit(recent.len() as u64)
            })?;
            let chunks = self.chunks(view, owner, span)?;
            let disjoint = chunks.windows(2).all(|pair| pair[0].1.last < pair[1].1.first);
            let order = !disjoint || !recent.is_empty();
            let rows: usize = chunks.iter().map(|(_, chunk)| chunk.rows as usize).sum();
            let mut points = Vec::with_capacity(recent.len() + rows);
            for (file, chunk) in &chunks {
                let picked = file.pick(&self.core.files, chunk, &[member], order)?;
                let range = within(&picked.ts, span);
                let values = picked.values.into_iter().next().flatten();
                let values = values.unwrap_or_else(|| vec![f64::NAN; picked.ts.len()]);
                let rows = picked.ts[range.clone()].iter().zip(&values[range.clone()]);
                if order {
                    let rows = rows.zip(&picked.seq[range]);
                    recent.extend(rows.map(|((ts, value), seq)| (*ts, *seq, *value)));
                } else {
                    points.extend(rows.map(|(ts, value)| (*ts, *value)));
                }
            }
            recent.sort_unstable_by_key(|(ts, seq, _)| (*ts, *seq));
            points.extend(recent.into_iter().map(|(ts, _, value)| (ts, value)));
            Ok(Series { points, removed_before: view.removed_before })
        })
    }

    /// Whole rows of an owner, or some of their members, by time and sequence.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub fn rows(&self, owner: &str, range: Range<Timestamp>, query: RowsQuery<'_>) -> Result<Rows> {
        let Some(span) = bounds(&range) else { return Ok(Rows::default()) };
        self.ask(span, |view| {
            let table = self.table(view, owner, span, query.members)?;
            Ok(Rows { removed_before: view.removed_before, ..to_rows(table, query) })
        })
    }

    /// The same rows column by column; `members` as in [`RowsQuery`].
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub fn columns(&self, owner: &str, range: Range<Timestamp>, members: Option<&[&str]>) -> Result<Columns> {
        let Some(span) = bounds(&range) else { return Ok(Columns::default()) };
        self.ask(span, |view| {
            let Table { ts, members, columns, .. } = self.table(view, owner, span, members)?;
            Ok(Columns { members, ts, values: columns, removed_before: view.removed_before })
        })
    }

    fn table(&self, view: &View, owner: &str, span: (i64, i64), members: Option<&[&str]>) -> Result<Table> {
        let mut table = Table::default();
        for (file, chunk) in self.chunks(view, owner, span)? {
            self.chunk_rows(&file, &chunk, span, members, &mut table)?;
        }
        let mut pick = members.map(Pick::new).transpose()?;
        view.records(owner, span, |log, record| {
            push_record(log, record, pick.as_mut(), &mut table)?;
            self.limit(table.rows() as u64)
        })?;
        table.sort();
        Ok(table)
    }

    fn chunk_rows(
        &self,
        file: &Sealed,
        chunk: &ChunkRef,
        span: (i64, i64),
        members: Option<&[&str]>,
        table: &mut Table,
    ) -> Result<()> {
        let files = &self.core.files;
        let whole = span.0 <= chunk.first && chunk.last <= span.1;
        let (shape, columns, ts, seq) = if let Some(members) = members {
            let picked = file.pick(files, chunk, members, true)?;
            let rows = picked.ts.len();
            let fill = |column: Option<Vec<f64>>| column.unwrap_or_else(|| vec![f64::NAN; rows]);
            let columns: Vec<_> = picked.values.into_iter().map(fill).collect();
            (Shape::new(members.iter().copied())?, columns, picked.ts, picked.seq)
        } else {
            let (shape, chunk) = file.chunk(files, chunk)?;
            (shape, chunk.columns, chunk.ts, chunk.seq)
        };
        let mut rest = super::table::Chunk { columns, ts, seq, texts: Vec::new() };
        if !whole {
            let range = within(&rest.ts, span);
            rest.columns.iter_mut().for_each(|column| *column = column[range.clone()].to_vec());
            rest.ts = rest.ts[range.clone()].to_vec();
            rest.seq = rest.seq[range].to_vec();
        }
        table.extend(&shape, rest);
        Ok(())
    }

    /// An owner's texts: each change in the range, and before them the one that held at its start.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub fn texts(&self, owner: &str, range: Range<Timestamp>) -> Result<Vec<TextChange>> {
        let texts = self.texts_with_seq(owner, range, u64::MAX)?;
        Ok(texts.into_iter().map(|(ts, _, text)| (Timestamp(ts), text)).collect())
    }

    /// As [`texts`](Self::texts), by time and sequence, with their sequences. They begin with the last one before the
    /// range that came before the sequence `seq`: what came later says nothing of samples that were there already.
    pub(crate) fn texts_with_seq(
        &self,
        owner: &str,
        range: Range<Timestamp>,
        seq: u64,
    ) -> Result<Vec<(i64, u64, Arc<str>)>> {
        let Some((from, to)) = bounds(&range) else { return Ok(Vec::new()) };
        let is_before = |text: &(i64, u64, Arc<str>)| text.0 < from && text.1 <= seq;
        self.ask((0, to), |view| {
            let mut found = self.open_texts(view, owner, (0, to))?;
            let last_day = |found: &[(i64, u64, Arc<str>)]| {
                found.iter().filter(|text| is_before(text)).map(|text| day_of(text.0)).max()
            };
            let mut before = last_day(&found);
            for file in view.files.iter().rev() {
                // Days are apart in time: an earlier one cannot hold what held last before the range.
                if before.is_some_and(|day| file.day < day) {
                    break;
                }
                for chunk in file.find(&self.core.files, owner)?.iter().filter(|chunk| chunk.has_texts()) {
                    found.extend(file.texts(&self.core.files, chunk)?.into_iter().filter(|t| t.0 <= to));
                    self.limit(found.len() as u64)?;
                }
                before = last_day(&found);
            }
            found.sort_by_key(|(ts, seq, _)| (*ts, *seq));
            let first = found.iter().rposition(is_before).unwrap_or(0);
            Ok(found.split_off(first))
        })
    }

    /// The texts with which samples of an owner came in a range, and nothing of before; in the order in which they came.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub fn texts_in(&self, owner: &str, range: Range<Timestamp>) -> Result<Vec<TextChange>> {
        let Some(span) = bounds(&range) else { return Ok(Vec::new()) };
        self.ask(span, |view| {
            let mut found = self.open_texts(view, owner, span)?;
            for (file, chunk) in self.chunks(view, owner, span)?.iter().filter(|(_, c)| c.has_texts()) {
                let texts = file.texts(&self.core.files, chunk)?.into_iter();
                found.extend(texts.filter(|text| (span.0..=span.1).contains(&text.0)));
            }
            found.sort_by_key(|(_, seq, _)| *seq);
            Ok(found.into_iter().map(|(ts, _, text)| (Timestamp(ts), text)).collect())
        })
    }

    /// An owner's texts in the logs, with time and sequence, in no order.
    fn open_texts(&self, view: &View, owner: &str, span: (i64, i64)) -> Result<Vec<(i64, u64, Arc<str>)>> {
        let mut found: Vec<(i64, u64, Arc<str>)> = Vec::new();
        view.records(owner, span, |log, record| {
            let (head, shape) = (record.head, log.shape(record.head.shape)?);
            let text = record.content(shape.len(), &mut Vec::new()).ok_or_else(|| bad_record(log))?;
            found.extend(text.map(|text| (head.ts, log.sequence(head.index), Arc::from(text))));
            self.limit(found.len() as u64)
        })?;
        Ok(found)
    }

    /// The last row of an owner by time and sequence; no row when it has none.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub fn last(&self, owner: &str) -> Result<Rows> {
        self.ask((0, MAX_TS), |view| {
            let mut newest = view.logs.iter().filter_map(|log| log.span(owner)).map(|span| span.1).max();
            for file in view.files.iter().rev() {
                if newest.is_some_and(|ts| file.day < day_of(ts)) {
                    break;
                }
                let chunks = file.find(&self.core.files, owner)?;
                newest = newest.max(chunks.iter().map(|chunk| chunk.last).max());
            }
            let Some(ts) = newest else { return Ok(Rows::default()) };
            let mut rows = self.rows(owner, Timestamp(ts)..Timestamp(ts + 1), RowsQuery::default())?;
            rows.rows.drain(..rows.rows.len().saturating_sub(1));
            Ok(rows)
        })
    }

    /// Whose samples there are in a range, in order. Who has some shortly before and some after it can be among them.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub fn owners(&self, range: Range<Timestamp>) -> Result<BTreeSet<Box<str>>> {
        let Some(span) = bounds(&range) else { return Ok(BTreeSet::new()) };
        self.ask(span, |view| {
            let mut owners = BTreeSet::new();
            for file in &view.files {
                for block in 0..file.blocks(&self.core.files)? {
                    let entries = file.block(&self.core.files, block)?.into_iter();
                    owners.extend(entries.filter(|(_, c)| overlaps(c, span)).map(|(owner, _)| owner));
                }
            }
            for log in &view.logs {
                let state = log.state();
                let heads = state.heads.iter().filter(|h| h.first <= span.1 && span.0 <= h.last);
                owners.extend(heads.map(|head| Box::from(&*head.owner)));
            }
            Ok(owners)
        })
    }

    /// The members that samples of an owner have in a range, in order. Those of samples close to it can be among them.
    ///
    /// # Errors
    /// As [`series`](Self::series).
    pub fn members(&self, owner: &str, range: Range<Timestamp>) -> Result<BTreeSet<Box<str>>> {
        let Some(span) = bounds(&range) else { return Ok(BTreeSet::new()) };
        self.ask(span, |view| {
            let mut members = BTreeSet::new();
            for (file, chunk) in self.chunks(view, owner, span)? {
                let opened = file.head(&self.core.files, &chunk)?;
                let names = opened.shape.members().iter().enumerate();
                members.extend(names.filter(|(i, _)| opened.dir.has(*i)).map(|(_, name)| name.clone()));
            }
            view.records(owner, span, |log, record| {
                let shape = log.shape(record.head.shape)?;
                let mut values = Vec::with_capacity(shape.len());
                record.content(shape.len(), &mut values).ok_or_else(|| bad_record(log))?;
                let names = shape.members().iter().zip(values).filter(|(_, value)| !value.is_nan());
                members.extend(names.map(|(name, _)| name.clone()));
                Ok(())
            })?;
            Ok(members)
        })
    }

    /// An owner's chunks in a range, by time.
    fn chunks(&self, view: &View, owner: &str, span: (i64, i64)) -> Result<Vec<(Arc<Sealed>, ChunkRef)>> {
        let mut chunks = Vec::new();
        for file in &view.files {
            let found = file.find(&self.core.files, owner)?.into_iter();
            chunks.extend(found.filter(|chunk| overlaps(chunk, span)).map(|chunk| (file.clone(), chunk)));
        }
        chunks.sort_by_key(|(_, chunk)| (chunk.first, chunk.last));
        self.limit(chunks.iter().map(|(_, chunk)| u64::from(chunk.rows)).sum())?;
        Ok(chunks)
    }

    fn limit(&self, rows: u64) -> Result<()> {
        if rows <= self.core.options.max_rows as u64 {
            return Ok(());
        }
        Err(bound(OP_READ, "the answer would be too large: ask for a shorter range")
            .with("max_rows", self.core.options.max_rows))
    }
}

impl View {
    /// Every record that the logs have of an owner in a range, in no order.
    fn records(
        &self,
        owner: &str,
        span: (i64, i64),
        mut each: impl FnMut(&Log, Record<'_>) -> Result<()>,
    ) -> Result<()> {
        for log in &self.logs {
            if log.span(owner).is_none_or(|(first, last)| last < span.0 || span.1 < first) {
                continue;
            }
            log.records(owner, |bytes| {
                let record = Record::parse(bytes).ok_or_else(|| bad_record(log))?;
                if (span.0..=span.1).contains(&record.head.ts) {
                    each(log, record)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Members that are picked out of records, most of which have one shape.
struct Pick {
    shape: Arc<Shape>,
    /// Where the members stand in the shape that came last.
    last: Option<(Arc<Shape>, Vec<Option<usize>>)>,
    values: Vec<f64>,
}

impl Pick {
    fn new(members: &[&str]) -> Result<Self> {
        Ok(Self { shape: Shape::new(members.iter().copied())?, last: None, values: Vec::new() })
    }

    fn of(&mut self, shape: &Arc<Shape>, all: &[f64]) -> &[f64] {
        let places = match self.last.take() {
            Some((last, places)) if Arc::ptr_eq(&last, shape) => places,
            _ => self.shape.members().iter().map(|member| shape.position(member)).collect(),
        };
        self.values.clear();
        let value = |place: &Option<usize>| place.and_then(|at| all.get(at)).copied().unwrap_or(f64::NAN);
        self.values.extend(places.iter().map(value));
        self.last = Some((Arc::clone(shape), places));
        &self.values
    }
}

fn push_record(log: &Log, record: Record<'_>, pick: Option<&mut Pick>, table: &mut Table) -> Result<()> {
    let (head, shape) = (record.head, log.shape(record.head.shape)?);
    let mut values = Vec::with_capacity(shape.len());
    record.content(shape.len(), &mut values).ok_or_else(|| bad_record(log))?;
    let seq = log.sequence(head.index);
    match pick {
        None => table.push(head.ts, seq, &shape, &values, None),
        Some(pick) => {
            let own = Arc::clone(&pick.shape);
            table.push(head.ts, seq, &own, pick.of(&shape, &values), None);
        }
    }
    Ok(())
}

fn to_rows(table: Table, query: RowsQuery<'_>) -> Rows {
    let members = match query.members {
        Some(members) if table.members.is_empty() => members.iter().copied().map(Box::from).collect(),
        _ => table.members,
    };
    let mut rows = Vec::with_capacity(table.ts.len());
    for (i, (ts, seq)) in table.ts.iter().zip(&table.seq).enumerate() {
        if query.latest_per_ts && table.ts.get(i + 1) == Some(ts) {
            continue;
        }
        let values = table.columns.iter().map(|column| column[i]).collect();
        rows.push(HistoryRow { ts: Timestamp(*ts), seq: *seq, values });
    }
    Rows { members, rows, removed_before: None }
}

const fn overlaps(chunk: &ChunkRef, span: (i64, i64)) -> bool {
    chunk.first <= span.1 && span.0 <= chunk.last
}

/// The rows within a range; times are in order.
fn within(ts: &[i64], span: (i64, i64)) -> Range<usize> {
    ts.partition_point(|ts| *ts < span.0)..ts.partition_point(|ts| *ts <= span.1)
}
