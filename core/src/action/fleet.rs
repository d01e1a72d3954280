//! What the engine sees of racks.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ActionId;
use crate::{
    Result,
    driver::{Observed, Permit},
    io::Ctx,
    model::{RackId, Receipt, Text},
};

/// The racks of a site.
pub trait Fleet: std::fmt::Debug + Send + Sync + 'static {
    /// All that are registered now, in the order of their ids.
    ///
    /// # Errors
    /// When the registry cannot be read.
    fn racks(&self) -> Result<Vec<FleetRack>>;
}

/// One rack of a [`Fleet`].
#[derive(Debug, Clone)]
pub struct FleetRack {
    /// Its identity.
    pub id: RackId,
    /// Type of its things; the family is what stands before the first dash.
    pub thing_type: Text,
    /// Its hands; `None` while there is no connection to it.
    pub hands: Option<Arc<dyn Hands>>,
}

impl FleetRack {
    /// `miner`, `container`, …
    pub fn family(&self) -> &str {
        self.thing_type.split('-').next().unwrap_or_default()
    }
}

/// How a rack's things are written to. Only the engine can make the [`Permit`] that sending needs.
#[async_trait]
pub trait Hands: std::fmt::Debug + Send + Sync + 'static {
    /// What an action would touch here, judged thing by thing; nothing is sent. `None` when the rack does not know
    /// the action.
    ///
    /// # Errors
    /// When the rack cannot be asked; [`Invalid`](crate::ErrorKind::Invalid) for parameters that no thing would take.
    async fn select(&self, cx: &Ctx, ask: &Ask) -> Result<Option<Selection>>;

    /// Looks at a target right before it is written to: still registered here, not in maintenance, not held, able to
    /// carry the call out, and who answers and what its state is.
    ///
    /// # Errors
    /// Whatever stands against it, `ERR_THING_NOTFOUND` for example; nothing was sent.
    async fn look(&self, cx: &Ctx, call: &Call) -> Result<Look>;

    /// Sends the call, once.
    ///
    /// # Errors
    /// [`Error::sent`](crate::Error::sent) says whether the target may have received it.
    async fn send(&self, cx: &Ctx, call: &Call, permit: &Permit) -> Result<Reply>;

    /// Whether the effect of a call shows that was sent `since` ago, or may have been. Waits for it as long as the
    /// command's row says, counted from when it was sent; looks once at least.
    async fn confirm(&self, cx: &Ctx, call: &Call, before: &Before, since: Duration) -> Seen;
}

/// A question for what an action would touch.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The action's name, `setPowerMode`.
    pub action: Text,
    /// Its parameters.
    pub params: Arc<[Value]>,
    /// Which things, in the query language.
    pub query: Value,
    /// The one call of an action on the rack itself: the id of the thing that it registers, changes or forgets, or the
    /// rack's own.
    pub rack_call: Option<Text>,
}

/// What an action would touch in one rack.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// Votes that the rack asks for, under MiningOS's rules.
    pub votes: u32,
    /// The things, in the order of their ids.
    pub picks: Vec<Pick>,
    /// Things that matched and fell out.
    pub excluded: Vec<Excluded>,
}

/// A thing that an action would touch.
#[derive(Debug, Clone, PartialEq)]
pub struct Pick {
    /// Its id, or what [`Ask::rack_call`] said.
    pub id: Text,
    /// Its tags.
    pub tags: Vec<Text>,
    /// The most that its power can change by, W; absent when nobody can say.
    pub power_w: Option<f64>,
}

/// A thing that fell out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Its id.
    pub id: Text,
    /// The code.
    pub error: Text,
}

/// One call to one target.
#[derive(Debug, Clone)]
pub struct Call {
    /// The action that it belongs to.
    pub id: ActionId,
    /// The action's creator.
    pub user: Text,
    /// The action's name.
    pub action: Text,
    /// Its parameters, with secrets.
    pub params: Arc<[Value]>,
    /// The target.
    pub target: Text,
}

/// A target that is ready to be written to.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Who answers, and what its state is.
    pub observed: Observed,
    /// The target is as wanted already: nothing has to be sent.
    pub already: bool,
}

/// What is kept of a [`Look`] beside the intent to write, so that the fate can be found out after a crash.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Before {
    /// Who answered, and what its state was. Its times belong to this process; see [`up_since_wall_ms`](Self::up_since_wall_ms).
    pub observed: Observed,
    /// When the device came up, ms since 1970.
    pub up_since_wall_ms: Option<i64>,
}

/// What a target said to a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// As callers see it: `{"success": true}`, or `{"success": false, "error_msg": …}` for a refusal in band.
    pub result: Value,
    /// What went over the wire, without secrets.
    pub receipt: Option<Receipt>,
    /// Whether the effect has to be seen before the call counts as ok.
    pub confirm: bool,
}

/// What a look for a call's effect shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The effect is there.
    Applied,
    /// The target answers, the command's time is over and the effect is not there.
    NotApplied,
    /// Nothing can be said: the target does not answer, another one does, or it does not show such effects.
    Unknown,
}
