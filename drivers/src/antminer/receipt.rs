//! What the machine says to a write, and how it is shown.

use headframe_core::{Error, ErrorKind, Result, codec::lenient::text_opt};
use serde::Deserialize;
use serde_json::Value;

const OP: &str = "antminer.reply";
/// How much of a reply is shown.
const SHOWN: usize = 200;

/// How a CGI says yes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Yes {
    /// Its good codes.
    pub codes: &'static [&'static str],
    /// Whether any page without a refusal in it will do: no source tells the words.
    pub any: bool,
}

/// `{"stats":"success","code":"M000","msg":"OK!"}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    #[serde(deserialize_with = "text_opt")]
    stats: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    code: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    msg: Option<String>,
}

/// Refusals that come before the CGI does anything.
const REFUSALS: [&str; 4] = ["M001", "N001", "P001", "P002"];

/// The text of a reply that says yes, for the receipt.
///
/// # Errors
/// [`Rejected`](ErrorKind::Rejected) with the machine's words for any other. Whether it was carried out is open unless
/// the machine says that it was not.
pub(super) fn accepted(body: &[u8], yes: Yes) -> Result<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let Ok(said) = serde_json::from_str::<Said>(text) else {
        let shown = excerpt(text);
        return if yes.any { Ok(shown) } else { Err(refused(&shown).maybe_sent()) };
    };
    let Said { stats, code, msg } = said;
    let good = code.as_deref().is_some_and(|code| yes.codes.contains(&code));
    let failed = stats.as_deref().is_some_and(|s| !s.eq_ignore_ascii_case("success"));
    let silent = code.is_none() && (stats.is_some() || yes.any);
    if (good || silent) && !failed {
        let parts = [stats, code, msg];
        let words: Vec<String> = parts.iter().flatten().map(|word| excerpt(word)).collect();
        return Ok(words.join(" "));
    }
    let surely = failed || code.as_deref().is_some_and(|code| REFUSALS.contains(&code));
    let words = msg.as_deref().filter(|m| !m.is_empty()).unwrap_or("it gives no reason");
    let mut e = refused(&excerpt(words));
    if let Some(code) = &code {
        e = e.with("device_code", excerpt(code));
    }
    Err(if surely { e } else { e.maybe_sent() })
}

fn refused(words: &str) -> Error {
    Error::new(ErrorKind::Rejected, OP, format!("the device refused: {words}"))
}

/// The beginning of a text, without what does not print.
fn excerpt(text: &str) -> String {
    text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Puts `***` in place of every secret.
pub(super) fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let key = key.to_ascii_lowercase();
                if ["pass", "pwd", "secret", "token"].iter().any(|word| key.contains(word)) {
                    if member.as_str() != Some("") {
                        *member = "***".into();
                    }
                } else {
                    redact(member);
                }
            }
        }
        Value::Array(rows) => rows.iter_mut().for_each(redact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use headframe_core::Sent;
    use serde_json::json;

    use super::*;

    const M: Yes = Yes { codes: &["M000"], any: false };
    const ANY: Yes = Yes { codes: &["R000"], any: true };

    #[test]
    fn yes_and_no() {
        for good in [
            &br#"{"stats":"success","code":"M000","msg":"OK!"}"#[..],
            b"{\"code\":\"M000\"}\n\0",
            br#"{"stats":"success"}"#,
        ] {
            accepted(good, M).unwrap();
        }
        for (bad, sent) in [
            (&br#"{"stats":"error","code":"M001","msg":"Invalid pool!"}"#[..], Sent::No),
            (br#"{"code":"M001","msg":"Invalid pool!"}"#, Sent::No),
            (br#"{"stats":"error","code":"M000"}"#, Sent::No),
            (br#"{"stats":"success","code":"M009"}"#, Sent::Maybe),
            (br#"{"success":true}"#, Sent::Maybe),
            (b"<html>OK</html>", Sent::Maybe),
            (b"", Sent::Maybe),
        ] {
            let e = accepted(bad, M).unwrap_err();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::Rejected, sent), "{}", String::from_utf8_lossy(bad));
        }
        let e = accepted(br#"{"stats":"error","code":"M001","msg":"Invalid pool!"}"#, M).unwrap_err();
        assert!(e.message().contains("Invalid pool!") && e.fact("device_code") == Some("M001"));
        for good in [&b""[..], b"<html>", br#"{"code":"R000"}"#, b"{}"] {
            accepted(good, ANY).unwrap();
        }
        accepted(br#"{"stats":"error","code":"R001"}"#, ANY).unwrap_err();
    }

    #[test]
    fn long_and_odd_replies_are_cut() {
        let e = accepted("é\u{1b}".repeat(500).as_bytes(), M).unwrap_err();
        assert!(e.message().len() < 3 * SHOWN && !e.message().contains('\u{1b}'));
    }

    #[test]
    fn secrets_are_covered_wherever_they_stand() {
        let mut value = json!({"pools": [{"url": "u", "pass": "p"}, {"pass": ""}], "curPwd": "a", "n": 1});
        redact(&mut value);
        assert_eq!(
            value,
            json!({"pools": [{"url": "u", "pass": "***"}, {"pass": ""}], "curPwd": "***", "n": 1})
        );
    }
}
