//! One small HTTP/1.1 client over [`Ctx::net`] with digest authentication.
//!
//! It follows no redirect, uses no proxy, keeps no cookie, and repeats nothing but what certainly changed
//! nothing. Passwords go out as digests only: a challenge for `Basic` is not answered.

#[cfg(planted)]
mod follow;
mod io;
mod link;
mod reply;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE},
};
use http_body_util::Full;

pub use self::reply::HttpReply;
use self::{io::Traffic, link::Link};
use super::{
    digest::{self, Challenge, Offered, Session},
    located,
};
use crate::{
    Error, ErrorKind, Result, Secret,
    io::Ctx,
    planted::{Bug, planted},
};

const MAX_BODY: usize = 1024 * 1024;

/// A client of one device: one request at a time, over one connection that is kept between requests.
///
/// A driver closes it with [`close`](HttpClient::close) at the end of a snapshot unless
/// [`Ctx::keep_connections`] is set. Nonces outlive connections, so later requests need no second round.
pub struct HttpClient {
    at: SocketAddr,
    host: String,
    account: Option<(String, Secret)>,
    max_body: usize,
    /// Apart from the state, because it is asked for while a request runs.
    realm: Mutex<Option<Arc<str>>>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Boxed, because most clients of a large site have none most of the time.
    link: Option<Box<Link>>,
    session: Option<Box<Session>>,
}

/// How far a request came.
#[derive(Default)]
struct Progress {
    /// A byte of it was written, and no reply says that it was not carried out.
    sent: AtomicBool,
    /// All of it was written.
    whole: AtomicBool,
    /// A byte of a reply came.
    heard: AtomicBool,
}

impl Progress {
    fn note(&self, traffic: &Traffic) {
        self.sent.fetch_or(traffic.wrote(), Ordering::Relaxed);
        self.whole.store(traffic.whole(), Ordering::Relaxed);
        self.heard.store(traffic.read(), Ordering::Relaxed);
    }

    /// Whether the device has the whole request and said nothing.
    fn silent(&self) -> bool {
        self.whole.load(Ordering::Relaxed) && !self.heard.load(Ordering::Relaxed)
    }
}

/// One request, before it has an `Authorization`.
struct Call {
    op: &'static str,
    method: Method,
    uri: Uri,
    host: HeaderValue,
    content_type: Option<HeaderValue>,
    body: Bytes,
    /// Whether a challenge is left to the next request.
    once: bool,
}

impl Call {
    fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

impl HttpClient {
    /// A client of the device at `at`; `host` is what the `Host` field says.
    pub fn new(at: SocketAddr, host: &str) -> Self {
        Self {
            at,
            host: host.to_owned(),
            account: None,
            max_body: MAX_BODY,
            realm: Mutex::default(),
            state: tokio::sync::Mutex::default(),
        }
    }

    /// Answers digest challenges for this account.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: Secret) -> Self {
        self.account = Some((user.to_owned(), password));
        self
    }

    /// The longest body that a reply may have; 1 MiB unless told.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Reads `path` (path and query). For reads only: it is sent once more when the kept connection turns out
    /// to be closed, and its errors say that nothing was changed.
    ///
    /// # Errors
    /// [`Unreachable`](ErrorKind::Unreachable) without a connection or when it broke,
    /// [`Timeout`](ErrorKind::Timeout) past the deadline, [`Unauthenticated`](ErrorKind::Unauthenticated) when the
    /// credentials were refused or the device wants another scheme (fact `realm`),
    /// [`BadReply`](ErrorKind::BadReply) for what is no HTTP, ends early (`empty=true` when no byte came) or is
    /// above a bound (`max=…`). All carry `address`. Any other status is a reply, see [`HttpReply::ok`]; so is
    /// 401 when the client has no credentials.
    pub async fn get(&self, cx: &Ctx, path: &str) -> Result<HttpReply> {
        let call = self.call("http.get", Method::GET, path, None, Bytes::new());
        self.run(cx, call).await
    }

