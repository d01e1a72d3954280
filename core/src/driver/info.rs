use crate::model::CommandRow;

/// What a driver is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverInfo {
    /// Its id, used in [`ThingConf::driver`](crate::model::ThingConf::driver).
    pub id: &'static str,
    /// Kind of thing, as MiningOS's types begin: `miner`.
    pub kind: &'static str,
    /// The maker.
    pub make: &'static str,
    /// Its page: what it supports, what is doubtful, what an attacker on the wire can do. Markdown.
    pub docs: &'static str,
    /// The generations of the family's interface.
    pub generations: &'static [Generation],
}

impl DriverInfo {
    /// Describes a driver without commands.
    pub const fn new(id: &'static str, kind: &'static str, make: &'static str, docs: &'static str) -> Self {
        Self { id, kind, make, docs, generations: &[] }
    }

    /// Adds the generations.
    #[must_use]
    pub const fn generations(mut self, generations: &'static [Generation]) -> Self {
        self.generations = generations;
        self
    }
}

/// One generation of a family's interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its name, such as `API v2`.
    pub name: &'static str,
    /// Firmwares that have it.
    pub firmware: &'static str,
    /// Ports and protocols.
    pub transport: &'static str,
    /// Its commands, in one or several lists. A device may have fewer: its
    /// [`Capability`](crate::model::Capability) tells.
    pub commands: &'static [&'static [CommandRow]],
    /// Commands that its firmware has but that no source describes: they are not carried out.
    pub undescribed: &'static [&'static str],
}

/// One model that a driver knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Canonical name with its variant, such as `M50S VH30`.
    pub name: String,
    /// What devices call it, when that is something else.
    pub aliases: Vec<String>,
    /// Hash boards.
    pub boards: Option<u32>,
    /// Chips on a board.
    pub chips: Option<u32>,
    /// Fans; 0 for liquid cooling.
    pub fans: Option<u32>,
}
