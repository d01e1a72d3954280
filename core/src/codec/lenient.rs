//! Readers for members that devices send in more than one type, for `#[serde(default, deserialize_with = "…")]`.
//!
//! A member of a wrong type reads as `None`; it never fails the reply around it. Every member that uses one of
//! them needs `#[serde(default)]` as well, because serde asks `deserialize_with` only for members that are there.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

/// One JSON scalar, as it stood on the wire.
enum Scalar<'a> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

/// Reads any value; hands scalars to the function and skips the rest.
struct Any<F>(F);

impl<'de, T, F: FnOnce(Scalar<'_>) -> Option<T>> Visitor<'de> for Any<F> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok((self.0)(Scalar::Bool(v)))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok((self.0)(Scalar::Unsigned(v)))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok((self.0)(Scalar::Signed(v)))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok((self.0)(Scalar::Float(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok((self.0)(Scalar::Text(v)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A finite number, or text that begins with one as JavaScript's `parseFloat` reads it (`"12.7 W"` is 12.7).
///
/// # Errors
/// Only when the JSON around it is broken.
pub fn f64_opt<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    d.deserialize_any(Any(|s: Scalar<'_>| match s {
        Scalar::Bool(_) => None,
        Scalar::Unsigned(v) => Some(v as f64),
        Scalar::Signed(v) => Some(v as f64),
        Scalar::Float(v) => v.is_finite().then_some(v),
        Scalar::Text(v) => parse_float(v),
    }))
}

/// A whole number of 0 or more, or text that begins with one as `parseInt` reads it; fractions are cut off.
///
/// # Errors
/// Only when the JSON around it is broken.
pub fn u64_opt<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    d.deserialize_any(Any(|s: Scalar<'_>| match s {
        Scalar::Unsigned(v) => Some(v),
        other => whole(other).and_then(|v| u64::try_from(v).ok()),
    }))
}

/// A whole number, or text that begins with one as `parseInt` reads it; fractions are cut off.
///
/// # Errors
/// Only when the JSON around it is broken.
pub fn i64_opt<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    d.deserialize_any(Any(|s: Scalar<'_>| whole(s).and_then(|v| i64::try_from(v).ok())))
}

/// A truth value as boolean, as number, or as the text `true`, `false`, `1` or `0` in any case.
///
/// # Errors
/// Only when the JSON around it is broken.
pub fn bool_opt<'de, D: Deserializer<'de>>(d: D) -> Result<Option<bool>, D::Error> {
    d.deserialize_any(Any(|s: Scalar<'_>| match s {
        Scalar::Bool(v) => Some(v),
        Scalar::Unsigned(v) => Some(v != 0),
        Scalar::Signed(v) => Some(v != 0),
        Scalar::Float(v) => v.is_finite().then_some(v != 0.0),
        Scalar::Text(v) => parse_bool(v.trim()),
    }))
}

/// Text; numbers and booleans as text. Empty text stays `Some("")`.
///
/// # Errors
/// Only when the JSON around it is broken.
pub fn text_opt<'de, D, T>(d: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> From<&'a str>,
{
    let kept = |number: &dyn ToString| T::from(number.to_string().as_str());
    d.deserialize_any(Any(|s: Scalar<'_>| {
        Some(match s {
            Scalar::Bool(v) => kept(&v),
            Scalar::Unsigned(v) => kept(&v),
            Scalar::Signed(v) => kept(&v),
            Scalar::Float(v) => kept(&v),
            Scalar::Text(v) => T::from(v),
        })
    }))
}

/// A list of anything; elements that cannot be read as `T` are left out, anything but a list is `None`.
///
/// It reads every element twice (once to find its end), so use [`objects_or_none`] for long lists of objects
/// whose members are all lenient. It works on text and slices only, as [`parse`](super::cgminer::parse) reads.
///
/// # Errors
/// Only when the JSON around it is broken.
pub fn vec_or_none<'de, D: Deserializer<'de>, T: DeserializeOwned>(d: D) -> Result<Option<Vec<T>>, D::Error> {
    d.deserialize_any(Elements::<T, Raw>(PhantomData))
}

