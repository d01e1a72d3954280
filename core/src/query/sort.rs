use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

use super::{hex, hidden::Hidden, limits, natural, path::Path, refused};
use crate::{Error, Result};

const OP: &str = "query.sort";

/// Which way a key sorts. Missing values come last either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// The order of a listing: paths and directions, the first counts most.
///
/// Numbers come first, in order of their value; then texts in natural order (`S21-2` before `S21-10`, letters without
/// regard to case, lower before upper case where nothing else differs); `true`, `false` and `null` stand among them as
/// texts, and an array as its elements with commas between. Whatever has no value for a key comes after all that have
/// one, in both directions, and the next key decides among these. What is equal by all keys stands in order of ids, so
/// that an order is total. Of a text, the first 256 characters count.
///
/// JSON objects of the `serde_json` in use do not keep their order: deserialise a sort with several keys from text
/// ([`Sort::parse_str`]), not from a [`Value`], or write it as a list of pairs, `[["code", 1], ["info.pos", -1]]`.
#[derive(Debug, Clone, Default)]
pub struct Sort {
    keys: Vec<(Path, Direction)>,
    hidden: Hidden,
    /// See [`Sort::mos_compatible`].
    mos: bool,
}

impl Sort {
    /// Room for a place by two or three keys.
    const USUAL_BYTES: usize = 96;

    /// Sorts things by paths, none of which [`Hidden::standard`] hides.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_QUERY_INVALID` for a path that is hidden or none, or too many.
    pub fn new(keys: Vec<(String, Direction)>) -> Result<Self> {
        Self::with(keys, &Hidden::standard())
    }

    /// Sorts documents that hide `hidden`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with(keys: Vec<(String, Direction)>, hidden: &Hidden) -> Result<Self> {
        if keys.len() > limits::SORT_KEYS {
            return Err(refused(OP, "sort", format!("more than {} keys", limits::SORT_KEYS)));
        }
        let key = |(text, direction): (String, Direction)| {
            Ok((hidden.path(OP, &[], &text, "sorted by")?, direction))
        };
        let keys = keys.into_iter().map(key).collect::<Result<_>>()?;
        Ok(Self { keys, hidden: hidden.clone(), mos: false })
    }

    /// The same keys in MiningOS's order: numbers are texts (1.5 comes before 1.25, −2 before −10), and what has no value
    /// for a key is equal to all else that has none, whatever later keys say.
    #[must_use]
    pub fn mos_compatible(self) -> Self {
        Self { mos: true, ..self }
    }

    /// Reads MiningOS's form, `{"code": 1, "info.pos": -1}`, in the order of the text, or a list of pairs.
    ///
    /// # Errors
    /// As [`new`](Self::new), and for what is neither.
    pub fn parse_str(text: &str) -> Result<Self> {
        let spec = serde_json::from_str::<Spec>(text);
        spec.map_err(|e| refused(OP, "sort", "not JSON").caused_by(e))?.sort(&Hidden::standard())
    }

    /// The paths and directions.
    pub fn keys(&self) -> impl Iterator<Item = (&str, Direction)> {
        self.keys.iter().map(|(path, direction)| (path.text(), *direction))
    }

    /// Whether it looks at this member of a document.
    pub fn uses(&self, member: &str) -> bool {
        self.keys.iter().any(|(path, _)| path.segs().first().is_some_and(|seg| seg.key() == member))
    }

    /// The document's place in this order, to compare with places of others in the same order.
    pub fn key(&self, doc: &Value) -> SortKey {
        let mut bytes = Vec::with_capacity(Self::USUAL_BYTES);
        self.encode(doc, &mut bytes);
        SortKey::new(&bytes)
    }

    /// Compares two documents by the keys alone.
    pub fn compare(&self, a: &Value, b: &Value) -> Ordering {
        self.key(a).cmp(&self.key(b))
    }

    pub(super) fn encode(&self, doc: &Value, out: &mut Vec<u8>) {
        if self.mos {
            return self.encode_mos(doc, out);
        }
        for (path, direction) in &self.keys {
            let start = out.len();
            let Some(value) = path.first(self.hidden.view(), doc) else {
                out.push(MISSING);
                continue;
            };
            encode_value(value, out);
            if *direction == Direction::Descending {
                out[start..].iter_mut().for_each(|b| *b = !*b);
            }
        }
    }

    fn encode_mos(&self, doc: &Value, out: &mut Vec<u8>) {
        for (path, direction) in &self.keys {
            let start = out.len();
            let Some(value) = path.first(self.hidden.view(), doc) else {
                out.push(MISSING);
                return;
            };
            match value {
                Value::Number(n) => {
                    out.push(TEXT);
                    natural::encode(&number_text(super::compare::float(n)), out);
                }
                other => encode_value(other, out),
            }
            if *direction == Direction::Descending {
                out[start..].iter_mut().for_each(|b| *b = !*b);
            }
        }
    }

    /// Tells this order from others in a cursor.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hash = super::page::Fnv::default();
        if self.mos {
            hash.write(b"mos");
        }
        for (path, direction) in &self.keys {
            hash.write(path.text().as_bytes());
            hash.write(&[0, u8::from(*direction == Direction::Descending)]);
        }
        hash.finish()
    }
}

