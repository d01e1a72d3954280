use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use http::HeaderMap;

use crate::{Error, ErrorKind, Result};

/// A whole reply, whatever its status. `Debug` leaves the body out: devices send passwords in it.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    pub(super) at: Option<SocketAddr>,
}

impl HttpReply {
    /// The body of a 2xx reply.
    ///
    /// # Errors
    /// Of the operation `op`, with the facts `status` and `address`: [`Unauthenticated`](ErrorKind::Unauthenticated)
    /// for 401, [`Forbidden`](ErrorKind::Forbidden) for 403, [`Unsupported`](ErrorKind::Unsupported) for 404 (devices
    /// have a path or not), [`RateLimited`](ErrorKind::RateLimited) for 429, [`BadReply`](ErrorKind::BadReply) for
    /// all others.
    pub fn ok(self, op: &'static str) -> Result<Bytes> {
        let (kind, message) = match self.status {
            200..=299 => return Ok(self.body),
            300..=399 => (ErrorKind::BadReply, "the device redirects, which is not followed"),
            401 => (ErrorKind::Unauthenticated, "the device wants credentials"),
            403 => (ErrorKind::Forbidden, "the device does not allow it"),
            404 => (ErrorKind::Unsupported, "the device has no such page"),
            429 => (ErrorKind::RateLimited, "the device takes no more requests now"),
            _ => (ErrorKind::BadReply, "the device answered with an error"),
        };
        let error = Error::new(kind, op, message).with("status", self.status);
        Err(match self.at {
            Some(at) => error.with("address", at),
            None => error,
        })
    }
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpReply {{ status: {}, body: {} bytes }}", self.status, self.body.len())
    }
}