    /// Writes `body` to `path`, over a connection of its own. It is sent again only after the status 401, which
    /// proves that the device did not carry it out.
    ///
    /// # Errors
    /// As [`get`](HttpClient::get); once a byte may have left they are marked
    /// [`Sent::Maybe`](crate::Sent::Maybe). `silent=true` says that the whole request went out and that not one byte
    /// of a reply came.
    pub async fn post(&self, cx: &Ctx, path: &str, content_type: &str, body: Bytes) -> Result<HttpReply> {
        let call = self.call("http.post", Method::POST, path, Some(content_type), body);
        self.run(cx, call).await
    }

    /// [`post`](HttpClient::post) that sends nothing again: whoever answers with a challenge can be another device
    /// than the one that was asked before. The next request answers the challenge, so the caller can find out first who
    /// is there.
    ///
    /// # Errors
    /// As [`post`](HttpClient::post), and [`Unauthenticated`](ErrorKind::Unauthenticated) with `challenged=true` when
    /// the device wants the request signed with a nonce that it has just given; it did not carry it out.
    pub async fn post_once(
        &self,
        cx: &Ctx,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<HttpReply> {
        let call = self.call("http.post", Method::POST, path, Some(content_type), body);
        self.run(cx, call.map(|call| Call { once: true, ..call })).await
    }

    /// Closes the kept connection, after the request that is running.
    pub async fn close(&self) {
        self.state.lock().await.link = None;
    }

    /// The realm of the last challenge: its beginning tells the vendor.
    pub fn challenge_realm(&self) -> Option<Arc<str>> {
        self.realm.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn run(&self, cx: &Ctx, call: Result<Call>) -> Result<HttpReply> {
        let call = call.map_err(|e| located(e, self.at))?;
        let progress = Progress::default();
        let mut out = cx.within(call.op, self.answer(cx, &call, &progress)).await;
        if call.is_write() && out.is_err() && planted(Bug::RetryOnTimeout) {
            out = cx.within(call.op, self.answer(cx, &call, &progress)).await;
        }
        #[cfg(planted)]
        if let Ok(reply) = &out
            && planted(Bug::FollowRedirects)
        {
            follow::redirect(self, cx, &call, reply).await;
        }
        let maybe = |e: Error| {
            let sent = progress.sent.load(Ordering::Relaxed) && !planted(Bug::NothingSent);
            located(
                match call.is_write() && sent {
                    true if progress.silent() => e.maybe_sent().with("silent", true),
                    true => e.maybe_sent(),
                    false => e,
                },
                self.at,
            )
        };
        out.map_err(maybe)
    }

    fn call(
        &self,
        op: &'static str,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Call> {
        let uri = if path.starts_with('/') { path.parse::<Uri>().ok() } else { None };
        // What is not sent as it was given would also be signed otherwise.
        let uri = uri.filter(|u| u.path_and_query().is_some_and(|p| p.as_str() == path));
        let uri = uri.ok_or_else(|| Error::invalid(op, "path", "not a path beginning with '/'"))?;
        let host = self.host.parse().map_err(|_| Error::invalid(op, "host", "not a host name"))?;
        let content_type = content_type.map(HeaderValue::from_str).transpose();
        let content_type =
            content_type.map_err(|_| Error::invalid(op, "content_type", "not a media type"))?;
        Ok(Call { op, method, uri, host, content_type, body, once: false })
    }

    /// Sends the request and answers at most one challenge.
    async fn answer(&self, cx: &Ctx, call: &Call, progress: &Progress) -> Result<HttpReply> {
        let mut state = self.state.lock().await;
        let reply = self.exchange(cx, &mut state, call, progress).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        let offered = self.challenged(&reply, progress);
        let Some((user, password)) = &self.account else { return Ok(reply) };
        let challenge = offered.digest.ok_or_else(|| {
            let wants = "the device wants an authentication other than digest with MD5";
            self.unauthenticated(call.op, wants)
        })?;
        state.session = Some(Box::new(match state.session.take() {
            Some(old) if old.nonce() == challenge.nonce && !challenge.stale => {
                return Err(self.refused(call.op));
            }
            Some(old) => old.renewed(challenge, user, password.expose()),
            None => Session::new(challenge, user, password.expose()),
        }));
        if call.once {
            let text = "the device wants the request signed with a new nonce: nothing was carried out";
            return Err(self.unauthenticated(call.op, text).with("challenged", true));
        }
        let reply = self.exchange(cx, &mut state, call, progress).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        // Some devices lock the account after a few wrong answers, so this one is not given again: the next
        // request begins without credentials.
        state.session = None;
        match self.challenged(&reply, progress).digest {
            Some(Challenge { stale: true, .. }) => {
                Err(self.unauthenticated(call.op, "the device took no nonce, not even its newest"))
            }
            _ => Err(self.refused(call.op)),
        }
    }

    /// What a 401 offers. The device did not carry the request out, so nothing was sent.
    fn challenged(&self, reply: &HttpReply, progress: &Progress) -> Offered {
        progress.sent.store(false, Ordering::Relaxed);
        let offered = offered(&reply.headers);
        if let Some(realm) = &offered.realm {
            let mut known = self.realm.lock().unwrap_or_else(PoisonError::into_inner);
            if known.as_deref() != Some(realm) {
                *known = Some(realm.as_str().into());
            }
        }
        offered
    }

    fn refused(&self, op: &'static str) -> Error {
        self.unauthenticated(op, "the device refused the credentials")
    }

    fn unauthenticated(&self, op: &'static str, message: &str) -> Error {
        let error = Error::new(ErrorKind::Unauthenticated, op, message);
        match self.challenge_realm() {
            Some(realm) => error.with("realm", realm),
            None => error,
        }
    }

    /// Sends the request once: reads over the kept connection if there is one, writes over a fresh one.
    async fn exchange(
        &self,
        cx: &Ctx,
        state: &mut State,
        call: &Call,
        progress: &Progress,
    ) -> Result<HttpReply> {
        if let Some(mut link) = state.link.take()
            && !call.is_write()
            && link.is_idle().await
        {
            let request = self.request(cx, state, call)?;
            match link.send(call.op, request, self.max_body, progress).await {
                Err(_) if !link.heard() => {
                    // The device closed it while it was idle. A read can be sent again.
                }
                out => return self.keep(state, link, out).await,
            }
        }
        let mut link = Box::new(Link::open(cx, call.op, self.at).await?);
        let request = self.request(cx, state, call)?;
        let out = link.send(call.op, request, self.max_body, progress).await;
        self.keep(state, link, out).await
    }

    /// Keeps the connection after a whole reply, unless the device closes it.
    async fn keep(
        &self,
        state: &mut State,
        mut link: Box<Link>,
        out: Result<HttpReply>,
    ) -> Result<HttpReply> {
        let mut reply = out?;
        reply.at = Some(self.at);
        if link.is_idle().await {
            state.link = Some(link);
        }
        Ok(reply)
    }

    fn request(&self, cx: &Ctx, state: &mut State, call: &Call) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, call.host.clone());
        if let Some(content_type) = &call.content_type {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        if let Some(session) = &mut state.session {
            let cnonce = format!("{:016x}", cx.rng.u64());
            let uri = call.uri.path_and_query().map_or("/", |p| p.as_str());
            let text = session.authorization(call.method.as_str(), uri, &cnonce);
            let value = HeaderValue::try_from(text);
            let mut value = value.map_err(|_| Error::invalid(call.op, "user", "not fit for a header"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

/// The first challenge that can be answered, and the first realm.
fn offered(headers: &HeaderMap) -> Offered {
    let mut all = Offered::default();
    for field in headers.get_all(WWW_AUTHENTICATE) {
        let found = digest::challenges(&String::from_utf8_lossy(field.as_bytes()));
        all.realm = all.realm.or(found.realm);
        all.digest = all.digest.or(found.digest);
    }
    all
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("at", &self.at)
            .field("host", &self.host)
            .field("account", &self.account)
            .field("realm", &self.challenge_realm())
            .finish_non_exhaustive()
    }
}
