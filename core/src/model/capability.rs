use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};

use super::{CommandName, PowerMode};
use crate::units::Watts;

/// What one device can do, with its limits. It can change, after a firmware update for example.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Capability {
    /// The commands that [`Thing::execute`](crate::driver::Thing::execute) accepts.
    pub commands: BTreeSet<CommandName>,
    /// Power modes that the device has.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub power_modes: BTreeSet<PowerMode>,
    /// Limits of the power limit, when the device tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<PowerRange>,
}

impl Capability {
    /// A device that is only read; one for all of them.
    pub fn read_only() -> Arc<Self> {
        static READ_ONLY: LazyLock<Arc<Capability>> = LazyLock::new(Arc::default);
        READ_ONLY.clone()
    }

    /// Whether the device carries out `name`.
    pub fn has(&self, name: CommandName) -> bool {
        self.commands.contains(&name)
    }
}

/// Range of a power limit in W.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PowerRange {
    /// Lowest accepted.
    pub min: Watts,
    /// What the device does without a limit.
    pub default: Watts,
    /// Highest accepted.
    pub max: Watts,
}
