//! Port 80: connections, credentials and the CGIs that read.

use headframe_core::io::BoxStream;
use serde_json::json;

use super::{
    Antminer, BlinkForm, Door, Restarting,
    cgi::{self, Read},
    digest::{Asked, Rules, Verdict},
    http::{Form, NoRequest, Reader, Reply, Request},
    network::Live,
    side,
    write::WRITES,
};
use crate::{
    conn,
    device::DeviceCore,
    physics::{Led, Truth},
    serve::Role,
};

/// Name under which requests without good credentials meet faults.
const CHALLENGE: &str = "401";

const READS: [&str; 9] = [
    "summary",
    "stats",
    "pools",
    "miner_type",
    "get_system_info",
    "get_network_info",
    "get_blink_status",
    "get_miner_conf",
    "log",
];

/// What follows from one request.
pub(super) enum Answer {
    Reply(Reply),
    /// The connection closes without a byte.
    Nothing,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl Antminer {
    /// Serves one HTTP connection of either port until it ends.
    pub(super) async fn serve_http(&self, core: &DeviceCore, role: Role, mut stream: BoxStream) {
        let mut reader = Reader::default();
        loop {
            let next = tokio::select! {
                biased;
                next = reader.next(&mut stream) => next,
                () = core.pause(self.options.idle) => return,
            };
            let request = match next {
                Ok(request) => request,
                Err(NoRequest::End | NoRequest::Broken) => return,
                Err(NoRequest::Bad(status)) => {
                    let bytes = Reply::status(status).to_bytes(Form { chunked: false, close: true }, false);
                    // The client is no friend of HTTP; whether it hears this does not matter.
                    let _gone = conn::send(core, &mut stream, CHALLENGE, &bytes).await;
                    return;
                }
            };
            core.request();
            if !self.exchange(core, role, &mut stream, &request).await {
                return;
            }
        }
    }

    /// Answers one request; false when the connection is over.
    async fn exchange(
        &self,
        core: &DeviceCore,
        role: Role,
        stream: &mut BoxStream,
        request: &Request,
    ) -> bool {
        let path = request.path();
        let name = path.strip_prefix("/cgi-bin/").and_then(|p| p.strip_suffix(".cgi"));
        let name = name.unwrap_or(path.trim_start_matches('/')).to_owned();
        let close = self.options.close_after_reply || !request.keep_alive;
        let form = Form { chunked: self.options.chunked, close };
        let head_only = request.method == "HEAD";
        if let Some(refusal) = self.refusal(core, role, request) {
            if conn::stall(core, stream, CHALLENGE).await {
                return false;
            }
            let bytes = refusal.to_bytes(form, head_only);
            return conn::send(core, stream, CHALLENGE, &bytes).await.is_ok() && !close;
        }
        core.received(counted_as(role, &name));
        if conn::stall(core, stream, &name).await {
            return false;
        }
        let answer = match role {
            Role::Side => side::answer(self, core, path),
            _ => self.route(core, path, &name, request),
        };
        let Answer::Reply(mut reply) = answer else { return false };
        reply.body = conn::mangle(core, &name, reply.body);
        let bytes = reply.to_bytes(form, head_only);
        conn::send(core, stream, &name, &bytes).await.is_ok() && !close
    }

    /// The reply to a request that is not let in.
    fn refusal(&self, core: &DeviceCore, role: Role, request: &Request) -> Option<Reply> {
        if role == Role::Side && !self.options.side_port_auth {
            return None;
        }
        if role == Role::Web && self.options.web == Door::Forbidden {
            core.received("auth.forbidden");
            return Some(Reply::status(403));
        }
        let rules = Rules {
            ttl: self.options.nonce_ttl.as_secs_f64(),
            qop: self.options.qop,
            lockout: self.options.lockout,
        };
        let asked = Asked {
            method: &request.method,
            target: &request.target,
            authorization: request.header("authorization"),
        };
        let now = core.now();
        let boots = core.boots();
        let mut state = self.lock();
        let state = &mut *state;
        if state.boots != boots {
            state.boots = boots;
            state.guard.forget();
        }
        let mut verdict = state.guard.check(rules, (&state.user, &state.password), asked, now);
        if role == Role::Web && self.options.web == Door::Unauthorized {
            verdict = Verdict::Wrong;
        }
        let (counted, stale) = match verdict {
            Verdict::Granted => return None,
            Verdict::Missing => ("auth.missing", false),
            Verdict::Stale => ("auth.stale", true),
            Verdict::Wrong => ("auth.wrong", false),
            Verdict::Locked => ("auth.locked", false),
        };
        core.received(counted);
        let challenge = state.guard.challenge(rules, core.identity().seed, now, stale);
        Some(Reply::status(401).with("WWW-Authenticate", challenge))
    }

    fn route(&self, core: &DeviceCore, path: &str, name: &str, request: &Request) -> Answer {
        if matches!(path, "/" | "/index.html") {
            return index().into();
        }
        let is_cgi = path == format!("/cgi-bin/{name}.cgi");
        if !is_cgi || self.options.lacks.iter().any(|lacking| lacking == name) {
            return Reply::status(404).into();
        }
        if let Some(answer) = self.write(core, name, request) {
            return answer;
        }
        self.read(core, name)
    }

    fn read(&self, core: &DeviceCore, name: &str) -> Answer {
        if let Some(read) = Read::named(name) {
            if self.restarting(core) && self.options.restarting == Restarting::Drop {
                return Answer::Nothing;
            }
            return Reply::json(self.cgi_read(core, read)).into();
        }
        let body = match name {
            "miner_type" => json!({
                "miner_type": self.options.model.sheet.name,
                "subtype": self.options.model.subtype(),
                "fw_version": self.lock().built,
            }),
            "get_system_info" => self.system_info(core),
            "get_network_info" => {
                let truth = core.observe();
                let ip = core.ip().to_string();
                self.lock().network.show(live(core, &truth, &ip))
            }
            "get_blink_status" => json!({"blink": self.blink_status(&core.observe())}),
            "get_miner_conf" => {
                let mut conf = self.lock().conf.clone();
                conf.pools = core.observe().pools;
                let options = &self.options;
                let shown = conf.show(options.mode_form, options.tells_freq, options.rpc.listens);
                return Reply::json(shown).into();
            }
            "log" => return Reply::text(self.log(core)).into(),
            _ => return Reply::status(404).into(),
        };
        Reply::json(body.to_string().into_bytes()).into()
    }

    /// The body that the web and `new_api` share.
    pub(super) fn cgi_read(&self, core: &DeviceCore, read: Read) -> Vec<u8> {
        let empty = match read {
            Read::Pools => self.restarting(core),
            Read::Summary | Read::Stats => self.silent(core),
        };
        cgi::render(read, &self.reading(core), self.options.power_key, empty)
    }

    fn system_info(&self, core: &DeviceCore) -> serde_json::Value {
        let truth = core.observe();
        let state = self.lock();
        let network = &state.network;
        let mut out = json!({
            "minertype": self.options.model.sheet.name,
            "nettype": network.kind(),
            "netdevice": "eth0",
            "macaddr": core.identity().mac,
            "hostname": truth.hostname,
            "ipaddress": core.ip().to_string(),
            "netmask": network.mask(),
            "gateway": network.gateway,
            "dnsservers": network.dns,
            "curtime": truth.at.0.div_euclid(1000).to_string(),
            "system_mode": "GNU/Linux",
            "system_kernel_version": format!("Linux 4.9.113 #1 SMP PREEMPT {}", state.built),
            "system_filesystem_version": self.options.version,
            "firmware_type": "Release",
        });
        if self.options.tells_serial {
            out["serinum"] = json!(core.identity().serial);
        }
        out
    }

    fn blink_status(&self, truth: &Truth) -> serde_json::Value {
        let on = truth.led == Led::Locate;
        match self.options.blink_form {
            BlinkForm::Bool => json!(on),
            BlinkForm::Text => json!(on.to_string()),
            BlinkForm::Number => json!(u8::from(on)),
        }
    }

    fn log(&self, core: &DeviceCore) -> String {
        let truth = core.observe();
        let mut out = format!("{} {} started\n", self.lock().built, self.options.model.sheet.name);
        for error in &truth.errors {
            out.push_str(&format!("[{}] error {}\n", error.since.0.div_euclid(1000), error.code));
        }
        out
    }
}

/// The name to count under. Unknown ones share one, so that a scanner cannot fill the memory.
fn counted_as(role: Role, name: &str) -> &str {
    match role {
        Role::Side if matches!(name, "warning" | "miner_power") => name,
        Role::Web if name.is_empty() || name == "index.html" => "index",
        Role::Web if READS.contains(&name) || WRITES.contains(&name) => name,
        _ => "unknown",
    }
}

fn index() -> Reply {
    let page = "<html><head><title>Antminer</title></head><body></body></html>";
    Reply { status: 200, content_type: "text/html", headers: Vec::new(), body: page.as_bytes().to_vec() }
}

fn live<'a>(core: &'a DeviceCore, truth: &'a Truth, ip: &'a str) -> Live<'a> {
    Live { ip, mac: &core.identity().mac, hostname: &truth.hostname }
}
