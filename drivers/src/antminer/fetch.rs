//! The requests of one poll, over either transport. Every reply fails alone.

use std::{net::SocketAddr, time::Duration};

use headframe_core::{
    Error, ErrorKind, Result,
    codec::{
        cgminer::{self, StatusBlock},
        http::HttpClient,
        lenient::{objects_or_none, text_opt},
    },
    io::Ctx,
    model::{MissingReason, Text},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    legacy::{self, Identity},
    map::{Live, Via},
    wire::{self, Pool, PoolsReply, Read, Stats, StatsReply, SummaryReply},
};

const WEB: &str = "antminer.web";
const RPC: &str = "antminer.rpc";

/// Longest wait for the first answer of the web interface, so that time is left for port 4028.
const FIRST_WAIT: Duration = Duration::from_secs(30);

/// What a failed request makes of the members that it carries.
pub(super) fn reason(e: &Error) -> MissingReason {
    match e.kind() {
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Rejected | ErrorKind::RateLimited => {
            MissingReason::Refused
        }
        ErrorKind::Unsupported | ErrorKind::NotFound => MissingReason::NotReported,
        ErrorKind::BadReply if e.fact("empty").is_none() => MissingReason::BadReply,
        _ => MissingReason::NoReply,
    }
}

/// Whether the web interface as a whole does not serve us, so that its other pages need not be tried.
fn is_shut(e: &Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::Unreachable
            | ErrorKind::Timeout
            | ErrorKind::Unauthenticated
            | ErrorKind::Forbidden
            | ErrorKind::Unsupported
            | ErrorKind::RateLimited
    )
}

/// Two thirds of what is left, so that one request without an answer leaves time for the others.
fn shared(cx: &Ctx) -> Ctx {
    cx.remaining().map_or_else(|| cx.clone(), |left| cx.deadline_in(left * 2 / 3))
}

/// Reads one CGI page as `T`.
pub(super) async fn page<T: DeserializeOwned>(web: &HttpClient, cx: &Ctx, path: &str) -> Result<T> {
    let body = web.get(&shared(cx), path).await?.ok(WEB).map_err(|e| e.with("path", path))?;
    // Strictly: a page that was cut and then mended would show fewer pools or boards than there are.
    json(&body).map_err(|e| {
        // The parser's own text can quote a pool's password.
        Error::new(ErrorKind::BadReply, WEB, "the page is not the JSON that belongs there")
            .with("path", path)
            .with("line", e.line())
            .with("column", e.column())
    })
}

fn json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let end = body.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    let body = &body[..end];
    serde_json::from_slice(body).or_else(|e| match std::str::from_utf8(body) {
        Ok(_) => Err(e),
        Err(_) => serde_json::from_str(&String::from_utf8_lossy(body)),
    })
}

/// The row of a list; `None` for an empty one.
fn row<T>(rows: Option<Vec<T>>) -> Read<Option<T>> {
    rows.map(|r| r.into_iter().next()).ok_or(MissingReason::BadReply)
}

fn none_of_three() -> Error {
    Error::new(ErrorKind::BadReply, WEB, "none of summary, stats and pools could be read")
}

/// The live values over the web interface.
///
/// # Errors
/// When it does not serve us at all, or nothing of what it said could be used.
pub(super) async fn web(web: &HttpClient, cx: &Ctx) -> Result<Live> {
    let patience = cx.remaining().map_or(FIRST_WAIT, |left| (left / 2).min(FIRST_WAIT));
    let first = page::<SummaryReply>(web, &cx.deadline_in(patience), "/cgi-bin/summary.cgi").await;
    let (summary, failed) = match first {
        Ok(reply) => (row(reply.rows), None),
        Err(e) if is_shut(&e) => return Err(e),
        Err(e) => (Err(reason(&e)), Some(e)),
    };
    let stats = page::<StatsReply>(web, cx, "/cgi-bin/stats.cgi").await;
    let stats = stats.map_err(|e| reason(&e)).and_then(|reply| row(reply.rows));
    let pools = page::<PoolsReply>(web, cx, "/cgi-bin/pools.cgi").await;
    let pools = pools.map_err(|e| reason(&e)).and_then(|r| r.rows.ok_or(MissingReason::BadReply));
    if summary.is_err() && stats.is_err() && pools.is_err() {
        return Err(failed.unwrap_or_else(none_of_three));
    }
    let (warning, power) = (Err(MissingReason::NotReported), Err(MissingReason::NotReported));
    Ok(Live { via: Via::Http, summary, stats, pools, warning, power })
}

/// Which replies port 4028 gives; remembered between polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// It knows `new_api`.
    New,
    /// It does not.
    Legacy,
}

/// A reply in the form of the CGI pages, with the status that port 4028 gives.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewStats {
    #[serde(rename = "STATUS")]
    status: StatusBlock,
    #[serde(rename = "INFO")]
    info: Info,
    #[serde(rename = "STATS", deserialize_with = "objects_or_none")]
    rows: Option<Vec<Stats>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    #[serde(rename = "type", deserialize_with = "text_opt")]
    kind: Option<Text>,
    #[serde(rename = "CompileTime", deserialize_with = "text_opt")]
    built: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    miner_version: Option<Text>,
}

