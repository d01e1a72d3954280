//! The member `error-code`, in all the forms that firmwares give it.

use std::fmt;

use headframe_core::{codec::lenient, model::DeviceError};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::whatsminer::errors;

/// Entries that are kept; firmware gone wrong sends hundreds.
const MAX_ERRORS: usize = 256;
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 200;

/// One error as the device tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Entry {
    pub code: String,
    /// Since when, by the device's clock.
    pub since: Option<String>,
    /// The device's own words.
    pub reason: Option<String>,
}

/// The errors that a device reports; none for `null`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ErrorList {
    pub entries: Vec<Entry>,
    /// The member was a sentence, such as "btminer process is down err": what mines is not there.
    pub down: bool,
}

impl ErrorList {
    /// The errors with their meanings. The device's own words stand in where a code is in no table.
    pub fn decoded(&self) -> Vec<DeviceError> {
        let one = |entry: &Entry| {
            let mut error = errors::decode(&entry.code, entry.since.as_deref());
            if error.text.is_none() {
                error.text.clone_from(&entry.reason);
            }
            error
        };
        self.entries.iter().map(one).collect()
    }

    fn code(code: String) -> Self {
        Self { entries: vec![Entry { code, ..Entry::default() }], down: false }
    }

    fn is_number(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
    }
}

impl<'de> Deserialize<'de> for ErrorList {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ListVisitor { inner: false })
    }
}

/// An entry of the list; a text in it is a code and no sentence about the whole machine.
struct Inner(ErrorList);

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ListVisitor { inner: true }).map(Self)
    }
}

struct ListVisitor {
    inner: bool,
}

impl<'de> Visitor<'de> for ListVisitor {
    type Value = ErrorList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error codes")
    }

    /// Every member but `reason` is a code with its time.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ErrorList, A::Error> {
        let mut out = ErrorList::default();
        let mut reason = None;
        while let Some(code) = map.next_key::<String>()? {
            let value = map.next_value::<Text>()?.0.filter(|text| !text.is_empty());
            if code.eq_ignore_ascii_case("reason") {
                reason = value.map(|text| text.chars().take(MAX_REASON).collect::<String>());
            } else if out.entries.len() < MAX_ERRORS {
                out.entries.push(Entry { code, since: value, reason: None });
            }
        }
        // Beside several codes it cannot be told whose reason it is.
        if let [only] = out.entries.as_mut_slice() {
            only.reason = reason;
        }
        Ok(out)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ErrorList, A::Error> {
        let mut out = ErrorList::default();
        while let Some(Inner(entry)) = seq.next_element()? {
            out.entries.extend(entry.entries);
            out.entries.truncate(MAX_ERRORS);
        }
        Ok(out)
    }

    fn visit_str<E>(self, text: &str) -> Result<ErrorList, E> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(ErrorList::default());
        }
        let text: String = text.chars().take(MAX_REASON).collect();
        let down = !self.inner && !ErrorList::is_number(&text);
        Ok(ErrorList { down, ..ErrorList::code(text) })
    }

    fn visit_u64<E>(self, code: u64) -> Result<ErrorList, E> {
        Ok(ErrorList::code(code.to_string()))
    }

    fn visit_i64<E>(self, code: i64) -> Result<ErrorList, E> {
        Ok(ErrorList::code(code.to_string()))
    }

    fn visit_f64<E>(self, code: f64) -> Result<ErrorList, E> {
        Ok(ErrorList::code(code.to_string()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<ErrorList, E> {
        Ok(ErrorList::default())
    }

    fn visit_unit<E>(self) -> Result<ErrorList, E> {
        Ok(ErrorList::default())
    }
}

#[derive(Deserialize)]
struct Text(#[serde(deserialize_with = "lenient::text_opt")] Option<String>);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ErrorList {
        serde_json::from_str(json).unwrap()
    }

    fn codes(json: &str) -> Vec<(String, Option<String>)> {
        read(json).entries.into_iter().map(|e| (e.code, e.since)).collect()
    }

    fn code(code: &str, since: Option<&str>) -> (String, Option<String>) {
        (code.into(), since.map(Into::into))
    }

    #[test]
    fn every_form_is_read() {
        let at = "2026-05-23 09:19:10";
        for (json, want) in [
            (r#"[{"264":"2026-05-23 09:19:10","reason":"x"}]"#, vec![code("264", Some(at))]),
            (r#"[{"Reason":"x","264":"2026-05-23 09:19:10"}]"#, vec![code("264", Some(at))]),
            (r#"[{"REASON":"x"}]"#, vec![]),
            (r#"[{"264":"","265":null}]"#, vec![code("264", None), code("265", None)]),
            ("[110]", vec![code("110", None)]),
            (r#"["110"]"#, vec![code("110", None)]),
            ("[null, 111]", vec![code("111", None)]),
            (r#"[[{"110":"a"}],{"111":"b"}]"#, vec![code("110", Some("a")), code("111", Some("b"))]),
            ("null", vec![]),
            ("[]", vec![]),
            ("{}", vec![]),
            ("false", vec![]),
            ("532", vec![code("532", None)]),
            ("-1", vec![code("-1", None)]),
            (r#""532""#, vec![code("532", None)]),
            (r#""  ""#, vec![]),
            (r#"{"110":"a"}"#, vec![code("110", Some("a"))]),
        ] {
            assert_eq!(codes(json), want, "{json}");
            assert!(!read(json).down, "{json}");
        }
    }

    #[test]
    fn a_sentence_in_place_of_the_list_is_an_error_of_its_own() {
        let list = read(r#""btminer process is down err""#);
        assert!(list.down);
        let error = &list.decoded()[0];
        assert_eq!(error.message.as_deref(), Some("Error code btminer process is down err"));
        assert_eq!(error.name.as_deref(), Some("Unknown error"));
    }

    #[test]
    fn the_devices_words_explain_what_no_table_knows() {
        let text = |json: &str| read(json).decoded()[0].text.clone();
        assert_eq!(text(r#"[{"532":"a","reason":"board gone"}]"#).as_deref(), Some("board 2: missing"));
        assert_eq!(text(r#"[{"7777":"a","reason":"board gone"}]"#).as_deref(), Some("board gone"));
        assert_eq!(read(r#"[{"7777":"a","7778":"b","reason":"x"}]"#).entries[0].reason, None);
    }

    #[test]
    fn floods_are_bounded() {
        let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(read(&format!("[{}]", many.join(","))).entries.len(), MAX_ERRORS);
        let long = read(&format!("[{{\"7777\":\"a\",\"reason\":\"{}\"}}]", "é".repeat(1000)));
        assert_eq!(long.entries[0].reason.as_ref().unwrap().chars().count(), MAX_REASON);
    }
}
