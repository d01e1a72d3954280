use std::time::Duration;

use super::{
    Padding, V1Options, V3Options,
    models::{M30S_PLUS, M50S, M60S},
};
use crate::{Join, physics::Model};

/// Which API a firmware has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Generation {
    /// Before 2022-07-29: reads on port 4028; its writes are not described anywhere, so that they are unknown here.
    V1,
    /// Until 2024-10-31: reads and encrypted writes on port 4028.
    #[default]
    V2,
    /// Since 2024-11-01: everything on port 4433, and most reads of before on port 4028.
    V3,
}

/// What kind of Whatsminer to simulate. Begin with [`WhatsminerOptions::v1`], [`v2`](WhatsminerOptions::v2) or
/// [`v3`](WhatsminerOptions::v3).
#[derive(Debug, Clone, PartialEq)]
pub struct WhatsminerOptions {
    /// Machine.
    pub model: &'static Model,
    /// Which API the firmware has.
    pub generation: Generation,
    /// Firmware version, `YYYYMMDD.NN.REL`. The one of 2023-01-06 forgets a quote in `get_psu`.
    pub firmware: String,
    /// Last number of the API version 2.0.x, 0 to 5. Commands of later versions are unknown; 2.0.4 writes the errors
    /// with the wrong brackets. On API v3 it says what port 4028 knows.
    pub api: u8,
    /// Which commands a client can join.
    pub join: Join,
    /// Password of `admin`, the account of API v2.
    pub password: String,
    /// Whether the write API was enabled with the vendor's tool; on API v3 it is shown as `apiswitch`.
    pub write_enabled: bool,
    /// Whether answers on port 4028 end in a NUL.
    pub nul: bool,
    /// Whether the connection stays open after the answer. Port 4028 answers nothing more on it, API v3 does.
    pub keep_open: bool,
    /// Code of a good `get_token` answer: 134, on some firmwares 131.
    pub token_code: u16,
    /// Whether reboot, restart, power-off and mode changes of API v2 close without a reply; `respbefore` set to
    /// `"true"` gets one all the same. API v3 has [`V3Options::silent`].
    pub silent: bool,
    /// How refusals of encrypted commands are written.
    pub errors: ErrorForm,
    /// How encrypted replies are padded.
    pub padding: Padding,
    /// Client id and secret of a partner who may switch the write API on and off with the unlock handshake on port
    /// 4028; without one the firmware does not know the handshake.
    pub unlock: Option<(String, String)>,
    /// For so long after a reboot `pools` and `devs` are well-formed and empty.
    pub half_booted: Duration,
    /// What a firmware upload installs.
    pub upgrade: Upgrade,
    /// What only API v1 has; looked at while the device has it.
    pub v1: V1Options,
    /// What only API v3 has; looked at while the device has it.
    pub v3: V3Options,
}

impl Default for WhatsminerOptions {
    fn default() -> Self {
        Self {
            model: &M50S,
            generation: Generation::V2,
            firmware: "20230911.12.REL".into(),
            api: 5,
            join: Join::All,
            password: "admin".into(),
            write_enabled: true,
            nul: true,
            keep_open: false,
            token_code: 134,
            silent: true,
            errors: ErrorForm::Encrypted,
            padding: Padding::Zero,
            unlock: None,
            half_booted: Duration::ZERO,
            upgrade: Upgrade::default(),
            v1: V1Options::default(),
            v3: V3Options::default(),
        }
    }
}

impl WhatsminerOptions {
    /// An M30S+ on firmware of 2021: API v1, reads only, with the spelling mistakes of that time.
    pub fn v1() -> Self {
        Self {
            model: &M30S_PLUS,
            generation: Generation::V1,
            firmware: "20210819.18.REL".into(),
            ..Self::default()
        }
    }

    /// An M50S on firmware of 2023: API 2.0.5 with its write API enabled. The default.
    pub fn v2() -> Self {
        Self::default()
    }

    /// An M60S on firmware of 2025: API 3.0.2 with its write API enabled, and the reads of before on port 4028.
    pub fn v3() -> Self {
        let upgrade =
            Upgrade { firmware: "20260310.15.Rel".into(), generation: Generation::V3, ..Upgrade::default() };
        Self {
            model: &M60S,
            generation: Generation::V3,
            firmware: "20251209.16.Rel2".into(),
            upgrade,
            ..Self::default()
        }
    }
}

/// What a firmware upload installs; it runs after the reboot that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The new version.
    pub firmware: String,
    /// The API that it has. Another one than before opens or closes the port of API v3.
    pub generation: Generation,
    /// Whether the write API is switched off by it.
    pub locks_writes: bool,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self { firmware: "20240618.13.REL".into(), generation: Generation::V2, locks_writes: false }
    }
}

/// How refusals of encrypted commands are written. A packet that cannot be decrypted is always refused in plain
/// JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorForm {
    /// Encrypted like a good reply.
    #[default]
    Encrypted,
    /// Plain JSON.
    Plain,
    /// Encrypted, and the packet once more encoded as a JSON text.
    Double,
}
