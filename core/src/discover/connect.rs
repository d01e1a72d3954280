use std::{
    error::Error as StdError,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    Error, Result,
    io::{BoxStream, Ctx, Datagram, Listener, Net},
};

const OP: &str = "discover.connect";
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a connection waits for the process to get file descriptors back.
const PATIENCE: Duration = Duration::from_secs(60);
/// Assumed where the limit cannot be read.
const USUAL_OPEN_FILES: usize = 1024;

/// Codes of `EMFILE`, `ENFILE` and `ENOBUFS`. The last is also what Linux says when its neighbour table is full
/// because too many addresses of the own network are being tried at once.
const EXHAUSTED: &[i32] = if cfg!(windows) {
    &[10024, 10055]
} else if cfg!(target_os = "linux") {
    &[24, 23, 105]
} else {
    &[24, 23, 55]
};

/// Whether the machine, not the other side, was short of something that comes back.
pub(super) fn exhausted(e: &Error) -> bool {
    let mut cause = e.source();
    while let Some(e) = cause {
        let code = e.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if code.is_some_and(|code| EXHAUSTED.contains(&code)) {
            return true;
        }
        cause = e.source();
    }
    false
}

/// Connects within `budget`. Waiting for file descriptors does not count against it.
pub(super) async fn connect(cx: &Ctx, at: SocketAddr, budget: Duration) -> Result<BoxStream> {
    let (patient, mut pause) = (cx.deadline_in(PATIENCE), FIRST_PAUSE);
    loop {
        let attempt = cx.deadline_in(budget);
        let e = match attempt.within(OP, attempt.net.tcp(at)).await {
            Ok(stream) => return Ok(stream),
            Err(e) => e,
        };
        if !exhausted(&e) || patient.remaining() == Some(Duration::ZERO) {
            return Err(e);
        }
        cx.clock.sleep_until(cx.clock.mono() + pause.min(patient.remaining().unwrap_or(pause))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The network as one address sees it: the connection that showed the port to be open serves the first question,
/// so a device is not troubled with one that carries nothing.
#[derive(Debug)]
pub(super) struct Reuse {
    cx: Ctx,
    budget: Duration,
    first: Mutex<Option<BoxStream>>,
}

impl Reuse {
    pub(super) fn new(cx: &Ctx, budget: Duration, first: BoxStream) -> Self {
        Self { cx: cx.clone(), budget, first: Mutex::new(Some(first)) }
    }
}

#[async_trait]
impl Net for Reuse {
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(stream) => Ok(stream),
            None => connect(&self.cx, at, self.budget).await,
        }
    }

    async fn udp(&self, at: SocketAddr) -> Result<Box<dyn Datagram>> {
        self.cx.net.udp(at).await
    }

    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>> {
        self.cx.net.listen(at).await
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        self.cx.net.resolve(host).await
    }
}

/// How many files this process may have open.
pub(super) fn open_file_limit() -> usize {
    // Only Linux tells it in a file; elsewhere a scan that was sized too large waits for descriptors.
    std::fs::read_to_string("/proc/self/limits").ok().and_then(|t| soft_limit(&t)).unwrap_or(USUAL_OPEN_FILES)
}

fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn the_soft_limit_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             7823                 7823                 processes \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(soft_limit(&text.replace("1024  ", "unlimited")), Some(usize::MAX));
        assert_eq!(soft_limit("Max processes 7\n"), None);
        assert!(open_file_limit() > 0);
    }

    #[test]
    fn only_a_shortage_of_the_machine_is_exhaustion() {
        let e = |code| {
            let cause = io::Error::from_raw_os_error(code);
            Error::new(ErrorKind::Unreachable, "net.tcp", cause.to_string()).caused_by(cause)
        };
        assert!(EXHAUSTED.iter().all(|code| exhausted(&e(*code))));
        assert!(!exhausted(&e(111)) && !exhausted(&Error::new(ErrorKind::Unreachable, "net.tcp", "x")));
    }
}
