use std::{fmt, net::Ipv4Addr, sync::Arc};

use async_trait::async_trait;
use serde_json::json;

use crate::{
    Error, Result, ThingId,
    query::{Page, Projection, Query},
    rack::{Caller, Partial, RackId, ThingRecord, Things},
};

use super::{Holding, Move, Orchestrator, fan::Target, unknown};

/// Holds the things of several racks and moves them between these, keeping id, code, comments and history.
#[async_trait]
pub trait Holder: fmt::Debug + Send + Sync + 'static {
    /// Moves one thing, in one step: at no time is it in both racks or in none.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) when the thing is not in `from` any more; nothing changed.
    async fn reassign(
        &self,
        id: &ThingId,
        from: &RackId,
        to: &RackId,
        by: &Caller,
    ) -> Result<Arc<ThingRecord>>;
}

/// Between the racks of its process.
#[async_trait]
impl Holder for Things {
    async fn reassign(
        &self,
        id: &ThingId,
        from: &RackId,
        to: &RackId,
        by: &Caller,
    ) -> Result<Arc<ThingRecord>> {
        // The registry's own method.
        Self::reassign(self, id, from, to, by).await
    }
}

impl Orchestrator {
    /// Things whose address lies in another rack's range, in the order of racks and ids.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the registry is damaged. A rack that fails is named in the answer.
    pub async fn misplaced(&self) -> Result<Partial<Vec<Move>>> {
        self.misplaced_of(self.targets(|_| true)?).await
    }

    pub(super) async fn misplaced_of(&self, targets: Vec<Target>) -> Result<Partial<Vec<Move>>> {
        let Partial { items, failed } = self.holdings_of(targets).await?;
        Ok(Partial { items: self.thing_map().value.misplaced(&items), failed })
    }

    /// Every thing with its rack and address.
    ///
    /// # Errors
    /// As [`misplaced`](Self::misplaced).
    pub async fn holdings(&self) -> Result<Partial<Vec<Holding>>> {
        self.holdings_of(self.targets(|_| true)?).await
    }

    async fn holdings_of(&self, targets: Vec<Target>) -> Result<Partial<Vec<Holding>>> {
        let fields = Projection::parse(&json!({"address": 1}))?;
        let query = Query { fields, page: Page::ALL, ..Query::default() };
        let list = |rack: Arc<dyn crate::rack::Rack>| {
            let query = query.clone();
            async move { rack.list(&query).await }
        };
        let all = self.0.fan.each(targets, crate::auth::Access::Read, list).await;
        let mut holdings = Vec::new();
        for (rack, page) in all.items {
            for item in page.items {
                let address = item.value.get("address").and_then(|a| a.as_str()?.parse::<Ipv4Addr>().ok());
                holdings.push(Holding { id: ThingId::new(&item.id)?, rack: rack.clone(), address });
            }
        }
        Ok(Partial { items: holdings, failed: all.failed })
    }

    /// Moves things one after another; each is judged alone and stays where it is when it cannot be moved.
    ///
    /// # Errors
    /// None: what became of each move stands beside it.
    pub async fn reassign(
        &self,
        holder: &dyn Holder,
        moves: Vec<Move>,
        by: &Caller,
    ) -> Vec<(Move, Result<Arc<ThingRecord>>)> {
        let mut done = Vec::with_capacity(moves.len());
        for one in moves {
            let moved = match self.can_move(&one) {
                Ok(()) => holder.reassign(&one.id, &one.from, &one.to, by).await,
                Err(e) => Err(e),
            };
            done.push((one, moved));
        }
        done
    }

    fn can_move(&self, one: &Move) -> Result<()> {
        let local = |id: &RackId| {
            let target = self.target(id)?;
            let slot = target.slot.filter(|slot| slot.local).ok_or_else(|| unknown(id))?;
            Ok::<_, Error>(slot.rack.info().clone())
        };
        let (from, to) = (local(&one.from)?, local(&one.to)?);
        if from.family() == to.family() {
            return Ok(());
        }
        let e = Error::invalid("ork.reassign", "rack", "the rack is for things of another family");
        Err(e.code_as("ERR_RACK_FAMILY").with("from", from.id).with("to", to.id))
    }
}
