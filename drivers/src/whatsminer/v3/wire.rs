//! Requests and replies as the device writes them: `{"code":0,"when":…,"msg":…,"desc":"<cmd>"}`. Every member is
//! lenient: a wrong type reads as absent. Units, and the marks for unknown values, are still the device's.

use std::{fmt, marker::PhantomData};

use headframe_core::{
    Error, ErrorKind, Result,
    codec::{
        cgminer::{self, ReplyEnd},
        lenient,
    },
    model::MissingReason,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// Operation of errors about replies.
pub(super) const READ: &str = "whatsminer.v3.read";
/// The longest text of a device that is kept, in characters.
const MAX_TEXT: usize = 200;

/// What the driver reads.
pub(super) mod ask {
    /// Everything about machine, network, power supply and errors; the salt too.
    pub const INFO: &str = r#"{"cmd":"get.device.info"}"#;
    /// The salt alone.
    pub const SALT: &str = r#"{"cmd":"get.device.info","param":"salt"}"#;
    /// Rates, power, temperatures.
    pub const SUMMARY: &str = r#"{"cmd":"get.miner.status","param":"summary"}"#;
    /// The pools.
    pub const POOLS: &str = r#"{"cmd":"get.miner.status","param":"pools"}"#;
    /// The boards.
    pub const EDEVS: &str = r#"{"cmd":"get.miner.status","param":"edevs"}"#;
}

/// Why a request gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Failure {
    /// Asked and not answered, or not asked.
    #[default]
    Silent,
    /// A code other than 0.
    Refused,
    /// Not understood, cut, or without its contents.
    Garbled,
}

impl Failure {
    /// The reason that stands in a snapshot.
    pub const fn reason(self) -> MissingReason {
        match self {
            Self::Silent => MissingReason::NoReply,
            Self::Refused => MissingReason::Refused,
            Self::Garbled => MissingReason::BadReply,
        }
    }
}

/// What a request gave.
pub(super) type Got<T> = Result<T, Failure>;

/// A reply whose contents are a `T`.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Reply<T> {
    #[serde(default, deserialize_with = "lenient::i64_opt")]
    code: Option<i64>,
    /// The device's clock, Unix seconds.
    #[serde(default, deserialize_with = "lenient::i64_opt")]
    pub when: Option<i64>,
    #[serde(default)]
    msg: Msg<T>,
}

/// A refusal in the device's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: i64,
    pub text: String,
}

impl<T: DeserializeOwned> Reply<T> {
    /// Reads a reply's JSON. Defects of its text are repaired, but half of one is not made whole: a list that is
    /// cut cannot be told from a short one.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply), without values.
    pub fn parse(json: &[u8]) -> Result<Self> {
        if let Ok(reply) = serde_json::from_slice(json) {
            return Ok(reply);
        }
        if !json.trim_ascii_start().starts_with(b"{") || ReplyEnd::new().feed(json).is_none() {
            let e = Error::new(ErrorKind::BadReply, READ, "the reply is no whole JSON");
            return Err(e.with("bytes", json.len()));
        }
        cgminer::parse(READ, json)
    }

    /// What it carries; without contents, or refused, the error that says so.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply) with the device's `code` and words where it refused (`refused=true`).
    pub fn contents(self) -> Result<T> {
        if let Some(refusal) = self.refusal() {
            let e = Error::new(ErrorKind::BadReply, READ, format!("the device refuses: {}", refusal.text));
            return Err(e.with("device_code", refusal.code).with("refused", true));
        }
        let none = || Error::new(ErrorKind::BadReply, READ, "the reply has no contents");
        self.msg.object().ok_or_else(none)
    }

    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<Refusal> {
        let code = self.code.filter(|code| *code != 0)?;
        Some(Refusal { code, text: self.text().unwrap_or("it gives no reason").to_owned() })
    }

    /// Whether it says that a write was carried out: code 0, or `ok` where there is no code.
    pub fn is_ok(&self) -> bool {
        match self.code {
            Some(code) => code == 0,
            None => self.text().is_some_and(|text| text.eq_ignore_ascii_case("ok")),
        }
    }

