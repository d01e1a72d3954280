use std::io;

use headframe_core::io::BoxStream;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::{Generation, Whatsminer, crypto, tokens::letters};
use crate::{conn, device::DeviceCore, physics::mix, rpc};

/// What stands for the password in the handshake on firmware with API v3.
const V3_WORD: &str = "admin";

/// The command that begins the handshake.
pub(super) const COMMAND: &str = "open_write_api";

impl Whatsminer {
    /// The handshake that switches the write API on or off for a known partner: a challenge, its answer on the same
    /// connection, and the result.
    pub(super) async fn unlock(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        body: &Map<String, Value>,
    ) -> io::Result<()> {
        let client = body.get("client").and_then(Value::as_str).unwrap_or_default();
        let partner = self.options.unlock.as_ref().filter(|(id, _)| id == client);
        let (Some((_, secret)), Some(enable)) = (partner, body.get("enable").and_then(Value::as_bool)) else {
            let refusal = rpc::status(core, "E", 45, "permission denied", "");
            return self.send(core, stream, COMMAND, refusal.to_string()).await;
        };
        let (time, salt) = (core.epoch().to_string(), self.salt(core));
        let newsalt = letters(mix(core.identity().seed, core.now().to_bits()), 8);
        let password = match self.generation() {
            Generation::V3 => V3_WORD.to_owned(),
            _ => self.state().password.clone(),
        };
        let hash = crypto::md5crypt(password.as_bytes(), &salt);
        let expected = answer(&time, &newsalt, secret, &hash);
        let mut challenge = rpc::status(core, "S", 131, "", "");
        challenge["Msg"] = json!({ "time": time, "salt": salt, "newsalt": newsalt });
        self.send(core, stream, COMMAND, challenge.to_string()).await?;
        let Some(bytes) = rpc::read_request(core, stream).await else { return Ok(()) };
        let reply: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let result = if reply["token"] == expected {
            if !conn::ignores_writes(core, COMMAND) {
                core.executed(COMMAND);
                self.state().write_enabled = enable;
            }
            rpc::status(core, "S", 131, "API command OK", "")
        } else {
            rpc::status(core, "E", 135, "token err", "")
        };
        self.send(core, stream, COMMAND, result.to_string()).await
    }
}

fn answer(time: &str, newsalt: &str, secret: &str, hash: &str) -> String {
    let digest = Md5::digest(format!("{time}{newsalt}{secret}{hash}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_with_a_made_up_partner() {
        let hash = crypto::md5crypt(b"admin", "BQ5hoXV9");
        assert_eq!(hash, "RxmaDUO33TS7O26yeMHZ81");
        let token = answer("1764000000", "jbzkfQls", "0123456789abcdef0123456789abcdef", &hash);
        assert_eq!(token, "12fa9bebf19597f772e555fd9ee39fe0");
    }
}