/// A list of objects, read in one pass; elements that are no objects are left out, anything but a list is `None`.
///
/// # Errors
/// When the JSON around it is broken, or an object cannot be read as `T`: make all members of `T` lenient.
pub fn objects_or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Vec<T>>, D::Error> {
    d.deserialize_any(Elements::<T, Object>(PhantomData))
}

fn whole(s: Scalar<'_>) -> Option<i128> {
    match s {
        Scalar::Bool(_) => None,
        Scalar::Unsigned(v) => Some(v.into()),
        Scalar::Signed(v) => Some(v.into()),
        // 2^64 and above fits no whole number that is asked for; the cast below is exact up to there.
        Scalar::Float(v) => (v.abs() < 18_446_744_073_709_551_616.0).then_some(v.trunc() as i128),
        Scalar::Text(v) => parse_int(v),
    }
}

/// The number at the start of a text, as JavaScript's `parseFloat` finds it; `None` where that gives NaN or
/// infinity. For texts that hold a number among others, such as blocks of `KEY[value]`.
pub fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let bytes = text.as_bytes();
    let digits_from = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let before = digits_from(sign);
    let mut end = sign + before;
    let mut digits = before;
    if bytes.get(end) == Some(&b'.') {
        let after = digits_from(end + 1);
        digits += after;
        end += if after > 0 { 1 + after } else { 0 };
    }
    if digits == 0 {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let start = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = if start <= bytes.len() { digits_from(start) } else { 0 };
        end = if exponent > 0 { start + exponent } else { end };
    }
    text[..end].parse().ok().filter(|v: &f64| v.is_finite())
}

/// The whole number at the start of a text, as JavaScript's `parseInt` finds it (`"12.7"` is 12).
pub fn parse_int(text: &str) -> Option<i128> {
    let text = text.trim_start();
    let sign = usize::from(matches!(text.as_bytes().first(), Some(b'+' | b'-')));
    let digits = text.as_bytes()[sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    text[..sign + digits].parse().ok()
}

fn parse_bool(text: &str) -> Option<bool> {
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// How one element of a list is read.
trait Element<'de, T> {
    type Read: Deserialize<'de>;
    fn value(read: Self::Read) -> Option<T>;
}

/// Finds the end of the element first, so that a failure inside costs only the element.
struct Raw;

impl<'de, T: DeserializeOwned> Element<'de, T> for Raw {
    type Read = &'de RawValue;
    fn value(read: &'de RawValue) -> Option<T> {
        serde_json::from_str(read.get()).ok()
    }
}

/// Reads objects in place and skips everything else.
struct Object;

impl<'de, T: Deserialize<'de>> Element<'de, T> for Object {
    type Read = ObjectOrNone<T>;
    fn value(read: ObjectOrNone<T>) -> Option<T> {
        read.0
    }
}