impl<'de> Deserialize<'de> for Sort {
    /// As [`Sort::parse_str`]; keeps the order that the deserialiser gives.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spec::deserialize(deserializer)?.sort(&Hidden::standard()).map_err(serde::de::Error::custom)
    }
}

/// A place in an order: bytes that compare as the documents do, later keys after earlier ones. `Display` and `FromStr`
/// carry it between processes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey {
    /// The first bytes, filled up with zeros: they nearly always decide, without a look elsewhere. It is compared first.
    head: u128,
    bytes: Box<[u8]>,
}

impl SortKey {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut head = [0; size_of::<u128>()];
        let length = bytes.len().min(head.len());
        head[..length].copy_from_slice(&bytes[..length]);
        Self { head: u128::from_be_bytes(head), bytes: bytes.into() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.bytes))
    }
}

impl FromStr for SortKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = hex::decode(text).filter(|_| text.len() <= limits::CURSOR_CHARS);
        bytes.map(|b| Self::new(&b)).ok_or_else(|| refused(OP, "key", "not a place in an order"))
    }
}

/// Ends a key of any type and stays highest when the bytes of a descending one are turned round.
const MISSING: u8 = 0xFF;
const NUMBER: u8 = 0x10;
const TEXT: u8 = 0x20;

fn encode_value(value: &Value, out: &mut Vec<u8>) {
    if let Value::Number(n) = value {
        out.push(NUMBER);
        return encode_number(n, out);
    }
    out.push(TEXT);
    match value {
        Value::String(text) => natural::encode(cut(text), out),
        Value::Null => natural::encode("null", out),
        Value::Bool(b) => natural::encode(if *b { "true" } else { "false" }, out),
        other => {
            let mut text = String::new();
            join(other, &mut text);
            natural::encode(cut(&text), out);
        }
    }
}

/// The nearest float, ordered as bytes, and how far an integer is from it.
fn encode_number(n: &Number, out: &mut Vec<u8>) {
    // Adding 0 makes −0 and 0 the same.
    let float = super::compare::float(n) + 0.0;
    let bits = float.to_bits();
    let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    out.extend(ordered.to_be_bytes());
    let off = super::compare::integer(n).map_or(0, |exact| exact - float as i128);
    // Floats of this size are at most 2,048 apart, so the distance fits.
    out.extend(((off + 0x8000) as u16).to_be_bytes());
}

