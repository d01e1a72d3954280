use std::{
    future::{Future, poll_fn},
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;

use super::{
    Answer, Outcome, UnknownHost,
    connect::{Reuse, connect, exhausted},
};
use crate::{
    Error, ErrorKind, Result,
    codec::{
        cgminer, framed,
        http::{HttpClient, HttpReply},
    },
    driver::{Evidence, Match, PortRole, Ports, ProbeReply, ProbeRequest, ProbeSpec, Registry},
    io::{BoxStream, Ctx},
};

const OP: &str = "discover.probe";
/// What is kept of a web page.
const KEPT_BODY: usize = 64 * 1024;
/// Longer pages are not read; their host is unknown by this port.
const LONGEST_BODY: usize = 256 * 1024;
/// Replies to the questions of a scan are a few hundred bytes.
const LONGEST_RPC: usize = 64 * 1024;
const LONGEST_NAME: usize = 253;

/// How long one address may take. A host that hangs costs at most `connect + address` in the first look and
/// `second_connect + address` in the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budgets {
    /// For a connection, in the first look.
    pub connect: Duration,
    /// For a connection in the second look, which an address gets that did not answer in time. Longer than a
    /// second, so that the system repeats what was lost.
    pub second_connect: Duration,
    /// For the reply to one question.
    pub answer: Duration,
    /// For all questions of one address together.
    pub address: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            second_connect: Duration::from_secs(2),
            answer: Duration::from_secs(5),
            address: Duration::from_secs(10),
        }
    }
}

/// Which look at an address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    First,
    Second,
}

/// What one look at an address gave.
#[derive(Debug)]
pub(super) struct Seen {
    pub outcome: Outcome,
    /// Something did not answer in time, so a second look could give more.
    pub unsure: bool,
}

/// Looks at addresses, one at a time.
#[derive(Debug)]
pub(super) struct Examiner {
    registry: Registry,
    ports: Ports,
    budgets: Budgets,
    /// The distinct questions by role.
    lanes: Vec<Questions>,
    /// Those that are asked only of who showed life and was not recognised.
    late: Vec<Questions>,
}

type Questions = (PortRole, Vec<ProbeSpec>);

/// What the port of one role said.
#[derive(Default)]
struct Lane {
    open: bool,
    replies: Vec<(ProbeSpec, ProbeReply)>,
}

impl Examiner {
    /// # Errors
    /// `Invalid` when no driver asks anything, or a port is 0.
    pub(super) fn new(registry: Registry, ports: Ports, budgets: Budgets) -> Result<Self> {
        let (mut first, mut late): (Vec<Questions>, Vec<Questions>) = (Vec::new(), Vec::new());
        for spec in registry.probes() {
            let lanes = if spec.request.is_late() { &mut late } else { &mut first };
            match lanes.iter_mut().find(|(role, _)| *role == spec.role) {
                Some((_, specs)) => specs.push(spec),
                None => lanes.push((spec.role, vec![spec])),
            }
        }
        if first.is_empty() {
            return Err(Error::invalid(OP, "registry", "holds no driver that can recognise a device"));
        }
        if let Some((role, _)) = first.iter().chain(&late).find(|(role, _)| ports.of(*role) == 0) {
            let message = format!("the port of the role {role:?} is 0; ports go from 1 to 65535");
            return Err(Error::invalid(OP, "ports", message));
        }
        Ok(Self { registry, ports, budgets, lanes: first, late })
    }

    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// How many connections one address takes at a time.
    pub(super) fn width(&self) -> usize {
        self.lanes.len()
    }

    /// Looks at one address.
    ///
    /// # Errors
    /// Only when this machine had no descriptors left for too long: it says nothing about the address then.
    pub(super) async fn look(&self, cx: &Ctx, host: &str, ip: IpAddr, look: Look) -> Result<Seen> {
        let mut evidence = Evidence { host: host.to_owned(), ports: self.ports, ..Evidence::default() };
        let mut answers = self.ask(cx, ip, look, &self.lanes, &mut evidence).await?;
        let refused = evidence.replies.values().any(|r| *r == ProbeReply::Refused);
        let mut found = self.recognise(&evidence);
        if found.is_err() && !self.late.is_empty() && (refused || !answers.is_empty()) {
            answers.extend(self.ask(cx, ip, look, &self.late, &mut evidence).await?);
            found = self.recognise(&evidence);
        }
        let unsure = evidence.replies.values().any(|r| *r == ProbeReply::Silent);
        let outcome = match found {
            _ if answers.is_empty() => Outcome::Silent { refused },
            Ok(device) => Outcome::Device(device),
            Err(reason) => Outcome::Unknown(UnknownHost { answers, reason }),
        };
        Ok(Seen { outcome, unsure })
    }

