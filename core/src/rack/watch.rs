//! Between the registry and the collector of one rack: changes go one way, readings the other.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    api::RackId,
    changes::Rules,
    collect::{Collector, Link, Reading, SnapshotSink},
    desk::Follow,
    identity::Evidence,
    last::LastRows,
    record::ThingRecord,
    sightings::{Sighting, is_old_news},
    things::Things,
};
use crate::{ErrorKind, Result, ThingId, store::Sealer};

/// Tells the collector of changes.
#[derive(Debug)]
pub(super) struct Polling {
    pub collector: Collector,
    pub sealer: Sealer,
    pub last: Option<LastRows>,
    pub rules: Arc<Rules>,
}

impl Polling {
    fn apply(&self, id: &ThingId, old: Option<&ThingRecord>, new: Option<&ThingRecord>) -> Result<()> {
        let was = old.is_some_and(ThingRecord::is_polled);
        match (was, new.filter(|record| record.is_polled())) {
            (false, Some(record)) => self.collector.add(record.conf(&self.sealer)?),
            (true, Some(record)) => {
                let same = old.is_some_and(|old| old.opts == record.opts && old.driver == record.driver);
                if same {
                    return Ok(());
                }
                let conf = record.conf(&self.sealer)?;
                match self.collector.update(conf.clone()) {
                    // It could not be added before.
                    Err(e) if e.kind() == ErrorKind::NotFound => self.collector.add(conf),
                    result => result,
                }
            }
            (true, None) => self.collector.remove(id),
            (false, None) => Ok(()),
        }
    }
}

impl Follow for Polling {
    fn changed(&self, id: &ThingId, old: Option<&ThingRecord>, new: Option<&Arc<ThingRecord>>) {
        if let (None, Some(last)) = (new, &self.last) {
            last.forget(id);
        }
        if let Err(error) = self.apply(id, old, new.map(|record| &**record)) {
            tracing::error!(thing = %id, %error, "the collector did not take a change");
        }
    }

    fn left(&self, id: &ThingId, old: &ThingRecord) {
        if let (Some(reading), Some(last)) = (self.collector.last(id), &self.last) {
            last.carry(&reading);
        }
        if let Err(error) = self.apply(id, Some(old), None) {
            tracing::error!(thing = %id, %error, "the collector did not let go of a thing");
        }
    }

    fn is_online(&self, id: &ThingId) -> bool {
        self.collector.state(id).is_some_and(|state| state.link == Link::Online)
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }
}

/// Takes readings: last rows, identity, and what the user wants with them.
#[derive(Debug)]
pub(super) struct Watch {
    pub things: Arc<Things>,
    pub rack: RackId,
    pub last: Option<LastRows>,
    pub sink: Arc<dyn SnapshotSink>,
}

impl Watch {
    /// What a reading says of its device's identity, if that is new.
    fn sighting(&self, thing: &ThingRecord, reading: &Reading) -> Option<Sighting> {
        if thing.held.is_some() {
            return None;
        }
        let snapshot = reading.outcome.as_ref().ok()?;
        let evidence = Evidence::of(snapshot.miner()?)?;
        let known = is_old_news(thing, &evidence);
        (!known).then(|| Sighting::polled(thing.id.clone(), evidence, reading.ts))
    }
}

#[async_trait]
impl SnapshotSink for Watch {
    async fn put(&self, batch: &[Arc<Reading>]) {
        let mut seen = Vec::new();
        for reading in batch {
            let Some(thing) = self.things.get(&reading.thing).filter(|thing| thing.rack == self.rack) else {
                continue;
            };
            if let Some(last) = &self.last {
                last.record(reading);
            }
            seen.extend(self.sighting(&thing, reading));
        }
        self.sink.put(batch).await;
        if seen.is_empty() {
            return;
        }
        if let Err(error) = self.things.sight(seen).await {
            tracing::error!(%error, "what devices said of themselves could not be kept");
        }
    }
}
