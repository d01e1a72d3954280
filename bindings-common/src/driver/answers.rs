//! Questions to another language, and what it answers.

use std::sync::Arc;

use headframe::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{EXECUTE, Foreign};

/// Longest answer in bytes: the largest snapshots have some KB.
const MOST_BYTES: usize = 4 << 20;
/// Longest message of an error, in characters.
const LONGEST_MESSAGE: usize = 500;
const LONGEST_WORD: usize = 64;

/// What answers in another language.
#[derive(Debug, Clone)]
pub(crate) struct Asked(Arc<dyn Foreign>);

/// What a driver answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Ok(Value),
    Error(Told),
}

/// An error of a driver.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    kind: String,
    code: String,
    message: String,
    sent: String,
    /// The option that is wrong.
    field: String,
}

impl Asked {
    pub(crate) fn new(foreign: impl Foreign) -> Self {
        Self(Arc::new(foreign))
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        op: &'static str,
        thing: u32,
        with: &impl Serialize,
    ) -> Result<T> {
        // That a device has nothing of a write is the driver's own word, or it is not known.
        let unclear = |e: Error| if op == EXECUTE { e.maybe_sent() } else { e };
        let with = serde_json::to_string(with).map_err(|e| {
            Error::new(ErrorKind::Internal, op, "the question cannot be written as JSON").caused_by(e)
        })?;
        let gone = |why: String| unclear(Error::new(ErrorKind::Closed, op, why));
        let text = self.0.ask(op, thing, with).await.map_err(gone)?;
        let bad = |why: String| unclear(Error::new(ErrorKind::BadReply, op, why));
        if text.len() > MOST_BYTES {
            return Err(bad("the driver's answer is too long".into()).with("bytes", text.len()));
        }
        match serde_json::from_str(&text).map_err(|e| bad(e.to_string()))? {
            Answer::Ok(value) => serde_json::from_value(value)
                .map_err(|e| bad(format!("the driver's answer is not understood: {e}"))),
            Answer::Error(told) => Err(told.error(op)),
        }
    }
}

impl Told {
    fn error(&self, op: &'static str) -> Error {
        let kind = match self.kind.as_str() {
            "Invalid" => ErrorKind::Invalid,
            "NotFound" => ErrorKind::NotFound,
            "Conflict" => ErrorKind::Conflict,
            "Unsupported" => ErrorKind::Unsupported,
            "Unauthenticated" => ErrorKind::Unauthenticated,
            "Forbidden" => ErrorKind::Forbidden,
            "Unreachable" => ErrorKind::Unreachable,
            "Timeout" => ErrorKind::Timeout,
            "RateLimited" => ErrorKind::RateLimited,
            "Rejected" => ErrorKind::Rejected,
            _ => ErrorKind::BadReply,
        };
        let mut e = Error::new(kind, op, cut(&self.message, LONGEST_MESSAGE))
            .with("driver_code", cut(&self.code, LONGEST_WORD));
        if !self.field.is_empty() {
            e = e.with("field", cut(&self.field, LONGEST_WORD));
        }
        if self.sent == "maybe" { e.maybe_sent() } else { e }
    }
}

/// The first characters of a text of any length.
fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use headframe::Sent;
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct Says(String);

    #[async_trait::async_trait]
    impl Foreign for Says {
        async fn ask(&self, _: &'static str, _: u32, _: String) -> Result<String, String> {
            Ok(self.0.clone())
        }
    }

    fn asked(op: &'static str, answer: &Value) -> Result<u32> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Asked::new(Says(answer.to_string())).ask(op, 0, &()))
    }

    #[test]
    fn errors_name_the_option_and_stay_short() {
        let error = json!({"kind": "Invalid", "code": "ERR_INVALID", "message": "é".repeat(5_000), "field": "address"});
        let e = asked("open", &json!({"error": error})).unwrap_err();
        assert_eq!((e.kind(), e.fact("field"), e.sent()), (ErrorKind::Invalid, Some("address"), Sent::No));
        assert_eq!((e.message().chars().count(), e.to_string().contains('é')), (LONGEST_MESSAGE, true));
        let e = asked("open", &json!({"error": {"kind": "Rejected", "message": "no"}})).unwrap_err();
        assert_eq!((e.kind(), e.message(), e.fact("field")), (ErrorKind::Rejected, "no", None));
    }

    #[test]
    fn of_a_write_that_is_answered_by_nonsense_nobody_knows() {
        assert_eq!(asked(EXECUTE, &json!({"ok": 7})).unwrap(), 7);
        for answer in [json!({"ok": "seven"}), json!({"yes": 7}), json!(7)] {
            let told = |op| asked(op, &answer).map_err(|e| (e.kind(), e.sent())).unwrap_err();
            assert_eq!(told(EXECUTE), (ErrorKind::BadReply, Sent::Maybe));
            assert_eq!(told("snapshot"), (ErrorKind::BadReply, Sent::No));
        }
    }
}
