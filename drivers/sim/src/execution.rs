use std::net::SocketAddr;

use headframe_core::io::Mono;

/// How many of the newest executions a device keeps.
pub(crate) const KEPT: usize = 16_384;

tokio::task_local! {
    /// Who is at the other end of the connection that is served.
    pub(crate) static PEER: SocketAddr;
}

/// A write that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Execution {
    /// When, by the device's clock.
    pub at: Mono,
    /// Its name.
    pub command: String,
    /// From where the connection came over which it was received.
    pub peer: Option<SocketAddr>,
}

impl Execution {
    pub(crate) fn now(at: Mono, command: &str) -> Self {
        Self { at, command: command.to_owned(), peer: PEER.try_with(|peer| *peer).ok() }
    }
}
