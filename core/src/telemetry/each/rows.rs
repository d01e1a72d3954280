//! Values of single things over windows, from what they said.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use serde_json::{Map, Value, json};

use super::{Each, MAX_EACH, MAX_EACH_SAMPLES};
use crate::{
    Error, ErrorKind, Result, ThingId,
    io::Timestamp,
    model::flat::unflatten,
    rack::TailQuery,
    stats::{Json, Of, Path, Row, Spec, Tally, fold::Span, live::Window},
    telemetry::{
        Aggregate, Inner, OP, code,
        holds::Holds,
        look::document,
        series::{Budget, Fold, Held, Reader},
    },
};

pub(super) const TOO_MANY: &str = "values of single things would be too many: ask for a shorter time, longer windows or the tag of fewer things";

/// The windows of rows, in order. Rows about now have none.
pub(super) fn steps(rows: &[Row], window: Window, query: &TailQuery) -> Vec<Span> {
    let spans = query.spans.as_deref().unwrap_or_default();
    let of_span: BTreeMap<Timestamp, Timestamp> = spans.iter().map(|span| (span.end, span.start)).collect();
    let step = |row: &Row| {
        let end = row.ts?;
        let start = match &query.spans {
            Some(_) => of_span.get(&end).copied()?,
            None => Timestamp(end.0.saturating_sub(window.length_ms())),
        };
        Some(Span { start, end })
    };
    rows.iter().filter_map(step).collect()
}

/// Refuses more windows of things than [`MAX_EACH`].
pub(super) fn check(steps: usize, things: usize) -> Result<()> {
    let values = steps.saturating_mul(things);
    if values <= MAX_EACH {
        return Ok(());
    }
    let e = Error::invalid(OP, "limit", TOO_MANY).code_as(code::LIMIT_EXCEEDED);
    Err(e.with("values", values).with("most", MAX_EACH))
}

/// What is read of each thing: where, which members, and when.
struct Reading<'a> {
    /// One for each member.
    readers: Vec<Reader<'a>>,
    steps: &'a [Span],
    /// What is not over yet lasts until now.
    until: i64,
    holds: Holds,
}

/// What a thing said that is no number, as it changed.
struct Texts {
    changes: Vec<(Timestamp, Arc<str>)>,
    /// The change that was parsed last.
    parsed: Option<(usize, Map<String, Value>)>,
}

impl Inner {
    /// Adds the values of single things to rows.
    pub(super) fn add_each(
        &self,
        each: &Each,
        window: Window,
        query: &TailQuery,
        rows: &mut [Row],
    ) -> Result<()> {
        let steps = steps(rows, window, query);
        check(steps.len(), each.things.len())?;
        if steps.len() != rows.len() {
            return Err(Error::new(ErrorKind::Internal, OP, "a row has no window"));
        }
        let members = members(&each.spec);
        let mut rest = rows;
        // Spans that overlap are walked one after the other.
        for run in steps.chunk_by(|a, b| a.end <= b.start) {
            let (here, later) = rest.split_at_mut(run.len());
            rest = later;
            self.add_run(each, &members, run, here)?;
        }
        Ok(())
    }

    fn add_run(&self, each: &Each, members: &[String], steps: &[Span], rows: &mut [Row]) -> Result<()> {
        let reader =
            |metric| Reader { history: &self.raw, metric, samples: Budget::new(MAX_EACH_SAMPLES, TOO_MANY) };
        let readers = members.iter().map(|member| reader(member.as_str())).collect();
        let last = steps.last().map_or(0, |step| step.end.0);
        let until = last.min(self.cx.clock.wall().0);
        let reading = Reading { readers, steps, until, holds: each.holds };
        let mut tallies: Vec<Tally<'_>> = steps.iter().map(|_| Tally::new(&each.spec)).collect();
        for thing in &each.things {
            let ext = document(thing);
            let snapshots = reading.snapshots(&thing.id)?;
            for (tally, snapshot) in tallies.iter_mut().zip(snapshots) {
                let Some(snap) = snapshot else { continue };
                let entry = json!({"last": {"snap": snap}, "info": ext.get("info")});
                tally.add(&Json { entry: &entry, ext: Some(&ext) });
            }
        }
        for (row, tally) in rows.iter_mut().zip(tallies) {
            row.merge(&tally.finish());
        }
        Ok(())
    }
}

/// The members of snapshots that operations look at, as the history calls them.
fn members(spec: &Spec) -> Vec<String> {
    let mut paths: BTreeSet<String> = BTreeSet::new();
    let mut put = |of: Of, path: &Path| {
        if let Some(member) = path.text().strip_prefix("last.snap.").filter(|_| of == Of::Entry) {
            paths.insert(member.replace('[', ".").replace(']', ""));
        }
    };
    for (_, op) in spec.ops() {
        let sources = op.src.iter().chain(op.srcs.iter().map(|(_, src)| src));
        sources.for_each(|src| put(Of::Entry, src));
        let filter = op.filter.iter().flat_map(|filter| filter.paths());
        let group = op.group.iter().flat_map(|group| group.paths());
        filter.chain(group).for_each(|(of, path)| put(of, path));
    }
    paths.into_iter().collect()
}

