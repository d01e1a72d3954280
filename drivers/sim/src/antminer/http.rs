//! Just enough of an HTTP/1.1 server: requests from a byte stream, replies as bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAX_HEAD: usize = 16 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;
const MAX_HEADERS: usize = 48;
const CHUNK: usize = 512;

/// One request as the device's web server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub method: String,
    /// Path and query exactly as in the request line: what the digest covers.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the client lets the connection live after the reply.
    pub keep_alive: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }
}

/// What reading a request can end with instead of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRequest {
    /// The client closed between two requests.
    End,
    /// The connection broke, or the client closed inside a request.
    Broken,
    /// Not HTTP, or more of it than the device takes: the status to answer with.
    Bad(u16),
}

impl From<io::Error> for NoRequest {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// Reads requests from one connection; bytes beyond one request stay for the next.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    pub async fn next<S>(&mut self, stream: &mut S) -> Result<Request, NoRequest>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut request, head, length) = loop {
            if let Some(found) = parse_head(&self.buffer)? {
                break found;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(NoRequest::Bad(431));
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(if self.buffer.is_empty() { NoRequest::End } else { NoRequest::Broken });
            }
        };
        let end = head + length;
        let waits = request.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue"));
        if waits && self.buffer.len() < end {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        while self.buffer.len() < end {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(NoRequest::Broken);
            }
        }
        request.body = self.buffer[head..end].to_vec();
        self.buffer.drain(..end);
        Ok(request)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

/// The request without its body, the length of its head, and the length of its body; `None` when the head is
/// not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize, usize)>, NoRequest> {
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut slots);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(NoRequest::Bad(431)),
        Err(_) => return Err(NoRequest::Bad(400)),
    };
    let headers: Vec<(String, String)> = parsed
        .headers
        .iter()
        .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).trim().to_owned()))
        .collect();
    if header(&headers, "transfer-encoding").is_some() {
        // The old lighttpd of these machines wants a length.
        return Err(NoRequest::Bad(411));
    }
    let length = match header(&headers, "content-length") {
        None => 0,
        Some(text) => text.parse().map_err(|_| NoRequest::Bad(400))?,
    };
    if length > MAX_BODY {
        return Err(NoRequest::Bad(413));
    }
    let connection = header(&headers, "connection").unwrap_or_default().to_ascii_lowercase();
    let keep_alive = match parsed.version {
        Some(1) => !connection.contains("close"),
        _ => connection.contains("keep-alive"),
    };
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(NoRequest::Bad(400));
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some((Request { method, target, headers, body: Vec::new(), keep_alive }, head, length)))
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(body: Vec<u8>) -> Self {
        Self { status: 200, content_type: "application/json", headers: Vec::new(), body }
    }

    pub fn text(body: impl Into<String>) -> Self {
        Self { status: 200, content_type: "text/plain", headers: Vec::new(), body: body.into().into_bytes() }
    }

    /// A page that only names its status.
    pub fn status(status: u16) -> Self {
        let page = format!("<html><head><title>{status} - {}</title></head></html>\n", reason(status));
        Self { status, content_type: "text/html", headers: Vec::new(), body: page.into_bytes() }
    }

    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The bytes on the wire. A reply to HEAD has no body but tells its length.
    pub fn to_bytes(&self, form: Form, head_only: bool) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        let mut line = |name: &str, value: &str| {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        };
        line("Content-Type", self.content_type);
        for (name, value) in &self.headers {
            line(name, value);
        }
        if form.close {
            line("Connection", "close");
        }
        if form.chunked {
            line("Transfer-Encoding", "chunked");
        } else {
            line("Content-Length", &self.body.len().to_string());
        }
        line("Server", "lighttpd/1.4.32");
        out.extend_from_slice(b"\r\n");
        if head_only {
            return out;
        }
        if !form.chunked {
            out.extend_from_slice(&self.body);
            return out;
        }
        for chunk in self.body.chunks(CHUNK) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
        out
    }
}

/// How a reply is framed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Form {
    pub chunked: bool,
    pub close: bool,
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Request Entity Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn reads_pipelined_requests_and_then_the_end() {
        let (mut client, mut server) = duplex(4096);
        client
            .write_all(
                b"POST /a?b=1 HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\n\r\nhiGET /c HTTP/1.0\r\n\r\n",
            )
            .await
            .unwrap();
        drop(client);
        let mut reader = Reader::default();
        let first = reader.next(&mut server).await.unwrap();
        assert_eq!((first.method.as_str(), first.target.as_str(), first.path()), ("POST", "/a?b=1", "/a"));
        assert_eq!((first.body.as_slice(), first.keep_alive), (&b"hi"[..], true));
        let second = reader.next(&mut server).await.unwrap();
        assert_eq!((second.target.as_str(), second.keep_alive), ("/c", false));
        assert_eq!(reader.next(&mut server).await, Err(NoRequest::End));
    }

    #[tokio::test]
    async fn refuses_what_is_not_http_or_too_much() {
        for (bytes, expected) in [
            (&b"\x01\x02\x03 nonsense\r\n\r\n"[..], NoRequest::Bad(400)),
            (&b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n"[..], NoRequest::Bad(413)),
            (&b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"[..], NoRequest::Bad(411)),
            (&b"GET / HTTP/1.1\r\nhost"[..], NoRequest::Broken),
        ] {
            let (mut client, mut server) = duplex(4096);
            client.write_all(bytes).await.unwrap();
            drop(client);
            assert_eq!(Reader::default().next(&mut server).await, Err(expected));
        }
    }

    #[test]
    fn chunked_replies_end_with_an_empty_chunk() {
        let reply = Reply::text("x".repeat(600));
        let bytes = reply.to_bytes(Form { chunked: true, close: true }, false);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("Transfer-Encoding: chunked\r\n") && text.contains("Connection: close\r\n"));
        assert!(text.contains("\r\n\r\n200\r\nxxx") && text.ends_with("x\r\n0\r\n\r\n"));
    }
}
