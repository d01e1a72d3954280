use std::{collections::BTreeMap, sync::Arc};

use super::{MINUTE, dirty::Mark};
use crate::{
    Error, ErrorKind, Result,
    history::{History, HistoryRow, RowsQuery},
    io::Timestamp,
    stats::{
        Plan, Seen,
        live::{Said, Totals, fold_series},
        plan::Columns,
    },
    telemetry::{
        OP,
        holds::Holds,
        look::{Looks, Texts},
        members::Subject,
        rack::RackStats,
        texts::TextsOf,
    },
};

/// Things that are read in one piece.
pub(super) const THINGS: usize = 256;

/// A few minutes of a rack that are made anew.
#[derive(Debug)]
pub(super) struct Job {
    pub minutes: BTreeMap<i64, Mark>,
    /// What the minutes hold so far, by start and cell.
    pub cells: BTreeMap<i64, BTreeMap<u32, Totals>>,
    /// Things that are still to be read.
    subjects: Vec<Subject>,
    ear: Ear,
}

/// Makes of a reading that was kept what it was when it came.
#[derive(Debug)]
struct Ear {
    plan: Arc<Plan>,
    looks: Looks,
    holds: Holds,
    columns: Columns,
    /// The texts that were parsed last.
    texts: Option<(Arc<str>, Texts)>,
}

/// What a thing said, as it is counted.
struct Heard {
    cell: u32,
    ts: Timestamp,
    hold_until: Timestamp,
    columns: Columns,
}

impl Job {
    pub fn new(stats: &RackStats, minutes: BTreeMap<i64, Mark>) -> Self {
        let plan = Arc::clone(&stats.plan);
        let ear = Ear {
            looks: Looks::new(plan.looks()),
            holds: stats.holds(),
            columns: Columns::default(),
            texts: None,
            plan,
        };
        Self { minutes, cells: BTreeMap::new(), subjects: stats.members.subjects(), ear }
    }

    /// Reads some of the things; whether all are read.
    ///
    /// # Errors
    /// Those of the history; [`Corrupt`](ErrorKind::Corrupt) for a reading whose texts are not there.
    pub fn read(&mut self, raw: &History) -> Result<bool> {
        for _ in 0..THINGS {
            let Some(subject) = self.subjects.pop() else { return Ok(true) };
            self.count(raw, &subject)?;
        }
        Ok(self.subjects.is_empty())
    }

    fn count(&mut self, raw: &History, subject: &Subject) -> Result<()> {
        let (Some(first), Some(last)) = (self.minutes.keys().next(), self.minutes.keys().next_back()) else {
            return Ok(());
        };
        let heard = self.ear.hear(raw, subject, *first, last.saturating_add(MINUTE))?;
        if heard.is_empty() {
            return Ok(());
        }
        let said = heard.iter().map(|heard| Said {
            cell: heard.cell,
            ts: heard.ts,
            hold_until: heard.hold_until,
            values: &heard.columns.values,
            predicates: heard.columns.predicates,
            maxes: &heard.columns.maxes,
        });
        let said: Vec<Said<'_>> = said.chain(subject.until.map(Said::removed)).collect();
        let layout = self.ear.plan.layout();
        for start in self.minutes.keys() {
            let end = Timestamp(start.saturating_add(MINUTE));
            for (cell, totals) in fold_series(layout, &said, Timestamp(*start), end) {
                let cells = self.cells.entry(*start).or_default();
                cells.entry(cell).or_insert_with(|| Totals::new(layout)).add(totals.view());
            }
        }
        Ok(())
    }
}

impl Ear {
    /// What a thing said in `[from, until)` and as long before it as it may have held, by time and sequence.
    fn hear(&mut self, raw: &History, subject: &Subject, from: i64, until: i64) -> Result<Vec<Heard>> {
        let members: Vec<&str> = self.looks.numbers().collect();
        let query = RowsQuery { members: Some(&members), latest_per_ts: false };
        let range = Timestamp(from.saturating_sub(self.holds.longest()))..Timestamp(until);
        let rows = raw.rows(subject.id.as_str(), range.clone(), query)?.rows;
        let texts = TextsOf::read(raw, subject.id.as_str(), range, &rows)?;
        let mut heard = Vec::with_capacity(rows.len());
        for row in rows {
            if subject.until.is_none_or(|until| row.ts < until) {
                heard.extend(self.hear_one(subject, &row, &texts)?);
            }
        }
        Ok(heard)
    }

    /// What a thing said once; `None` before it came to the rack.
    fn hear_one(&mut self, subject: &Subject, row: &HistoryRow, texts: &TextsOf) -> Result<Option<Heard>> {
        let Some(stand) = subject.stand(row.ts) else { return Ok(None) };
        let missing = || {
            Error::new(ErrorKind::Corrupt, OP, "the texts of a reading are not there")
                .with("thing", &subject.id)
                .with("ts", row.ts.0)
        };
        let text = texts.of(row).ok_or_else(missing)?;
        let parsed = match self.texts.take() {
            Some((known, parsed)) if Arc::ptr_eq(&known, text) => parsed,
            _ => Texts::parse(text)?,
        };
        let mut seen: Vec<Seen<'_>> = Vec::with_capacity(self.plan.looks().len());
        self.looks.seen_again(&stand.facts, &row.values, &parsed, &mut seen);
        self.plan.read(&seen, &mut self.columns);
        let hold = if parsed.failed { self.holds.failed } else { self.holds.answered };
        let heard = Heard {
            cell: stand.cell,
            ts: row.ts,
            hold_until: Timestamp(row.ts.0.saturating_add(hold)),
            columns: self.columns.clone(),
        };
        drop(seen);
        self.texts = Some((Arc::clone(text), parsed));
        Ok(Some(heard))
    }
}
