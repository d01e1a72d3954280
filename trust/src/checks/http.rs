//! `w-http`: web servers that redirect, challenge and lie. A write is accepted once at most, and nothing of it goes to
//! anybody but the device.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use headframe_core::{
    Error, Secret, Sent,
    codec::http::{HttpClient, HttpReply},
    driver::Ports,
    model::CommandName,
};

use super::Check;
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
    wire::{Act, Before, End, Make, PASSWORD, Plan, Reply, Request, Script, Site, Turn, WRITING, judge},
};

pub const CHECK: Check = Check {
    name: "w-http",
    bug: "follow-redirects",
    ci: 2_000,
    long: 10_000,
    probes: &[
        "antminer 2020",
        "antminer 2022",
        "antminer 2024",
        "antminer 2025",
        "antminer silent",
        "http codec",
        "redirected to another host",
        "redirected to itself",
        "redirected after it was executed",
        "challenged again and again",
        "challenged for another realm",
        "challenged for Basic",
        "challenged for another digest",
        "closed without a reply",
        "closed after the reply",
        "half a head",
        "two replies at once",
        "a reply before it",
        "chunks that lie",
        "lengths that lie",
        "a write",
        "a reading",
        "told as unknown",
        "every command of every generation",
    ],
    run,
};

const READ: Duration = Duration::from_secs(20);
/// One case in so many is of the codec alone.
const CODEC: u64 = 4;
/// Who still comes after so many times would come for ever.
const MOST: u32 = 20;
/// Where nobody may come.
const TRAP: &str = "10.66.0.1:14080";

/// One thing that a web server does.
struct Trick {
    name: &'static str,
    /// Whether it does so to each request, or to the first one only.
    always: bool,
    make: fn(&mut fastrand::Rng) -> Act,
}

/// Statuses that name another place.
const REDIRECTS: [&str; 5] = [
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
];

fn redirect(rng: &mut fastrand::Rng, to: &str, request: Request) -> Act {
    let status = REDIRECTS[rng.usize(0..REDIRECTS.len())];
    let end = if rng.bool() { End::Closed } else { End::AsItIs };
    let text = format!("HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    match request {
        Request::Pass => Act::reply(Reply::Made(Make::Instead(text.into()), end)),
        other => Act { request: other, reply: said(text, End::Silence) },
    }
}

fn said(text: impl Into<Vec<u8>>, end: End) -> Reply {
    Reply::Script(Script::new(text, end))
}

/// A challenge instead of carrying it out.
fn challenge(with: &str) -> Act {
    let text = format!("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {with}\r\nContent-Length: 0\r\n\r\n");
    Act { request: Request::Swallow, reply: said(text, End::Silence) }
}

fn instead(text: &str, end: End) -> Act {
    Act::reply(Reply::Made(Make::Instead(text.into()), end))
}

