//! Framing: the length as u32 in little-endian order, then so many bytes of JSON.

use std::time::Duration;

use headframe_core::io::BoxStream;
use tokio::io::AsyncReadExt;

use crate::device::DeviceCore;

/// The most that a request may have, in bytes.
const REQUEST_BYTES: u32 = 64 * 1_024;
/// A client that does not finish its request is left after so long.
const IDLE: Duration = Duration::from_secs(60);

/// What a client sent.
pub(super) enum Incoming {
    /// The bytes of a whole frame.
    Frame(Vec<u8>),
    /// An impossible length, or less than was announced.
    Junk,
    /// Nothing.
    End,
}

pub(super) async fn read(core: &DeviceCore, stream: &mut BoxStream) -> Incoming {
    let mut head = [0; 4];
    match fill(core, stream, &mut head).await {
        4 => {}
        0 => return Incoming::End,
        _ => return Incoming::Junk,
    }
    let length = u32::from_le_bytes(head);
    if length == 0 || length > REQUEST_BYTES {
        return Incoming::Junk;
    }
    let mut bytes = vec![0; length as usize];
    if fill(core, stream, &mut bytes).await < bytes.len() { Incoming::Junk } else { Incoming::Frame(bytes) }
}

/// How many bytes came before the client stopped.
async fn fill(core: &DeviceCore, stream: &mut BoxStream, bytes: &mut [u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let n = tokio::select! {
            biased;
            n = stream.read(&mut bytes[at..]) => n.unwrap_or(0),
            () = core.pause(IDLE) => 0,
        };
        if n == 0 {
            break;
        }
        at += n;
    }
    at
}

/// A body with its length before it.
pub(super) fn with_length(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        for (text, head) in [
            (r#"{"cmd":"get.device.info","param":"salt"}"#, [0x28, 0, 0, 0]),
            (r#"{"cmd":"get.miner.status","param":"summary"}"#, [0x2c, 0, 0, 0]),
        ] {
            let frame = with_length(text.as_bytes());
            assert_eq!((&frame[..4], &frame[4..]), (&head[..], text.as_bytes()));
        }
        assert_eq!(with_length(&[b' '; 325])[..4], [0x45, 1, 0, 0]);
    }
}
