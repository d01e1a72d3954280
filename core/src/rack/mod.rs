//! A rack owns a set of things and collects what they say.

mod collect;

pub use collect::{
    Collector, CollectorOptions, Counts, Event, Good, Link, NullSink, Reading, ShutdownReport, SnapshotSink,
    Subscription, ThingState,
};