struct ObjectOrNone<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ObjectOrNone<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = ObjectOrNone<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|v| ObjectOrNone(Some(v)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Any(nothing).visit_seq(seq).map(ObjectOrNone)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(ObjectOrNone(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(ObjectOrNone(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(ObjectOrNone(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(ObjectOrNone(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(ObjectOrNone(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(ObjectOrNone(None))
    }
}

fn nothing<T>(_: Scalar<'_>) -> Option<T> {
    None
}

struct Elements<T, How>(PhantomData<(T, How)>);

impl<'de, T, How: Element<'de, T>> Visitor<'de> for Elements<T, How> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        while let Some(read) = seq.next_element::<How::Read>()? {
            out.extend(How::value(read));
        }
        Ok(Some(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Any(nothing).visit_map(map)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Board {
        #[serde(deserialize_with = "f64_opt")]
        rate: Option<f64>,
        #[serde(deserialize_with = "u64_opt")]
        chips: Option<u64>,
        #[serde(deserialize_with = "i64_opt")]
        temp: Option<i64>,
        #[serde(deserialize_with = "bool_opt")]
        up: Option<bool>,
        #[serde(deserialize_with = "text_opt")]
        serial: Option<String>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Stats {
        #[serde(deserialize_with = "objects_or_none")]
        chain: Option<Vec<Board>>,
        #[serde(deserialize_with = "vec_or_none")]
        temps: Option<Vec<f64>>,
    }

    fn board(json: &str) -> Board {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn floats_as_javascript_reads_them() {
        for (json, want) in [
            ("12.7", Some(12.7)),
            ("-3", Some(-3.0)),
            ("7", Some(7.0)),
            ("\"12.7 W\"", Some(12.7)),
            ("\" +.5e1x\"", Some(5.0)),
            ("\"5.\"", Some(5.0)),
            ("\"1e\"", Some(1.0)),
            ("\"1e+\"", Some(1.0)),
            ("\"1.5.2\"", Some(1.5)),
            ("\"\"", None),
            ("\".\"", None),
            ("\"-\"", None),
            ("\"nan\"", None),
            ("\"inf\"", None),
            ("\"-Infinity\"", None),
            ("\"1e999\"", None),
            ("null", None),
            ("true", None),
            ("[1,{\"a\":[2]}]", None),
            ("{\"a\":[1]}", None),
        ] {
            let got = board(&format!("{{\"rate\":{json},\"chips\":3}}"));
            assert_eq!((got.rate, got.chips), (want, Some(3)), "{json}");
        }
    }

    #[test]
    fn whole_numbers_are_cut_not_rounded() {
        for (json, unsigned, signed) in [
            ("12", Some(12), Some(12)),
            ("-1", None, Some(-1)),
            ("12.7", Some(12), Some(12)),
            ("-0.5", Some(0), Some(0)),
            ("\"12.7\"", Some(12), Some(12)),
            ("\" -4x\"", None, Some(-4)),
            ("\"1e3\"", Some(1), Some(1)),
            ("1e3", Some(1000), Some(1000)),
            ("18446744073709551615", Some(u64::MAX), None),
            ("1e30", None, None),
            ("\"99999999999999999999999999999999999999999999\"", None, None),
            ("\"\"", None, None),
            ("\"+\"", None, None),
            ("false", None, None),
            ("[]", None, None),
        ] {
            let got = board(&format!("{{\"chips\":{json},\"temp\":{json}}}"));
            assert_eq!((got.chips, got.temp), (unsigned, signed), "{json}");
        }
    }

    #[test]
    fn booleans_and_text_in_every_form() {
        for (json, flag, text) in [
            ("true", Some(true), Some("true")),
            ("\"False\"", Some(false), Some("False")),
            ("\"1\"", Some(true), Some("1")),
            ("0", Some(false), Some("0")),
            ("-2", Some(true), Some("-2")),
            ("1.5", Some(true), Some("1.5")),
            ("\"\"", None, Some("")),
            ("\"on\"", None, Some("on")),
            ("\"a\\nb\"", None, Some("a\nb")),
            ("null", None, None),
            ("{}", None, None),
        ] {
            let got = board(&format!("{{\"up\":{json},\"serial\":{json}}}"));
            assert_eq!((got.up, got.serial.as_deref()), (flag, text), "{json}");
        }
    }

    #[test]
    fn lists_leave_out_what_they_cannot_read() {
        let read = |json: &str| serde_json::from_str::<Stats>(json).unwrap();
        let got = read(
            "{\"chain\":[{\"chips\":1},null,3,\"x\",[{}],{\"chips\":\"2\"}],\"temps\":[1,\"x\",{},2.5]}",
        );
        let chips: Vec<_> = got.chain.unwrap().iter().map(|b| b.chips).collect();
        assert_eq!((chips, got.temps), (vec![Some(1), Some(2)], Some(vec![1.0, 2.5])));
        for scalar in ["null", "7", "-7", "0.5", "\"\"", "true", "{\"a\":[1]}"] {
            let got = read(&format!("{{\"chain\":{scalar},\"temps\":{scalar}}}"));
            assert!(got.chain.is_none() && got.temps.is_none(), "{scalar}");
        }
        assert!(read("{}").chain.is_none());
    }
}
