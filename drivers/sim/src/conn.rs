//! What goes wrong between a finished reply and the wire. Families make a message body, pass it through
//! [`mangle`], wrap it as their protocol demands (HTTP head, NUL) and give the bytes to [`send`]. Before a request is
//! carried out they ask [`stall`].

use std::{io, time::Duration};

use headframe_core::io::BoxStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Fault, device::DeviceCore, physics::mix};

/// A device that hangs for `command` reads on until the client goes away; true means that the connection is done
/// and nothing may be carried out.
pub(crate) async fn stall(core: &DeviceCore, stream: &mut BoxStream, command: &str) -> bool {
    if !core.has(command, &Fault::Hang) {
        return false;
    }
    let mut scrap = [0; 256];
    while stream.read(&mut scrap).await.is_ok_and(|n| n > 0) {}
    true
}

/// Whether a write that was carried out gets no answer.
pub(crate) fn is_mute(core: &DeviceCore, command: &str) -> bool {
    core.has(command, &Fault::Mute)
}

/// Whether a write is to be answered with success and not carried out.
pub(crate) fn ignores_writes(core: &DeviceCore, command: &str) -> bool {
    core.has(command, &Fault::IgnoreWrites)
}

/// Spoils a message body as the faults demand.
pub(crate) fn mangle(core: &DeviceCore, command: &str, body: Vec<u8>) -> Vec<u8> {
    if core.has(command, &Fault::Garbage) {
        return garbage(core.identity().seed);
    }
    if core.has(command, &Fault::HalfJson) {
        return body[..body.len() / 2].to_vec();
    }
    let size = core.find(command, |f| if let Fault::Oversized { bytes } = f { Some(*bytes) } else { None });
    match size {
        Some(size) if size > body.len() => {
            // Blanks after the opening brace leave JSON well-formed.
            let at = body.len().min(1);
            let mut big = Vec::with_capacity(size);
            big.extend_from_slice(&body[..at]);
            big.resize(at + size - body.len(), b' ');
            big.extend_from_slice(&body[at..]);
            big
        }
        _ => body,
    }
}

/// Sends finished bytes as the faults demand.
///
/// # Errors
/// When the connection must be closed now: the client went away, or a fault ended the reply.
pub(crate) async fn send(
    core: &DeviceCore,
    stream: &mut BoxStream,
    command: &str,
    bytes: &[u8],
) -> io::Result<()> {
    if let Some(delay) =
        core.find(command, |f| if let Fault::Slow { delay } = f { Some(*delay) } else { None })
    {
        core.pause(delay).await;
    }
    if core.has(command, &Fault::Flood) {
        let chunk = [b'['; 4_096];
        loop {
            stream.write_all(&chunk).await?;
            // Without a pause an unread flood would starve a single-threaded simulation.
            core.pause(Duration::from_millis(1)).await;
        }
    }
    let cut = core.find(command, |f| if let Fault::Cut { after } = f { Some(*after) } else { None });
    let end = cut.map_or(bytes.len(), |after| after.min(bytes.len()));
    let drip = core.find(command, |f| {
        if let Fault::Drip { bytes, every } = f { Some(((*bytes).max(1), *every)) } else { None }
    });
    match drip {
        Some((piece, every)) => {
            for part in bytes[..end].chunks(piece) {
                core.pause(every).await;
                stream.write_all(part).await?;
                stream.flush().await?;
            }
        }
        None => {
            stream.write_all(&bytes[..end]).await?;
            stream.flush().await?;
        }
    }
    if cut.is_some() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
}

fn garbage(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfe];
    for word in 0..32 {
        bytes.extend_from_slice(&mix(seed, word).to_le_bytes());
    }
    bytes
}