const TRICKS: &[Trick] = &[
    Trick {
        name: "redirected to another host",
        always: true,
        make: |rng| redirect(rng, &format!("http://{TRAP}/cgi-bin/set_miner_conf.cgi"), Request::Swallow),
    },
    Trick {
        name: "redirected to itself",
        always: true,
        make: |rng| redirect(rng, "/cgi-bin/blink.cgi", Request::Swallow),
    },
    Trick {
        name: "redirected after it was executed",
        always: false,
        make: |rng| redirect(rng, &format!("http://{TRAP}/cgi-bin/blink.cgi"), Request::Pass),
    },
    Trick {
        name: "challenged again and again",
        always: true,
        make: |rng| {
            let stale = if rng.bool() { ", stale=true" } else { "" };
            let nonce = rng.u64(..);
            challenge(&format!(
                "Digest realm=\"antMiner Configuration\", nonce=\"{nonce:x}\", qop=\"auth\"{stale}"
            ))
        },
    },
    Trick {
        name: "challenged for another realm",
        always: true,
        make: |rng| {
            challenge(&format!("Digest realm=\"bank.example\", nonce=\"{:x}\", qop=\"auth\"", rng.u64(..)))
        },
    },
    Trick {
        name: "challenged for Basic",
        always: true,
        make: |_| challenge("Basic realm=\"antMiner Configuration\""),
    },
    Trick {
        name: "challenged for another digest",
        always: true,
        make: |rng| {
            let kind = ["SHA-256", "MD5-sess", "none"][rng.usize(0..3)];
            challenge(&format!("Digest realm=\"antMiner\", nonce=\"1\", algorithm={kind}, qop=\"auth-int\""))
        },
    },
    Trick {
        name: "closed without a reply",
        always: false,
        make: |rng| instead("", if rng.bool() { End::Closed } else { End::Reset }),
    },
    Trick {
        name: "closed after the reply",
        always: true,
        make: |_| Act::reply(Reply::Made(Make::Field("Connection: close"), End::Closed)),
    },
    Trick {
        name: "half a head",
        always: false,
        make: |rng| {
            let end = [End::Closed, End::Reset, End::Silence][rng.usize(0..3)];
            Act::reply(Reply::Cut(rng.usize(1..40), end))
        },
    },
    Trick {
        name: "two replies at once",
        always: true,
        make: |_| Act::reply(Reply::Made(Make::Twice, End::AsItIs)),
    },
    Trick {
        name: "a reply before it",
        always: false,
        make: |rng| {
            let before = [
                "HTTP/1.1 100 Continue\r\n\r\n".repeat(50),
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n".to_owned(),
                "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            ];
            let before = before[rng.usize(0..3)].clone();
            Act::reply(Reply::Made(Make::After(before.into()), End::AsItIs))
        },
    },
    Trick {
        name: "chunks that lie",
        always: false,
        make: |rng| {
            let chunks =
                ["FFFFFFFF\r\n{}", "-5\r\n{}\r\n0\r\n\r\n", "zz\r\n", "1\r\n{}\r\n0\r\n\r\n", "2\r\n{}"];
            let body = chunks[rng.usize(0..chunks.len())];
            let end = if rng.bool() { End::Closed } else { End::Silence };
            instead(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"), end)
        },
    },
    Trick {
        name: "lengths that lie",
        always: false,
        make: |rng| {
            let fields = [
                "Content-Length: 1\r\nContent-Length: 900",
                "Content-Length: 99999999999999999999",
                "Content-Length: -1",
                "Content-Length: 500",
                "Content-Length: 2\r\nTransfer-Encoding: chunked",
            ];
            let field = fields[rng.usize(0..fields.len())];
            instead(&format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n{{}}"), End::Closed)
        },
    },
];

fn run(run: &mut Run) -> Result<(), String> {
    // The codec has no HTTP/2, so there is no GOAWAY and no refused stream.
    run.form_ran("memory over HTTP/1.1");
    let plan = Plan::of(run, TRICKS.len(), |generation| generation.driver == "antminer")?;
    let mut writes = 0;
    run.each(run.n(), |i, case| {
        if i % CODEC == CODEC - 1 {
            case.turn = "http codec";
            let trick = usize::try_from(i / CODEC).unwrap_or(0) % TRICKS.len();
            return simulate(codec(case, &TRICKS[trick]));
        }
        let turn = plan.turn(writes);
        writes += 1;
        case.turn = turn.generation.name;
        simulate(driver(case, turn))?;
        case.hit_if(writes == plan.pairs().len() as u64, "every command of every generation");
        Ok(())
    });
    Ok(())
}

/// Plays the trick on writes or on readings; the trap is where nobody may come.
async fn play(case: &mut Case, site: &Site, trick: &Trick, writes: bool) -> Result<Trap, String> {
    let (mut rng, make) = (case.rng.fork(), trick.make);
    let most = if trick.always { MOST } else { 1 };
    let mut played = 0;
    site.proxy.decide(move |exchange, _| {
        if exchange.at.port() != Ports::simulated().web || exchange.write != writes || played >= most {
            return Act::PASS;
        }
        played += 1;
        make(&mut rng)
    });
    Trap::set(site).await
}

/// A listener at another host.
struct Trap {
    at: SocketAddr,
    listener: Box<dyn headframe_core::io::Listener>,
}

impl Trap {
    async fn set(site: &Site) -> Result<Self, String> {
        use headframe_core::io::Net as _;
        let at: SocketAddr = TRAP.parse().map_err(|_| "no address")?;
        let listener = needed("no trap", site.net.listen(at).await)?;
        Ok(Self { at, listener })
    }

    /// Nobody came, the other devices neither, and nothing that was sent shows the password.
    async fn untouched(mut self, site: &Site, names_password: bool) -> Result<(), String> {
        let came = {
            let cx = site.cx.deadline_in(Duration::from_millis(1));
            cx.within("trap", self.listener.accept()).await.is_ok()
        };
        let ip = site.device().ip();
        let foreign =
            site.proxy.dialled().into_iter().find(|at| *at == self.at || site.others()[0].ip() == at.ip());
        if came || foreign.is_some() {
            return Err(format!("connected to {foreign:?} instead of {ip}"));
        }
        for exchange in site.proxy.exchanges() {
            let text = String::from_utf8_lossy(&exchange.request).into_owned();
            if text.contains("Basic ") {
                return Err(format!("a challenge for Basic was answered: {text}"));
            }
            if !names_password && text.contains(PASSWORD) {
                return Err(format!("the password was sent: {text}"));
            }
        }
        Ok(())
    }
}

async fn driver(case: &mut Case, turn: Turn) -> Result<(), String> {
    let Turn { generation, command: name, behaviour } = turn;
    let trick = &TRICKS[behaviour];
    let site = Site::new(generation, case.seed, 2).await?;
    site.prepare(name).await?;
    let writes = case.rng.u8(0..4) > 0;
    let trap = play(case, &site, trick, writes).await?;
    let command = site.sample(name)?;
    let before = Before::of(&site);
    let outcome = site.execute(name).await?;
    site.settle().await;
    let told = judge(&site, &before, &command, &outcome);
    let told = match told {
        Ok(()) => trap.untouched(&site, name == CommandName::UpdateAdminPassword).await,
        Err(text) => Err(text),
    };
    told.map_err(|text| format!("{}, {name}, {} (write: {writes}): {text}", generation.name, trick.name))?;
    let sent = site.proxy.exchanges().iter().filter(|e| e.write).count();
    // The light may be told twice, in two forms; and each form may be challenged once.
    if sent > 4 {
        return Err(format!("{}, {name}, {}: sent {sent} times", generation.name, trick.name));
    }
    case.hit(trick.name);
    case.hit(if writes { "a write" } else { "a reading" });
    case.hit_if(outcome.is_err_and(|e| e.sent() == Sent::Maybe), "told as unknown");
    Ok(())
}

/// The codec alone: what comes back belongs to the request, or is an error.
async fn codec(case: &mut Case, trick: &Trick) -> Result<(), String> {
    let generation = WRITING.iter().find(|g| g.name == "antminer 2025").ok_or("no generation")?;
    let site = Site::new(generation, case.seed, 2).await?;
    let at = SocketAddr::new(site.device().ip(), Ports::simulated().web);
    let web = HttpClient::new(at, &at.ip().to_string()).credentials("root", Secret::new(PASSWORD));
    let cx = &site.cx.deadline_in(READ);
    // With a nonce already, or without one.
    if case.rng.bool() {
        needed("a healthy server", web.get(cx, "/cgi-bin/get_blink_status.cgi").await)?;
    }
    let write = case.rng.bool();
    let trap = play(case, &site, trick, write).await?;
    let before = Before::of(&site);
    let out = if write {
        let body = Bytes::from_static(b"{\"blink\":true}");
        web.post(cx, "/cgi-bin/blink.cgi", "application/json", body).await
    } else {
        web.get(cx, "/cgi-bin/get_blink_status.cgi").await
    };
    site.settle().await;
    let what = |text: String| format!("http codec, {} (write: {write}): {text}", trick.name);
    let done = before.since(&site);
    if done.values().any(|n| *n > 1) || (!write && !done.is_empty()) {
        return Err(what(format!("executed {done:?}")));
    }
    if let Err(e) = &out
        && write
        && e.sent() == Sent::No
        && !done.is_empty()
    {
        return Err(what(format!("executed, and told as not sent: {e:?}")));
    }
    trap.untouched(&site, false).await.map_err(what)?;
    // The next request gets its own reply.
    site.proxy.decide(|_, _| Act::PASS);
    let cx = &site.cx.deadline_in(READ);
    let next = web.get(cx, "/cgi-bin/get_system_info.cgi").await;
    let mac = site.device().mac().to_owned();
    let own = |reply: &HttpReply| String::from_utf8_lossy(&reply.body).to_ascii_uppercase().contains(&mac);
    if next.as_ref().is_ok_and(|reply| reply.status == 200 && !own(reply)) {
        return Err(what(format!("the next request got the reply of another: {next:?}")));
    }
    case.hit(trick.name);
    case.hit(if write { "a write" } else { "a reading" });
    let unknown = |e: &Error| e.sent() == Sent::Maybe;
    case.hit_if(out.as_ref().is_err_and(unknown), "told as unknown");
    Ok(())
}
