//! Plain data: what a thing says, what it can do, how it is configured. No I/O.

mod capability;
mod command;
mod conf;
mod members;
mod miner;
mod sensors;
mod snapshot;

pub use capability::{Capability, PowerRange};
pub use command::{Command, CommandName, Outcome, PowerMode};
pub use conf::ThingConf;
pub use members::{Members, Path};
pub use miner::{
    Board, BoardTemps, ChipClock, ChipTemps, DeviceError, ErrorCode, Fan, Frequencies, HashrateWindows,
    MinerConfig, MinerInfo, MinerSnapshot, MinerSpecific, MinerStats, NetworkConfig, PcbTemp, PoolConfig,
    PoolStatus, PowerSource, Psu, RawTemps, Shares, Temperatures,
};
pub use sensors::Sensors;
pub use snapshot::{MissingReason, Snapshot, State, Status};
