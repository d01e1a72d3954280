mod reports;
mod scans;
mod trouble;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    Error, ErrorKind, Result,
    driver::{
        Driver, DriverInfo, Evidence, Match, PortRole, Ports, ProbeRequest, ProbeSpec, Registry, Thing,
    },
    io::{BoxStream, Ctx, Datagram, Listener, MemNet, Net, SeededRng, SystemClock, Timestamp},
    model::ThingConf,
};

const VERSION: ProbeSpec = ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer("version") };
const DETAILS: ProbeSpec = ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer("devdetails") };
const ROOT: ProbeSpec = ProbeSpec { role: PortRole::Web, request: ProbeRequest::HttpGet("/") };

/// Recognises by a word in the replies of the cgminer-style API or in the web server's realm.
#[derive(Debug)]
struct Acme {
    info: DriverInfo,
    word: &'static str,
    probes: Vec<ProbeSpec>,
    stock: bool,
    panics: bool,
}

impl Acme {
    fn new(id: &'static str, word: &'static str, probes: &[ProbeSpec]) -> Self {
        let info = DriverInfo::new(id, "miner", "Acme", "");
        Self { info, word, probes: probes.to_vec(), stock: true, panics: false }
    }
}

#[async_trait]
impl Driver for Acme {
    fn info(&self) -> &DriverInfo {
        &self.info
    }

    fn probes(&self) -> &[ProbeSpec] {
        &self.probes
    }

    fn recognise(&self, evidence: &Evidence) -> Option<Match> {
        assert!(!self.panics, "a driver with a defect");
        let realm = evidence.realm().is_some_and(|r| r.to_ascii_uppercase().contains(self.word));
        (realm || evidence.cgminer_says(self.word)).then(|| {
            let mut found = Match::new(self.info.id, "Acme", evidence);
            found.stock = self.stock;
            found
        })
    }

    async fn open(&self, _: &Ctx, _: &ThingConf) -> Result<Arc<dyn Thing>> {
        Err(Error::unsupported("acme.open", "opening"))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register(Acme::new("acme", "ACME", &[VERSION, ROOT]));
    registry.register(Acme::new("other", "OTHER", &[ROOT, DETAILS, VERSION]));
    registry
}

fn cx(net: impl Net) -> Ctx {
    let clock = SystemClock::starting_at(Timestamp(1_764_000_000_000));
    Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(1)), Arc::new(net))
}

fn scan(cx: &Ctx, range: &str) -> Scan {
    Scan::new(Arc::new(registry()), cx.clone(), range.parse().unwrap())
}

async fn wait(cx: &Ctx, time: Duration) {
    cx.clock.sleep_until(cx.clock.mono() + time).await;
}

/// The requests that each simulated port received.
type Log = Arc<Mutex<BTreeMap<SocketAddr, Vec<String>>>>;

/// What a simulated port does with a request.
#[derive(Clone, Copy)]
enum Port {
    /// Answers after a while and closes.
    Says(&'static str, Duration),
    /// Begins an answer that never ends.
    Floods(&'static str),
    /// Reads and never answers.
    Hangs,
    /// Closes at once.
    Closes,
}

async fn open_port(cx: &Ctx, at: &str, port: Port, log: &Log) {
    let at: SocketAddr = at.parse().unwrap();
    let mut listener = cx.net.listen(at).await.unwrap();
    let (cx, log) = (cx.clone(), log.clone());
    tokio::spawn(async move {
        // One connection at a time, as the small servers of miners work.
        while let Ok((stream, _)) = listener.accept().await {
            serve(&cx, at, stream, port, &log).await;
        }
    });
}

async fn serve(cx: &Ctx, at: SocketAddr, mut stream: BoxStream, port: Port, log: &Log) {
    if matches!(port, Port::Closes) {
        return;
    }
    let mut got = vec![0; 2048];
    let Ok(n @ 1..) = stream.read(&mut got).await else { return };
    log.lock().unwrap().entry(at).or_default().push(String::from_utf8_lossy(&got[..n]).into_owned());
    match port {
        Port::Says(reply, after) => {
            wait(cx, after).await;
            // The other side may have given up.
            let _gone = stream.write_all(reply.as_bytes()).await;
        }
        Port::Floods(beginning) => {
            let mut sent = stream.write_all(beginning.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 4096]).await;
            }
        }
        Port::Hangs | Port::Closes => std::future::pending().await,
    }
}

const NOW: Duration = Duration::ZERO;
const ACME: &str = "{\"VERSION\":[{\"Type\":\"Acme 9000\"}]}\0";
const PRINTER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n<html><title>Printer</title>hello";
const LOGIN: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"acme Config\"\r\nContent-Length: 0\r\n\r\n";

async fn all(stream: &mut ScanStream) -> Vec<ScanEvent> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    events
}

fn found(events: &[ScanEvent]) -> Vec<Ipv4Addr> {
    let mut hosts: Vec<_> =
        events.iter().filter(|e| matches!(e, ScanEvent::Found(_))).map(ScanEvent::host).collect();
    hosts.sort_unstable();
    hosts
}
