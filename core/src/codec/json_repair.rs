/// Nesting up to which repairs are tried; the strict parser refuses deeper documents anyway.
const MAX_DEPTH: usize = 128;

/// Repairs the defects that miners' firmware puts into JSON, so that a strict parser can read it.
///
/// Repaired are: control bytes inside strings, missing and stray commas, a missing `{` at the start, `[` used
/// for `{`, the words `nan` and `inf` and numbers beyond every float (all become `null`), a cut end (incomplete
/// elements are dropped and the open objects and lists closed), and bytes after the first value. Strings are
/// never changed otherwise, so a password may hold whatever looks like a defect. Valid JSON comes back as it
/// is, less what stands around the value; what no repair fits stays for the parser to refuse.
pub fn repair(text: &str) -> String {
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let mut r = Repair {
        input: text.as_bytes(),
        at: 0,
        out: Vec::with_capacity(text.len() + 16),
        open: Vec::new(),
        want: Want::Value,
        comma: None,
        last: None,
        whole: Mark::default(),
        whole_before: Mark::default(),
    };
    r.run();
    String::from_utf8(r.out).unwrap_or_else(|_| text.to_owned())
}

#[derive(Clone, Copy, PartialEq)]
enum Want {
    /// A member's name, or the end of an object.
    Name,
    Colon,
    /// A value, or the end of a list.
    Value,
    /// A comma, or the end of the object or list.
    Next,
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Text,
    Other,
}

/// An object or a list that is not closed yet.
struct Open {
    object: bool,
    /// Where its bracket stands in the output.
    at: usize,
    /// Elements so far.
    elements: usize,
    /// Opened with `[` but holds members.
    miswritten: bool,
}

/// How far the output holds whole elements, and how many brackets are open there.
#[derive(Clone, Copy, Default)]
struct Mark {
    len: usize,
    depth: usize,
}

struct Repair<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    open: Vec<Open>,
    want: Want,
    /// Where the last comma stands in the output, until an element follows it.
    comma: Option<usize>,
    last: Option<Last>,
    whole: Mark,
    whole_before: Mark,
}

/// What a step decides about the rest of the input.
#[derive(PartialEq)]
enum Step {
    On,
    /// The document is complete.
    Done,
    /// The input ended inside the document.
    Cut,
    /// Beyond repair: the rest goes to the parser as it is.
    GiveUp,
}

