use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::CommandName;
use crate::model::Path;

/// What is known of how a device family carries out one command. A driver lists its rows; a command without one does
/// not exist for [`Capability`](crate::model::Capability).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRow {
    /// The command.
    pub name: CommandName,
    /// Whether the device answers.
    pub reply: ReplyRule,
    /// How the effect is seen.
    pub read_back: ReadBack,
    /// How it is undone.
    pub undo: Undo,
    /// What restarts.
    pub restart: Restart,
}

/// Whether a device answers a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyRule {
    /// Always; silence leaves open what it did.
    Expected,
    /// Not always; silence after the whole command was taken means that it was sent.
    SilenceMeansSent,
}

/// How a command's effect is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ReadBack {
    /// A member of the snapshot becomes what was ordered.
    Value {
        /// Its path, such as `config.power_mode`.
        field: Path,
        /// How long that takes at most, s.
        within_s: u32,
    },
    /// The device is reachable again and has been up for less time than since the command.
    Restarted {
        /// How long that takes at most, s.
        within_s: u32,
    },
    /// Nowhere: the device's reply is all there is.
    None,
}

impl ReadBack {
    /// Until when the effect must be seen.
    pub const fn within(&self) -> Option<Duration> {
        match self {
            Self::Value { within_s, .. } | Self::Restarted { within_s } => {
                Some(Duration::from_secs(*within_s as u64))
            }
            Self::None => None,
        }
    }
}

/// How a command is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// By the same command with the values that were there before.
    Before,
    /// By the power mode that was there before.
    PowerModeBefore,
    /// Nothing undoes it.
    None,
}

/// What restarts after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Nothing.
    None,
    /// The mining software; hashing stops for minutes.
    Mining,
    /// The whole machine.
    Machine,
}

impl CommandRow {
    /// A row.
    pub const fn new(
        name: CommandName,
        reply: ReplyRule,
        read_back: ReadBack,
        undo: Undo,
        restart: Restart,
    ) -> Self {
        Self { name, reply, read_back, undo, restart }
    }
}

impl ReadBack {
    /// The member at `field` becomes what was ordered, within so many seconds.
    pub const fn value(field: &'static str, within_s: u32) -> Self {
        Self::Value { field: Path::Borrowed(field), within_s }
    }

    /// The device restarts and is back within so many seconds.
    pub const fn restarted(within_s: u32) -> Self {
        Self::Restarted { within_s }
    }
}