    /// Asks the questions of several ports side by side; gives what was answered.
    async fn ask(
        &self,
        cx: &Ctx,
        ip: IpAddr,
        look: Look,
        questions: &[Questions],
        evidence: &mut Evidence,
    ) -> Result<Vec<Answer>> {
        let host = evidence.host.clone();
        let lanes = questions.iter().map(|(role, specs)| {
            let at = SocketAddr::new(ip, self.ports.of(*role));
            let work: Pin<Box<dyn Future<Output = Result<Lane>> + Send>> =
                Box::pin(self.lane(cx, &host, at, specs, look));
            work
        });
        let mut answers = Vec::new();
        for lane in all(lanes.collect()).await {
            let lane = lane?;
            for (spec, reply) in lane.replies {
                if lane.open {
                    answers.push(Answer::new(&self.ports, &spec, &reply));
                }
                evidence.replies.insert(spec, reply);
            }
        }
        Ok(answers)
    }

    /// Connects to one port and, when it is open, asks its questions one after the other: the small servers of
    /// miners take few connections at a time.
    async fn lane(
        &self,
        cx: &Ctx,
        host: &str,
        at: SocketAddr,
        specs: &[ProbeSpec],
        look: Look,
    ) -> Result<Lane> {
        let budget = match look {
            Look::First => self.budgets.connect,
            Look::Second => self.budgets.second_connect,
        };
        let closed = |reply: ProbeReply| {
            let replies = specs.iter().map(|spec| (*spec, reply.clone())).collect();
            Ok(Lane { open: false, replies })
        };
        let stream = match connect(cx, at, budget).await {
            Ok(stream) => stream,
            Err(e) if exhausted(&e) => return Err(e),
            Err(e) if e.fact("refused").is_some() => return closed(ProbeReply::Refused),
            Err(_) => return closed(ProbeReply::Silent),
        };
        let cx = cx.deadline_in(self.budgets.address);
        let replies = self.ask_all(&cx, host, at, specs, budget, stream).await;
        Ok(Lane { open: true, replies })
    }

    async fn ask_all(
        &self,
        cx: &Ctx,
        host: &str,
        at: SocketAddr,
        specs: &[ProbeSpec],
        budget: Duration,
        stream: BoxStream,
    ) -> Vec<(ProbeSpec, ProbeReply)> {
        let mut asking = cx.clone();
        asking.net = Arc::new(Reuse::new(cx, budget, stream));
        let web = HttpClient::new(at, host).max_body(LONGEST_BODY);
        let mut replies = Vec::with_capacity(specs.len());
        for spec in specs {
            let cx = asking.deadline_in(self.budgets.answer);
            let reply = match spec.request {
                ProbeRequest::Cgminer(command) => {
                    let request = cgminer::request(command);
                    let work = cgminer::call_bounded(&cx, at, request.as_bytes(), LONGEST_RPC);
                    cx.within(OP, work).await.map(|bytes| ProbeReply::Cgminer(bytes.into()))
                }
                ProbeRequest::Framed(message) => {
                    let (request, mut reply) = (framed::frame(message), Vec::new());
                    let work = framed::read(&cx, at, &request, &mut reply);
                    cx.within(OP, work).await.map(|()| ProbeReply::Framed(reply.into()))
                }
                ProbeRequest::HttpGet(path) => cx.within(OP, web.get(&cx, path)).await.map(http_reply),
            };
            replies.push((*spec, reply.unwrap_or_else(|e| without_reply(&e))));
        }
        web.close().await;
        replies
    }

