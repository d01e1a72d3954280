//! The cgminer-style TCP API that several families speak: one request on a connection, as JSON or as bare text,
//! possibly several commands joined by `+`.

use std::time::Duration;

use headframe_core::io::BoxStream;
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;

use crate::device::DeviceCore;

/// Which commands a firmware lets a client join with `+` in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// None: the whole text is looked up as one name, which is unknown.
    None,
    /// Report commands join; other known ones are denied inside their part.
    Reports,
    /// Every command that reads joins.
    #[default]
    All,
}

/// The most that a request may have; real firmwares read into a fixed buffer.
const REQUEST_BYTES: usize = 16 * 1_024;
/// A bare text without an end is complete when nothing has come for so long.
const TEXT_QUIET: Duration = Duration::from_millis(200);
/// A client that does not finish its request is left after so long.
const IDLE: Duration = Duration::from_secs(60);

/// A request as it was understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// The command's name, as sent.
    pub command: String,
    /// Its argument, if it has one.
    pub parameter: Option<Value>,
    /// All members; empty for bare text.
    pub body: Map<String, Value>,
    /// Whether the answer is to be text.
    pub text: bool,
}

/// Why bytes are not a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadRequest {
    /// Not JSON, not text, or too long: Code 23.
    Syntax,
    /// JSON without a command: Code 14.
    NoCommand,
}

/// Reads one request, however it is cut into pieces; `None` when the client went away or sent nothing. What comes
/// after a complete request on the same connection is ignored, as there is no pipelining.
pub(crate) async fn read_request(core: &DeviceCore, stream: &mut BoxStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    let mut scan = Scan::default();
    loop {
        let wait = if scan.is_text() { TEXT_QUIET } else { IDLE };
        let n = tokio::select! {
            biased;
            n = stream.read(&mut chunk) => n.ok()?,
            () = core.pause(wait) => 0,
        };
        if n == 0 {
            return (!bytes.is_empty()).then_some(bytes);
        }
        for byte in &chunk[..n] {
            if bytes.len() == REQUEST_BYTES {
                return Some(bytes);
            }
            let end = scan.push(*byte);
            if !matches!(end, End::Terminator) {
                bytes.push(*byte);
            }
            if !matches!(end, End::No) && !bytes.is_empty() {
                return Some(bytes);
            }
        }
    }
}

/// Understands the bytes of a request.
pub(crate) fn parse(bytes: &[u8]) -> Result<Request, BadRequest> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadRequest::Syntax)?.trim();
    if !text.starts_with('{') {
        let (command, parameter) = match text.split_once('|') {
            Some((command, parameter)) => (command, Some(Value::from(parameter))),
            None => (text, None),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+.-".contains(c);
        if command.is_empty() || !command.chars().all(plain) {
            return Err(BadRequest::Syntax);
        }
        return Ok(Request { command: command.to_owned(), parameter, body: Map::new(), text: true });
    }
    let body: Map<String, Value> = serde_json::from_str(text).map_err(|_| BadRequest::Syntax)?;
    let command = body.get("command").or_else(|| body.get("cmd")).and_then(Value::as_str).map(str::to_owned);
    let parameter = body.get("parameter").cloned();
    match command {
        Some(command) => Ok(Request { command, parameter, body, text: false }),
        // Without a command, for example an encrypted packet; the family looks at the members.
        None if !body.is_empty() => Ok(Request { command: String::new(), parameter, body, text: false }),
        None => Err(BadRequest::NoCommand),
    }
}

/// The names in a joined request, each once; `None` when it names one command only.
pub(crate) fn joined_names(command: &str) -> Option<Vec<String>> {
    if !command.contains('+') {
        return None;
    }
    let mut names = Vec::new();
    for name in command.split('+').filter(|n| !n.is_empty()) {
        if !names.iter().any(|n| n == name) {
            names.push(name.to_owned());
        }
    }
    Some(names)
}

/// The answer to a joined request: each part is the complete ordinary answer in an array of one.
pub(crate) fn joined(parts: Vec<(String, Value)>) -> Value {
    let mut whole = Map::new();
    for (name, answer) in parts {
        whole.insert(name, json!([answer]));
    }
    whole.insert("id".into(), json!(1));
    Value::Object(whole)
}

/// A status block in the old style.
pub(crate) fn status(core: &DeviceCore, letter: &str, code: u16, message: &str, description: &str) -> Value {
    json!({
        "STATUS": letter, "When": core.epoch(), "Code": code, "Msg": message, "Description": description,
    })
}

/// A report in the old style: a status array, a section and the id.
pub(crate) fn report(status: Value, section: &str, entries: Vec<Value>) -> Value {
    let mut whole = Map::new();
    whole.insert("STATUS".into(), json!([status]));
    whole.insert(section.to_owned(), Value::Array(entries));
    whole.insert("id".into(), json!(1));
    Value::Object(whole)
}

