use serde::de::DeserializeOwned;

use crate::{
    Error, ErrorKind, Result,
    codec::{excerpt::excerpt, repair},
};

/// The longest part of a parser's message that an error takes over.
const MESSAGE: usize = 160;

/// Reads a JSON reply as `T`: strictly first, and only where that fails once more with the defects of miners'
/// firmware [repaired](repair).
///
/// # Errors
/// [`BadReply`](ErrorKind::BadReply) of the operation `op`, with the byte `position` and an `excerpt` that shows
/// no string value.
pub fn parse<T: DeserializeOwned>(op: &'static str, reply: &[u8]) -> Result<T> {
    let reply = trim_end(reply);
    // The valid reply is the rule: it is read from its bytes, without a copy.
    if let Ok(value) = serde_json::from_slice(reply) {
        return Ok(value);
    }
    let text = repair(&String::from_utf8_lossy(reply));
    serde_json::from_str(&text).map_err(|e| unreadable(op, &text, &e))
}

fn trim_end(reply: &[u8]) -> &[u8] {
    let len = reply.iter().rposition(|b| *b != 0 && !b.is_ascii_whitespace()).map_or(0, |i| i + 1);
    &reply[..len]
}

fn unreadable(op: &'static str, text: &str, e: &serde_json::Error) -> Error {
    let position = position(text, e.line(), e.column());
    Error::new(
        ErrorKind::BadReply,
        op,
        format!("the reply cannot be read: {}", without_values(&e.to_string())),
    )
    .with("position", position)
    .with("excerpt", excerpt(text, position))
}

fn position(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}

/// The parser's message without its place and without quoted values, which may be secrets.
fn without_values(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(m, _)| m);
    let quotes = (message.find('"'), message.rfind('"'));
    let hidden = match quotes {
        (Some(first), Some(last)) if last > first => {
            format!("{}***{}", &message[..first], &message[last + 1..])
        }
        _ => message.to_owned(),
    };
    hidden.chars().take(MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only the failure is looked at")]
    struct Typed {
        n: u8,
    }

    #[test]
    fn valid_and_broken_replies_are_read() {
        for (reply, want) in [
            (&b"{\"a\":1}\0\0"[..], json!({"a": 1})),
            (b"  [1]\r\n\0", json!([1])),
            (b"{\"a\":\"\xff\"}", json!({"a": "\u{fffd}"})),
            (b"{\"a\":1,}{\"b\":\0", json!({"a": 1})),
            (b"\"RESTART\"", json!("RESTART")),
        ] {
            assert_eq!(parse::<Value>("t", reply).unwrap(), want);
        }
    }

    #[test]
    fn errors_name_the_place_and_no_value() {
        let e = parse::<Typed>("test.read", b"{\"a\":\"x\",\n\"n\":\"Rack \\\"07x\"}").unwrap_err();
        assert_eq!(
            e.to_string(),
            "test.read: bad reply: the reply cannot be read: invalid type: string ***, expected u8 (position=25, excerpt={\"a\":***,.\"n\":***})"
        );
        let e = parse::<Value>("test.read", b"busy").unwrap_err();
        assert_eq!(
            (e.kind(), e.fact("position"), e.fact("excerpt")),
            (ErrorKind::BadReply, Some("0"), Some("busy"))
        );
        assert_eq!(parse::<Value>("test.read", b"\0").unwrap_err().kind(), ErrorKind::BadReply);
    }

    #[test]
    fn nesting_is_bounded() {
        for deep in [b"[".repeat(200_000), b"{\"a\":".repeat(100_000)] {
            assert_eq!(parse::<Value>("t", &deep).unwrap_err().kind(), ErrorKind::BadReply);
        }
    }

    proptest! {
        #[test]
        fn never_panics(
            reply in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                r#"[\[\]{}",:\\ 1na\n\u{0}]{0,200}"#.prop_map(String::into_bytes),
            ]
        ) {
            let _ = parse::<Value>("t", &reply);
            let _ = parse::<Typed>("t", &reply);
        }
    }
}