impl Repair<'_> {
    fn run(&mut self) {
        if self.input.first() == Some(&b',') {
            // Some Avalon replies lack their whole beginning: `,"id":1}`.
            self.at = 1;
            self.push_open(true);
        }
        let mut step = Step::On;
        while step == Step::On {
            step = match self.input.get(self.at) {
                // A NUL between tokens is the end of the reply, not part of it.
                None | Some(0) => Step::Cut,
                Some(&byte) => self.token(byte),
            };
        }
        match step {
            Step::Cut => self.close_all(),
            Step::GiveUp => self.out.extend_from_slice(&self.input[self.at..]),
            Step::On | Step::Done => {}
        }
    }

    fn token(&mut self, byte: u8) -> Step {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => self.copy(1),
            b'{' | b'[' => self.opening(byte == b'{'),
            b'}' | b']' => self.closing(byte == b'}'),
            b',' => self.comma(),
            b':' => self.colon(),
            b'"' => self.string(),
            _ => self.word(),
        }
    }

    fn copy(&mut self, n: usize) -> Step {
        self.out.extend_from_slice(&self.input[self.at..self.at + n]);
        self.at += n;
        Step::On
    }

    fn in_object(&self) -> bool {
        self.open.last().is_some_and(|o| o.object)
    }

    fn push_open(&mut self, object: bool) {
        self.open.push(Open { object, at: self.out.len(), elements: 0, miswritten: false });
        self.out.push(if object { b'{' } else { b'[' });
        self.want = if object { Want::Name } else { Want::Value };
        self.comma = None;
        if self.open.len() == 1 {
            self.whole = Mark { len: self.out.len(), depth: 1 };
        }
    }

    /// Puts a missing comma before an element; false when none may stand here.
    fn element_may_begin(&mut self) -> bool {
        if self.want == Want::Next && !self.open.is_empty() {
            self.out.push(b',');
            self.want = if self.in_object() { Want::Name } else { Want::Value };
        }
        matches!(self.want, Want::Name | Want::Value)
    }

    /// A value is complete: the output up to here can stand alone.
    fn element_done(&mut self, last: Last) -> Step {
        self.want = Want::Next;
        self.comma = None;
        self.last = Some(last);
        self.whole_before = self.whole;
        self.whole = Mark { len: self.out.len(), depth: self.open.len() };
        match self.open.last_mut() {
            None => Step::Done,
            Some(open) => {
                open.elements += 1;
                Step::On
            }
        }
    }

    fn opening(&mut self, object: bool) -> Step {
        if self.open.len() >= MAX_DEPTH || !self.element_may_begin() || self.want != Want::Value {
            return Step::GiveUp;
        }
        self.at += 1;
        self.push_open(object);
        Step::On
    }

    fn closing(&mut self, brace: bool) -> Step {
        let Some(open) = self.open.last() else { return Step::GiveUp };
        let fits = brace == open.object || (open.miswritten && !brace);
        let empty = open.elements == 0 && self.want != Want::Colon;
        if !fits || !(self.want == Want::Next || self.comma.is_some() || empty) {
            return Step::GiveUp;
        }
        if open.object && self.want == Want::Value {
            return Step::GiveUp;
        }
        if let Some(comma) = self.comma {
            self.out.truncate(comma);
        }
        self.out.push(if open.object { b'}' } else { b']' });
        self.at += 1;
        self.open.pop();
        self.element_done(Last::Other)
    }

    fn comma(&mut self) -> Step {
        if self.open.is_empty() || self.want == Want::Colon {
            return Step::GiveUp;
        }
        let after_colon = self.in_object() && self.want == Want::Value;
        if after_colon {
            return Step::GiveUp;
        }
        if self.want == Want::Next {
            self.comma = Some(self.out.len());
            self.out.push(b',');
            self.want = if self.in_object() { Want::Name } else { Want::Value };
        }
        // Else nothing stands before it: a stray one is dropped.
        self.at += 1;
        Step::On
    }

    fn colon(&mut self) -> Step {
        if self.want == Want::Next && self.last == Some(Last::Text) {
            // Whatsminer API 2.0.4 writes the object of error codes with a list's brackets.
            let mistaken = self.open.last_mut().filter(|o| !o.object && o.elements == 1);
            let Some(open) = mistaken else { return Step::GiveUp };
            (open.object, open.miswritten, open.elements) = (true, true, 0);
            self.out[open.at] = b'{';
            self.whole = self.whole_before;
        } else if self.want != Want::Colon {
            return Step::GiveUp;
        }
        self.want = Want::Value;
        self.copy(1)
    }

    fn string(&mut self) -> Step {
        if !self.element_may_begin() {
            return Step::GiveUp;
        }
        self.out.push(b'"');
        self.at += 1;
        self.rest_of_string()
    }

    /// Copies a string from behind its opening quote, without the control bytes that JSON forbids in it.
    fn rest_of_string(&mut self) -> Step {
        let mut from = self.at;
        loop {
            match self.input.get(self.at) {
                None => return Step::Cut,
                Some(b'"') => break,
                Some(b'\\') if self.input.get(self.at + 1).is_some_and(|b| *b >= 0x20) => self.at += 2,
                Some(0..0x20) => {
                    self.out.extend_from_slice(&self.input[from..self.at]);
                    self.at += 1;
                    from = self.at;
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        self.out.extend_from_slice(&self.input[from..self.at]);
        if self.want == Want::Name {
            self.want = Want::Colon;
            return Step::On;
        }
        self.element_done(Last::Text)
    }

    /// A number, `true`, `false`, `null`, or a word that should not be there.
    fn word(&mut self) -> Step {
        let rest = &self.input[self.at..];
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_');
        let n = rest.iter().take_while(|b| is_word(b)).count();
        let Ok(word) = std::str::from_utf8(&rest[..n]) else { return Step::GiveUp };
        if self.in_object() && self.want == Want::Next && rest.get(n) == Some(&b'"') {
            // The Whatsminer firmware of January 2023 forgets the comma and a quote before `temp0`.
            self.out.extend_from_slice(b",\"");
            self.want = Want::Name;
            return self.rest_of_string();
        }
        if n == 0 || !self.element_may_begin() || self.want != Want::Value {
            return Step::GiveUp;
        }
        if n == rest.len() && !self.open.is_empty() {
            // Cut inside the word: `12` may have been `1234`.
            return Step::Cut;
        }
        if is_no_number(word) {
            self.out.extend_from_slice(b"null");
        } else {
            self.out.extend_from_slice(word.as_bytes());
        }
        self.at += n;
        self.element_done(Last::Other)
    }

    /// Ends a cut document behind its last whole element.
    fn close_all(&mut self) {
        if self.open.is_empty() {
            return;
        }
        self.out.truncate(self.whole.len);
        self.open.truncate(self.whole.depth);
        while let Some(open) = self.open.pop() {
            self.out.push(if open.object { b'}' } else { b']' });
        }
    }
}

/// `nan` and `inf` in any spelling, and numbers that no float holds.
fn is_no_number(word: &str) -> bool {
    let name = word.trim_start_matches(['+', '-']);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return word.parse::<f64>().is_ok_and(f64::is_infinite);
    }
    ["nan", "inf", "infinity"].iter().any(|n| name.eq_ignore_ascii_case(n))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn fixed(text: &str) -> Value {
        let repaired = repair(text);
        serde_json::from_str(&repaired).unwrap_or_else(|e| panic!("{text} -> {repaired}: {e}"))
    }

    #[test]
    fn every_known_defect() {
        for (broken, want) in [
            ("{\"a\":1}\0\0", json!({"a": 1})),
            ("{\"ver\":\"cgminer\n 4.9\r\u{1}\"}", json!({"ver": "cgminer 4.9"})),
            ("{\"a\":{\"b\":1 , },}", json!({"a": {"b": 1}})),
            (
                "{\"STATS\":[{\"BMMiner\":\"1.0\"}{\"STATS\":0}\n{\"ID\":1}]}",
                json!({"STATS": [{"BMMiner": "1.0"}, {"STATS": 0}, {"ID": 1}]}),
            ),
            ("{\"STATS\":[,{\"a\":1},,{\"b\":2},]}", json!({"STATS": [{"a": 1}, {"b": 2}]})),
            (
                "{\"vender\":\"1\"\"temp0\":\"33.2\",\"fan\":0}",
                json!({"vender": "1", "temp0": "33.2", "fan": 0}),
            ),
            ("{\"vender\":\"\"temp0\":\"33.2\"}", json!({"vender": "", "temp0": "33.2"})),
            ("{\"vender\":\"\"\"temp0\":\"33.2\"}", json!({"vender": "", "temp0": "33.2"})),
            (
                "{\"a\":nan,\"b\":-inf,\"c\":[NaN,Infinity,1e999,-1]}",
                json!({"a": null, "b": null, "c": [null, null, null, -1]}),
            ),
            (",\"id\":1}", json!({"id": 1})),
            (",\"STATUS\":[{\"STATUS\":\"S\"}],\"id\":1}\0", json!({"STATUS": [{"STATUS": "S"}], "id": 1})),
            (
                "{\"Msg\":{\"error_code\":[\"110\":\"2024-01-01 00:00:00\",\"111\":\"x\"],\"l\":[\"a\",\"b\"]}}",
                json!({"Msg": {"error_code": {"110": "2024-01-01 00:00:00", "111": "x"}, "l": ["a", "b"]}}),
            ),
            ("{\"error_code\":[\"110\":\"x\",]}", json!({"error_code": {"110": "x"}})),
            ("{\"a\":1}{\"b\":2}", json!({"a": 1})),
            ("\u{feff}{\"a\":1}|", json!({"a": 1})),
        ] {
            assert_eq!(fixed(broken), want, "{broken}");
        }
    }

    #[test]
    fn a_cut_reply_keeps_its_whole_elements() {
        for (cut, want) in [
            ("{\"a\":1,\"b\":[{\"x\":1},{\"y\":2,\"z\":3", json!({"a": 1, "b": [{"x": 1}, {"y": 2}]})),
            ("{\"a\":1,\"b\":[{\"x\":1},{\"y", json!({"a": 1, "b": [{"x": 1}]})),
            ("{\"a\":1,\"b\":[", json!({"a": 1})),
            ("{\"a\":1,\"b\":tru", json!({"a": 1})),
            ("{\"a\":1,\"b\"", json!({"a": 1})),
            ("{\"a\":1,", json!({"a": 1})),
            ("{\"a\":", json!({})),
            ("{", json!({})),
            ("{\"e\":[\"110\":\"x\",\"111\":\"y", json!({"e": {"110": "x"}})),
            ("{\"z\":1,\"e\":[\"110\":\"x", json!({"z": 1})),
            ("[[1,2],[3,4", json!([[1, 2], [3]])),
            (",\"id\":1,\"x\":\"", json!({"id": 1})),
        ] {
            assert_eq!(fixed(cut), want, "{cut}");
        }
    }

    #[test]
    fn names_and_passwords_keep_what_looks_like_a_defect() {
        let odd = r#"a,}b}{c[,{d\"\"temp0nan,"#;
        let text = format!("{{\"user\":\"{odd}\",\"pass\":\"[\\\"1\\\":,]\\\\\"}}{{");
        let want = json!({"user": "a,}b}{c[,{d\"\"temp0nan,", "pass": "[\"1\":,]\\"});
        assert_eq!(fixed(&text), want);
    }

    #[test]
    fn beyond_repair_stays_broken() {
        for text in [
            "",
            "hello",
            "{1}",
            "{\"a\" 1}",
            "[1}",
            "{\"a\":}",
            "{\"a\":,\"b\":1}",
            "[\"a\",\"b\":1]",
            "]",
            "[\"a\":]",
        ] {
            let repaired = repair(text);
            assert!(serde_json::from_str::<Value>(&repaired).is_err(), "{text} -> {repaired}");
        }
        let deep = "[".repeat(300);
        assert_eq!(repair(&deep), deep);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|v| json!(v)),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[\\PC]{0,8}", inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn valid_json_stays_untouched(value in json_value()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(&repair(&text), &text);
            }
        }

        #[test]
        fn a_cut_document_can_always_be_read(value in json_value(), at in 0.0..1.0f64) {
            let text = json!({"a": value}).to_string();
            let mut cut = 1 + (at * (text.len() - 1) as f64) as usize;
            while !text.is_char_boundary(cut) {
                cut += 1;
            }
            let repaired = repair(&text[..cut]);
            prop_assert!(serde_json::from_str::<Value>(&repaired).is_ok(), "{} -> {}", &text[..cut], repaired);
        }

        #[test]
        fn anything_gives_at_most_a_comma_per_byte_more(
            text in prop_oneof![".{0,200}", r#"[\[\]{}",:\\ 1na\u{0}]{0,200}"#]
        ) {
            prop_assert!(repair(&text).len() <= 2 * text.len() + 2);
        }
    }

    #[test]
    fn cost_grows_with_length_only() {
        for unit in ["[", "{\"a\":", "[1,,,", "\"\"", "{}", "[\"a\":", ",", "[1 ,", "{\"a\":[1,\n"] {
            let text = format!("[{}", unit.repeat(2_000_000 / unit.len()));
            assert!(repair(&text).len() <= 2 * text.len() + 300);
        }
    }
}
