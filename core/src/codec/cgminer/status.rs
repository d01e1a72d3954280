use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::parse;
use crate::{Error, ErrorKind, Result, codec::lenient};

/// What a device says about how a command went.
///
/// As a member `STATUS` of a reply struct it reads the usual list as well as the bare word of the flat form
/// (whose `Code` and `Msg` stand beside it: use [`StatusBlock::read`] there). Wrong types never fail a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusBlock {
    /// `S` success, `I` information, `W` warning, `E` error, `F` fatal; the first letter of a bare word such as
    /// `RESTART`; `?` without a status.
    pub letter: char,
    /// The number of the message.
    pub code: Option<i64>,
    /// The message, or the bare word.
    pub message: String,
}

impl Default for StatusBlock {
    fn default() -> Self {
        Self { letter: '?', code: None, message: String::new() }
    }
}

impl StatusBlock {
    /// Reads the status of a whole reply in any form: list, flat, or a bare word.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply) when the reply is no JSON.
    pub fn read(op: &'static str, reply: &[u8]) -> Result<Self> {
        parse(op, reply).map(|Whole(status)| status)
    }

    /// Whether the command was carried out: `S`, `I`, or the bare words that acknowledge a restart and an end.
    pub fn is_ok(&self) -> bool {
        matches!(self.letter, 'S' | 'I')
            || (self.code.is_none() && matches!(self.message.as_str(), "RESTART" | "BYE"))
    }

    /// Turns a refusal into an error of the operation `op`, with the facts `code` and `status`.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for an unknown command (code 14), [`Forbidden`](ErrorKind::Forbidden)
    /// for one that is not allowed (45), [`BadReply`](ErrorKind::BadReply) without any status,
    /// [`Rejected`](ErrorKind::Rejected) otherwise.
    pub fn check(&self, op: &'static str) -> Result<()> {
        if self.is_ok() {
            return Ok(());
        }
        let (kind, otherwise) = match (self.letter, self.code) {
            (_, Some(14)) => (ErrorKind::Unsupported, "the device does not know this command"),
            (_, Some(45)) => (ErrorKind::Forbidden, "the device does not allow this command"),
            ('?', None) => (ErrorKind::BadReply, "the reply has no status"),
            _ => (ErrorKind::Rejected, "the device refused without a reason"),
        };
        let message = if self.message.is_empty() { otherwise } else { &self.message };
        let error = Error::new(kind, op, message).with("status", self.letter);
        Err(match self.code {
            Some(code) => error.with("code", code),
            None => error,
        })
    }

    fn word(word: &str) -> Self {
        let letter = word.chars().next().unwrap_or('?');
        let message = if word.len() > letter.len_utf8() { word.to_owned() } else { String::new() };
        Self { letter, code: None, message }
    }
}

/// The members of a status, or of the whole reply in its flat form.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Members {
    #[serde(rename = "STATUS", deserialize_with = "lenient::text_opt")]
    status: Option<String>,
    #[serde(rename = "Code", deserialize_with = "lenient::i64_opt")]
    code: Option<i64>,
    #[serde(rename = "Msg", deserialize_with = "lenient::text_opt")]
    message: Option<String>,
}

impl From<Members> for StatusBlock {
    fn from(m: Members) -> Self {
        let mut block = Self::word(m.status.as_deref().unwrap_or_default());
        block.code = m.code;
        block.message = m.message.unwrap_or(block.message);
        block
    }
}

impl<'de> Deserialize<'de> for StatusBlock {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(BlockVisitor)
    }
}

struct BlockVisitor;

