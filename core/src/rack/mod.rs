//! A rack owns a set of things and collects what they say.
//!
//! [`Collector`] polls things and needs nothing else. With the feature `store` there is more: [`Things`], the durable
//! registry of a site, and [`LocalRack`], which is the [`Rack`] over it and a collector.
//!
//! Inside, `desk` is the one place where records change; `changes` and `sightings` say how, and what is pure stands in
//! `checks`, `codes`, `tags`, `comments` and `identity`.

#[cfg(feature = "store")]
mod addressing;
#[cfg(feature = "store")]
mod api;
#[cfg(feature = "store")]
mod changes;
#[cfg(feature = "store")]
mod checks;
#[cfg(feature = "store")]
mod claims;
#[cfg(feature = "store")]
mod codes;
mod collect;
#[cfg(feature = "store")]
mod comments;
#[cfg(feature = "store")]
mod desk;
#[cfg(feature = "store")]
mod docs;
#[cfg(feature = "store")]
mod facts;
#[cfg(feature = "store")]
mod history;
#[cfg(feature = "store")]
mod identity;
#[cfg(feature = "store")]
mod inventory;
#[cfg(feature = "store")]
mod last;
#[cfg(feature = "store")]
mod local;
#[cfg(feature = "store")]
mod local_rack;
#[cfg(feature = "store")]
mod logs;
#[cfg(feature = "store")]
mod options;
#[cfg(feature = "store")]
mod record;
#[cfg(feature = "store")]
mod secrets;
#[cfg(feature = "store")]
mod sightings;
#[cfg(feature = "store")]
mod tags;
#[cfg(feature = "store")]
mod things;
#[cfg(feature = "store")]
mod watch;
#[cfg(feature = "store")]
mod writes;

#[cfg(test)]
#[cfg(all(feature = "store", feature = "testkit"))]
mod tests;

#[cfg(feature = "store")]
pub use addressing::{AddressServer, Addressing};
#[cfg(feature = "store")]
pub use api::{
    Caller, Comment, CommentRef, Partial, Rack, RackId, RackInfo, ThingChange, ThingDraft, Which, ipv4_of,
};
pub use collect::{
    Collector, CollectorOptions, Counts, Event, Good, Link, NullSink, Reading, ShutdownReport, SnapshotSink,
    Subscription, ThingState,
};
#[cfg(feature = "store")]
pub use facts::Facts;
#[cfg(feature = "store")]
pub use history::{Changed, HistoryEntry, HistoryKind};
#[cfg(feature = "store")]
pub(crate) use identity::ask_identity;
#[cfg(feature = "store")]
pub use identity::{Evidence, Held, HeldReason};
#[cfg(feature = "store")]
pub use last::LastRows;
#[cfg(feature = "store")]
pub use local::LocalRack;
#[cfg(feature = "store")]
pub use logs::{LogKey, RackLogs, Tail, TailQuery};
#[cfg(feature = "store")]
pub use options::RackOptions;
#[cfg(feature = "store")]
pub use record::ThingRecord;
#[cfg(feature = "store")]
pub(crate) use secrets::first_secret;
#[cfg(feature = "store")]
pub use sightings::Sighting;
#[cfg(feature = "store")]
pub use tags::MosTags;
#[cfg(feature = "store")]
pub use things::Things;
#[cfg(feature = "store")]
pub use writes::{IDENTITY_UNKNOWN, IN_MAINTENANCE, NOT_POLLED, READ_ONLY, THING_HELD};
