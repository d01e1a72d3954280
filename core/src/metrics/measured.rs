//! How each part is measured. Every struct is taken apart without `..`: a counter that is added does not compile until
//! it is in the list.

use std::time::Duration;

use super::{Labels, Measured, Metric, Recorder, names::*};
use crate::{discover::ReportCounts, rack::Counts, stats::live::Counters};

/// Counters and gauges with the same label before their own.
struct Part<'a> {
    label: Option<(&'static str, &'a str)>,
    to: &'a mut dyn Recorder,
}

impl Part<'_> {
    fn count(&mut self, metric: &'static Metric, value: u64) {
        let labels: Labels<'_> = self.label.as_slice();
        self.to.counter(metric, labels, value);
    }

    fn gauge(&mut self, metric: &'static Metric, value: f64) {
        let labels: Labels<'_> = self.label.as_slice();
        self.to.gauge(metric, labels, value);
    }

    fn size(&mut self, metric: &'static Metric, value: usize) {
        self.gauge(metric, value as f64);
    }
}

impl Measured for Counts {
    /// `part` is the id of the rack.
    fn measure(&self, part: &str, to: &mut dyn Recorder) {
        let Self {
            things: _, // The sum of the next five.
            online,
            offline,
            error,
            stale,
            never,
            slow,
            in_flight,
            waiting,
            polls_done,
            polls_failed,
            polls_late,
            polls_cut,
            ticks_missed,
            sink_dropped,
            events_missed,
            lateness_p50,
            lateness_p99,
        } = *self;
        let links =
            [("online", online), ("offline", offline), ("error", error), ("stale", stale), ("never", never)];
        for (link, things) in links {
            to.gauge(&RACK_THINGS, &[("rack", part), ("link", link)], things as f64);
        }
        for (quantile, late) in [("0.5", lateness_p50), ("0.99", lateness_p99)] {
            let labels = [("rack", part), ("quantile", quantile)];
            to.gauge(&RACK_POLL_LATENESS, &labels, Duration::as_secs_f64(&late));
        }
        let mut rack = Part { label: Some(("rack", part)), to };
        rack.size(&RACK_THINGS_SLOW, slow);
        rack.size(&RACK_POLLS_IN_FLIGHT, in_flight);
        rack.size(&RACK_POLLS_WAITING, waiting);
        rack.count(&RACK_POLLS, polls_done);
        rack.count(&RACK_POLLS_FAILED, polls_failed);
        rack.count(&RACK_POLLS_LATE, polls_late);
        rack.count(&RACK_POLLS_CUT, polls_cut);
        rack.count(&RACK_POLLS_MISSED, ticks_missed);
        rack.count(&RACK_READINGS_DROPPED, sink_dropped);
        rack.count(&RACK_EVENTS_MISSED, events_missed);
    }
}

impl Measured for Counters {
    /// `part` is the name that the caller gives the engine.
    fn measure(&self, part: &str, to: &mut dyn Recorder) {
        let Self { implausible, late, ahead, skipped } = *self;
        let mut engine = Part { label: Some(("engine", part)), to };
        engine.count(&STATISTICS_IMPLAUSIBLE, implausible);
        engine.count(&STATISTICS_LATE, late);
        engine.count(&STATISTICS_AHEAD, ahead);
        engine.count(&STATISTICS_SKIPPED, skipped);
    }
}

impl Measured for ReportCounts {
    fn measure(&self, _part: &str, to: &mut dyn Recorder) {
        let Self { received, reports, acknowledgements, malformed, limited, missed } = *self;
        for (reason, refused) in [("malformed", malformed), ("limited", limited)] {
            to.counter(&REPORTS_REFUSED, &[("reason", reason)], refused);
        }
        let mut all = Part { label: None, to };
        all.count(&REPORTS_RECEIVED, received);
        all.count(&REPORTS, reports);
        all.count(&REPORTS_ACKNOWLEDGED, acknowledgements);
        all.count(&REPORTS_MISSED, missed);
    }
}

#[cfg(feature = "store")]
impl Measured for crate::store::StoreHealth {
    fn measure(&self, _part: &str, to: &mut dyn Recorder) {
        let Self { full, reserve_bytes, broken, commits, batches, refused, refused_full, opened, waiting } =
            self;
        for (reason, refused) in [("guard", refused), ("full", refused_full)] {
            to.counter(&STORE_REFUSED, &[("reason", reason)], *refused);
        }
        let mut store = Part { label: None, to };
        store.gauge(&STORE_FULL, f64::from(u8::from(*full)));
        store.gauge(&STORE_BROKEN, f64::from(u8::from(broken.is_some())));
        store.gauge(&STORE_RESERVE, *reserve_bytes as f64);
        store.gauge(&STORE_WAITING, *waiting as f64);
        store.count(&STORE_COMMITS, *commits);
        store.count(&STORE_BATCHES, *batches);
        store.count(&STORE_OPENED, *opened);
    }
}

#[cfg(feature = "store")]
impl Measured for crate::store::LastStore {
    fn measure(&self, _part: &str, to: &mut dyn Recorder) {
        to.counter(&LAST_ROWS_DROPPED, &[], self.dropped());
    }
}

#[cfg(feature = "history")]
impl Measured for crate::history::HistoryStats {
    /// `part` is the name of the history.
    fn measure(&self, part: &str, to: &mut dyn Recorder) {
        let Self {
            bytes,
            samples,
            sealed_values,
            days,
            logs,
            // Places in the log; their distance counts nothing.
            sequence: _,
            durable_sequence: _,
            infinite_values,
            removed_days,
            removed_bytes,
            removed_samples,
            stuck_days,
        } = *self;
        let mut history = Part { label: Some(("history", part)), to };
        history.gauge(&HISTORY_BYTES, bytes as f64);
        history.gauge(&HISTORY_SAMPLES, samples as f64);
        history.gauge(&HISTORY_VALUES, sealed_values as f64);
        history.size(&HISTORY_DAYS, days);
        history.size(&HISTORY_LOGS, logs);
        history.size(&HISTORY_STUCK, stuck_days);
        history.count(&HISTORY_INFINITE, infinite_values);
        history.count(&HISTORY_REMOVED_DAYS, removed_days);
        history.count(&HISTORY_REMOVED_BYTES, removed_bytes);
        history.count(&HISTORY_REMOVED_SAMPLES, removed_samples);
    }
}

#[cfg(feature = "history")]
impl Measured for crate::telemetry::TelemetryCounters {
    /// The histories are called `readings` and `statistics`.
    fn measure(&self, _part: &str, to: &mut dyn Recorder) {
        let Self { dropped, of_gone, failures, late, rebuilt, rebuilds_dropped, readings, rows } = *self;
        readings.measure("readings", to);
        rows.measure("statistics", to);
        let mut all = Part { label: None, to };
        all.count(&TELEMETRY_DROPPED, dropped);
        all.count(&TELEMETRY_FAILURES, failures);
        all.count(&TELEMETRY_OF_GONE, of_gone);
        all.count(&TELEMETRY_LATE, late);
        all.count(&TELEMETRY_REBUILT, rebuilt);
        all.count(&TELEMETRY_REBUILDS_DROPPED, rebuilds_dropped);
    }
}
