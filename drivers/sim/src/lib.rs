//! Simulated mining devices, on real sockets or in memory, for a user's own tests and as the oracle of
//! Headframe's.
//!
//! A [`Fleet`] serves any number of devices over the sockets, the clock and the seed that it is given. Each
//! [`Device`] keeps the rules of the real one (tokens and their expiry, write enable, silent writes, partial
//! replies), follows a small physical model, counts what it receives and does what a [`Fault`] tells it to do.
//! [`Device::truth`] says what is really so, for comparison with what a driver read.
//!
//! Firmware generations differ in what they know, demand and misspell; each has a preset:
//!
//! | preset | ports | writes |
//! |---|---|---|
//! | [`WhatsminerOptions::v1`] | 4028 | none: no parameter form of that API is written down |
//! | [`WhatsminerOptions::v2`] | 4028 | encrypted, with a token for half an hour |
//! | [`WhatsminerOptions::v3`] | 4433, and 4028 for the reads of before | signed one by one with a salt and the time |
//! | [`AntminerOptions::s19_2020`] | 80, 4028 | digest login, whole form |
//! | [`AntminerOptions::s19_xp_2022`] | 80, 4028, 6060 | digest login, whole form |
//! | [`AntminerOptions::s19j_pro_2022`] | 80, 4028, 6060 | digest login, whole form |
//! | [`AntminerOptions::s21_2024`] | 80, 4028, 6060 | digest login, parts of the form |
//! | [`AntminerOptions::s21_2025`] | 80, 4028 | digest login, parts of the form |
//!
//! These are the real ports; [`Ports`] says where simulated ones are.
//!
//! ```no_run
//! # async fn example() -> headframe_core::Result<()> {
//! use headframe_core::io::Ctx;
//! use headframe_sim::{Fault, FleetBuilder, Role};
//!
//! let fleet = FleetBuilder::new().seed(7).whatsminers(3).start(&Ctx::system()).await?;
//! let device = &fleet.devices()[0];
//! device.fault(Fault::Hang);
//! println!("{:?} draws {} W", device.address(Role::Rpc), device.truth().power_w);
//! # Ok(())
//! # }
//! ```

mod antminer;
mod conn;
mod curve;
mod device;
mod execution;
mod fault;
mod fleet;
mod json;
mod noise;
mod physics;
mod rpc;
mod serve;
mod truth;
mod whatsminer;

pub use antminer::{
    AntminerModel, AntminerOptions, BlinkForm, BlinkRule, ConfRule, Door, ModeForm, PowerKey, Restarting,
    RpcOptions, Sensors, SidePort,
};
pub use device::Device;
pub use execution::Execution;
pub use fault::{Fault, Lie};
pub use fleet::{Fleet, FleetBuilder, Ports};
pub use json::FleetConf;
pub use physics::{Board, Cooling, ErrorEntry, FanControl, Led, Model, Pool, PowerMode, Rates, Truth};
pub use rpc::Join;
pub use serve::Role;
pub use whatsminer::{
    ErrorForm, ErrorList, Generation, M30S_PLUS, M50S, M56S, M60S, M63, Padding, PoolsParam, Replay, Upgrade,
    V1Options, V3Options, WhatsminerOptions,
};

/// Device families that can be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Family {
    /// MicroBT Whatsminer.
    Whatsminer,
    /// Bitmain Antminer with its stock firmware.
    Antminer,
}

impl Family {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whatsminer => "whatsminer",
            Self::Antminer => "antminer",
        }
    }
}
