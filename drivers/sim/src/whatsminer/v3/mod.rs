//! API v3: framed JSON on a port of its own, reads for everybody, writes with a token for each.
//!
//! Reads and writes of which nothing but the name is known (`get.miner.setting`, `set.system.hostname` and their kin)
//! are refused whatever their parameter, so that nobody builds on a guess.

mod auth;
mod frame;
mod options;
mod reads;
mod writes;

use std::{io, time::Duration};

use headframe_core::io::BoxStream;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

pub(super) use self::auth::Secrets;
pub use self::options::{ErrorList, PoolsParam, Replay, V3Options};
use self::{
    auth::{Refusal, UNKNOWN},
    frame::Incoming,
    writes::Order,
};
use super::{Whatsminer, packet::closed};
use crate::{conn, device::DeviceCore};

/// Under this name count frames that are no request.
const INVALID: &str = "(invalid)";
/// The name of pushed reports.
const REPORT: &str = "get.miner.report";

/// A request as it was understood.
struct Request {
    cmd: String,
    /// `null` is the same as none.
    param: Option<Value>,
    ts: Option<i64>,
    account: Option<String>,
    token: Option<String>,
}

impl Request {
    /// `None` when the bytes are not a JSON object.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let body: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            cmd: text("cmd").unwrap_or_default(),
            param: body.get("param").filter(|p| !p.is_null()).cloned(),
            ts: body.get("ts").and_then(Value::as_i64),
            account: text("account"),
            token: text("token"),
        })
    }

    fn is_write(&self) -> bool {
        self.cmd.starts_with("set.")
    }

    /// The name under which it meets faults: its command, or command and parameter when a fault names both, as in
    /// `get.miner.status:pools`.
    fn fault_name(&self, core: &DeviceCore) -> String {
        let both = self.param.as_ref().and_then(Value::as_str).map(|param| format!("{}:{param}", self.cmd));
        both.filter(|name| core.is_singled_out(name)).unwrap_or_else(|| self.cmd.clone())
    }
}

impl Whatsminer {
    /// Serves one connection: one request, or one after the other where connections stay open.
    pub(super) async fn serve_v3(&self, core: &DeviceCore, mut stream: BoxStream) {
        loop {
            let request = match frame::read(core, &mut stream).await {
                Incoming::End => return,
                Incoming::Junk => None,
                Incoming::Frame(bytes) => Request::parse(&bytes),
            };
            core.request();
            let Some(request) = request else {
                // Junk is not worth an answer.
                core.received(INVALID);
                conn::stall(core, &mut stream, INVALID).await;
                return;
            };
            if self.v3_exchange(core, &mut stream, &request).await.is_err() || !self.options.keep_open {
                return;
            }
        }
    }

    async fn v3_exchange(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        request: &Request,
    ) -> io::Result<()> {
        core.received(if request.cmd.is_empty() { "(unnamed)" } else { &request.cmd });
        let name = request.fault_name(core);
        if conn::stall(core, stream, &name).await {
            return Err(closed());
        }
        if request.is_write() {
            return self.v3_write(core, stream, request, &name).await;
        }
        let answer = self.v3_read(core, request);
        self.answer_v3(core, stream, request, &name, answer).await
    }

    async fn v3_write(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        request: &Request,
        name: &str,
    ) -> io::Result<()> {
        let permitted = match self.has_v3_write(&request.cmd) {
            true => self.admit(core, request).and_then(|hash| self.order(core, request, &hash)),
            false => Err(UNKNOWN),
        };
        let order = match permitted {
            Ok(order) => order,
            Err(refusal) => return self.answer_v3(core, stream, request, name, Err(refusal)).await,
        };
        let obeys = !conn::ignores_writes(core, name);
        if obeys {
            core.executed(&request.cmd);
            self.obey(core, &order);
        }
        if self.options.v3.silent.contains(&request.cmd) || conn::is_mute(core, name) {
            return Err(closed());
        }
        self.answer_v3(core, stream, request, name, Ok("ok".into())).await?;
        match order {
            Order::Report(gap) if obeys => self.push_reports(core, stream, Duration::from_secs(gap)).await,
            _ => Ok(()),
        }
    }

    async fn answer_v3(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        request: &Request,
        name: &str,
        answer: Result<Value, Refusal>,
    ) -> io::Result<()> {
        let body = match answer {
            Ok(message) => body(core, 0, &message, &request.cmd),
            Err(Refusal(code, text)) => body(core, code, &text.into(), &request.cmd),
        };
        let body = conn::mangle(core, name, body.into_bytes());
        conn::send(core, stream, name, &frame::with_length(&body)).await
    }

    /// Sends the summary again and again until the client goes away.
    async fn push_reports(&self, core: &DeviceCore, stream: &mut BoxStream, gap: Duration) -> io::Result<()> {
        let mut scrap = [0; 256];
        loop {
            tokio::select! {
                biased;
                n = stream.read(&mut scrap) => if n? == 0 { return Err(closed()) },
                () = core.pause(gap) => {
                    let body = body(core, 0, &self.v3_summary(&core.observe()), REPORT);
                    let body = conn::mangle(core, REPORT, body.into_bytes());
                    conn::send(core, stream, REPORT, &frame::with_length(&body)).await?;
                }
            }
        }
    }
}

/// The members in the order in which the device writes them.
fn body(core: &DeviceCore, code: i64, message: &Value, command: &str) -> String {
    let command = Value::from(command);
    format!(r#"{{"code":{code},"when":{},"msg":{message},"desc":{command}}}"#, core.epoch())
}
