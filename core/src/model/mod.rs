//! Plain data: what a thing says, what it can do, how it is configured. No I/O.

mod capability;
mod command;
mod conf;
pub mod flat;
mod hardware;
mod members;
mod miner;
mod rack_id;
mod recent;
mod sensors;
mod settings;
mod snapshot;
mod text;

pub use capability::{Capability, PowerRange};
pub use command::{
    Command, CommandName, CommandRow, FanControl, FirmwareImage, NetworkSetup, Outcome, OutcomeState,
    PoolSetup, PowerMode, Preheat, ReadBack, Receipt, ReplyRule, Restart, Undo, Zone,
};
pub use conf::ThingConf;
pub use hardware::{
    Board, BoardTemps, ChipClock, ChipTemps, Fan, Frequencies, MinerSpecific, PcbTemp, Psu, RawTemps,
    Temperatures,
};
pub use members::{Members, Path};
pub use miner::{
    DeviceError, ErrorCode, HashrateWindows, MinerSnapshot, MinerStats, PoolStatus, PowerSource, Severity,
    Shares,
};
pub use rack_id::RackId;
pub use sensors::Sensors;
pub use settings::{MinerConfig, MinerInfo, NetworkConfig, PoolConfig};
pub use snapshot::{MissingReason, Snapshot, State, Status};
pub use text::Text;
