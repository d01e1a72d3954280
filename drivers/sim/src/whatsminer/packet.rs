use std::{io, net::SocketAddr};

use headframe_core::io::BoxStream;
use serde_json::{Map, Value, json};

use super::{
    ErrorForm, Generation, Whatsminer,
    crypto::{self, Sealed},
};
use crate::{conn, device::DeviceCore, rpc};

/// What became of an encrypted packet.
pub(super) enum Outcome {
    /// It is answered with this text and nothing is done.
    Refused {
        /// Its command, as far as it is known.
        command: String,
        /// The finished answer.
        text: String,
    },
    /// It is a permitted write.
    Write(Write),
}

/// A write that was understood and permitted; its parameters are not yet checked.
pub(super) struct Write {
    pub command: String,
    pub body: Map<String, Value>,
    /// The key under which it came and under which it is answered.
    pub key: String,
}

impl Write {
    /// Whether the client asked for the reply before the act.
    pub fn respond_before(&self) -> bool {
        self.body.get("respbefore").and_then(Value::as_str) == Some("true")
    }
}

impl Whatsminer {
    /// Opens an encrypted packet and checks token and permission.
    pub(super) fn open(&self, core: &DeviceCore, packet: &Map<String, Value>, peer: SocketAddr) -> Outcome {
        if self.generation() == Generation::V1 {
            core.received("(encrypted)");
            let text = rpc::status(core, "E", 14, "invalid cmd", "").to_string();
            return Outcome::Refused { command: "(encrypted)".to_owned(), text };
        }
        let salt = self.salt(core);
        let data = packet.get("data").and_then(Value::as_str).unwrap_or_default();
        let (key, opened) = {
            let mut state = self.state();
            let password = state.password.clone();
            let key = state.tokens.key(&password, &salt).to_owned();
            let opened = crypto::open(&key, data);
            (key, opened)
        };
        let plain = |name: &str, code, message| {
            core.received(name);
            let text = rpc::status(core, "E", code, message, "").to_string();
            Outcome::Refused { command: name.to_owned(), text }
        };
        let body = match opened {
            Ok(body) => body,
            Err(Sealed::Base64) => return plain("(base64)", 137, "base64 decode error"),
            Err(Sealed::Key) => return plain("(encrypted)", 23, "enc json load err"),
        };
        let named = body.get("cmd").or_else(|| body.get("command")).and_then(Value::as_str);
        let command = named.unwrap_or_default().to_owned();
        core.received(if command.is_empty() { "(unnamed)" } else { &command });
        let token = body.get("token").and_then(Value::as_str).unwrap_or_default();
        let refuse = |code, message| {
            let text = rpc::status(core, "E", code, message, "").to_string();
            Outcome::Refused { command: command.clone(), text: self.refusal(&key, text) }
        };
        if !self.state().tokens.accept(core, peer.ip(), token) {
            return refuse(135, "token err");
        }
        if !self.has_write(&command) {
            return refuse(14, "invalid cmd");
        }
        // With API v3 the way to write is there.
        let moved = self.generation() == Generation::V3 && !self.options.v3.v2_writes;
        if moved || !self.state().write_enabled {
            return refuse(45, "can't access write cmd");
        }
        Outcome::Write(Write { command, body, key })
    }

    pub(super) fn refusal(&self, key: &str, text: String) -> String {
        match self.options.errors {
            ErrorForm::Plain => text,
            ErrorForm::Encrypted => self.seal(key, &text),
            ErrorForm::Double => Value::from(self.seal(key, &text)).to_string(),
        }
    }

    fn seal(&self, key: &str, text: &str) -> String {
        json!({ "enc": crypto::seal(key, text, self.options.padding) }).to_string()
    }

    pub(super) fn sealed_ok(&self, core: &DeviceCore, write: &Write, message: Value) -> String {
        let mut reply = rpc::status(core, "S", 131, "", "");
        reply["Msg"] = message;
        self.seal(&write.key, &reply.to_string())
    }

    /// Carries out a permitted write and answers it, each in its turn.
    pub(super) async fn carry_out(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        write: Write,
    ) -> io::Result<()> {
        let command = write.command.as_str();
        if conn::stall(core, stream, command).await {
            return Ok(());
        }
        if matches!(command, "update_firmware" | "upgrade_firmware") {
            return self.take_image(core, stream, &write).await;
        }
        let message = match self.check(core, &write) {
            Ok(message) => message,
            Err(message) => {
                let text = rpc::status(core, "E", 132, message, "").to_string();
                return self.send(core, stream, command, self.refusal(&write.key, text)).await;
            }
        };
        let answered = !self.is_silent(&write) && !conn::is_mute(core, command);
        let reply = self.sealed_ok(core, &write, message);
        if answered && write.respond_before() {
            // Acts when the reply has gone, however slowly, and even when the client did not take it.
            let sent = self.send(core, stream, command, reply).await;
            self.act(core, &write);
            return sent;
        }
        self.act(core, &write);
        if answered { self.send(core, stream, command, reply).await } else { Err(closed()) }
    }

    /// Does what a checked write says, unless a fault makes the device only say so.
    fn act(&self, core: &DeviceCore, write: &Write) {
        if conn::ignores_writes(core, &write.command) {
            return;
        }
        core.executed(&write.command);
        self.apply(core, write);
    }
}

/// The connection ends here, without a reply.
pub(super) fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
