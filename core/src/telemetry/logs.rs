use std::sync::Arc;

use async_trait::async_trait;

use super::Telemetry;
use crate::{
    Error, ErrorKind, Result, ThingId,
    io::Timestamp,
    model::RackId,
    rack::{LogKey, RackLogs, Tail, TailQuery},
};

/// The logs of one rack.
#[derive(Debug)]
struct Logs {
    telemetry: Telemetry,
    rack: RackId,
}

impl Telemetry {
    /// The logs of a rack, for [`RackOptions::logs`](crate::rack::RackOptions::logs).
    pub fn logs(&self, rack: &RackId) -> Arc<dyn RackLogs> {
        Arc::new(Logs { telemetry: self.clone(), rack: rack.clone() })
    }

    pub(super) fn tail(&self, rack: &RackId, query: &TailQuery) -> Result<Tail> {
        if let Some(rows) = self.mos_tail(rack, query)? {
            return Ok(Tail::Mos(rows));
        }
        match query.key {
            LogKey::Stat(window) => self.rows(rack, window, query).map(Tail::Rows),
            LogKey::Now => {
                let now = self.now(rack, query)?;
                Ok(Tail::Rows(now.into_iter().collect()))
            }
            LogKey::Startup => self.startup(rack, query).map(Tail::Rows),
            LogKey::Shares(window) => self.shares(rack, window, query).map(Tail::Rows),
            LogKey::Thing => {
                // Only the rack that has the thing answers, so that no reading comes twice.
                let here = |id: &ThingId| self.0.things.get(id).is_some_and(|thing| thing.rack == *rack);
                let Some(thing) = ThingId::new(&query.tag).ok().filter(here) else {
                    return Ok(Tail::Documents(Vec::new()));
                };
                let range = query.from..Timestamp(query.to.0.saturating_add(1));
                let mut documents = self.snapshots(&thing, range)?;
                if let Some(newest) = query.newest {
                    documents.drain(..documents.len().saturating_sub(newest));
                }
                Ok(Tail::Documents(documents))
            }
        }
    }
}

#[async_trait]
impl RackLogs for Logs {
    async fn tail(&self, query: &TailQuery) -> Result<Tail> {
        if self.telemetry.is_inline() {
            return self.telemetry.tail(&self.rack, query);
        }
        let (telemetry, rack, query) = (self.telemetry.clone(), self.rack.clone(), query.clone());
        let read = tokio::task::spawn_blocking(move || telemetry.tail(&rack, &query));
        let ended =
            |e| Error::new(ErrorKind::Internal, "rack.tail", "reading came to a bad end").caused_by(e);
        read.await.map_err(ended)?
    }
}
