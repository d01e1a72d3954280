use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use caseless::Caseless;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::{
    Error, Result,
    model::Text,
    planted::{Bug, planted},
};

/// The longest name, in characters.
const MAX_CHARS: usize = 256;
/// The largest whole number that JavaScript tells from its neighbours.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;
/// One pass is nearly always enough; what is taken away can let neighbours join, so a few more are allowed.
const MAX_PASSES: usize = 8;

/// Unicode's default-ignorable code points (`DerivedCoreProperties`), all bidi controls among them, and the
/// interlinear marks next to them: nobody sees them, so they tell no two people apart.
const UNSEEN: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Somebody who pushes, votes or cancels. Equal are those whose names differ only in case, in the space around them, in
/// the Unicode form, or in characters that nobody sees; a number equals its decimal text.
///
/// Letters that only look alike, Latin `a` and Cyrillic `а`, stay different: whether somebody of that name exists is
/// for [`Principals`](super::Principals) to say.
#[derive(Clone)]
pub struct Person {
    key: Text,
    shown: Text,
    number: bool,
}

impl Person {
    /// Reads a name, or a number as JSON has it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with code `ERR_VOTER_INVALID` unless it is a whole number of 1 or more, or
    /// a text of at most 256 characters with something to see in it and no control characters.
    pub fn from_json(value: &Value) -> Result<Self> {
        match value {
            Value::String(text) => Self::from_text(text),
            Value::Number(number) => {
                // `7.0` is how some programs write 7.
                let whole =
                    |n: f64| (n.fract() == 0.0 && (1.0..=MAX_SAFE).contains(&n)).then(|| format!("{n:.0}"));
                let text = match number.as_u64() {
                    Some(n) => (n >= 1).then(|| n.to_string()),
                    None => number.as_f64().and_then(whole),
                };
                let text =
                    Text::from(text.ok_or_else(|| refused("a number has to be whole, and 1 or more"))?);
                Ok(Self { key: text.clone(), shown: text, number: true })
            }
            _ => Err(refused("a person is a name, or a whole number of 1 or more")),
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_text(text: &str) -> Result<Self> {
        if text.chars().nth(MAX_CHARS).is_some() {
            return Err(refused("a name has 256 characters at most"));
        }
        // A line end or tab around a name is space; within it, it forges lines of logs.
        let shown = if text.chars().any(char::is_control) { text.trim() } else { text };
        if shown.chars().any(char::is_control) {
            return Err(refused("a name has no control characters"));
        }
        let key = canonical(shown);
        if key.is_empty() {
            return Err(refused("a name has something to see in it"));
        }
        let key = if planted(Bug::CompareEmailText) { shown.to_owned() } else { key };
        Ok(Self { key: key.into(), shown: shown.into(), number: false })
    }

    /// What people are compared by.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The name as it was written, of a number its decimal text. It may hold characters that turn the direction of
    /// writing.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

fn canonical(text: &str) -> String {
    if text.is_ascii() {
        return text.trim().to_ascii_lowercase();
    }
    let mut now = text.to_owned();
    for _ in 0..MAX_PASSES {
        // Taken apart first: a Greek iota below a letter becomes a letter, and takes no mark of the other one with it.
        let folded = now.nfkd().default_case_fold().filter(|c| !is_unseen(*c));
        let next: String = folded.nfkc().collect();
        let next = next.trim();
        if next == now {
            break;
        }
        now = next.to_owned();
    }
    now
}

fn is_unseen(c: char) -> bool {
    let after = UNSEEN.partition_point(|(_, last)| *last < c);
    UNSEEN.get(after).is_some_and(|(first, _)| *first <= c)
}

fn refused(why: &str) -> Error {
    Error::invalid("action.person", "voter", why).code_as("ERR_VOTER_INVALID")
}

impl PartialEq for Person {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Person {}

impl PartialOrd for Person {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Person {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Person {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.shown(), f)
    }
}

impl Serialize for Person {
    /// The name as it was written; a number where it was one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.shown.parse::<u64>() {
            Ok(number) if self.number => serializer.serialize_u64(number),
            _ => serializer.serialize_str(&self.shown),
        }
    }
}

impl<'de> Deserialize<'de> for Person {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn person(value: Value) -> Person {
        Person::from_json(&value).unwrap()
    }

    #[test]
    fn spellings_of_one_name_are_one_person() {
        let spellings = [
            json!("Zoë.Straße@Example.com"),
            json!("  zoë.strasse@example.COM\u{a0}"),
            json!("Zoe\u{308}.STRASSE@example.com"),
            json!("zoë.straẞe@example.com\t"),
            json!("\u{200f}zo\u{200d}ë.straße@example.com\u{feff} "),
            json!("\u{202e}zoë.straſse@example.com\u{202c}"),
            json!("ｚｏë．ｓｔｒａßｅ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
        ];
        let all: BTreeSet<Person> = spellings.map(person).into();
        assert_eq!(all.iter().map(Person::key).collect::<Vec<_>>(), ["zoë.strasse@example.com"]);
        let others = ["zoe.strasse@example.com", "zoë.strase@example.com", "zoë. strasse@example.com"];
        for other in others {
            assert!(!all.contains(&person(json!(other))), "{other}");
        }
        assert_eq!(person(json!("ᾀ\u{7fd}")), person(json!("α\u{7fd}\u{313}ι")));
        assert_ne!(person(json!("anna")), person(json!("аnna")), "the second begins with a Cyrillic letter");
    }

    #[test]
    fn a_number_is_its_decimal_text() {
        let number = person(json!(4711));
        for same in [json!("4711"), json!(" ４７１１ "), json!(4711.0)] {
            assert_eq!(number, person(same));
        }
        assert_ne!(number, person(json!("04711")));
        assert_eq!(serde_json::to_value(&number).unwrap(), json!(4711));
        assert_eq!(serde_json::to_value(person(json!("4711"))).unwrap(), json!("4711"));
        assert_eq!(person(json!(u64::MAX)).key(), "18446744073709551615");
    }

    #[test]
    fn the_name_stays_as_it_was_written() {
        let written = person(json!(" U1"));
        assert_eq!((written.shown(), written.key()), (" U1", "u1"));
        assert_eq!(serde_json::to_value(&written).unwrap(), json!(" U1"));
        assert_eq!(format!("{written}|{written:?}"), " U1|\" U1\"");
        assert_eq!(person(json!("\tU1\r\n")).shown(), "U1", "no line end reaches a log");
    }

    #[test]
    fn what_is_nobody_is_refused() {
        let long = "x".repeat(MAX_CHARS + 1);
        for value in [
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!(["u1"]),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(1e300),
            json!(""),
            json!(" \u{a0}\n"),
            json!("\u{200b}\u{2060} \u{3164}"),
            json!("u\u{0}1"),
            json!("u1\nadmin"),
            json!("u\u{1b}[2J"),
            json!("u\u{85}1"),
            json!(long),
        ] {
            let e = Person::from_json(&value).unwrap_err();
            assert_eq!((e.code(), e.fact("field")), ("ERR_VOTER_INVALID", Some("voter")), "{value}");
        }
        assert!(Person::from_json(&json!("ä".repeat(MAX_CHARS))).is_ok());
        assert!(serde_json::from_value::<Person>(json!(0)).is_err());
    }

    #[test]
    fn the_table_of_unseen_characters_is_in_order() {
        assert!(UNSEEN.iter().all(|(first, last)| first <= last));
        assert!(UNSEEN.windows(2).all(|pair| pair[0].1 < pair[1].0));
        assert!(
            is_unseen('\u{200e}') && is_unseen('\u{e0041}') && !is_unseen('a') && !is_unseen('\u{10ffff}')
        );
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key_and_survives_storage(text in "\\PC{1,40}") {
            if let Ok(one) = Person::from_text(&text) {
                prop_assert_eq!(canonical(one.key()), one.key());
                let again: Person = serde_json::from_value(serde_json::to_value(&one).unwrap()).unwrap();
                prop_assert_eq!((again.shown(), again.key()), (one.shown(), one.key()));
            }
        }

        #[test]
        fn forms_and_case_make_no_second_person(text in "[\\p{L}\\p{M}\\p{N} .@_-]{1,30}") {
            if let Ok(one) = Person::from_text(&text) {
                let forms: [String; 6] = [
                    text.nfd().collect(),
                    text.nfc().collect(),
                    text.nfkd().collect(),
                    text.nfkc().collect(),
                    text.nfd().default_case_fold().collect(),
                    format!(" \u{200d}{text}\u{200f}\u{3000}"),
                ];
                for form in forms {
                    prop_assert_eq!(Person::from_text(&form).unwrap(), one.clone(), "{}", form);
                }
            }
        }
    }
}
