//! One small HTTP/1.1 client over [`Ctx::net`] with digest authentication.
use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;

use crate::{Error, ErrorKind, Result, Secret, io::Ctx};

/// A whole reply, whatever its status.
#[derive(Debug, Clone)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl HttpReply {
    /// The body of a 2xx reply; any other status as a typed error of the operation `op`.
    pub fn ok(self, op: &'static str) -> Result<Bytes> {
        let _ = op;
        Ok(self.body)
    }
}

/// A client of one device.
#[derive(Debug)]
pub struct HttpClient {}

impl HttpClient {
    /// A client of `at`; `host` is what the Host header says.
    pub fn new(at: SocketAddr, host: &str) -> Self {
        let _ = (at, host);
        Self {}
    }

    /// Answers digest challenges with this account.
    #[must_use]
    pub fn credentials(self, user: &str, password: Secret) -> Self {
        let _ = (user, password);
        self
    }

    /// Bound of a reply's body, 1 MiB unless told.
    #[must_use]
    pub fn max_body(self, bytes: usize) -> Self {
        let _ = bytes;
        self
    }

    /// A read.
    pub async fn get(&self, cx: &Ctx, path: &str) -> Result<HttpReply> {
        let _ = (cx, path);
        Err(Error::new(ErrorKind::Internal, "http.get", "stub"))
    }

    /// A write.
    pub async fn post(&self, cx: &Ctx, path: &str, content_type: &str, body: Bytes) -> Result<HttpReply> {
        let _ = (cx, path, content_type, body);
        Err(Error::new(ErrorKind::Internal, "http.post", "stub"))
    }

    /// Closes the kept connection.
    pub async fn close(&self) {}

    /// The realm of the last challenge, by which the vendor is known.
    pub fn challenge_realm(&self) -> Option<Arc<str>> {
        None
    }
}
