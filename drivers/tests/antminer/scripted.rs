//! Web servers that answer as no sound machine does.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use headframe_core::{
    Error, ErrorKind, Sent,
    driver::Direct,
    io::{BoxStream, Ctx},
    model::{Command, FirmwareImage, Outcome, PowerMode},
};
use headframe_drivers::antminer::Antminer;
use headframe_sim::FleetBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{conf, context};

/// What the server says to a page; `None` leaves it to the usual answers.
type Says = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

struct Server {
    cx: Ctx,
    direct: Direct,
    says: Arc<Mutex<Says>>,
    posts: Arc<AtomicUsize>,
}

fn page(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn ok(body: &Value) -> String {
    page("200 OK", &body.to_string())
}

fn usual(path: &str) -> String {
    let empty = json!({"url": "", "user": "", "pass": ""});
    match path {
        "get_system_info" => ok(&json!({"macaddr": "02:11:22:33:44:55", "minertype": "Antminer S21"})),
        "get_miner_conf" => ok(&json!({
            "pools": [{"url": "stratum+tcp://a:1", "user": "u", "pass": "x"}, empty, empty],
            "bitmain-work-mode": "0", "bitmain-fan-ctrl": false, "bitmain-fan-pwm": "100",
        })),
        "get_network_info" => {
            ok(&json!({"macaddr": "02:11:22:33:44:55", "nettype": "DHCP", "conf_hostname": "a"}))
        }
        "get_blink_status" => ok(&json!({"blink": false})),
        "summary" => ok(&json!({"SUMMARY": [{"elapsed": 5000, "rate_5s": 1.0}]})),
        "stats" => ok(&json!({"STATS": [{"elapsed": 5000, "miner-mode": 0, "chain": []}]})),
        "pools" => ok(&json!({"POOLS": []})),
        _ => page("404 Not Found", ""),
    }
}

impl Server {
    /// Stands where a simulated machine could.
    async fn new() -> Self {
        let cx = context();
        let fleet = FleetBuilder::new().seed(7).antminers(1).start(&cx).await.unwrap();
        let conf = conf(&fleet.devices()[0]);
        let ip = fleet.devices()[0].ip();
        drop(fleet);
        tokio::task::yield_now().await;
        let says: Arc<Mutex<Says>> = Arc::new(Mutex::new(Arc::new(|_| None)));
        let posts = Arc::new(AtomicUsize::new(0));
        let mut listener = cx.net.listen(SocketAddr::new(ip, 14_080)).await.unwrap();
        let (script, counter) = (says.clone(), posts.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), counter.clone()));
            }
        });
        let direct = Direct::open(&Antminer::new(), &cx, &conf).await.unwrap();
        direct.snapshot(&cx).await.unwrap();
        Self { cx, direct, says, posts }
    }

    fn say(&self, says: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        *self.says.lock().unwrap() = Arc::new(says);
    }

    async fn run(&self, command: Command) -> Result<Outcome, Error> {
        self.direct.execute(&self.cx, &command).await
    }

    fn posted(&self) -> usize {
        self.posts.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: BoxStream, says: Arc<Mutex<Says>>, posts: Arc<AtomicUsize>) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() < length.unwrap_or(0) {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        }
        bytes.clear();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let name = path.trim_start_matches("/cgi-bin/").trim_end_matches(".cgi").to_owned();
        if head.starts_with("POST") {
            posts.fetch_add(1, Ordering::Relaxed);
        }
        let script = says.lock().unwrap().clone();
        let reply = script(&name).unwrap_or_else(|| usual(&name));
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

const SLEEP: Command = Command::SetPowerMode(PowerMode::Sleep);

#[tokio::test(start_paused = true)]
async fn a_machine_that_starts_is_left_alone() {
    let server = Server::new().await;
    for half in [
        json!({}),
        json!({"bitmain-work-mode": "0"}),
        json!({"pools": [], "bitmain-fan-ctrl": false}),
        json!({"pools": null, "bitmain-work-mode": "0"}),
        json!([]),
    ] {
        let body = ok(&half);
        server.say(move |name| (name == "get_miner_conf").then(|| body.clone()));
        let e = server.run(SLEEP).await.unwrap_err();
        assert_eq!((e.kind(), e.sent(), server.posted()), (ErrorKind::BadReply, Sent::No, 0), "{half}");
    }
    server.say(|name| (name == "get_network_info").then(|| ok(&json!({"conf_nettype": "Static"}))));
    let e = server.run(Command::SetHostname("new".into())).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), server.posted()), (ErrorKind::BadReply, Sent::No, 0));
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_not_followed() {
    let server = Server::new().await;
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: /cgi-bin/reset_conf.cgi\r\nContent-Length: 0\r\n\r\n";
    server.say(move |name| (name == "set_miner_conf").then(|| elsewhere.to_owned()));
    let e = server.run(SLEEP).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), server.posted()), (ErrorKind::BadReply, Sent::Maybe, 1), "{e:?}");
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_once() {
    let server = Server::new().await;
    let nonces = AtomicUsize::new(0);
    server.say(move |name| {
        let nonce = nonces.fetch_add(1, Ordering::Relaxed);
        let challenge = format!(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"antMiner\", nonce=\"{nonce}\", \
             qop=\"auth\", stale=true\r\nContent-Length: 0\r\n\r\n"
        );
        (name == "set_miner_conf").then_some(challenge)
    });
    let e = server.run(SLEEP).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), server.posted()), (ErrorKind::Unauthenticated, Sent::No, 2), "{e:?}");
}

