//! A question while it is answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    thread,
};

use super::{
    Aggregate, Column, MAX_POINTS, MAX_SAMPLES, MAX_THINGS, MAX_THREADS, OP, Over, Point, RawSample,
    SeriesAnswer, SeriesQuery, Step, ThingsOf, Values, code,
    fold::{Fold, Held},
    read::{Budget, Reader},
    similar::refuse_unknown,
    steps,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    history::MAX_MEMBER_BYTES,
    io::Timestamp,
    model::RackId,
    stats::fold::Span,
    telemetry::{Inner, holds::hold_ms},
};

/// Bounds that tests make smaller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub things: usize,
    pub samples: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { things: MAX_THINGS, samples: MAX_SAMPLES }
    }
}

/// A question that can be answered.
pub(super) struct Ask<'a> {
    inner: &'a Inner,
    query: &'a SeriesQuery,
    limits: Limits,
    steps: Vec<Span>,
    /// In order of ids, without doubles.
    things: Vec<ThingId>,
    /// How long samples hold, by rack, ms.
    holds: BTreeMap<RackId, i64>,
}

/// What some things said.
#[derive(Debug, Default)]
struct Part {
    columns: Vec<Column>,
    /// Over all of them, by step.
    held: Vec<Held>,
    failed: Vec<(ThingId, Error)>,
    known: bool,
    removed_before: Option<Timestamp>,
}

/// When samples are read, and up to when they hold.
#[derive(Debug, Clone)]
struct Time {
    /// Without the time before it from which samples may hold into it.
    range: Range<i64>,
    /// No sample is earlier.
    begins: i64,
    now: i64,
}

impl<'a> Ask<'a> {
    pub fn new(inner: &'a Inner, query: &'a SeriesQuery, limits: Limits) -> Result<Self> {
        check(query)?;
        let steps = steps::steps(&query.step, &query.range, query.limit)?;
        let things = things(inner, &query.things)?;
        if things.len() > limits.things {
            let e = Error::invalid(OP, "things", "too many things: ask for fewer at once");
            let e = e.code_as(code::LIMIT_EXCEEDED);
            return Err(e.with("things", things.len()).with("most", limits.things));
        }
        let columns = if query.over == Over::Together { 1 } else { things.len() };
        let points = columns.saturating_mul(steps.len());
        if points > query.limit {
            return Err(steps::too_many(points, query.limit));
        }
        let racks = inner.racks();
        let holds = racks.iter().map(|(rack, stats)| (rack.clone(), hold_ms(stats.facts.interval))).collect();
        drop(racks);
        Ok(Self { inner, query, limits, steps, things, holds })
    }

    pub fn answer(self) -> Result<SeriesAnswer> {
        let (begins, removed) = self.inner.raw.begins();
        let now = self.inner.cx.clock.wall().0;
        let mut range = self.query.range.start.0..self.query.range.end.0;
        if let (Some(first), Some(last)) = (self.steps.first(), self.steps.last()) {
            range = first.start.0..last.end.0.min(now);
        }
        // Without a sample there is nothing to read.
        let begins = begins.map_or(range.end, |begins| begins.0);
        let parts = self.parts(&Time { range: range.clone(), begins, now })?;
        let longest =
            self.holds.values().copied().chain(self.query.interval.map(hold_ms)).max().unwrap_or_default();
        let reach = if self.query.step == Step::Raw { 0 } else { longest };
        let removed = removed.filter(|removed| removed.0 > range.start.saturating_sub(reach));

        let mut out = SeriesAnswer { removed_before: removed, ..SeriesAnswer::default() };
        let mut held = vec![Held::NOTHING; if self.is_together() { self.steps.len() } else { 0 }];
        let mut known = false;
        for part in parts {
            out.columns.extend(part.columns);
            out.failed.extend(part.failed);
            out.removed_before = out.removed_before.max(part.removed_before);
            known |= part.known;
            held.iter_mut().zip(&part.held).for_each(|(all, of)| all.add(of));
        }
        if !known && out.failed.is_empty() {
            let range = Timestamp(range.start.max(begins))..Timestamp(range.end);
            refuse_unknown(&self.inner.raw, &self.things, &self.query.metric, range)?;
        }
        if self.is_together() {
            let values = Values::Points(self.points(&held, self.things.len(), now));
            out.columns.push(Column { thing: None, values });
        }
        out.steps = self.steps;
        Ok(out)
    }

    fn is_together(&self) -> bool {
        self.query.over == Over::Together
    }

    /// The parts of the answer, each of some things, in order of ids.
    fn parts(&self, time: &Time) -> Result<Vec<Part>> {
        let many = "too many samples would have to be read: ask for a shorter range or fewer things";
        let reader = Reader {
            history: &self.inner.raw,
            metric: &self.query.metric,
            samples: Budget::new(self.limits.samples, many),
        };
        let points =
            Budget::new(self.query.limit as u64, "too many samples: ask for a shorter range or steps");
        let work = |things: &[ThingId]| self.part(&reader, &points, things, time);
        let size = self.things.len().div_ceil(self.query.threads).max(1);
        let mut chunks = self.things.chunks(size);
        let here = chunks.next().unwrap_or_default();
        thread::scope(|scope| {
            let begin = |things| thread::Builder::new().spawn_scoped(scope, move || work(things));
            let others = chunks.map(begin).collect::<Result<Vec<_>, _>>().map_err(|e| {
                Error::new(ErrorKind::Internal, OP, "the system gives no thread: ask with 1").caused_by(e)
            })?;
            let mut parts = vec![work(here)?];
            for other in others {
                let ended = |_| Error::new(ErrorKind::Internal, OP, "a thread that reads came to a bad end");
                parts.push(other.join().map_err(ended)??);
            }
            Ok(parts)
        })
    }

