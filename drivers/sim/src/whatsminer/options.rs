use std::time::Duration;

use super::{Padding, models::M50S};
use crate::{Join, physics::Model};

/// What kind of Whatsminer to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatsminerOptions {
    /// Machine.
    pub model: &'static Model,
    /// Firmware version, `YYYYMMDD.NN.REL`. The one of 2023-01-06 forgets a quote in `get_psu`.
    pub firmware: String,
    /// Last number of the API version 2.0.x, 0 to 5. Commands of later versions are unknown; 2.0.4 writes the errors
    /// with the wrong brackets.
    pub api: u8,
    /// Which commands a client can join.
    pub join: Join,
    /// Password of `admin`.
    pub password: String,
    /// Whether the write API was enabled with the vendor's tool.
    pub write_enabled: bool,
    /// Whether answers end in a NUL.
    pub nul: bool,
    /// Whether the connection stays open after the answer.
    pub keep_open: bool,
    /// Code of a good `get_token` answer: 134, on some firmwares 131.
    pub token_code: u16,
    /// Whether reboot, restart, power-off and mode changes close without a reply; `respbefore` set to `"true"` gets
    /// one all the same.
    pub silent: bool,
    /// How refusals of encrypted commands are written.
    pub errors: ErrorForm,
    /// How encrypted replies are padded.
    pub padding: Padding,
    /// Client id and secret of a partner who may switch the write API on and off with the unlock handshake; without
    /// one the firmware does not know the handshake.
    pub unlock: Option<(String, String)>,
    /// For so long after a reboot `pools` and `devs` are well-formed and empty.
    pub half_booted: Duration,
}

impl Default for WhatsminerOptions {
    fn default() -> Self {
        Self {
            model: &M50S,
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
        }
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
