/// Finds where a reply ends while it arrives: at the first of a NUL and the end of a complete JSON value.
///
/// A reply that does not begin with `{`, `[` or `"` is text (or JSON with its beginning missing) and ends at a
/// NUL or with the connection only.
///
/// ```
/// # use headframe_core::codec::cgminer::ReplyEnd;
/// let mut end = ReplyEnd::new();
/// assert_eq!(end.feed(b"{\"STATUS\":[{\"Msg\":\"}"), None);
/// assert_eq!(end.feed(b"\"}]}\0"), Some(4));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ReplyEnd {
    kind: Kind,
    depth: usize,
    in_string: bool,
    escaped: bool,
    done: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Kind {
    /// Only white space so far.
    #[default]
    Unknown,
    Json,
    Text,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const HIGH: u64 = 0x8080_8080_8080_8080;

impl ReplyEnd {
    /// A detector before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; `Some(n)` says that the reply ended with the first `n` of them (a NUL is not one
    /// of them). After the end it is always `Some(0)`.
    pub fn feed(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.done {
            return Some(0);
        }
        while self.kind == Kind::Unknown {
            match *chunk.get(at)? {
                b' ' | b'\t' | b'\r' | b'\n' => at += 1,
                b'{' | b'[' | b'"' => self.kind = Kind::Json,
                _ => self.kind = Kind::Text,
            }
        }
        let found = match self.kind {
            Kind::Json => self.json(&chunk[at..]),
            _ => chunk[at..].iter().position(|b| *b == 0),
        };
        self.done = found.is_some();
        found.map(|n| at + n)
    }

    fn json(&mut self, chunk: &[u8]) -> Option<usize> {
        let (words, _) = chunk.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            if !self.skip(u64::from_le_bytes(*word))
                && let Some(n) = self.bytes(word)
            {
                return Some(8 * i + n);
            }
        }
        let rest = 8 * words.len();
        self.bytes(&chunk[rest..]).map(|n| rest + n)
    }

    /// Takes eight bytes at once when the reply cannot end among them; false leaves the state as it was.
    fn skip(&mut self, word: u64) -> bool {
        // Bit 5 is what tells `{` from `[`, `}` from `]`, and `|` from a backslash.
        let folded = word | (0x20 * ONES);
        let quotes = equal(word, b'"');
        let plain = equal(word, 0) | equal(folded, b'|') == 0;
        if self.escaped || !plain || (self.depth == 0 && quotes != 0) {
            return false;
        }
        // Bit 7 of a byte: inside a string, counting from this word's start; an opening quote is inside.
        let mut inside = quotes;
        inside ^= inside << 8;
        inside ^= inside << 16;
        inside ^= inside << 32;
        if self.in_string {
            inside ^= HIGH;
        }
        let opened = ones(equal(folded, b'{') & !inside);
        let closed = ones(equal(folded, b'}') & !inside);
        if closed >= self.depth && closed > 0 {
            return false;
        }
        self.depth = self.depth + opened - closed;
        self.in_string = inside >> 63 == 1;
        true
    }

    fn bytes(&mut self, bytes: &[u8]) -> Option<usize> {
        for (i, byte) in bytes.iter().enumerate() {
            match byte {
                0 => return Some(i),
                _ if self.escaped => self.escaped = false,
                b'"' => {
                    self.in_string = !self.in_string;
                    if !self.in_string && self.depth == 0 {
                        return Some(i + 1);
                    }
                }
                b'\\' if self.in_string => self.escaped = true,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(i + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// Bit 7 of every byte that equals `byte`.
fn equal(word: u64, byte: u8) -> u64 {
    let differs = word ^ (u64::from(byte) * ONES);
    !(((differs & LOW7) + LOW7) | differs) & HIGH
}

/// How many bytes have bit 7 set, of a word without other bits.
fn ones(bits: u64) -> usize {
    ((bits >> 7).wrapping_mul(ONES) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule, one byte at a time and without the shortcut.
    fn by_the_book(reply: &[u8]) -> Option<usize> {
        let start = reply.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'))?;
        if !matches!(reply[start], b'{' | b'[' | b'"') {
            return reply.iter().position(|b| *b == 0);
        }
        let mut slow = ReplyEnd { kind: Kind::Json, ..ReplyEnd::new() };
        (start..reply.len()).find_map(|i| slow.bytes(&reply[i..=i]).map(|n| i + n))
    }

    fn in_chunks(reply: &[u8], sizes: &[usize]) -> Option<usize> {
        let (mut end, mut at) = (ReplyEnd::new(), 0);
        for size in sizes.iter().cycle() {
            let to = (at + size).min(reply.len());
            if let Some(n) = end.feed(&reply[at..to]) {
                assert_eq!(end.feed(b"}"), Some(0));
                return Some(at + n);
            }
            if to == reply.len() {
                return None;
            }
            at = to;
        }
        None
    }

    #[test]
    fn ends() {
        for (reply, want) in [
            (&b"{}"[..], Some(2)),
            (b" \n{\"a\":{\"b\":[1,2]}}{\"c\":1}", Some(19)),
            (b"{\"a\":\"}\\\"}\\\\\"}\0", Some(14)),
            (b"[{\"a\":\"]\"}]\0", Some(11)),
            (b"\"RESTART\"\n", Some(9)),
            (b"{\"a\":1\0}", Some(6)),
            (b"{\"a\":\"x\0\"}", Some(7)),
            (b"STATUS=S|{}\0", Some(11)),
            (b",\"id\":1}", None),
            (b"\0", Some(0)),
            (b"  ", None),
            (b"", None),
            (b"{\"a\":1", None),
        ] {
            assert_eq!(in_chunks(reply, &[reply.len().max(1)]), want, "{}", reply.escape_ascii());
            assert_eq!(in_chunks(reply, &[1]), want, "{}", reply.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn every_chunking_gives_the_same_end(
            reply in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "[{\\[\"][\\[\\]{}\"\\\\|,:a;Z\u{0}]{0,80}".prop_map(String::into_bytes),
                "[{\\[\"][{}\"a:]{0,80}[\\[\\]}]{0,80}".prop_map(String::into_bytes),
            ],
            sizes in prop::collection::vec(1usize..40, 1..6),
        ) {
            let want = by_the_book(&reply);
            prop_assert_eq!(in_chunks(&reply, &[reply.len().max(1)]), want);
            prop_assert_eq!(in_chunks(&reply, &sizes), want);
        }
    }
}
