//! What the measuring programs share: simulated devices in other processes, and this process's own use of CPU time
//! and memory.

pub mod cpu;
pub mod hand;
pub mod place;
pub mod simulator;
pub mod stage;

use clap::ValueEnum;
use headframe::{Error, Result, ThingId, driver::Ports, model::ThingConf};

/// Kind of simulated devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// MicroBT Whatsminer with API v2 that takes joined commands.
    Whatsminer,
    /// The same that joins no commands.
    WhatsminerSingle,
    /// MicroBT Whatsminer with API v3.
    WhatsminerV3,
    /// Bitmain Antminer.
    Antminer,
}

impl Family {
    /// The driver's id.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Whatsminer | Self::WhatsminerSingle | Self::WhatsminerV3 => "whatsminer",
            Self::Antminer => "antminer",
        }
    }

    /// The name by which it is chosen.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::WhatsminerSingle => "whatsminer-single",
            Self::WhatsminerV3 => "whatsminer-v3",
            other => other.id(),
        }
    }

    /// How to reach the simulated device at `address`.
    ///
    /// # Errors
    /// When `address` cannot be an id.
    pub fn conf(self, address: &str) -> Result<ThingConf> {
        let ports = Ports::simulated();
        let conf = ThingConf::new(ThingId::new(address)?, self.id()).opt("address", address);
        Ok(match self {
            Self::Whatsminer | Self::WhatsminerSingle => conf.opt("port", ports.rpc),
            // Nothing says that it has v3: it is found, as on a site.
            Self::WhatsminerV3 => conf.opt("port", ports.rpc).opt("v3_port", ports.v3),
            Self::Antminer => {
                conf.opt("port", ports.web).opt("rpc_port", ports.rpc).opt("side_port", ports.side)
            }
        })
    }
}

/// Rounds for output.
pub fn round(x: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (x * scale).round() / scale
}

/// Runs a measuring program on one thread; the exit code is 1 after an error, which is printed.
pub fn run(name: &str, work: impl Future<Output = Result<()>>) -> std::process::ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(async {
            match simulator::order() {
                Some(order) => simulator::serve(order?).await,
                None => work.await,
            }
        }),
        Err(e) => Err(Error::new(headframe::ErrorKind::Internal, "bench.runtime", e.to_string())),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{name}: {e}");
            std::process::ExitCode::FAILURE
        }
    }
}
