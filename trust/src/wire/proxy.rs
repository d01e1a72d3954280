//! A network between a driver and simulated devices that notes every exchange and does to it what a check says.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    io::{BoxStream, Datagram, Listener, MemNet, Net},
};

use super::{
    act::{Act, Script},
    stream::Wire,
};

/// The most that is kept of a request or a reply.
const KEPT: usize = 64 * 1024;

/// What becomes of a connection that a driver opens.
#[derive(Debug)]
pub enum Dial {
    /// It goes there.
    To(SocketAddr),
    /// It is never accepted.
    Hang,
    /// It is accepted by somebody who sends this without being asked.
    Early(Script),
}

/// One request and its reply, as they were before anything was done to them.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The number of its connection.
    pub connection: usize,
    /// What the driver connected to.
    pub at: SocketAddr,
    /// Whether it is part of a write.
    pub write: bool,
    /// What the driver sent.
    pub request: Vec<u8>,
    /// How many bytes of it the device got.
    pub arrived: usize,
    /// What the device said.
    pub reply: Vec<u8>,
}

type Decide = Box<dyn FnMut(&Exchange, usize) -> Act + Send>;
type Connect = Box<dyn FnMut(usize, SocketAddr) -> Dial + Send>;

#[derive(Default)]
struct Hub {
    decide: Option<Decide>,
    connect: Option<Connect>,
    dialled: Vec<SocketAddr>,
    exchanges: Vec<Exchange>,
    taken: u64,
}

/// The network. Clones share it.
#[derive(Clone)]
pub struct Proxy {
    net: MemNet,
    hub: Arc<Mutex<Hub>>,
}

impl Proxy {
    /// Everything passes.
    pub fn new(net: MemNet) -> Self {
        Self { net, hub: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was noted, and lets everything pass.
    pub fn reset(&self) {
        *self.lock() = Hub::default();
    }

    /// Decides what becomes of each exchange when its first bytes are sent; the second argument is its number.
    pub fn decide(&self, decide: impl FnMut(&Exchange, usize) -> Act + Send + 'static) {
        self.lock().decide = Some(Box::new(decide));
    }

    /// Decides what becomes of each connection, by its number.
    pub fn connect(&self, connect: impl FnMut(usize, SocketAddr) -> Dial + Send + 'static) {
        self.lock().connect = Some(Box::new(connect));
    }

    /// What was noted.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.lock().exchanges.clone()
    }

    /// Where the driver connected to.
    pub fn dialled(&self) -> Vec<SocketAddr> {
        self.lock().dialled.clone()
    }

    /// How many bytes of replies the driver took.
    pub fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// An exchange begins; gives its number and what becomes of it.
    pub(super) fn begin(&self, exchange: Exchange) -> (usize, Act) {
        let mut hub = self.lock();
        let number = hub.exchanges.len();
        let act = hub.decide.as_mut().map_or(Act::PASS, |decide| decide(&exchange, number));
        hub.exchanges.push(exchange);
        (number, act)
    }

    pub(super) fn requested(&self, number: usize, bytes: &[u8], arrived: usize) {
        if let Some(exchange) = self.lock().exchanges.get_mut(number) {
            keep(&mut exchange.request, bytes);
            exchange.arrived += arrived;
        }
    }

    pub(super) fn replied(&self, number: usize, bytes: &[u8]) {
        if let Some(exchange) = self.lock().exchanges.get_mut(number) {
            keep(&mut exchange.reply, bytes);
        }
    }

    pub(super) fn took(&self, bytes: usize) {
        self.lock().taken += bytes as u64;
    }
}

fn keep(all: &mut Vec<u8>, more: &[u8]) {
    let room = KEPT.saturating_sub(all.len()).min(more.len());
    all.extend_from_slice(&more[..room]);
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

#[async_trait]
impl Net for Proxy {
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream> {
        let (number, dial) = {
            let mut hub = self.lock();
            let number = hub.dialled.len();
            hub.dialled.push(at);
            (number, hub.connect.as_mut().map_or(Dial::To(at), |connect| connect(number, at)))
        };
        match dial {
            Dial::To(to) => {
                let inner = self.net.tcp(to).await?;
                Ok(Box::new(Wire::new(self.clone(), number, at, Some(inner))))
            }
            Dial::Early(script) => Ok(Box::new(Wire::early(self.clone(), number, at, script))),
            Dial::Hang => {
                std::future::pending::<()>().await;
                Err(Error::new(ErrorKind::Unreachable, "proxy.tcp", "never accepted"))
            }
        }
    }

    async fn udp(&self, at: SocketAddr) -> Result<Box<dyn Datagram>> {
        self.net.udp(at).await
    }

    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>> {
        self.net.listen(at).await
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        self.net.resolve(host).await
    }
}
