use std::net::IpAddr;

use serde_json::{Value, json};

use super::crypto;
use crate::{device::DeviceCore, physics::mix};

const LIVE: usize = 16;
const LIFE_S: f64 = 30.0 * 60.0;

/// The tokens that a device has given out. They are lost at a reboot.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    live: Vec<Token>,
    issued: u64,
    boot: u64,
    key: Option<String>,
}

#[derive(Debug)]
struct Token {
    sign: String,
    expires: f64,
    client: IpAddr,
}

impl Tokens {
    /// Gives out a token for `client`: the message of the `get_token` answer, or `None` when too many are alive.
    pub fn issue(&mut self, core: &DeviceCore, client: IpAddr, password: &str, salt: &str) -> Option<Value> {
        self.sweep(core);
        if self.live.len() >= LIVE {
            return None;
        }
        self.issued += 1;
        let newsalt = letters(mix(core.identity().seed, 1_000 + self.issued), 8);
        let time = core.epoch().to_string();
        let sign = crypto::sign(self.key(password, salt), &time, &newsalt);
        self.live.push(Token { sign, expires: core.now() + LIFE_S, client });
        Some(json!({ "time": time, "salt": salt, "newsalt": newsalt }))
    }

    /// Whether `sign` is a live token of `client`.
    pub fn accept(&mut self, core: &DeviceCore, client: IpAddr, sign: &str) -> bool {
        self.sweep(core);
        self.live.iter().any(|t| t.sign == sign && t.client == client)
    }

    /// The key that belongs to the password.
    pub fn key(&mut self, password: &str, salt: &str) -> &str {
        self.key.get_or_insert_with(|| crypto::md5crypt(password.as_bytes(), salt))
    }

    /// Forgets everything, as after a new password.
    pub fn forget(&mut self) {
        self.live.clear();
        self.key = None;
    }

    fn sweep(&mut self, core: &DeviceCore) {
        let (now, boot) = (core.now(), core.boots());
        if self.boot != boot {
            self.boot = boot;
            self.live.clear();
        }
        self.live.retain(|t| now < t.expires);
    }
}

/// So many letters and digits from a number.
pub(super) fn letters(mut number: u64, count: usize) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(count);
    for _ in 0..count {
        text.push(char::from(LETTERS[(number % 62) as usize]));
        number /= 62;
    }
    text
}
