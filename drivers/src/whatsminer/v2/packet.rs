//! Requests of writes as they go over the wire, and what their replies say.

use std::fmt::Write as _;

use headframe_core::{Error, ErrorKind, Result, Secret, codec::cgminer, codec::lenient};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::crypto::Key;

pub(super) const OP: &str = "whatsminer.write";
/// Longest text of a reply that is kept in receipts and errors.
const TEXT: usize = 400;
/// A reply is text in a packet in a text at most.
const LAYERS: usize = 4;

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Arg {
    Text(String),
    Number(i64),
    Secret(Secret),
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// One write: the command and its parameters, which stand at the top level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub command: &'static str,
    args: Vec<(&'static str, Arg)>,
}

impl Request {
    pub const fn new(command: &'static str) -> Self {
        Self { command, args: Vec::new() }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Arg>) -> Self {
        self.args.push((name, value.into()));
        self
    }

    /// The text that is encrypted: ASCII, without blanks.
    pub fn plain(&self, token: &str) -> String {
        self.write(token, Secret::expose)
    }

    /// The same for people, without secrets.
    pub fn shown(&self) -> String {
        self.write("***", |_| "***")
    }

    fn write(&self, token: &str, secret: impl Fn(&Secret) -> &str) -> String {
        let mut out = String::from("{\"cmd\":");
        quote(&mut out, self.command);
        for (name, arg) in &self.args {
            out.push(',');
            quote(&mut out, name);
            out.push(':');
            match arg {
                Arg::Text(text) => quote(&mut out, text),
                Arg::Secret(text) => quote(&mut out, secret(text)),
                Arg::Number(number) => {
                    let _infallible = write!(out, "{number}");
                }
            }
        }
        out.push_str(",\"token\":");
        quote(&mut out, token);
        out.push('}');
        out
    }

    /// Takes the secrets of this request out of a text of the device, and bounds it.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (_, arg) in &self.args {
            if let Arg::Secret(secret) = arg
                && !secret.expose().is_empty()
            {
                text = text.replace(secret.expose(), "***");
            }
        }
        text.chars().filter(|c| !c.is_control()).take(TEXT).collect()
    }
}

/// `{"enc":1,"data":"…"}`.
pub(super) fn seal(key: &Key, plain: &str) -> String {
    format!("{{\"enc\":1,\"data\":\"{}\"}}", key.seal(plain))
}

/// A JSON string of ASCII only: some firmware counts characters where it should count bytes.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// What a device says of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    letter: char,
    pub code: Option<i64>,
    /// `Msg`: text, or an object as JSON.
    pub message: String,
    /// The reply after decryption.
    pub text: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    #[serde(deserialize_with = "lenient::text_opt")]
    enc: Option<String>,
    #[serde(rename = "STATUS")]
    status: cgminer::StatusBlock,
    #[serde(rename = "Code", deserialize_with = "lenient::i64_opt")]
    code: Option<i64>,
    #[serde(rename = "Msg")]
    message: Option<Box<RawValue>>,
}

impl Verdict {
    /// Reads a reply in any of its forms: encrypted, plain, or either once more as a JSON text.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply); its text shows nothing of the reply.
    pub fn read(reply: &[u8], key: &Key) -> Result<Self> {
        let bad = |why: &str| Error::new(ErrorKind::BadReply, OP, why);
        let mut text = String::from_utf8_lossy(reply).trim_matches(['\0', ' ', '\r', '\n', '\t']).to_owned();
        for _ in 0..LAYERS {
            if text.starts_with('"') {
                text = serde_json::from_str(&text).map_err(|_| bad("the reply is cut"))?;
                continue;
            }
            let read: Reply = serde_json::from_str(&text).map_err(|_| bad("the reply cannot be read"))?;
            let Some(data) = read.enc else { return Ok(Self::of(&read, text)) };
            text = key.open(&data).ok_or_else(|| bad("the reply is cut, or encrypted with another key"))?;
        }
        Err(bad("the reply is wrapped too often"))
    }

    fn of(reply: &Reply, text: String) -> Self {
        let raw = reply.message.as_ref().map_or("", |m| m.get());
        let message = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
        Self { letter: reply.status.letter, code: reply.code.or(reply.status.code), message, text }
    }

    /// Whether the command was carried out.
    pub fn is_ok(&self) -> bool {
        self.letter == 'S' && self.code.is_none_or(|code| matches!(code, 131 | 134))
    }

    /// Why it was not carried out, as far as the device tells.
    pub fn refusal(&self) -> Refusal {
        match self.code {
            Some(14) => Refusal::Unknown,
            Some(23) if self.message.contains("load err") => Refusal::Key,
            Some(23 | 137) => Refusal::Garbled,
            Some(45) => Refusal::Locked,
            Some(132) => Refusal::Parameter,
            Some(135) => Refusal::Token,
            Some(136) => Refusal::Tokens,
            _ => Refusal::Other,
        }
    }

    /// The refusal as an error: what the device says, and what to do.
    pub fn error(&self, request: &Request) -> Error {
        let refusal = self.refusal();
        let (kind, advice) = refusal.advice();
        let said = request.scrub(&self.message);
        let text = match (said.is_empty(), advice) {
            (true, "") => "the device refused without a reason".to_owned(),
            (true, advice) => advice.to_owned(),
            (false, "") => said,
            (false, advice) => format!("{said}: {advice}"),
        };
        let mut error = Error::new(kind, OP, text).with("command", request.command);
        if let Some(code) = self.code {
            error = error.with("code", code);
        }
        // Only these codes say that nothing was done.
        if refusal == Refusal::Other { error.maybe_sent() } else { error }
    }
}

