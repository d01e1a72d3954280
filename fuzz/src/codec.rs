//! The codecs: tolerant JSON, the cgminer-style API, messages behind their length, HTTP with digest.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use headframe_core::{
    Error, ErrorKind, Secret, Sent,
    codec::{cgminer as rpc, framed as frames, http::HttpClient, lenient, repair},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    device::PASSWORD,
    serve::{LONGEST, Script, Speaks, run},
};

const AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 7)), 4028);
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest body that is asked for over HTTP here.
const MAX_BODY: usize = 64 * 1024;

/// Repairs keep valid JSON, end, and stay in proportion; what they make valid needs no second repair.
pub fn json_repair(data: &[u8]) {
    let text = String::from_utf8_lossy(data.get(..LONGEST).unwrap_or(data));
    let repaired = repair(&text);
    assert!(repaired.len() <= 8 * text.len() + 64, "{} bytes became {}", text.len(), repaired.len());
    let read = serde_json::from_str::<Value>(&repaired).ok();
    if let Ok(valid) = serde_json::from_str::<Value>(&text) {
        assert_eq!(read.as_ref(), Some(&valid), "valid JSON was changed");
    }
    if let Some(read) = read {
        let again = repair(&repaired);
        let again = serde_json::from_str::<Value>(&again).ok();
        assert_eq!(again, Some(read), "a second repair says something else");
    }
}

/// Every tolerant reader, as drivers use them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lenient {
    #[serde(deserialize_with = "lenient::f64_opt")]
    f: Option<f64>,
    #[serde(deserialize_with = "lenient::u64_opt")]
    u: Option<u64>,
    #[serde(deserialize_with = "lenient::i64_opt")]
    i: Option<i64>,
    #[serde(deserialize_with = "lenient::bool_opt")]
    b: Option<bool>,
    #[serde(deserialize_with = "lenient::text_opt")]
    t: Option<String>,
    #[serde(deserialize_with = "lenient::vec_or_none")]
    v: Option<Vec<f64>>,
    #[serde(deserialize_with = "lenient::objects_or_none")]
    o: Option<Vec<Self>>,
}

impl Lenient {
    fn check(&self) {
        assert!(self.f.is_none_or(f64::is_finite), "a number is not finite");
        let _read = (self.u, self.i, self.b, &self.t, &self.v);
        self.o.iter().flatten().for_each(Self::check);
    }
}

/// The cgminer-style API: where a reply ends, what it says, and the whole exchange.
pub fn cgminer(data: &[u8]) {
    let Some((&first, bytes)) = data.get(..LONGEST).unwrap_or(data).split_first() else { return };
    same_end(bytes, usize::from(first).max(1));
    if let Ok(read) = rpc::parse::<Lenient>("fuzz", bytes) {
        read.check();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(lenient::parse_float(text).is_none_or(f64::is_finite), "a number is not finite");
        let _any = lenient::parse_int(text);
    }
    if let Ok(block) = rpc::StatusBlock::read("fuzz", bytes) {
        let refused = block.check("fuzz").err();
        assert_eq!(refused.is_none(), block.is_ok());
        assert!(refused.is_none_or(|e| e.to_string().len() <= 4096), "an error repeats the whole reply");
    }
    let Some((script, _)) = Script::read(data) else { return };
    run(|cx, net| async move {
        script.serve(&net, AT, Speaks::Rpc).await;
        let cx = cx.deadline_in(PATIENCE);
        match rpc::call(&cx, AT, rpc::request("summary").as_bytes()).await {
            Ok(reply) => assert!(reply.len() <= rpc::MAX_REPLY, "a reply of {} bytes", reply.len()),
            Err(e) => known(&e),
        }
    });
}

/// The end of a reply is where it is, however the reply is split.
fn same_end(bytes: &[u8], piece: usize) {
    let whole = rpc::ReplyEnd::new().feed(bytes);
    let mut end = rpc::ReplyEnd::new();
    let mut before = 0;
    let mut found = None;
    for chunk in bytes.chunks(piece) {
        found = end.feed(chunk).map(|at| before + at);
        if found.is_some() {
            break;
        }
        before += chunk.len();
    }
    assert_eq!(found, whole, "in pieces of {piece} bytes the reply ends elsewhere");
    assert!(whole.is_none_or(|end| end <= bytes.len()));
}

/// Messages behind their length.
pub fn framed(data: &[u8]) {
    if let Some(header) = data.first_chunk()
        && let Ok(length) = frames::length(*header)
    {
        assert!(length > 0 && length <= frames::MAX_REPLY, "a length of {length} is believed");
    }
    let Some((script, choice)) = Script::read(data) else { return };
    run(|cx, net| async move {
        script.serve(&net, AT, Speaks::Framed).await;
        let cx = cx.deadline_in(PATIENCE);
        let mut reply = Vec::new();
        let request = frames::frame(r#"{"cmd":"get.device.info"}"#);
        let told = frames::read(&cx, AT, &request, &mut reply).await;
        assert!(reply.len() <= frames::MAX_REPLY, "a reply of {} bytes was read", reply.len());
        assert!(reply.capacity() <= 4 * frames::MAX_REPLY, "room for {} bytes", reply.capacity());
        if let Err(e) = told {
            known(&e);
            assert_eq!(e.sent(), Sent::No, "a read changes nothing");
        }
        if choice & 1 == 1 {
            match frames::write(&cx, AT, &request).await {
                Ok(reply) => assert!(reply.len() <= frames::MAX_REPLY),
                Err(lost) => {
                    known(&lost.error);
                    assert!(!lost.whole || lost.error.sent() == Sent::Maybe, "{:?}", lost.error);
                }
            }
        }
    });
}

/// HTTP replies and digest challenges.
pub fn http(data: &[u8]) {
    let Some((script, choice)) = Script::read(data) else { return };
    run(|cx, net| async move {
        script.serve(&net, AT, Speaks::Http).await;
        let mut client = HttpClient::new(AT, "10.9.0.7").max_body(MAX_BODY);
        if choice & 1 == 0 {
            client = client.credentials("root", Secret::new(PASSWORD));
        }
        for path in ["/cgi-bin/summary.cgi", "/cgi-bin/stats.cgi?chain=1"] {
            match client.get(&cx.deadline_in(PATIENCE), path).await {
                Ok(reply) => {
                    let body = reply.ok("fuzz").unwrap_or_default();
                    assert!(body.len() <= MAX_BODY, "a body of {} bytes", body.len());
                }
                Err(e) => {
                    known(&e);
                    assert_eq!(e.sent(), Sent::No, "a read changes nothing");
                }
            }
        }
        let body = Bytes::from_static(b"{\"blink\":true}");
        let told =
            client.post(&cx.deadline_in(PATIENCE), "/cgi-bin/blink.cgi", "application/json", body).await;
        if let Err(e) = told {
            known(&e);
        }
        let _realm = client.challenge_realm();
        client.close().await;
        assert!(!format!("{client:?}").contains(PASSWORD), "the client shows its password");
    });
}

/// What an exchange may end with: a kind that a device can cause, in words that have a bound and hold no secret.
pub fn known(e: &Error) {
    assert!(!matches!(e.kind(), ErrorKind::Internal | ErrorKind::Invalid | ErrorKind::Corrupt), "{e:?}");
    shown(e);
}

/// The words of an error have a bound and hold no secret.
pub fn shown(e: &Error) {
    let text = format!("{e} {e:?}");
    assert!(text.len() <= 32 * 1024, "an error of {} bytes", text.len());
    assert!(!text.contains(PASSWORD), "an error shows the password");
}