/// A refusal in the old style.
pub(crate) fn refusal(core: &DeviceCore, code: u16, message: &str, description: &str) -> Value {
    json!({ "STATUS": [status(core, "E", code, message, description)], "id": 1 })
}

/// An old-style answer in its text form: `STATUS=S,…|SECTION,KEY=VAL,…|`. Joined answers carry `CMD=<name>|` before
/// each part.
pub(crate) fn to_text(answer: &Value) -> String {
    let mut out = String::new();
    let Value::Object(whole) = answer else { return out };
    if !whole.contains_key("STATUS") {
        for (name, part) in whole {
            if let Some(part) = part.get(0) {
                out.push_str(&format!("CMD={name}|{}", to_text(part)));
            }
        }
        return out;
    }
    let sections = whole.iter().filter(|(name, _)| *name != "STATUS");
    for (name, section) in whole.get_key_value("STATUS").into_iter().chain(sections) {
        for entry in section.as_array().into_iter().flatten() {
            let Value::Object(entry) = entry else { continue };
            // The first member of an entry names it: `STATUS=S`, `POOL=1`, `ASC=0`, or the bare section.
            let first = ["STATUS", "POOL", "ASC", "DEVDETAILS"].into_iter().find(|k| entry.contains_key(*k));
            match first {
                Some(key) => out.push_str(&format!("{key}={}", plain(&entry[key]))),
                None => out.push_str(name),
            }
            for (key, value) in entry.iter().filter(|(key, _)| Some(key.as_str()) != first) {
                out.push_str(&format!(",{key}={}", plain(value)));
            }
            out.push('|');
        }
    }
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    No,
    /// This byte is the request's last.
    Last,
    /// This byte ends the request and is none of it.
    Terminator,
}

/// Finds the end of a request while its bytes come in.
#[derive(Debug, Default)]
struct Scan {
    kind: Kind,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Unknown,
    Json,
    Text,
}

impl Scan {
    fn is_text(&self) -> bool {
        self.kind == Kind::Text
    }

    fn push(&mut self, byte: u8) -> End {
        match (&self.kind, byte) {
            (_, 0) => End::Terminator,
            (Kind::Unknown, b' ' | b'\n' | b'\r' | b'\t') => End::No,
            (Kind::Unknown, b'{') => {
                self.kind = Kind::Json;
                self.depth = 1;
                End::No
            }
            (Kind::Unknown, _) => {
                self.kind = Kind::Text;
                End::No
            }
            (Kind::Text, b'\n') => End::Terminator,
            (Kind::Text, _) => End::No,
            (Kind::Json, _) => self.json(byte),
        }
    }

    fn json(&mut self, byte: u8) -> End {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return End::No;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.depth == 0 { End::Last } else { End::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(bytes: &[u8]) -> Option<usize> {
        let mut scan = Scan::default();
        bytes.iter().position(|b| scan.push(*b) != End::No)
    }

    #[test]
    fn the_end_of_json_is_found_outside_strings() {
        assert_eq!(scan(br#"{"a":"}\"}","b":[{}]}x"#), Some(20));
        assert_eq!(scan(br#"{"a":1"#), None);
        assert_eq!(scan(b"summary\n"), Some(7));
        assert_eq!(scan(b"summary"), None);
        assert_eq!(scan(b" {\"a\":1\0"), Some(7));
    }

    #[test]
    fn both_spellings_and_text_are_understood() {
        assert_eq!(parse(br#"{"cmd":"summary"}"#).unwrap().command, "summary");
        assert_eq!(parse(br#"{"command":"pools"}"#).unwrap().command, "pools");
        let text = parse(b"ascset|0,led,0-1").unwrap();
        assert_eq!((text.command.as_str(), text.parameter), ("ascset", Some(json!("0,led,0-1"))));
        assert!(text.text);
        assert_eq!(parse(b"{}").unwrap_err(), BadRequest::NoCommand);
        assert_eq!(parse(b"{x").unwrap_err(), BadRequest::Syntax);
        assert_eq!(parse(b"\xff\xfe").unwrap_err(), BadRequest::Syntax);
    }

    #[test]
    fn joined_names_come_once() {
        assert_eq!(joined_names("summary"), None);
        assert_eq!(joined_names("pools+summary+pools").unwrap(), ["pools", "summary"]);
    }

    #[test]
    fn text_form_puts_the_status_first_and_names_the_parts() {
        let one = json!({"SUMMARY": [{"Elapsed": 3}], "STATUS": [{"STATUS": "S", "Code": 11}], "id": 1});
        assert_eq!(to_text(&one), "STATUS=S,Code=11|SUMMARY,Elapsed=3|");
        let both = joined(vec![("summary".into(), one)]);
        assert_eq!(to_text(&both), "CMD=summary|STATUS=S,Code=11|SUMMARY,Elapsed=3|");
    }
}