    /// Asks every driver. One that panics takes no other down; it is named in the reason.
    fn recognise(&self, evidence: &Evidence) -> Result<Match, Option<String>> {
        let (mut best, mut failed): (Option<Match>, Vec<&str>) = (None, Vec::new());
        for driver in self.registry.iter() {
            let id = driver.info().id;
            match catch_unwind(AssertUnwindSafe(|| driver.recognise(evidence))) {
                // A third-party firmware wins over the stock one that it is built upon.
                Ok(Some(found)) if best.as_ref().is_none_or(|b| b.stock && !found.stock) => {
                    best = Some(found)
                }
                Ok(_) => {}
                Err(_) => failed.push(id),
            }
        }
        if !failed.is_empty() {
            tracing::warn!(host = evidence.host, drivers = ?failed, "drivers panicked while recognising");
        }
        let reason =
            || (!failed.is_empty()).then(|| format!("failed while recognising: {}", failed.join(", ")));
        best.ok_or_else(reason)
    }
}

fn http_reply(reply: HttpReply) -> ProbeReply {
    let header = |name| match reply.headers.get(name).map(http::HeaderValue::as_bytes) {
        Some(value) => String::from_utf8_lossy(value).into_owned(),
        None => String::new(),
    };
    let body = match reply.body.get(..KEPT_BODY) {
        // A slice would keep the whole page in memory.
        Some(head) => Bytes::copy_from_slice(head),
        None => reply.body.clone(),
    };
    ProbeReply::Http {
        status: reply.status,
        challenge: header(http::header::WWW_AUTHENTICATE),
        location: header(http::header::LOCATION),
        body,
    }
}

/// The port accepted a connection before, so anything but silence and refusal means that it was broken.
fn without_reply(e: &Error) -> ProbeReply {
    match e.kind() {
        ErrorKind::Timeout => ProbeReply::Silent,
        ErrorKind::Unreachable if e.fact("refused").is_some() => ProbeReply::Refused,
        _ if exhausted(e) => ProbeReply::Silent,
        _ => ProbeReply::Broken,
    }
}

/// Runs a few futures side by side; gives their results in order.
async fn all<T>(mut parts: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = parts.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (part, slot) in parts.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(out) = part.as_mut().poll(cx)
            {
                *slot = Some(out);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Runs `work`; a panic inside is an outcome like any other, so that one strange host costs only itself.
pub(super) async fn guarded(work: impl Future<Output = Result<Seen>>) -> Result<Seen> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(_) => {
            let reason = Some("looking at it failed: a defect of Headframe".to_owned());
            let outcome = Outcome::Unknown(UnknownHost { reason, ..UnknownHost::default() });
            Poll::Ready(Ok(Seen { outcome, unsure: false }))
        }
    })
    .await
}

/// What is at `host`, an address or a name. Like a scan of this address: never a password, a second look when it
/// does not answer in time, all within the deadline of `cx`.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) with `field=address` for a text that is neither an address nor a name;
/// [`Unreachable`](ErrorKind::Unreachable) for a name that cannot be resolved;
/// [`Timeout`](ErrorKind::Timeout) when the deadline came before an answer was certain.
pub async fn probe_one(cx: &Ctx, registry: &Registry, host: &str, ports: Ports) -> Result<Outcome> {
    let host = host.trim();
    let examiner = Examiner::new(registry.clone(), ports, Budgets::default())?;
    let ip = cx.within(OP, resolve(cx, host)).await?;
    for look in [Look::First, Look::Second] {
        let work = guarded(examiner.look(cx, host, ip, look));
        let seen = cx.within(OP, work).await.map_err(|e| e.with("address", host))?;
        let certain = !seen.unsure || matches!(seen.outcome, Outcome::Device(_));
        if !certain && cx.remaining() == Some(Duration::ZERO) {
            break;
        }
        if certain || look == Look::Second {
            return Ok(seen.outcome);
        }
    }
    Err(Error::new(ErrorKind::Timeout, OP, "not certain before the deadline").with("address", host))
}

async fn resolve(cx: &Ctx, host: &str) -> Result<IpAddr> {
    if let Ok(ip) = host.parse() {
        return Ok(ip);
    }
    let name = !host.is_empty()
        && host.len() <= LONGEST_NAME
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        // Digits and dots alone are a mistyped address, nothing to ask a name server for.
        && host.bytes().any(|b| b.is_ascii_alphabetic());
    if !name {
        let shown: String = host.chars().take(40).flat_map(char::escape_debug).collect();
        let message = format!("'{shown}' is neither an address such as 10.0.0.7 nor a host name");
        return Err(Error::invalid(OP, "address", message));
    }
    let found = cx.net.resolve(host).await?;
    let first = found.iter().find(|ip| ip.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| Error::new(ErrorKind::Unreachable, OP, "the name has no address"))
}
