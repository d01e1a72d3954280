//! The same by a walk over every moment at which anything can change.

use crate::{
    stats::fold::Span,
    telemetry::{Aggregate, Point},
};

/// What a thing said, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Naive {
    pub said: Vec<(i64, f64)>,
    pub hold: i64,
}

/// A length of time in which a thing held a value.
#[derive(Debug, Clone, Copy)]
struct Piece {
    ms: i64,
    said: i64,
    value: f64,
}

impl Naive {
    /// What holds at a moment: when it was said, and what.
    fn at(&self, moment: i64) -> Option<(i64, f64)> {
        let mut last: Option<(i64, f64)> = None;
        for said in &self.said {
            if said.0 <= moment && last.is_none_or(|last| said.0 >= last.0) {
                last = Some(*said);
            }
        }
        last.filter(|(ts, value)| moment < ts + self.hold && value.abs() < 1e200)
    }

    fn pieces(&self, start: i64, end: i64) -> Vec<Piece> {
        let ends = self.said.iter().map(|(ts, _)| ts + self.hold);
        let mut moments: Vec<i64> = self.said.iter().map(|(ts, _)| *ts).chain(ends).collect();
        moments.retain(|moment| start < *moment && *moment < end);
        moments.extend([start, end]);
        moments.sort_unstable();
        let pairs = moments.windows(2).filter(|pair| pair[0] < pair[1]);
        let piece =
            |pair: &[i64]| self.at(pair[0]).map(|(said, value)| Piece { ms: pair[1] - pair[0], said, value });
        pairs.filter_map(piece).collect()
    }
}

/// The point of a step over some things, in order of ids.
pub(super) fn point(things: &[&Naive], step: Span, now: i64, aggregate: Aggregate) -> Point {
    let (start, end) = (step.start.0, step.end.0.min(now));
    if end <= start {
        return Point::default();
    }
    let length = (end - start) as f64;
    let pieces: Vec<Piece> = things.iter().flat_map(|thing| thing.pieces(start, end)).collect();
    let known: i64 = pieces.iter().map(|piece| piece.ms).sum();
    if known == 0 {
        return Point::default();
    }
    let known = known as f64;
    let integral: f64 = pieces.iter().map(|piece| piece.value * piece.ms as f64).sum();
    let (coverage, contributors) = (known / (length * things.len() as f64), known / length);
    let value = match aggregate {
        Aggregate::Mean => integral / known,
        Aggregate::Sum => integral / length,
        Aggregate::Min => pieces.iter().map(|piece| piece.value).fold(f64::NAN, f64::min),
        Aggregate::Max => pieces.iter().map(|piece| piece.value).fold(f64::NAN, f64::max),
        // Of several with the same time the last one.
        Aggregate::Last => pieces.iter().max_by_key(|piece| piece.said).map_or(f64::NAN, |piece| piece.value),
        Aggregate::Count => contributors,
        Aggregate::Energy => integral / 3_600_000.0,
        Aggregate::Coverage => coverage,
    };
    Point { value: Some(value), coverage, contributors }
}