/// Between the proof of identity and the write another machine took the address: it does not know the nonce.
#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_to_the_right_machine_only() {
    let server = Server::new().await;
    let posted = server.posts.clone();
    server.say(move |name| match name {
        "set_miner_conf" => Some(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"antMiner\", nonce=\"other\", \
             qop=\"auth\", stale=true\r\nContent-Length: 0\r\n\r\n"
                .to_owned(),
        ),
        "get_system_info" if posted.load(Ordering::Relaxed) > 0 => {
            Some(ok(&json!({"macaddr": "02:99:22:33:44:55"})))
        }
        _ => None,
    });
    let e = server.run(SLEEP).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), server.posted()), (ErrorKind::Conflict, Sent::No, 1), "{e:?}");
}

/// What is read after a proof can be another machine's, which took the address meanwhile.
#[tokio::test(start_paused = true)]
async fn the_proof_is_the_last_reading_before_a_write() {
    for (command, page, readings, posts) in
        [(SLEEP, "get_miner_conf", 2, 0), (Command::SetLed(true), "get_blink_status", 2, 1)]
    {
        let server = Server::new().await;
        let read = AtomicUsize::new(0);
        server.say(move |name| {
            let seen = read.fetch_add(usize::from(name == page), Ordering::Relaxed);
            match name {
                "get_system_info" if seen >= readings => Some(ok(&json!({"macaddr": "02:99:22:33:44:55"}))),
                "blink" => Some(ok(&json!({"stats": "success", "code": "B000"}))),
                _ => None,
            }
        });
        let e = server.run(command).await.unwrap_err();
        assert_eq!(server.posted(), posts, "{e:?}");
        assert_eq!(e.sent(), if posts == 0 { Sent::No } else { Sent::Maybe }, "{e:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_machine_says_decides() {
    let server = Server::new().await;
    for (reply, kind, sent) in [
        (page("404 Not Found", ""), ErrorKind::Unsupported, Sent::No),
        (page("403 Forbidden", ""), ErrorKind::Forbidden, Sent::No),
        (page("500 Oops", ""), ErrorKind::BadReply, Sent::Maybe),
        (page("200 OK", "<html>busy</html>"), ErrorKind::Rejected, Sent::Maybe),
        (
            ok(&json!({"stats": "error", "code": "M001", "msg": "Invalid pool!"})),
            ErrorKind::Rejected,
            Sent::No,
        ),
        (ok(&json!({"stats": "error", "code": "M777"})), ErrorKind::Rejected, Sent::No),
    ] {
        let shown = reply.clone();
        let before = server.posted();
        server.say(move |name| (name == "set_miner_conf").then(|| reply.clone()));
        let e = server.run(SLEEP).await.unwrap_err();
        assert_eq!((e.kind(), e.sent(), server.posted() - before), (kind, sent, 1), "{shown}: {e:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_machine_behind_the_same_address_gets_nothing() {
    let server = Server::new().await;
    let asked = AtomicUsize::new(0);
    server.say(move |name| {
        let other = json!({"macaddr": "02:99:22:33:44:55"});
        let late = name == "get_system_info" && asked.fetch_add(1, Ordering::Relaxed) > 0;
        late.then(|| ok(&other))
    });
    let e = server.run(SLEEP).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), server.posted()), (ErrorKind::Conflict, Sent::No, 0), "{e:?}");
    server.say(|name| ["get_system_info", "get_network_info"].contains(&name).then(|| ok(&json!({}))));
    let e = server.run(Command::Reboot).await.unwrap_err();
    assert_eq!((e.kind(), server.posted()), (ErrorKind::Conflict, 0), "who is not known gets nothing: {e:?}");
    let identity = |name: &str| ["get_system_info", "get_network_info"].contains(&name);
    server.say(move |name| identity(name).then(|| page("200 OK", "{\"macaddr\": \"02:11")));
    let e = server.run(Command::Reboot).await.unwrap_err();
    assert_eq!((e.kind(), server.posted()), (ErrorKind::BadReply, 0), "{e:?}");
}

#[tokio::test(start_paused = true)]
async fn settings_that_somebody_changes_are_his() {
    let server = Server::new().await;
    let asked = AtomicUsize::new(0);
    server.say(move |name| {
        let changed = json!({"pools": [{"url": "stratum+tcp://b:1"}], "bitmain-work-mode": "0"});
        let late = name == "get_miner_conf" && asked.fetch_add(1, Ordering::Relaxed) > 0;
        late.then(|| ok(&changed))
    });
    let e = server.run(SLEEP).await.unwrap_err();
    assert_eq!((e.code(), e.sent(), server.posted()), ("ERR_SETTINGS_CHANGED", Sent::No, 0), "{e:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_with_another_hash_is_not_sent() {
    let server = Server::new().await;
    let image = FirmwareImage::new("a.bin", "0".repeat(64), &b"image"[..]);
    let e = server.run(Command::UpdateFirmware(image)).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, "ERR_INVALID_FIRMWARE"));
    assert_eq!((e.sent(), server.posted()), (Sent::No, 0));
}
