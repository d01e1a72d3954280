use super::{Kind::*, Metric, Unit::*};

macro_rules! metrics {
    ($($id:ident $kind:ident $unit:ident $name:literal [$($label:literal),*] $since:literal $about:literal;)*) => {
        /// Every metric by itself.
        pub mod names {
            use super::*;
            $(
                #[doc = $about]
                pub const $id: Metric = Metric {
                    name: $name,
                    kind: $kind,
                    unit: $unit,
                    labels: &[$($label),*],
                    since: $since,
                    about: $about,
                };
            )*
        }

        /// Every metric there is.
        pub const ALL: &[Metric] = &[$(names::$id),*];
    };
}

metrics! {
    RACK_THINGS Gauge Count "headframe_rack_things" ["rack", "link"] "0.1"
        "Things by what came of their last poll: online, offline, error, stale, never.";
    RACK_THINGS_SLOW Gauge Count "headframe_rack_things_slow" ["rack"] "0.1"
        "Things that missed their last poll and wait longer for the next.";
    RACK_POLLS_IN_FLIGHT Gauge Count "headframe_rack_polls_in_flight" ["rack"] "0.1"
        "Polls that run now.";
    RACK_POLLS_WAITING Gauge Count "headframe_rack_polls_waiting" ["rack"] "0.1"
        "Polls that are due and wait for a lane.";
    RACK_POLLS Counter Count "headframe_rack_polls_total" ["rack"] "0.1"
        "Polls that ended with a reading.";
    RACK_POLLS_FAILED Counter Count "headframe_rack_polls_failed_total" ["rack"] "0.1"
        "Those of them that gave no snapshot.";
    RACK_POLLS_LATE Counter Count "headframe_rack_polls_late_total" ["rack"] "0.1"
        "Polls of healthy things that began late.";
    RACK_POLLS_CUT Counter Count "headframe_rack_polls_cut_total" ["rack"] "0.1"
        "Polls ended before their deadline, because others waited for their lane.";
    RACK_POLLS_MISSED Counter Count "headframe_rack_polls_missed_total" ["rack"] "0.1"
        "Polls that did not take place, because the one before or the wait for a lane lasted too long.";
    RACK_POLL_LATENESS Gauge Seconds "headframe_rack_poll_lateness_seconds" ["rack", "quantile"] "0.1"
        "How late recent polls of healthy things began: quantiles 0.5 and 0.99.";
    RACK_READINGS_DROPPED Counter Count "headframe_rack_readings_dropped_total" ["rack"] "0.1"
        "Readings that did not reach sink, history and last rows, because their queue was full or the sink panicked.";
    RACK_EVENTS_MISSED Counter Count "headframe_rack_events_missed_total" ["rack"] "0.1"
        "Readings that subscribers did not get because they read too slowly, over all subscribers.";
    LAST_ROWS_DROPPED Counter Count "headframe_last_rows_dropped_total" [] "0.1"
        "Last readings of things that are not kept over a restart, because too much waited for the disk.";
    STORE_FULL Gauge Flag "headframe_store_full" [] "0.1"
        "1 while the disk is full and only stop actions are committed.";
    STORE_BROKEN Gauge Flag "headframe_store_broken" [] "0.1"
        "1 while the control store cannot be written.";
    STORE_RESERVE Gauge Bytes "headframe_store_reserve_bytes" [] "0.1"
        "Kept for stop actions on a full disk and not in use.";
    STORE_WAITING Gauge Count "headframe_store_batches_waiting" [] "0.1"
        "Batches that wait to be made durable.";
    STORE_COMMITS Counter Count "headframe_store_commits_total" [] "0.1"
        "Transactions made durable.";
    STORE_BATCHES Counter Count "headframe_store_batches_total" [] "0.1"
        "Batches made durable.";
    STORE_REFUSED Counter Count "headframe_store_batches_refused_total" ["reason"] "0.1"
        "Batches refused: guard (somebody else changed a record first), full (the disk was).";
    STORE_OPENED Counter Count "headframe_store_opened_total" [] "0.1"
        "How often the file was opened: once, and once more after each error.";
    TELEMETRY_DROPPED Counter Count "headframe_telemetry_readings_dropped_total" [] "0.1"
        "Readings that are not in the history, because the disk did not take what had come before them.";
    TELEMETRY_LATE Counter Count "headframe_telemetry_readings_late_total" [] "0.1"
        "Readings that are in the history, but came too late for the statistics of their minute.";
    TELEMETRY_REBUILT Counter Count "headframe_telemetry_minutes_rebuilt_total" [] "0.1"
        "Minutes of racks whose statistics were made anew, because readings came late or a restart cut them.";
    TELEMETRY_REBUILDS_DROPPED Counter Count "headframe_telemetry_rebuilds_dropped_total" [] "0.1"
        "Minutes of racks whose statistics stay as they are, because too many waited or their readings cannot be read.";
    TELEMETRY_OF_GONE Counter Count "headframe_telemetry_readings_of_gone_total" [] "0.1"
        "Readings that are not in the history, because their thing had left the rack when they came.";
    TELEMETRY_FAILURES Counter Count "headframe_telemetry_write_failures_total" [] "0.1"
        "Commits and other work on the disk that failed; what waits is tried again.";
    HISTORY_BYTES Gauge Bytes "headframe_history_bytes" ["history"] "0.1"
        "All files.";
    HISTORY_SAMPLES Gauge Count "headframe_history_samples" ["history"] "0.1"
        "Samples in all files, and those that wait for a commit.";
    HISTORY_VALUES Gauge Count "headframe_history_sealed_values" ["history"] "0.1"
        "Values in sealed files.";
    HISTORY_DAYS Gauge Count "headframe_history_days" ["history"] "0.1"
        "Days of which there is a file.";
    HISTORY_LOGS Gauge Count "headframe_history_logs" ["history"] "0.1"
        "Logs that are not sealed, with the open one.";
    HISTORY_STUCK Gauge Count "headframe_history_days_stuck" ["history"] "0.1"
        "Days whose files cannot be merged, because one is damaged.";
    HISTORY_INFINITE Counter Count "headframe_history_values_infinite_total" ["history"] "0.1"
        "Values that were infinite and are kept as absent.";
    HISTORY_REMOVED_DAYS Counter Count "headframe_history_removed_days_total" ["history"] "0.1"
        "Days, or parts of them, removed to keep the bound.";
    HISTORY_REMOVED_BYTES Counter Bytes "headframe_history_removed_bytes_total" ["history"] "0.1"
        "Their size.";
    HISTORY_REMOVED_SAMPLES Counter Count "headframe_history_removed_samples_total" ["history"] "0.1"
        "Samples in them.";
    STATISTICS_IMPLAUSIBLE Counter Count "headframe_statistics_values_implausible_total" ["engine"] "0.1"
        "Numbers taken as unknown, because they or sums over them would be infinite.";
    STATISTICS_LATE Counter Count "headframe_statistics_samples_late_total" ["engine"] "0.1"
        "Samples that came too late for a minute, or before the thing's last one.";
    STATISTICS_AHEAD Counter Count "headframe_statistics_samples_ahead_total" ["engine"] "0.1"
        "Samples refused because minutes before them had not been closed.";
    STATISTICS_SKIPPED Counter Count "headframe_statistics_windows_skipped_total" ["engine"] "0.1"
        "Windows of all lengths that ended with nothing in them.";
    REPORTS_RECEIVED Counter Count "headframe_reports_received_total" [] "0.1"
        "Datagrams on the ports for IP reports.";
    REPORTS Counter Count "headframe_reports_total" [] "0.1"
        "Those of them that were passed on to the streams.";
    REPORTS_ACKNOWLEDGED Counter Count "headframe_reports_acknowledgements_total" [] "0.1"
        "Those of them that are acknowledgements of vendors' tools.";
    REPORTS_REFUSED Counter Count "headframe_reports_refused_total" ["reason"] "0.1"
        "Those of them that were not passed on: malformed (they say nothing), limited (too many were sent).";
    REPORTS_MISSED Counter Count "headframe_reports_missed_total" [] "0.1"
        "Reports that streams did not get because they were read too slowly, over all streams.";
}
