//! The cgminer-style API of miners: one TCP connection, one request, one reply (usually port 4028).

use std::net::SocketAddr;

use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Result, io::Ctx};

/// The longest reply that [`call`] takes.
pub const MAX_REPLY: usize = 256 * 1024;

/// Sends one request and reads its reply.
pub async fn call(cx: &Ctx, at: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    call_bounded(cx, at, request, MAX_REPLY).await
}
/// The same with another bound.
pub async fn call_bounded(cx: &Ctx, at: SocketAddr, request: &[u8], max: usize) -> Result<Vec<u8>> {
    let _ = (cx, at, request, max);
    Err(Error::new(ErrorKind::Internal, "cgminer.call", "stub"))
}
/// The same for a write: errors after the request may have left say so.
pub async fn call_write(cx: &Ctx, at: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    call(cx, at, request).await
}
/// `{"command":"…"}`
pub fn request(command: &str) -> String {
    command.into()
}
/// `{"command":"…","parameter":"…"}`
pub fn request_with(command: &str, parameter: &str) -> String {
    format!("{command}{parameter}")
}
/// Reads a reply.
pub fn parse<T: DeserializeOwned>(op: &'static str, reply: &[u8]) -> Result<T> {
    serde_json::from_slice(reply).map_err(|e| Error::new(ErrorKind::BadReply, op, e.to_string()))
}
/// The status block of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusBlock {
    /// `S`, `I`, `W`, `E`, `F`; `?` when there is none.
    pub letter: char,
    /// The code.
    pub code: Option<i64>,
    /// `Msg`.
    pub message: String,
}