/// A number as JavaScript writes it.
fn number_text(n: f64) -> String {
    let plain = n == 0.0 || (1e-6..1e21).contains(&n.abs());
    match if plain { (n + 0.0).to_string() } else { format!("{n:e}") } {
        text if plain || n.abs() < 1.0 => text,
        text => text.replace('e', "e+"),
    }
}

fn cut(text: &str) -> &str {
    if text.len() <= limits::SORT_CHARS {
        return text;
    }
    match text.char_indices().nth(limits::SORT_CHARS) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

/// What JavaScript makes of an array or object as text. An object's members never show.
fn join(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                if out.len() > 4 * limits::SORT_CHARS {
                    return;
                }
                if i > 0 {
                    out.push(',');
                }
                join(item, out);
            }
        }
        Value::Object(_) => out.push_str("[object Object]"),
        Value::String(text) => out.push_str(cut(text)),
        Value::Null => {}
        other => out.push_str(&other.to_string()),
    }
}

/// A sort as written, in order and not yet checked.
#[derive(Debug, Default)]
pub(super) struct Spec {
    pairs: Vec<(String, Value)>,
    /// Whether it is a form that a sort can have.
    wrong: bool,
}

impl Spec {
    const WRONG: Self = Self { pairs: Vec::new(), wrong: true };

    pub(super) fn sort(self, hidden: &Hidden) -> Result<Sort> {
        if self.wrong {
            return Err(refused(
                OP,
                "sort",
                "a sort is an object of paths and directions, or a list of such pairs",
            ));
        }
        let direction = |(path, value): (String, Value)| match value.as_f64() {
            Some(1.0) => Ok((path, Direction::Ascending)),
            Some(-1.0) => Ok((path, Direction::Descending)),
            _ => Err(refused(OP, &path, "a direction is 1 or -1")),
        };
        Sort::with(self.pairs.into_iter().map(direction).collect::<Result<_>>()?, hidden)
    }

    /// From a value that has lost the order of its members: more than one is refused.
    pub(super) fn of(value: &Value) -> Result<Self> {
        if value.as_object().is_some_and(|m| m.len() > 1) {
            let why =
                "the order of several keys is lost here: write a list of pairs, or give the query as text";
            return Err(refused(OP, "sort", why));
        }
        Ok(Self::deserialize(value).unwrap_or(Self::WRONG))
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpecVisitor)
    }
}

struct SpecVisitor;

impl<'de> Visitor<'de> for SpecVisitor {
    type Value = Spec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of paths and directions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spec, A::Error> {
        let mut pairs: Vec<(String, Value)> = Vec::new();
        while let Some((path, value)) = map.next_entry::<String, Value>()? {
            // As in JavaScript, a repeated member keeps its place and takes the last value.
            match pairs.iter().position(|(known, _)| *known == path) {
                Some(at) => pairs[at].1 = value,
                // One too many is enough to be refused for.
                None if pairs.len() > limits::SORT_KEYS => {}
                None => pairs.push((path, value)),
            }
        }
        Ok(Spec { pairs, wrong: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Spec, A::Error> {
        let mut spec = Spec::default();
        while let Some(item) = seq.next_element::<Value>()? {
            match item.as_array().map(Vec::as_slice) {
                Some([Value::String(path), direction]) if spec.pairs.len() <= limits::SORT_KEYS => {
                    spec.pairs.push((path.clone(), direction.clone()));
                }
                Some([Value::String(_), _]) => {}
                _ => spec.wrong = true,
            }
        }
        Ok(spec)
    }

    fn visit_unit<E>(self) -> Result<Spec, E> {
        Ok(Spec::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Spec, E> {
        Ok(Spec::WRONG)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Spec, E> {
        Ok(Spec::WRONG)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Spec, E> {
        Ok(Spec::WRONG)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Spec, E> {
        Ok(Spec::WRONG)
    }

    fn visit_str<E>(self, _: &str) -> Result<Spec, E> {
        Ok(Spec::WRONG)
    }
}