impl<'de> Visitor<'de> for BlockVisitor {
    type Value = StatusBlock;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status")
    }

    fn visit_str<E>(self, word: &str) -> Result<StatusBlock, E> {
        Ok(StatusBlock::word(word))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StatusBlock, A::Error> {
        Members::deserialize(MapAccessDeserializer::new(map)).map(StatusBlock::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<StatusBlock, A::Error> {
        let blocks: Option<Vec<Members>> = lenient::objects_or_none(SeqAccessDeserializer::new(seq))?;
        Ok(blocks.into_iter().flatten().next().map(StatusBlock::from).unwrap_or_default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<StatusBlock, E> {
        Ok(StatusBlock::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<StatusBlock, E> {
        Ok(StatusBlock::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<StatusBlock, E> {
        Ok(StatusBlock::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<StatusBlock, E> {
        Ok(StatusBlock::default())
    }

    fn visit_unit<E>(self) -> Result<StatusBlock, E> {
        Ok(StatusBlock::default())
    }
}

/// A reply of which only the status is wanted.
struct Whole(StatusBlock);

#[derive(Default, Deserialize)]
#[serde(default)]
struct WholeMembers {
    #[serde(rename = "STATUS")]
    status: StatusBlock,
    #[serde(rename = "Code", deserialize_with = "lenient::i64_opt")]
    code: Option<i64>,
    #[serde(rename = "Msg", deserialize_with = "lenient::text_opt")]
    message: Option<String>,
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl<'de> Visitor<'de> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reply")
    }

    fn visit_str<E>(self, word: &str) -> Result<Whole, E> {
        Ok(Whole(StatusBlock::word(word)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Whole, A::Error> {
        let WholeMembers { mut status, code, message } =
            WholeMembers::deserialize(MapAccessDeserializer::new(map))?;
        status.code = status.code.or(code);
        if let Some(message) = message.filter(|m| !m.is_empty()) {
            status.message = message;
        }
        Ok(Whole(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reply: &str) -> StatusBlock {
        StatusBlock::read("test.read", reply.as_bytes()).unwrap()
    }

    fn block(letter: char, code: Option<i64>, message: &str) -> StatusBlock {
        StatusBlock { letter, code, message: message.into() }
    }

    #[test]
    fn every_form_is_read() {
        for (reply, want) in [
            (
                r#"{"STATUS":[{"STATUS":"S","When":1,"Code":11,"Msg":"Summary","Description":"x"}],"SUMMARY":[{}],"id":1}"#,
                block('S', Some(11), "Summary"),
            ),
            (
                r#"{"STATUS":"E","When":1700000000,"Code":"132","Msg":"command error","Description":""}"#,
                block('E', Some(132), "command error"),
            ),
            (r#"{"STATUS":"S","Code":131,"Msg":{"api_ver":"2.0.5"}}"#, block('S', Some(131), "")),
            (r#"{"STATUS":"RESTART"}"#, block('R', None, "RESTART")),
            (r#""RESTART""#, block('R', None, "RESTART")),
            (r#"{"STATUS":{"STATUS":"W","Msg":"hot"}}"#, block('W', None, "hot")),
            (r#"{"STATUS":[7,"x"],"id":1}"#, StatusBlock::default()),
            (r#"{"STATUS":7,"id":1}"#, StatusBlock::default()),
            (r#"{"id":1}"#, StatusBlock::default()),
        ] {
            assert_eq!(read(reply), want, "{reply}");
        }
        assert!(StatusBlock::read("t", b"STATUS=S|").is_err());
    }

    #[test]
    fn refusals_become_errors() {
        for (status, want) in [
            (block('S', Some(11), ""), None),
            (block('I', None, ""), None),
            (block('R', None, "RESTART"), None),
            (block('E', Some(14), "Invalid command"), Some(ErrorKind::Unsupported)),
            (block('E', Some(45), ""), Some(ErrorKind::Forbidden)),
            (block('E', Some(132), "no"), Some(ErrorKind::Rejected)),
            (block('W', None, ""), Some(ErrorKind::Rejected)),
            (StatusBlock::default(), Some(ErrorKind::BadReply)),
        ] {
            assert_eq!(status.check("t").err().map(|e| e.kind()), want, "{status:?}");
        }
        let e = block('E', Some(132), "pool limit").check("whatsminer.pools").unwrap_err();
        assert_eq!(e.to_string(), "whatsminer.pools: rejected: pool limit (status=E, code=132)");
    }
}