fn new_request(command: &str) -> String {
    format!("{{\"command\":\"{command}\",\"new_api\":true}}")
}

/// One request on port 4028; a reply that was cut is refused, because mending would hide what is lost.
async fn ask(cx: &Ctx, at: SocketAddr, request: &str) -> Result<Vec<u8>> {
    let reply = cgminer::call(&shared(cx), at, request.as_bytes()).await?;
    let last = reply.iter().rfind(|b| !b.is_ascii_whitespace() && **b != 0);
    if last != Some(&b'}') {
        return Err(Error::new(ErrorKind::BadReply, RPC, "the reply is cut or no JSON").with("address", at));
    }
    Ok(reply)
}

async fn ask_new<T: DeserializeOwned>(cx: &Ctx, at: SocketAddr, command: &str) -> Result<T> {
    cgminer::parse(RPC, &ask(cx, at, &new_request(command)).await?)
}

/// The live values over port 4028, and what the machine says it is.
///
/// # Errors
/// When it does not answer, or nothing of what it said could be used.
pub(super) async fn rpc(cx: &Ctx, at: SocketAddr, form: &mut Option<Form>) -> Result<(Live, Identity)> {
    if *form != Some(Form::Legacy) {
        let reply = ask(cx, at, &new_request("stats")).await?;
        let new: Result<NewStats> = cgminer::parse(RPC, &reply);
        match new {
            // Firmware that does not know the member answers as ever; its rows say so.
            Ok(new) if new.rows.iter().flatten().any(|r| r.bmminer.is_some() || r.kind.is_some()) => {
                *form = Some(Form::Legacy);
                return old(cx, at, reply).await;
            }
            Ok(new) if new.status.is_ok() && new.rows.is_some() => {
                *form = Some(Form::New);
                return Ok(of_new(cx, at, new).await);
            }
            _ => {}
        }
    }
    let reply = ask(cx, at, &cgminer::request("stats")).await?;
    let live = old(cx, at, reply).await?;
    *form = Some(Form::Legacy);
    Ok(live)
}

async fn of_new(cx: &Ctx, at: SocketAddr, new: NewStats) -> (Live, Identity) {
    let summary = ask_new::<SummaryReply>(cx, at, "summary").await;
    let summary = summary.map_err(|e| reason(&e)).and_then(|r| row(r.rows));
    let pools = ask_new::<PoolsReply>(cx, at, "pools").await;
    let pools = pools.map_err(|e| reason(&e)).and_then(|r| r.rows.ok_or(MissingReason::BadReply));
    let Info { kind, built, miner_version } = new.info;
    let identity = Identity { kind, built, version: miner_version, ..Identity::default() };
    let (warning, power) = (Err(MissingReason::NotReported), Err(MissingReason::NotReported));
    (Live { via: Via::Rpc, summary, stats: row(new.rows), pools, warning, power }, identity)
}

/// The old replies, of which `stats` was read already.
async fn old(cx: &Ctx, at: SocketAddr, stats: Vec<u8>) -> Result<(Live, Identity)> {
    let reply: legacy::StatsReply = cgminer::parse(RPC, &stats)?;
    reply.status.check(RPC)?;
    let rows = reply.rows.ok_or_else(|| Error::new(ErrorKind::BadReply, RPC, "stats holds no list"))?;
    let (stats, identity) = legacy::stats(rows);
    let summary = old_summary(cx, at, stats.as_ref()).await.map_err(|e| reason(&e)).and_then(|r| r);
    let pools = old_pools(cx, at).await.map_err(|e| reason(&e)).and_then(|r| r);
    let (warning, power) = (Err(MissingReason::NotReported), Err(MissingReason::NotReported));
    Ok((Live { via: Via::RpcLegacy, summary, stats: Ok(stats), pools, warning, power }, identity))
}

async fn old_summary(cx: &Ctx, at: SocketAddr, stats: Option<&Stats>) -> Result<Read<Option<wire::Summary>>> {
    let reply = ask(cx, at, &cgminer::request("summary")).await?;
    let reply: legacy::SummaryReply = cgminer::parse(RPC, &reply)?;
    reply.status.check(RPC)?;
    Ok(row(reply.rows).map(|r| r.map(|r| legacy::summary(r, stats))))
}

async fn old_pools(cx: &Ctx, at: SocketAddr) -> Result<Read<Vec<Pool>>> {
    let reply = ask(cx, at, &cgminer::request("pools")).await?;
    let reply: legacy::PoolsReply = cgminer::parse(RPC, &reply)?;
    reply.status.check(RPC)?;
    let rows = reply.rows.ok_or(MissingReason::BadReply);
    Ok(rows.map(|r| r.into_iter().map(Pool::from).collect()))
}

/// `version` of port 4028.
pub(super) async fn version(cx: &Ctx, at: SocketAddr) -> Result<Identity> {
    let reply = ask(cx, at, &cgminer::request("version")).await?;
    let reply: legacy::VersionReply = cgminer::parse(RPC, &reply)?;
    reply.status.check(RPC)?;
    let first = reply.rows.into_iter().flatten().next();
    first
        .map(Identity::from)
        .ok_or_else(|| Error::new(ErrorKind::BadReply, RPC, "version holds no row").with("address", at))
}