/// Why a device did not carry a command out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 14.
    Unknown,
    /// 23 with `enc json load err`: it was encrypted with another key than the device's.
    Key,
    /// 23 or 137: not understood.
    Garbled,
    /// 45.
    Locked,
    /// 132.
    Parameter,
    /// 135.
    Token,
    /// 136.
    Tokens,
    /// Another code, or none.
    Other,
}

impl Refusal {
    const fn advice(self) -> (ErrorKind, &'static str) {
        match self {
            Self::Unknown => (ErrorKind::Unsupported, "this firmware does not know the command"),
            Self::Key => (ErrorKind::Unauthenticated, "the password of admin is not the device's"),
            Self::Garbled => (ErrorKind::BadReply, "the device could not read the packet"),
            Self::Locked => (
                ErrorKind::Forbidden,
                "the write API is off: switch it on with the vendor's tool, and change the password of admin once \
                 (it may be changed back)",
            ),
            Self::Parameter | Self::Other => (ErrorKind::Rejected, ""),
            Self::Token => (
                ErrorKind::Rejected,
                "it refuses a token that it has just given out; tokens belong to one client address, so check for \
                 address translation on the way",
            ),
            Self::Tokens => (
                ErrorKind::RateLimited,
                "16 tokens are alive, which is all the device keeps; each ends after 30 minutes, so wait, and let no \
                 other program ask for tokens",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use headframe_core::Sent;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/fixtures/whatsminer/write_vectors.json")).unwrap()
    }

    #[test]
    fn replies_in_all_forms() {
        for v in vectors()["crypto"].as_array().unwrap() {
            let key = Key::of(v["key"].as_str().unwrap());
            let plain = v["reply"]["plaintext"].as_str().unwrap();
            for form in ["zero_padded_packet", "pkcs7_packet"] {
                let packet = v["reply"][form].as_str().unwrap();
                let twice = Value::from(packet).to_string();
                for reply in [packet.to_owned(), format!("{packet}\0"), twice] {
                    let verdict = Verdict::read(reply.as_bytes(), &key).unwrap();
                    assert!(verdict.is_ok(), "{verdict:?}");
                    assert_eq!((verdict.message.as_str(), verdict.text.as_str()), ("API command OK", plain));
                }
                for end in [0, 1, 9, 20, packet.len() - 1] {
                    let e = Verdict::read(&packet.as_bytes()[..end], &key).unwrap_err();
                    assert_eq!(e.kind(), ErrorKind::BadReply, "cut at {end}");
                }
                assert!(Verdict::read(packet.as_bytes(), &Key::of("another")).is_err());
            }
        }
    }

    #[test]
    fn every_code_has_its_kind_and_says_whether_it_was_sent() {
        let key = Key::of("k");
        let kinds = [
            (14, ErrorKind::Unsupported),
            (23, ErrorKind::BadReply),
            (45, ErrorKind::Forbidden),
            (132, ErrorKind::Rejected),
            (135, ErrorKind::Rejected),
            (136, ErrorKind::RateLimited),
            (137, ErrorKind::BadReply),
        ];
        let codes = vectors();
        for row in codes["codes"].as_array().unwrap() {
            let code = row["code"].as_i64().unwrap();
            let reply = json!({"STATUS": "E", "Code": code, "Msg": "no"}).to_string();
            let verdict = Verdict::read(reply.as_bytes(), &key).unwrap();
            let Some((_, kind)) = kinds.iter().find(|(known, _)| *known == code) else {
                assert!(matches!(code, 131 | 134), "{code}");
                continue;
            };
            let e = verdict.error(&Request::new("reboot"));
            assert_eq!((e.kind(), e.sent(), verdict.is_ok()), (*kind, Sent::No, false), "{code}");
        }
        let read = |reply: &str| Verdict::read(reply.as_bytes(), &key).unwrap();
        let many = read("{\"Code\":136}").error(&Request::new("reboot"));
        assert_eq!((many.kind(), many.sent()), (ErrorKind::RateLimited, Sent::No));
        let wrong = read(r#"{"STATUS":"E","Code":23,"Msg":"enc json load err"}"#);
        assert_eq!(wrong.error(&Request::new("reboot")).kind(), ErrorKind::Unauthenticated);
        for odd in ["{}", r#"{"STATUS":"E","Code":99}"#, r#"{"STATUS":"S","Code":132}"#, r#"{"STATUS":"W"}"#]
        {
            assert!(!read(odd).is_ok(), "{odd}");
        }
        assert_eq!(read("{}").error(&Request::new("reboot")).sent(), Sent::Maybe);
    }

    #[test]
    fn texts_are_ascii_and_secrets_do_not_show() {
        let request = Request::new("update_pools")
            .with("worker1", "w\u{e9}\u{1f600}\"\\\n")
            .with("passwd1", Arg::Secret(Secret::new("p00l-w0rd")))
            .with("temp_offset", -5);
        let plain = request.plain("s/gn");
        assert_eq!(
            plain,
            r#"{"cmd":"update_pools","worker1":"w\u00e9\ud83d\ude00\"\\\u000a","passwd1":"p00l-w0rd","temp_offset":-5,"token":"s/gn"}"#
        );
        let back: Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(back["worker1"], "w\u{e9}\u{1f600}\"\\\n");
        assert!(!format!("{} {request:?}", request.shown()).contains("p00l"));
        assert_eq!(request.scrub("bad passwd1 p00l-w0rd\n"), "bad passwd1 ***");
    }

    proptest! {
        #[test]
        fn no_reply_makes_it_panic(reply in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"[\[\]{}",:\\ 1na"enc"STATUSCodeMsg]{0,120}"#.prop_map(String::into_bytes),
        ]) {
            let _any = Verdict::read(&reply, &Key::of("k")).map(|v| v.error(&Request::new("reboot")));
        }
    }
}
