//! The seams: time, randomness and sockets. Everything above takes them from a [`Ctx`], so that a whole site
//! runs in simulation from one seed.

mod clock;
#[cfg(feature = "memory")]
mod memory;
mod net;
mod rng;
#[cfg(feature = "net")]
mod system;

pub use clock::{Clock, Mono, SystemClock, Timestamp};
#[cfg(feature = "memory")]
pub use memory::{MemNet, SeededRng};
pub use net::{BoxStream, Datagram, Listener, Net, Stream};
pub use rng::Rng;
#[cfg(feature = "net")]
pub use system::{SystemNet, SystemRng};

use std::{future::Future, sync::Arc, time::Duration};

use crate::{Error, ErrorKind, Result};

/// Time, randomness, sockets and the deadline of one piece of work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub rng: Arc<dyn Rng>,
    /// Sockets.
    pub net: Arc<dyn Net>,
    /// When the work must have ended; `None` means no limit.
    pub deadline: Option<Mono>,
    /// Whether connections may stay open between snapshots. Collectors set it when the interval is short;
    /// drivers close their connections after each snapshot otherwise.
    pub keep_connections: bool,
}

impl Ctx {
    /// A context over the given seams, without a deadline.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, net: Arc<dyn Net>) -> Self {
        Self { clock, rng, net, deadline: None, keep_connections: false }
    }

    /// A context over the operating system's clock, randomness and sockets.
    #[cfg(feature = "net")]
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock::default()), Arc::new(SystemRng), Arc::new(SystemNet))
    }

    /// The same context, ending `after` from now; an earlier deadline stays.
    #[must_use]
    pub fn deadline_in(&self, after: Duration) -> Self {
        let at = self.clock.mono() + after;
        let mut cx = self.clone();
        cx.deadline = Some(self.deadline.map_or(at, |d| d.min(at)));
        cx
    }

    /// What is left until the deadline; `None` without one.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|at| at.since(self.clock.mono()))
    }

    /// Runs `work` until it ends or the deadline passes, whichever is first.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when the deadline passed; `work` is dropped then.
    pub async fn within<T>(&self, op: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(at) = self.deadline else { return work.await };
        tokio::select! {
            biased;
            out = work => out,
            () = self.clock.sleep_until(at) => {
                Err(Error::new(ErrorKind::Timeout, op, "not finished before the deadline"))
            }
        }
    }
}
