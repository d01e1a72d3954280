use std::fmt::{Display, Write as _};

/// The object of texts while it is written; its room is used again.
#[derive(Debug, Default)]
pub(super) struct Texts(String);

impl Texts {
    pub fn clear(&mut self) {
        self.0.clear();
        self.0.push('{');
    }

    /// Ends the object; gives it and its hash.
    pub fn finish(&mut self) -> (&str, u64) {
        if self.0.ends_with(',') {
            self.0.pop();
        }
        self.0.push('}');
        (&self.0, hash(self.0.as_bytes()))
    }

    /// A member whose value is JSON already.
    pub fn raw(&mut self, label: &str, json: &str) {
        self.0.push_str(label);
        self.0.push_str(json);
        self.0.push(',');
    }

    /// A member whose value's display is JSON.
    pub fn shown(&mut self, label: &str, value: impl Display) {
        self.0.push_str(label);
        // Writing to a `String` cannot fail.
        let _ = write!(self.0, "{value},");
    }

    pub fn text(&mut self, label: &str, text: &str) {
        self.0.push_str(label);
        let plain = text.bytes().fold(true, |plain, b| plain & (b >= 0x20) & (b != b'"') & (b != b'\\'));
        if plain {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push_str("\",");
        } else {
            self.0.push_str(&serde_json::Value::from(text).to_string());
            self.0.push(',');
        }
    }
}

/// A hash of bytes, eight at a time, by multiplication folded on itself. It tells changes apart and withstands no enemy: a
/// device that looks for a collision hides a change of its own texts from the history.
fn hash(bytes: &[u8]) -> u64 {
    const KEY: u64 = 0x9E37_79B9_7F4A_7C15;
    let fold = |a: u64, b: u64| {
        let wide = u128::from(a) * u128::from(b);
        #[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
        let halves = (wide as u64, (wide >> 64) as u64);
        halves.0 ^ halves.1
    };
    let mut state = KEY ^ u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        state = fold(state ^ word.try_into().map_or(0, u64::from_le_bytes), KEY | 1);
    }
    let mut last = [0; 8];
    last.iter_mut().zip(words.remainder()).for_each(|(to, from)| *to = *from);
    let state = fold(state ^ u64::from_le_bytes(last), KEY | 1);
    fold(state ^ (state >> 29), 0xD6E8_FEB8_6659_FD93)
}