    fn part(&self, reader: &Reader<'_>, points: &Budget, things: &[ThingId], time: &Time) -> Result<Part> {
        let mut part = Part { held: vec![Held::NOTHING; self.steps.len()], ..Part::default() };
        for thing in things {
            let values = if self.query.step == Step::Raw {
                Values::Samples(samples(reader, points, thing, time, &mut part)?)
            } else {
                self.fold(reader, thing, time, &mut part)?;
                if self.is_together() {
                    continue;
                }
                let points = self.points(&part.held, 1, time.now);
                part.held.fill(Held::NOTHING);
                Values::Points(points)
            };
            part.columns.push(Column { thing: Some(thing.clone()), values });
        }
        Ok(part)
    }

    /// Adds what a thing held.
    fn fold(&self, reader: &Reader<'_>, thing: &ThingId, time: &Time, part: &mut Part) -> Result<()> {
        let Some(hold) = self.hold(thing) else {
            part.failed.push((thing.clone(), homeless(thing)));
            return Ok(());
        };
        let mut fold = Fold::new(&self.steps, time.range.end, hold);
        // A sample that is older by a hold does not reach into the first step.
        let from = time.range.start.saturating_sub(hold - 1).max(time.begins);
        let Part { held, .. } = part;
        let outcome = reader.read(thing.as_str(), from..time.range.end, true, |ts, value| {
            fold.push(ts, value, held);
            Ok(())
        })?;
        fold.finish(&mut part.held);
        part.take(thing, outcome);
        Ok(())
    }

    /// How long samples of a thing hold.
    fn hold(&self, thing: &ThingId) -> Option<i64> {
        let record = self.inner.things.get(thing);
        let of_rack = record.and_then(|record| self.holds.get(&record.rack).copied());
        of_rack.or_else(|| self.query.interval.map(hold_ms))
    }

    fn points(&self, held: &[Held], things: usize, now: i64) -> Vec<Point> {
        let point = |(held, step): (&Held, &Span)| {
            held.point(self.query.aggregate, step.end.0.min(now) - step.start.0, things)
        };
        held.iter().zip(&self.steps).map(point).collect()
    }
}

impl Part {
    fn take(&mut self, thing: &ThingId, outcome: super::read::Outcome) {
        self.known |= outcome.known;
        self.removed_before = self.removed_before.max(outcome.removed_before);
        self.failed.extend(outcome.failed.map(|e| (thing.clone(), e)));
    }
}

fn samples(
    reader: &Reader<'_>,
    points: &Budget,
    thing: &ThingId,
    time: &Time,
    part: &mut Part,
) -> Result<Vec<RawSample>> {
    let mut out = Vec::new();
    let range = time.range.start.max(time.begins)..time.range.end;
    let outcome = reader.read(thing.as_str(), range, false, |ts, value| {
        points.take(1)?;
        out.push(RawSample { ts: Timestamp(ts), value: (!value.is_nan()).then_some(value) });
        Ok(())
    })?;
    part.take(thing, outcome);
    Ok(out)
}

fn homeless(thing: &ThingId) -> Error {
    let why = "no rack here has the thing, so it is not known how long its samples hold: give the interval";
    let e = Error::new(ErrorKind::NotFound, OP, why).code_as("ERR_THING_NOTFOUND");
    e.with("thing", thing).with("field", "interval")
}

fn check(query: &SeriesQuery) -> Result<()> {
    steps::check(&query.range)?;
    let wrong = |field, code, why: &str| Err(Error::invalid(OP, field, why).code_as(code));
    if !(1..=MAX_POINTS).contains(&query.limit) {
        return wrong("limit", code::LIMIT_EXCEEDED, "the limit is 1 to 1,000,000 points");
    }
    if !(1..=MAX_THREADS).contains(&query.threads) {
        return wrong("threads", code::LIMIT_EXCEEDED, "there are 1 to 16 threads");
    }
    if !(1..=MAX_MEMBER_BYTES).contains(&query.metric.len()) {
        return wrong("metric", code::METRIC_NOT_FOUND, "the path of a number has 1 to 256 bytes");
    }
    if query.interval.is_some_and(|interval| interval.as_millis() == 0) {
        return wrong("interval", "ERR_INVALID", "the interval is 1 ms at least");
    }
    if query.step == Step::Raw && query.over == Over::Together {
        let why = "raw samples are each thing's: give a step to have values over all";
        return wrong("step", code::STEP_INVALID, why);
    }
    let is_power = query.metric.ends_with("power_w");
    if query.aggregate == Aggregate::Energy && query.step != Step::Raw && !is_power {
        let why = "energy is the integral of power: ask for a member that ends in power_w";
        return wrong("aggregate", code::AGGREGATE_INVALID, why);
    }
    Ok(())
}

/// The things that are asked, in order of ids.
fn things(inner: &Inner, of: &ThingsOf) -> Result<Vec<ThingId>> {
    let all = || inner.things.ids().into_iter().filter_map(|id| inner.things.get(&id));
    match of {
        ThingsOf::Ids(ids) => Ok(ids.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()),
        ThingsOf::Matching(filter) if filter.uses("last") => {
            let why = "what things said last, and $expr, cannot be asked for here: ask for records";
            Err(Error::invalid(OP, "things", why).code_as("ERR_QUERY_INVALID"))
        }
        ThingsOf::Matching(filter) => {
            let matches = all().filter(|record| filter.is_empty() || filter.matches(&record.listing()));
            Ok(matches.map(|record| record.id.clone()).collect())
        }
        ThingsOf::Tag(tag) => {
            let has_tag = all().filter(|record| record.tags.iter().any(|own| own.as_str() == tag));
            Ok(has_tag.map(|record| record.id.clone()).collect())
        }
    }
}
