//! Who may write: account, token, time and salt. Codes other than 0 are described nowhere; those here are the
//! simulator's own, and a client should look at the text.

use std::collections::VecDeque;

use aes::{Aes256, cipher::KeyInit};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Replay, Request};
use crate::{
    device::DeviceCore,
    physics::mix,
    whatsminer::{Whatsminer, crypto, tokens::letters},
};

/// The only account that may write.
const ACCOUNT: &str = "super";
/// Letters of a token.
const TOKEN: usize = 8;
/// Packets that are remembered to know a repeated one.
const REMEMBERED: usize = 1_024;

/// Why a command is refused: a code other than 0 and a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal(pub i64, pub &'static str);

pub(super) const UNKNOWN: Refusal = Refusal(-2, "invalid command");
pub(super) const PARAM: Refusal = Refusal(-1, "invalid param");

/// What stands between a stranger and a write.
#[derive(Debug)]
pub(in crate::whatsminer) struct Secrets {
    pub password: String,
    changes: u64,
    seen: VecDeque<(i64, String)>,
}

impl Secrets {
    pub fn new(password: &str) -> Self {
        Self { password: password.to_owned(), changes: 0, seen: VecDeque::new() }
    }

    /// Another password has another salt.
    pub fn change_password(&mut self, password: &str) {
        password.clone_into(&mut self.password);
        self.changes += 1;
    }

    /// Whether this packet came before.
    fn repeats(&mut self, ts: i64, token: &str) -> bool {
        if self.seen.iter().any(|(t, k)| *t == ts && k == token) {
            return true;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back((ts, token.to_owned()));
        false
    }
}

impl Whatsminer {
    /// The salt in force.
    pub(in crate::whatsminer) fn v3_salt(&self, core: &DeviceCore, secrets: &Secrets) -> String {
        let options = &self.options.v3;
        let life = options.salt_life.map(|l| l.as_secs_f64()).filter(|l| *l > 0.0);
        let lives = life.map_or(0, |life| (core.now() / life) as u64);
        match &options.salt {
            Some(salt) if secrets.changes == 0 && lives == 0 => salt.clone(),
            _ => letters(mix(mix(core.identity().seed, 500 + secrets.changes), lives), TOKEN),
        }
    }

    /// Lets a write in: its hash, with which a parameter may be encrypted.
    pub(super) fn admit(&self, core: &DeviceCore, request: &Request) -> Result<[u8; 32], Refusal> {
        let (Some(ts), Some(token)) = (request.ts, request.token.as_deref()) else {
            return Err(Refusal(-4, "no token"));
        };
        if request.account.as_deref() != Some(ACCOUNT) {
            return Err(Refusal(-4, "invalid account"));
        }
        let mut state = self.state();
        let salt = self.v3_salt(core, &state.v3);
        let hash = hash(&request.cmd, &state.v3.password, &salt, ts);
        if token_of(&hash) != token {
            return Err(Refusal(-4, "invalid token"));
        }
        if ts.abs_diff(core.epoch()) > self.options.v3.skew.as_secs() {
            return Err(Refusal(-4, "ts out of range"));
        }
        if state.v3.repeats(ts, token) {
            core.received("(replayed)");
            if self.options.v3.replay == Replay::Refused {
                return Err(Refusal(-4, "token was used"));
            }
        }
        if state.write_enabled { Ok(hash) } else { Err(Refusal(-5, "write api is disabled")) }
    }
}

fn hash(command: &str, password: &str, salt: &str, ts: i64) -> [u8; 32] {
    Sha256::digest(format!("{command}{password}{salt}{ts}")).into()
}

fn token_of(hash: &[u8; 32]) -> String {
    let mut text = STANDARD.encode(hash);
    text.truncate(TOKEN);
    text
}

/// The JSON in a parameter that is encrypted with the hash of its command and filled with zeros.
pub(super) fn open(hash: &[u8; 32], data: &str) -> Option<Value> {
    let bytes = crypto::decrypt(&Aes256::new(&(*hash).into()), data).ok()?;
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    serde_json::from_slice(&bytes[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_vectors() {
        for (command, password, ts, token) in [
            ("set.system.reboot", "super", 1_773_869_570, "ZIxWqUqH"),
            ("set.miner.pools", "super", 1_773_869_570, "aNSg+F95"),
            ("set.miner.service", "Rack_07x", 1_764_000_000, "P6IPRSf9"),
            ("set.miner.power_limit", "Rack_07x", 1_764_000_000, "DSAyekP9"),
            ("set.system.led", "Rack_07x", 1_764_000_000, "VU1PTmgF"),
            ("set.miner.pools", "Rack_07x", 1_764_000_000, "eFFwAdWa"),
        ] {
            assert_eq!(token_of(&hash(command, password, "uhCiDyVj", ts)), token, "{command}");
        }
    }

    #[test]
    fn the_parameter_of_pools_opens_with_its_own_hash() {
        let data = concat!(
            "0jyQ4VIoVHugPmyQway8TEacLTwJuggc0YkqDjDYFr4raqi+aNUtIiL8IoQQzAVXMu6PC5H/W1qlWnsQ",
            "ZU0Cnw=="
        );
        let own = hash("set.miner.pools", "super", "uhCiDyVj", 1_773_869_570);
        assert_eq!(open(&own, data).unwrap()[0]["pool"], "stratum+tcp://p:1");
        let next = hash("set.miner.pools", "super", "uhCiDyVj", 1_773_869_571);
        assert_eq!(open(&next, data), None);
        assert_eq!(open(&own, "no base64!"), None);
    }
}
