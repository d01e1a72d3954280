//! The engine against an oracle that knows nothing of it, and case by case.

mod cases;
mod clocks;
mod oracle;
mod random;
mod rebuild;

use super::*;
use crate::io::Timestamp;

/// 2026-01-01 in UTC.
const DAY: i64 = 1_767_225_600_000;

/// Something said, with its own numbers.
#[derive(Debug, Clone)]
struct Sample {
    thing: u32,
    cell: u32,
    ts: i64,
    hold: i64,
    values: [f64; 2],
    predicates: u64,
    max: [f64; 1],
    /// The thing was removed.
    removed: bool,
}

impl Sample {
    /// Thing 0 in cell 0 says `value` at `ts`, for a minute.
    fn of(ts: i64, value: f64) -> Self {
        let hold = ts + 60_000;
        let (values, max) = ([value, f64::NAN], [value]);
        Self { thing: 0, cell: 0, ts, hold, values, predicates: 1, max, removed: false }
    }

    fn said(&self) -> Said<'_> {
        let (ts, hold_until) = (Timestamp(self.ts), Timestamp(self.hold));
        if self.removed {
            return Said::removed(ts);
        }
        let (values, maxes) = (&self.values[..], &self.max[..]);
        Said { cell: self.cell, ts, hold_until, values, predicates: self.predicates, maxes }
    }

    fn give(&self, engine: &mut Engine) -> Fate {
        if self.removed {
            return engine.remove(self.thing, Timestamp(self.ts)).unwrap();
        }
        engine.update(self.thing, &self.said()).unwrap()
    }
}

fn layout() -> Layout {
    Layout::new(2, 3, 1).unwrap()
}

fn engine(now: i64) -> Engine {
    Engine::new(layout(), Options::default(), Timestamp(now)).unwrap()
}

/// All windows that have ended at `now`.
fn close(engine: &mut Engine, now: i64) -> Vec<Closed> {
    let mut all = Vec::new();
    loop {
        let closing = engine.close_until(Timestamp(now));
        all.extend(closing.closed);
        if !closing.more {
            return all;
        }
    }
}

/// Windows as text: name, minutes from `DAY` to the end, and per cell integral in value-seconds, known s, and maximum.
fn told(closed: &[Closed]) -> Vec<String> {
    let line = |window: &Closed| {
        let cells: Vec<String> = window
            .cells
            .iter()
            .map(|(cell, t)| {
                let (sum, known) = (t.integral(0) / 1e3, t.known_ms(0) / 1000);
                format!("{cell}: {sum}/{known} max {:?}", t.max(0))
            })
            .collect();
        format!("{} {} [{}]", window.window, (window.end.0 - DAY) / 60_000, cells.join(", "))
    };
    closed.iter().map(line).collect()
}

impl Fate {
    fn is_counted(self) {
        assert_eq!(self, Self::Counted);
    }
}
