use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    Sent,
    io::{BoxStream, MemNet, Net, SeededRng, SystemClock},
};

const CHALLENGE: &str = "Digest realm=\"antMiner Configuration\", qop=\"auth\", nonce=";

/// What the server does after it read a request.
enum Do {
    /// Answers and waits for the next request.
    Answer(Vec<String>),
    /// Answers and closes.
    Last(Vec<String>),
    /// Answers and stays silent.
    Hang(Vec<String>),
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn unauthorized(nonce: &str, more: &str) -> Do {
    Do::Answer(vec![format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {CHALLENGE}\"{nonce}\"{more}\r\nContent-Length: 2\r\n\r\nno"
    )])
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    connection: usize,
    text: String,
}

impl Seen {
    fn line(&self) -> &str {
        self.text.lines().next().unwrap()
    }

    fn authorization(&self) -> Option<&str> {
        self.text.lines().find_map(|l| l.strip_prefix("Authorization: "))
    }

    fn nc(&self) -> Option<&str> {
        let (_, nc) = self.authorization()?.split_once("nc=")?;
        nc.split(',').next()
    }
}

struct Server {
    cx: Ctx,
    client: HttpClient,
    net: MemNet,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn request(stream: &mut BoxStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let whole = text.windows(4).position(|w| w == b"\r\n\r\n").is_some_and(|head| {
            let head_text = String::from_utf8_lossy(&text[..head]).to_lowercase();
            let length = head_text.lines().find_map(|l| l.strip_prefix("content-length: "));
            text.len() >= head + 4 + length.map_or(0, |l| l.parse().unwrap())
        });
        if whole {
            return Some(String::from_utf8(text).unwrap());
        }
        if stream.read_buf(&mut text).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

async fn server(script: impl Fn(usize, &Seen) -> Do + Clone + Send + Sync + 'static) -> Server {
    let net = MemNet::new();
    let at: SocketAddr = "10.0.0.7:80".parse().unwrap();
    let mut listener = net.listen(at).await.unwrap();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let log = seen.clone();
    tokio::spawn(async move {
        for connection in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (script, log) = (script.clone(), log.clone());
            tokio::spawn(async move {
                while let Some(text) = request(&mut stream).await {
                    let seen = Seen { connection, text };
                    let number = log.lock().unwrap().len();
                    log.lock().unwrap().push(seen.clone());
                    let (Do::Answer(chunks) | Do::Last(chunks) | Do::Hang(chunks)) = &script(number, &seen);
                    for chunk in chunks {
                        if stream.write_all(chunk.as_bytes()).await.is_err() {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                    match script(number, &seen) {
                        Do::Answer(_) => {}
                        Do::Last(_) => return,
                        Do::Hang(_) => std::future::pending().await,
                    }
                }
            });
        }
    });
    let cx = Ctx::new(Arc::new(SystemClock::default()), Arc::new(SeededRng::new(1)), Arc::new(net.clone()));
    let client = HttpClient::new(at, "10.0.0.7").credentials("root", Secret::new("Rack_07x"));
    Server { cx: cx.deadline_in(Duration::from_secs(5)), client, net, seen }
}

#[tokio::test(start_paused = true)]
async fn requests_share_a_connection_until_it_is_closed() {
    let s = server(|n, _| Do::Answer(vec![ok(&n.to_string())])).await;
    for n in 0..3 {
        let reply = s.client.get(&s.cx, "/cgi-bin/stats.cgi?a=1").await.unwrap();
        assert_eq!(reply.ok("test").unwrap(), n.to_string());
    }
    assert_eq!(s.net.connections(), 1);
    s.client.close().await;
    s.client.get(&s.cx, "/").await.unwrap();
    assert_eq!(s.net.connections(), 2);
    let seen = s.seen();
    assert_eq!(seen[0].text, "GET /cgi-bin/stats.cgi?a=1 HTTP/1.1\r\nHost: 10.0.0.7\r\n\r\n");
    assert_eq!(seen.iter().map(|r| r.connection).collect::<Vec<_>>(), [0, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_was_closed_is_replaced_for_a_read() {
    // Closed while idle: seen before the next request goes out.
    let s = server(|_, _| Do::Last(vec![ok("x")])).await;
    for _ in 0..2 {
        s.client.get(&s.cx, "/").await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!((s.net.connections(), s.seen().len()), (2, 2));
    // Closed when the next request arrives: sent once more, over a fresh one.
    let s = server(|n, _| if n == 1 { Do::Last(vec![]) } else { Do::Answer(vec![ok("x")]) }).await;
    for _ in 0..2 {
        s.client.get(&s.cx, "/").await.unwrap();
    }
    assert_eq!(s.seen().iter().map(|r| r.connection).collect::<Vec<_>>(), [0, 0, 1]);
    // A fresh connection that is closed is not tried again.
    let s = server(|_, _| Do::Last(vec![])).await;
    let e = s.client.get(&s.cx, "/").await.unwrap_err();
    assert_eq!((e.kind(), e.fact("empty"), e.sent()), (ErrorKind::BadReply, Some("true"), Sent::No));
    assert_eq!((e.op(), e.fact("address"), s.seen().len()), ("http.get", Some("10.0.0.7:80"), 1));
    // Nor is a request whose reply had begun.
    let s =
        server(|n, _| if n == 1 { Do::Last(vec!["HTTP/1.1 2".into()]) } else { Do::Answer(vec![ok("x")]) });
    let s = s.await;
    s.client.get(&s.cx, "/").await.unwrap();
    let e = s.client.get(&s.cx, "/").await.unwrap_err();
    assert_eq!((e.kind(), s.seen().len()), (ErrorKind::BadReply, 2));
}

#[tokio::test(start_paused = true)]
async fn connection_close_is_honoured() {
    let reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    let s = server(move |_, _| Do::Answer(vec![reply.into()])).await;
    for _ in 0..2 {
        s.client.get(&s.cx, "/").await.unwrap();
    }
    assert_eq!(s.net.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn bodies_of_every_framing_arrive_whole() {
    let chunked =
        ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na", "bc\r\n2\r\nde\r", "\n0\r\n\r\n"];
    let counted = ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "c", "de"];
    let closed = ["HTTP/1.0 200 OK\r\n\r\nab", "c", "de"];
    for (framing, last) in [(chunked, false), (counted, false), (closed, true)] {
        let chunks: Vec<String> = framing.iter().map(|c| (*c).to_owned()).collect();
        let s = server(move |_, _| if last { Do::Last(chunks.clone()) } else { Do::Answer(chunks.clone()) })
            .await;
        for _ in 0..2 {
            assert_eq!(s.client.get(&s.cx, "/").await.unwrap().body, "abcde");
        }
        assert_eq!(s.net.connections(), if last { 2 } else { 1 });
    }
    let s = server(|_, _| Do::Last(vec!["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc".into()])).await;
    assert_eq!(s.client.get(&s.cx, "/").await.unwrap_err().kind(), ErrorKind::BadReply);
}

#[tokio::test(start_paused = true)]
async fn bodies_and_heads_are_bounded() {
    let long = "x".repeat(1001);
    let announced = ok(&long);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n{}\r\n", &long[..500]);
    for reply in [vec![announced], vec![chunked, format!("1f5\r\n{}\r\n", &long[..501])]] {
        let mut s = server(move |_, _| Do::Hang(reply.clone())).await;
        s.client = s.client.max_body(1000);
        let e = s.client.get(&s.cx, "/").await.unwrap_err();
        assert_eq!((e.kind(), e.fact("max")), (ErrorKind::BadReply, Some("1000")));
    }
    let mut s = server(move |_, _| Do::Answer(vec![ok(&long[..1000])])).await;
    s.client = s.client.max_body(1000);
    assert_eq!(s.client.get(&s.cx, "/").await.unwrap().body.len(), 1000);
    for field in ["A: b\r\n".repeat(200), format!("A: {}\r\n", "b".repeat(100_000))] {
        let s = server(move |_, _| Do::Hang(vec![format!("HTTP/1.1 200 OK\r\n{field}")])).await;
        assert_eq!(s.client.get(&s.cx, "/").await.unwrap_err().kind(), ErrorKind::BadReply);
    }
    let s = server(|_, _| Do::Hang(vec!["SSH-2.0-dropbear\r\n".into()])).await;
    assert_eq!(s.client.get(&s.cx, "/").await.unwrap_err().kind(), ErrorKind::BadReply);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_ends_at_the_deadline() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab";
    let s = server(move |n, _| if n == 0 { Do::Hang(vec![head.into()]) } else { Do::Answer(vec![ok("x")]) })
        .await;
    let e = s.client.get(&s.cx, "/").await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), e.fact("address")), (ErrorKind::Timeout, Sent::No, Some("10.0.0.7:80")));
    // The half-read connection is gone; the next request has a fresh one.
    let mut cx = s.cx.clone();
    cx.deadline = None;
    assert_eq!(s.client.get(&cx, "/").await.unwrap().body, "x");
    assert_eq!(s.net.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_and_its_nonce_used_on() {
    let s = server(|_, seen| match seen.authorization() {
        None => unauthorized("n1", ", opaque=\"o\""),
        Some(_) => Do::Answer(vec![ok("x")]),
    });
    let s = s.await;
    assert_eq!(s.client.challenge_realm(), None);
    for _ in 0..3 {
        s.client.get(&s.cx, "/cgi-bin/summary.cgi").await.unwrap().ok("test").unwrap();
    }
    s.client.close().await;
    s.client.post(&s.cx, "/cgi-bin/blink.cgi", "application/json", Bytes::from_static(b"{}")).await.unwrap();
    let seen = s.seen();
    let ncs: Vec<_> = seen.iter().map(Seen::nc).collect();
    assert_eq!(ncs, [None, Some("00000001"), Some("00000002"), Some("00000003"), Some("00000004")]);
    let header = seen[1].authorization().unwrap();
    assert!(
        header.starts_with(
            "Digest username=\"root\", realm=\"antMiner Configuration\", nonce=\"n1\", uri=\"/cgi"
        )
    );
    assert!(header.ends_with("\", opaque=\"o\""), "{header}");
    assert_eq!(s.client.challenge_realm().as_deref(), Some("antMiner Configuration"));
    assert!(
        seen[4].text.contains("Content-Type: application/json\r\n") && seen[4].text.ends_with("\r\n\r\n{}")
    );
}

#[tokio::test(start_paused = true)]
async fn a_stale_or_new_nonce_starts_the_counter_again() {
    for more in [", stale=true", ""] {
        let s = server(move |n, seen| match (n, seen.authorization()) {
            (_, None) => unauthorized("n1", ""),
            (3, _) => unauthorized("n2", more),
            _ => Do::Answer(vec![ok("x")]),
        });
        let s = s.await;
        for _ in 0..4 {
            s.client.get(&s.cx, "/").await.unwrap().ok("test").unwrap();
        }
        let ncs: Vec<_> = s.seen().iter().map(|r| r.nc().map(str::to_owned)).collect();
        let want =
            [None, Some("00000001"), Some("00000002"), Some("00000003"), Some("00000001"), Some("00000002")];
        assert_eq!(ncs, want.map(|nc| nc.map(str::to_owned)));
        assert!(s.seen()[4].authorization().unwrap().contains("nonce=\"n2\""));
        assert_eq!(s.net.connections(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_given_once_per_request() {
    for stale in ["", ", stale=true"] {
        let s = server(move |n, _| unauthorized(&format!("n{n}"), stale)).await;
        for requests in [2, 4] {
            let body = Bytes::from_static(b"{}");
            let e = s.client.post(&s.cx, "/x", "text/plain", body).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::Unauthenticated, Sent::No));
            assert_eq!(e.fact("realm"), Some("antMiner Configuration"));
            assert_eq!(e.message().contains("refused the credentials"), stale.is_empty());
            assert!(!format!("{e:?}").contains("Rack_07x"));
            assert_eq!(s.seen().len(), requests);
            assert_eq!(s.seen().iter().filter(|r| r.authorization().is_some()).count(), requests / 2);
        }
    }
    // The nonce is known, and the device refuses it as it is: no second try.
    let s = server(|n, _| if n == 1 { Do::Answer(vec![ok("x")]) } else { unauthorized("n", "") }).await;
    s.client.get(&s.cx, "/").await.unwrap();
    assert_eq!(s.client.get(&s.cx, "/").await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(s.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn other_schemes_are_not_answered() {
    let basic = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"web\"\r\nContent-Length: 0\r\n\r\n";
    let s = server(move |_, _| Do::Answer(vec![basic.into()])).await;
    let e = s.client.get(&s.cx, "/").await.unwrap_err();
    assert_eq!((e.kind(), e.fact("realm"), s.seen().len()), (ErrorKind::Unauthenticated, Some("web"), 1));
    // Without credentials the 401 is a reply, and tells the realm.
    let anonymous = HttpClient::new("10.0.0.7:80".parse().unwrap(), "10.0.0.7");
    let reply = anonymous.get(&s.cx, "/").await.unwrap();
    assert_eq!(reply.ok("test").unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(anonymous.challenge_realm().as_deref(), Some("web"));
}

#[tokio::test(start_paused = true)]
async fn a_write_has_its_own_connection_and_is_never_repeated() {
    let s = server(|_, seen| match seen.authorization() {
        None => unauthorized("n1", ""),
        Some(_) => Do::Answer(vec![ok("x")]),
    });
    let s = s.await;
    let post = || s.client.post(&s.cx, "/x", "application/json", Bytes::from_static(b"{\"a\":1}"));
    post().await.unwrap();
    post().await.unwrap();
    s.client.get(&s.cx, "/").await.unwrap();
    assert_eq!(s.seen().iter().map(|r| r.connection).collect::<Vec<_>>(), [0, 1, 2, 2]);
    assert!(s.seen()[..3].iter().all(|r| r.text.ends_with("{\"a\":1}")));
}

#[tokio::test(start_paused = true)]
async fn a_write_cut_after_sending_may_have_arrived() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab";
    for (cut, kind) in
        [(0, ErrorKind::BadReply), (1, ErrorKind::BadReply), (2, ErrorKind::Timeout), (3, ErrorKind::Timeout)]
    {
        let s = server(move |_, seen| match (seen.authorization(), cut) {
            (None, _) => unauthorized("n1", ""),
            (_, 0) => Do::Last(vec![]),
            (_, 1) => Do::Last(vec![half.into()]),
            (_, 2) => Do::Hang(vec![]),
            _ => Do::Hang(vec![half.into()]),
        });
        let s = s.await;
        let e = s.client.post(&s.cx, "/x", "application/json", Bytes::from_static(b"{}")).await.unwrap_err();
        assert_eq!((e.kind(), e.sent(), s.seen().len()), (kind, Sent::Maybe, 2), "{e}");
        assert_eq!(e.fact("silent").is_some(), cut % 2 == 0, "{e}");
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_write_is_no_silence() {
    let s = server(|_, _| Do::Answer(vec![ok("x")])).await;
    let at: SocketAddr = "10.0.0.8:80".parse().unwrap();
    let mut listener = s.net.listen(at).await.unwrap();
    tokio::spawn(async move {
        let mut idle = Vec::new();
        while let Ok(accepted) = listener.accept().await {
            idle.push(accepted);
        }
    });
    let deaf = HttpClient::new(at, "10.0.0.8");
    let e = deaf.post(&s.cx, "/x", "text/plain", vec![0; 8 << 20].into()).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), e.fact("silent")), (ErrorKind::Timeout, Sent::Maybe, None), "{e}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_could_not_begin_was_not_sent() {
    let s = server(|_, _| Do::Answer(vec![ok("x")])).await;
    let nobody = HttpClient::new("10.0.0.8:80".parse().unwrap(), "10.0.0.8");
    let e = nobody.post(&s.cx, "/x", "text/plain", Bytes::new()).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), e.fact("refused")), (ErrorKind::Unreachable, Sent::No, Some("true")));
    s.net.silence("10.0.0.9".parse().unwrap());
    let silent = HttpClient::new("10.0.0.9:80".parse().unwrap(), "10.0.0.9");
    let e = silent.post(&s.cx, "/x", "text/plain", Bytes::new()).await.unwrap_err();
    assert_eq!((e.kind(), e.sent()), (ErrorKind::Timeout, Sent::No));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_as_given_is_refused() {
    let s = server(|_, _| Do::Answer(vec![ok("x")])).await;
    for path in ["", "cgi", "http://10.0.0.8/", "/a b", "/a\r\nX: y", "/a#b"] {
        let e = s.client.get(&s.cx, path).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("path")), "{path}");
    }
    let e = s.client.post(&s.cx, "/", "a\r\nb", Bytes::new()).await.unwrap_err();
    assert_eq!(e.fact("field"), Some("content_type"));
    let odd = HttpClient::new("10.0.0.7:80".parse().unwrap(), "a\nb");
    assert_eq!(odd.get(&s.cx, "/").await.unwrap_err().fact("field"), Some("host"));
    assert!(s.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_request_at_a_time() {
    let s = server(|_, _| Do::Answer(vec![ok("x")])).await;
    let client = Arc::new(s.client);
    let mut jobs = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (client, cx) = (client.clone(), s.cx.clone());
        jobs.spawn(async move { client.get(&cx, "/").await.unwrap().body });
    }
    assert!(jobs.join_all().await.iter().all(|b| b == "x"));
    assert_eq!(s.net.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn statuses_become_errors_and_redirects_stay() {
    for (status, kind) in [
        (302, ErrorKind::BadReply),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::Unsupported),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::BadReply),
    ] {
        let s = server(move |_, _| {
            Do::Answer(vec![format!("HTTP/1.1 {status} X\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")])
        });
        let s = s.await;
        let e = s.client.get(&s.cx, "/").await.unwrap().ok("test.read").unwrap_err();
        assert_eq!((e.op(), e.kind(), e.fact("address")), ("test.read", kind, Some("10.0.0.7:80")));
        assert_eq!(s.seen().len(), 1, "{}", s.seen()[0].line());
    }
}

#[test]
fn debug_shows_no_secret() {
    let client =
        HttpClient::new("10.0.0.7:80".parse().unwrap(), "x").credentials("root", Secret::new("Rack_07x"));
    let shown = format!("{client:?}");
    assert!(shown.contains("10.0.0.7:80") && !shown.contains("Rack_07x"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_sent_once_leaves_the_challenge_to_the_next_request() {
    let s = server(|n, seen| match n {
        0 => unauthorized("n1", ""),
        2 => unauthorized("n2", ", stale=true"),
        4 => unauthorized("n2", ""),
        _ if seen.authorization().is_some() => Do::Answer(vec![ok("x")]),
        _ => unauthorized("n0", ""),
    });
    let s = s.await;
    let once = || s.client.post_once(&s.cx, "/w", "application/json", Bytes::from_static(b"{}"));
    for (sent, nonce) in [(1, "n1"), (3, "n2")] {
        let e = once().await.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Unauthenticated, Sent::No));
        assert_eq!((e.fact("challenged"), s.seen().len()), (Some("true"), sent));
        s.client.get(&s.cx, "/who").await.unwrap();
        assert!(s.seen()[sent].authorization().unwrap().contains(nonce));
    }
    // The nonce is the newest, so it is the account that is refused.
    let e = once().await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), e.fact("challenged")), (ErrorKind::Unauthenticated, Sent::No, None));
    assert_eq!(s.seen().len(), 5);
}
