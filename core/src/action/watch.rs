use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::{
    ActionId, Status,
    state::{Counts, Header},
};
use crate::model::Text;

/// What is told of an action each time it changes. Its targets are asked for with [`Engine::get`](super::Engine::get).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Summary {
    /// The action.
    pub id: ActionId,
    /// Its name.
    pub action: Text,
    /// Where it stands.
    pub status: Status,
    /// How its calls stand.
    pub counts: Counts,
    /// How often it was changed; rises by one or more from summary to summary.
    pub rev: u64,
}

impl Summary {
    pub(super) fn of(header: &Header) -> Self {
        Self {
            id: header.id,
            action: header.order.action.clone(),
            status: header.status,
            counts: header.counts,
            rev: header.rev,
        }
    }
}

/// A reader of summaries.
#[derive(Debug)]
pub struct Watch {
    pub(super) changes: broadcast::Receiver<Summary>,
}

/// What a [`Watch`] gives.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Watched {
    /// An action changed.
    Changed(Summary),
    /// The reader was too slow: so many changes were missed. What stands now is asked for.
    Missed(u64),
}

impl Watch {
    /// The next change; `None` when the engine ended.
    pub async fn next(&mut self) -> Option<Watched> {
        match self.changes.recv().await {
            Ok(summary) => Some(Watched::Changed(summary)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Watched::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
