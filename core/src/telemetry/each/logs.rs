//! Logs that MiningOS keeps beside its statistics, computed from what is kept anyway.

use super::rows::{TOO_MANY, check, steps};
use crate::{
    Result,
    model::RackId,
    rack::TailQuery,
    stats::{Cell, Merge, Row, Stat, live::Window},
    telemetry::{
        Inner, MAX_EACH_SAMPLES, Telemetry,
        read::unknown,
        series::{Budget, Reader},
    },
};

const MINING: &str = "online_or_minor_error_miners_cnt";
const OTHERS: [&str; 2] = ["offline_or_sleeping_miners_cnt", "error_miners_cnt"];
const STATUS: &str = "startupStatus";
/// What each result of the logs of shares adds.
const SHARES: [(&str, &str); 3] = [
    ("pools_accepted_shares_total", "stats.all_pools_shares.accepted"),
    ("pools_rejected_shares_total", "stats.all_pools_shares.rejected"),
    ("pools_stale_shares_total", "stats.all_pools_shares.stale"),
];

impl Telemetry {
    /// `startupStatus` by five minutes: 1 when more than half of the miners that are mining, sleeping, offline or faulty
    /// were mining, on the average, and 0 otherwise.
    pub(in crate::telemetry) fn startup(&self, rack: &RackId, query: &TailQuery) -> Result<Vec<Row>> {
        let wanted = OTHERS.into_iter().chain([MINING]).map(str::to_owned).collect();
        let query = TailQuery { wanted: Some(wanted), spans: None, ..query.clone() };
        let status = |row: &Row| {
            let count = |name| row.number(name).map_or(0.0, Stat::value);
            let mining = count(MINING);
            let all = OTHERS.into_iter().map(count).sum::<f64>() + mining;
            let mut out = Row::new(row.ts);
            let stat = Stat::new(f64::from(u8::from(mining / all > 0.5)), 1.0).filter(|_| all > 0.0)?;
            out.set(STATUS, Cell::Number(Merge::Sum, stat));
            Some(out)
        };
        Ok(self.totals(rack, Window::M5, &query)?.iter().filter_map(status).collect())
    }

    /// Shares by window: what each reading says has come since the one before, added over the things with the tag.
    pub(in crate::telemetry) fn shares(
        &self,
        rack: &RackId,
        window: Window,
        query: &TailQuery,
    ) -> Result<Vec<Row>> {
        let asked = query.wanted.clone();
        let is_asked = |name: &str| asked.as_ref().is_none_or(|names| names.contains(name));
        let bare = TailQuery { wanted: Some([].into()), spans: None, ..query.clone() };
        let mut rows = self.totals(rack, window, &bare)?;
        for (name, metric) in SHARES.into_iter().filter(|(name, _)| is_asked(name)) {
            self.0.add_shares(rack, window, &bare, (name, metric), &mut rows)?;
        }
        Ok(rows)
    }
}

impl Inner {
    fn add_shares(
        &self,
        rack: &RackId,
        window: Window,
        query: &TailQuery,
        (name, metric): (&'static str, &str),
        rows: &mut [Row],
    ) -> Result<()> {
        let is_common = {
            let racks = self.racks();
            racks.get(rack).ok_or_else(|| unknown(rack))?.sorting.is_common(&query.tag)
        };
        let things = self.tagged(rack, &query.tag, is_common);
        let steps = steps(rows, window, query);
        check(steps.len(), things.len())?;
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Ok(()) };
        let reader = Reader { history: &self.raw, metric, samples: Budget::new(MAX_EACH_SAMPLES, TOO_MANY) };
        let mut sums = vec![(0.0, 0.0); steps.len()];
        for thing in &things {
            let mut before = None;
            let outcome = reader.read(thing.id.as_str(), first.start.0..last.end.0, false, |ts, value| {
                let at = steps.partition_point(|step| step.end.0 <= ts);
                let within = steps.get(at).is_some_and(|step| step.start.0 <= ts);
                if let Some((sum, of)) = sums.get_mut(at).filter(|_| within && value.is_finite()) {
                    *sum += value;
                    // A thing counts once a window.
                    *of += f64::from(u8::from(before != Some(at)));
                    before = Some(at);
                }
                Ok(())
            })?;
            if let Some(error) = outcome.failed {
                return Err(error.with("thing", &thing.id));
            }
        }
        for (row, (sum, of)) in rows.iter_mut().zip(sums) {
            if let Some(stat) = Stat::new(sum, of).filter(|_| of > 0.0) {
                row.set(name, Cell::Number(Merge::Sum, stat));
            }
        }
        Ok(())
    }
}
