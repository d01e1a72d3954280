//! Port 4028: the cgminer-style API, which asks for no credentials.

use headframe_core::io::BoxStream;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::{Antminer, cgi::Read, legacy};
use crate::{
    Join, conn,
    device::DeviceCore,
    rpc::{self, BadRequest, Request},
};

/// Commands that exist but that `api-allow` keeps from everybody on the network.
const PRIVILEGED: [&str; 10] = [
    "restart",
    "quit",
    "privileged",
    "addpool",
    "removepool",
    "switchpool",
    "enablepool",
    "disablepool",
    "ascset",
    "setconfig",
];

const REPORTS: [&str; 6] = ["version", "summary", "stats", "pools", "devs", "devdetails"];

/// Name for everything that is no command, so that a scanner cannot fill the memory with names.
const UNKNOWN: &str = "rpc.unknown";

/// What the proxy in front of the mining software says while that is down, inside an accepted connection.
const DOWN: &[u8] = b"Socket connect failed: Connection refused\n";

impl Antminer {
    pub(super) async fn serve_rpc(&self, core: &DeviceCore, mut stream: BoxStream) {
        let Some(bytes) = rpc::read_request(core, &mut stream).await else { return };
        core.request();
        let (name, body) = match rpc::parse(&bytes) {
            Ok(request) => {
                let name = counted_as(&request.command);
                core.received(&name);
                if conn::stall(core, &mut stream, &name).await {
                    return;
                }
                let body = self.rpc_answer(core, &request);
                (name, body)
            }
            Err(bad) => {
                let (code, message) = match bad {
                    BadRequest::Syntax => (23, "Invalid JSON"),
                    BadRequest::NoCommand => (14, "Invalid command"),
                };
                (UNKNOWN.to_owned(), refusal(core, code, message).to_string().into_bytes())
            }
        };
        let mut bytes = conn::mangle(core, &name, body);
        if self.options.rpc.nul && !bytes.ends_with(DOWN) {
            bytes.push(0);
        }
        if conn::send(core, &mut stream, &name, &bytes).await.is_ok() && self.options.rpc.stays_open {
            // Nothing that comes now is answered; the client has to leave.
            let mut scrap = [0; 256];
            while stream.read(&mut scrap).await.is_ok_and(|n| n > 0) {}
        }
    }

    fn rpc_answer(&self, core: &DeviceCore, request: &Request) -> Vec<u8> {
        if self.restarting(core) {
            return DOWN.to_vec();
        }
        // Only a member of the request itself counts; inside `parameter` it is not looked for.
        let new_api = request.body.get("new_api").and_then(Value::as_bool).unwrap_or(false);
        if new_api
            && self.options.rpc.new_api
            && let Some(read) = Read::named(&request.command)
        {
            return self.cgi_read(core, read);
        }
        let names = match self.options.rpc.join {
            Join::None => None,
            Join::Reports | Join::All => rpc::joined_names(&request.command),
        };
        let answer = match names {
            None => self.legacy(core, &request.command),
            Some(names) => {
                rpc::joined(names.into_iter().map(|n| (n.clone(), self.legacy(core, &n))).collect())
            }
        };
        if request.text {
            return rpc::to_text(&answer).into_bytes();
        }
        let text = answer.to_string();
        if self.options.rpc.missing_comma && request.command == "stats" {
            return text.replace("},{", "}{").into_bytes();
        }
        text.into_bytes()
    }

    fn legacy(&self, core: &DeviceCore, command: &str) -> Value {
        let empty = self.silent(core);
        match legacy::report(command, &self.reading(core), self.options.power_key, empty) {
            Some(answer) => answer,
            None if PRIVILEGED.contains(&command) => {
                refusal(core, 45, &format!("Access denied to '{command}' command"))
            }
            None => refusal(core, 14, "Invalid command"),
        }
    }
}

/// The name to count under and to look for faults with.
fn counted_as(command: &str) -> String {
    if command.contains('+') {
        return "rpc.joined".to_owned();
    }
    let known = REPORTS.contains(&command) || PRIVILEGED.contains(&command);
    if known { format!("rpc.{command}") } else { UNKNOWN.to_owned() }
}

fn refusal(core: &DeviceCore, code: u16, message: &str) -> Value {
    rpc::refusal(core, code, message, legacy::DESCRIPTION)
}