impl Reading<'_> {
    /// What a thing said over each step; `None` where it is not known.
    fn snapshots(&self, thing: &ThingId) -> Result<Vec<Option<Value>>> {
        let Some(first) = self.steps.first() else { return Ok(Vec::new()) };
        let range = first.start.0.saturating_sub(self.holds.longest()).max(0)..self.until;
        let (mut times, mut numbers) = (Vec::new(), Vec::with_capacity(self.readers.len()));
        for reader in &self.readers {
            times.clear();
            numbers.push(self.means(reader, thing, range.clone(), &mut times)?);
        }
        if times.is_empty() {
            return Ok(vec![None; self.steps.len()]);
        }
        let changes = reader_texts(&self.readers, thing, range)?;
        let mut texts = Texts { changes, parsed: None };
        let snapshot = |(at, step): (usize, &Span)| {
            let held: Vec<Option<f64>> =
                numbers.iter().map(|means| means.get(at).copied().flatten()).collect();
            let said = self.said_last(step, &times, &mut texts)?;
            self.snapshot(&held, said)
        };
        self.steps.iter().enumerate().map(snapshot).collect()
    }

    /// The mean of a number over each step, and when the thing said anything.
    fn means(
        &self,
        reader: &Reader<'_>,
        thing: &ThingId,
        range: Range<i64>,
        times: &mut Vec<i64>,
    ) -> Result<Vec<Option<f64>>> {
        let mut held = vec![Held::NOTHING; self.steps.len()];
        let mut fold = Fold::new(self.steps, self.until, self.holds.answered);
        let outcome = reader.read(thing.as_str(), range, false, |ts, value| {
            times.push(ts);
            fold.push(ts, value, &mut held);
            Ok(())
        })?;
        fold.finish(&mut held);
        if let Some(error) = outcome.failed {
            return Err(error.with("thing", thing));
        }
        let mean = |(held, step): (&Held, &Span)| {
            held.point(Aggregate::Mean, step.end.0.min(self.until) - step.start.0, 1).value
        };
        Ok(held.iter().zip(self.steps).map(mean).collect())
    }

    /// What the last reading that held in a step said, but for numbers.
    fn said_last<'t>(
        &self,
        step: &Span,
        times: &[i64],
        texts: &'t mut Texts,
    ) -> Result<Option<&'t Map<String, Value>>> {
        let count = times.partition_point(|ts| *ts < step.end.0);
        let Some(ts) = count.checked_sub(1).and_then(|at| times.get(at)) else { return Ok(None) };
        let Some(said) = texts.at(*ts)? else { return Ok(None) };
        let hold = if said.contains_key("err") { self.holds.failed } else { self.holds.answered };
        Ok((ts.saturating_add(hold) > step.start.0).then_some(said))
    }

    /// A snapshot of what is known of the members, numbers first.
    fn snapshot(&self, held: &[Option<f64>], said: Option<&Map<String, Value>>) -> Result<Option<Value>> {
        let (mut paths, mut values, mut texts) = (Vec::new(), Vec::new(), Map::new());
        for (reader, number) in self.readers.iter().zip(held) {
            if let Some(number) = number {
                paths.push(reader.metric);
                values.push(*number);
            } else if let Some(value) = said.and_then(|said| said.get(reader.metric)) {
                texts.insert(reader.metric.to_owned(), value.clone());
            }
        }
        if paths.is_empty() && said.is_none() {
            return Ok(None);
        }
        unflatten(&paths, &values, &Value::Object(texts).to_string()).map(Some)
    }
}

fn reader_texts(
    readers: &[Reader<'_>],
    thing: &ThingId,
    range: Range<i64>,
) -> Result<Vec<(Timestamp, Arc<str>)>> {
    let Some(reader) = readers.first() else { return Ok(Vec::new()) };
    reader.history.texts(thing.as_str(), Timestamp(range.start)..Timestamp(range.end))
}

impl Texts {
    /// What held at a time.
    fn at(&mut self, ts: i64) -> Result<Option<&Map<String, Value>>> {
        let count = self.changes.partition_point(|(at, _)| at.0 <= ts);
        let Some(at) = count.checked_sub(1) else { return Ok(None) };
        if self.parsed.as_ref().is_none_or(|(known, _)| *known != at) {
            let Some((_, text)) = self.changes.get(at) else { return Ok(None) };
            let bad = |e| Error::new(ErrorKind::Corrupt, OP, "texts are no JSON object").caused_by(e);
            self.parsed = Some((at, serde_json::from_str(text).map_err(bad)?));
        }
        Ok(self.parsed.as_ref().map(|(_, said)| said))
    }
}
