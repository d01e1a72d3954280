//! The floor: a bare socket client that makes the same connections and requests as the driver and reads the same
//! bytes, without parsing them. It shares no code with the driver.

mod antminer;
mod whatsminer;

use std::time::Duration;

use headframe::{Error, ErrorKind, Result};
use headframe_benches::{Family, cpu, simulator::Simulators};
use tokio::{net::TcpStream, time::Instant};

use self::{
    antminer::Web,
    whatsminer::{Single, joined, v3},
};
use crate::{Cost, cost};

/// From this interval on connections are not kept.
const KEEP_BELOW: Duration = Duration::from_secs(5);

fn failed(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "collect.floor", e.to_string())
}

/// Polls each address once per interval, evenly spread, for `window`.
#[allow(clippy::disallowed_methods, reason = "the floor stands outside Headframe's seams")]
pub async fn run(
    family: Family,
    addresses: Vec<String>,
    interval: Duration,
    window: Duration,
    simulators: &mut Simulators,
) -> Result<Cost> {
    let count = u32::try_from(addresses.len()).map_err(failed)?;
    let gap = interval / count;
    let start = Instant::now() + Duration::from_millis(200);
    let warm = start + interval + Duration::from_secs(1);
    let end = warm + window;
    let mut tasks = tokio::task::JoinSet::new();
    for (place, address) in (0..count).zip(addresses) {
        let first = start + gap * place;
        tasks.spawn(async move { client(family, address, first, interval, warm, end).await });
    }
    tokio::time::sleep_until(warm).await;
    let (requests, cpu) = (simulators.requests().await?, cpu::time());
    tokio::time::sleep_until(end).await;
    let used = cpu::time().saturating_sub(cpu);
    let asked = simulators.requests().await?.saturating_sub(requests);
    let mut polls = 0;
    while let Some(done) = tasks.join_next().await {
        polls += done.map_err(failed)??;
    }
    cost(polls, used, asked)
}

#[allow(clippy::disallowed_methods, reason = "the floor stands outside Headframe's seams")]
async fn client(
    family: Family,
    address: String,
    mut at: Instant,
    interval: Duration,
    from: Instant,
    to: Instant,
) -> Result<u64> {
    let mut web = Web::new(&address, interval <= KEEP_BELOW);
    let mut single = Single::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut polls = 0;
    while at < to {
        tokio::time::sleep_until(at).await;
        match family {
            Family::Whatsminer => joined(&address).await?,
            Family::WhatsminerSingle => single.poll(&address, at).await?,
            Family::WhatsminerV3 => v3(&address).await?,
            Family::Antminer => web.poll(&mut buffer).await?,
        }
        polls += u64::from(at >= from);
        at += interval;
    }
    Ok(polls)
}

#[allow(clippy::disallowed_methods, reason = "the floor stands outside Headframe's seams")]
async fn connect(address: &str, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((address, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}
