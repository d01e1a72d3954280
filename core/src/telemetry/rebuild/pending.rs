//! Which minutes wait, kept with the rows, so that the end of the process does not forget them.

use super::{Noted, Rebuilds};
use crate::{
    Error, ErrorKind, Result,
    history::{Sample, Shape},
    io::Timestamp,
    model::RackId,
    telemetry::{Inner, OP, name, rack::RackStats},
};

#[derive(serde::Deserialize)]
struct Wait {
    wait: Vec<(i64, i64)>,
}

impl Inner {
    /// Notes which minutes wait, where that changed. It becomes durable before the readings that came late until now do.
    pub(in crate::telemetry) fn note_pending(&self, rebuilds: &mut Rebuilds) {
        let now = self.cx.clock.wall();
        for (rack, stats) in self.racks().iter() {
            let under_way = rebuilds.jobs.get(rack).into_iter().flat_map(|job| job.minutes.keys().copied());
            let spans = stats.dirty.spans(under_way);
            let noted = rebuilds.noted.entry(rack.clone()).or_default();
            if noted.spans == spans {
                continue;
            }
            // The last one counts, also when the clock was set back.
            let ts = Timestamp(now.0.max(noted.ts.0.saturating_add(1)));
            match self.note(rack, &spans, ts) {
                Ok(()) => *noted = Noted { ts, spans },
                Err(error) => self.failed(&error, "which minutes wait"),
            }
        }
    }

    fn note(&self, rack: &RackId, spans: &[(i64, i64)], ts: Timestamp) -> Result<()> {
        let texts = serde_json::json!({ "wait": spans }).to_string();
        let (owner, shape) = (name::pending(rack), Shape::new(Vec::<Box<str>>::new())?);
        let sample = Sample { owner: &owner, ts, shape: &shape, values: &[], texts: Some(&texts) };
        self.rows.append(&[sample]).map(drop)
    }

    /// Marks the minutes that waited when the last run ended.
    ///
    /// # Errors
    /// Those of the history of rows; [`Corrupt`](ErrorKind::Corrupt) for what no release wrote.
    pub(in crate::telemetry) fn mark_pending(&self, rack: &RackId, stats: &mut RackStats) -> Result<()> {
        let owner = name::pending(rack);
        let Some(ts) = self.rows.last(&owner)?.rows.last().map(|row| row.ts) else { return Ok(()) };
        let texts = self.rows.texts(&owner, ts..Timestamp(ts.0.saturating_add(1)))?;
        let Some((_, text)) = texts.last() else { return Ok(()) };
        let wrong = |e: serde_json::Error| {
            Error::new(ErrorKind::Corrupt, OP, "which minutes wait cannot be read").caused_by(e)
        };
        let Wait { wait } = serde_json::from_str(text).map_err(wrong)?;
        for (from, until) in &wait {
            stats.dirty.mark_cut(*from, *until);
        }
        self.rebuilds().noted.insert(rack.clone(), Noted { ts, spans: wait });
        Ok(())
    }
}
