//! What a Whatsminer is asked on each poll. Every request has a connection of its own.

use std::time::Duration;

use headframe::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{connect, failed};

const PORT: u16 = 14_028;
const V3_PORT: u16 = 14_433;
/// A unit that joins nothing is asked for its status and its errors again after this time.
const REST: Duration = Duration::from_secs(15);
/// What is read at a time; replies have a few KiB.
const CHUNK: usize = 8 * 1024;

/// The one question that joins all.
pub(super) async fn joined(address: &str) -> Result<()> {
    command(address, "summary+edevs+pools+status+get_error_code").await
}

/// One connection, one question, one reply up to its closing NUL.
async fn command(address: &str, name: &str) -> Result<()> {
    let mut stream = connect(address, PORT).await?;
    stream.write_all(format!("{{\"command\":\"{name}\"}}").as_bytes()).await.map_err(failed)?;
    let mut buffer = [0; CHUNK];
    loop {
        let n = stream.read(&mut buffer).await.map_err(failed)?;
        if n == 0 || buffer[n - 1] == 0 {
            return Ok(());
        }
    }
}

/// The questions to a unit that joins nothing.
#[derive(Debug, Default)]
pub(super) struct Single {
    /// When status and errors were asked for.
    rested: Option<Instant>,
}

impl Single {
    /// Three connections at a time. `due` is when the poll was to begin.
    pub async fn poll(&mut self, address: &str, due: Instant) -> Result<()> {
        let ask = |name| command(address, name);
        tokio::try_join!(ask("summary"), ask("edevs"), ask("pools"))?;
        if self.rested.is_none_or(|at| due - at >= REST) {
            tokio::try_join!(ask("status"), ask("get_error_code"))?;
            self.rested = Some(due);
        }
        Ok(())
    }
}

/// The four questions of API v3, over two connections at a time.
pub(super) async fn v3(address: &str) -> Result<()> {
    let about = async {
        framed(address, r#"{"cmd":"get.device.info"}"#).await?;
        framed(address, r#"{"cmd":"get.miner.status","param":"pools"}"#).await
    };
    let status = async {
        framed(address, r#"{"cmd":"get.miner.status","param":"summary"}"#).await?;
        framed(address, r#"{"cmd":"get.miner.status","param":"edevs"}"#).await
    };
    tokio::try_join!(about, status).map(drop)
}

/// One connection, one question and one reply, both behind their length.
async fn framed(address: &str, json: &str) -> Result<()> {
    let mut stream = connect(address, V3_PORT).await?;
    let length = u32::try_from(json.len()).map_err(failed)?.to_le_bytes();
    stream.write_all(&[&length[..], json.as_bytes()].concat()).await.map_err(failed)?;
    let (mut buffer, mut have, mut whole) = ([0; CHUNK], 0, None);
    while whole.is_none_or(|whole| have < whole) {
        // What was read is not kept once the length is known.
        let from = if whole.is_some() { 0 } else { have };
        let n = stream.read(&mut buffer[from..]).await.map_err(failed)?;
        if n == 0 {
            return Err(failed("cut reply"));
        }
        have += n;
        if let (None, true, [a, b, c, d, ..]) = (whole, have >= 4, buffer) {
            whole = Some(4 + usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(failed)?);
        }
    }
    Ok(())
}