    /// The text that it carries instead of contents.
    pub fn text(&self) -> Option<&str> {
        match &self.msg {
            Msg::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Contents, or the text of a refusal.
#[derive(Debug, Default)]
enum Msg<T> {
    Object(T),
    Text(String),
    #[default]
    Nothing,
}

impl<T> Msg<T> {
    fn object(self) -> Option<T> {
        match self {
            Self::Object(contents) => Some(contents),
            _ => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Msg<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(MsgVisitor(PhantomData))
    }
}

struct MsgVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MsgVisitor<T> {
    type Value = Msg<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("contents or a text")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Msg<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Msg::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Msg<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Msg::Nothing)
    }

    fn visit_str<E>(self, text: &str) -> Result<Msg<T>, E> {
        Ok(Msg::Text(text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Msg<T>, E> {
        Ok(Msg::Nothing)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Msg<T>, E> {
        Ok(Msg::Nothing)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Msg<T>, E> {
        Ok(Msg::Nothing)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Msg<T>, E> {
        Ok(Msg::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Msg<T>, E> {
        Ok(Msg::Nothing)
    }
}

/// A section that is an object; anything else is `None`.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    Ok(Msg::deserialize(d)?.object())
}

/// Numbers by their places; what is no number keeps its place.
pub(super) fn numbers<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<Option<f64>>>, D::Error> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "lenient::f64_opt")] Option<f64>);
    let list: Option<Vec<Number>> = lenient::vec_or_none(d)?;
    Ok(list.map(|list| list.into_iter().map(|n| n.0).collect()))
}

/// A fingerprint that stays the same between builds: FNV-1a.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Default for Stamp {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Stamp {
    /// Adds a text and its end.
    #[must_use]
    pub fn add(self, text: &str) -> Self {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        // No text in UTF-8 has this byte.
        Self(mix(text.bytes().fold(self.0, mix), 0xff))
    }

    /// The fingerprint.
    pub const fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whatsminer::v3::reply::{OfEdevs, OfSummary};

    const EDEVS: &str =
        r#"{"code":0,"desc":"get.miner.status","msg":{"edevs":[{"id":0,"freq":625.0},7,{"id":"1"}]}}"#;

    #[test]
    fn frames_are_the_references() {
        let vectors = include_str!("../../../tests/fixtures/whatsminer/v3_vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let reads = vectors["read_frames"].as_array().unwrap();
        for v in reads.iter().chain([&vectors["salt_reply"]]) {
            let framed = headframe_core::codec::framed::frame(v["json"].as_str().unwrap());
            let hex: String = framed.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, v["frame_hex"].as_str().unwrap());
            let told = headframe_core::codec::framed::length(framed[..4].try_into().unwrap()).unwrap();
            assert_eq!(u64::try_from(told).unwrap(), v["length"].as_u64().unwrap());
        }
        assert_eq!(reads[0]["json"], ask::SALT);
        assert_eq!(reads[1]["json"], ask::SUMMARY);
    }

    #[test]
    fn half_a_reply_is_never_taken_for_a_short_one() {
        let whole = Reply::<OfEdevs>::parse(EDEVS.as_bytes()).unwrap().contents().unwrap();
        let ids: Vec<_> = whole.edevs.unwrap().iter().map(|dev| dev.id).collect();
        assert_eq!(ids, [Some(0), Some(1)]);
        let repaired = EDEVS.replace("625.0", "nan");
        assert!(Reply::<OfEdevs>::parse(repaired.as_bytes()).unwrap().contents().unwrap().edevs.is_some());
        for n in 0..EDEVS.len() {
            let part = Reply::<OfEdevs>::parse(&EDEVS.as_bytes()[..n]).and_then(Reply::contents);
            assert_eq!(part.unwrap_err().kind(), ErrorKind::BadReply, "{}", &EDEVS[..n]);
        }
    }

    #[test]
    fn yes_and_no_of_a_write() {
        let read = |json: &str| Reply::<IgnoredAny>::parse(json.as_bytes()).unwrap();
        for yes in
            [r#"{"code":0,"msg":"ok"}"#, r#"{"code":0,"msg":{}}"#, r#"{"code":"0"}"#, r#"{"msg":"OK"}"#]
        {
            assert!(read(yes).is_ok() && read(yes).refusal().is_none(), "{yes}");
        }
        for unclear in ["{}", r#"{"msg":"done"}"#, r#"{"code":null,"msg":{}}"#] {
            assert!(!read(unclear).is_ok() && read(unclear).refusal().is_none(), "{unclear}");
        }
        let no = read(r#"{"msg":"bad\nparam","when":12,"code":-2}"#);
        assert_eq!(no.refusal().unwrap(), Refusal { code: -2, text: "badparam".into() });
        assert_eq!((no.is_ok(), no.when), (false, Some(12)));
        assert!(read(r#"{"code":-1,"msg":[1]}"#).refusal().unwrap().text.contains("no reason"));
    }

    #[test]
    fn numbers_keep_their_places() {
        let read = |json: &str| {
            let json = format!("{{\"code\":0,\"msg\":{{\"summary\":{{\"board-temperature\":{json}}}}}}}");
            let of: OfSummary = Reply::parse(json.as_bytes()).unwrap().contents().unwrap();
            of.summary.unwrap().boards_c
        };
        assert_eq!(
            read(r#"[41.1,null,"40.5",{},true]"#),
            Some(vec![Some(41.1), None, Some(40.5), None, None])
        );
        assert_eq!((read("7"), read("[]")), (None, Some(vec![])));
    }

    #[test]
    fn stamps_tell_where_texts_end() {
        let stamp = |texts: &[&str]| texts.iter().fold(Stamp::default(), |stamp, text| stamp.add(text)).get();
        assert_eq!(stamp(&["a", "b"]), stamp(&["a", "b"]));
        for other in [&["ab"][..], &["b", "a"], &["a", "b", ""], &["ab", ""], &["", "ab"]] {
            assert_ne!(stamp(&["a", "b"]), stamp(other), "{other:?}");
        }
    }
}
