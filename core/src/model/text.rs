use std::{
    borrow::{Borrow, Cow},
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

use super::recent::Recent;

/// Longest text that stands in the value itself: a MAC address, a serial number, a firmware version.
const INSIDE: usize = 22;

/// Longer texts of late: pools, name servers and the like are the same for many things.
static RECENT: Recent<str> = Recent::new();

/// A short text that does not change: a site keeps some thirty for each of 100,000 things. Up to 22 bytes take no room
/// of their own; longer ones are shared where things say the same. Cheap to clone.
#[derive(Clone)]
pub struct Text(Form);

#[derive(Clone)]
enum Form {
    Inside(u8, [u8; INSIDE]),
    Shared(Arc<str>),
}

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // What is kept was a text, so this never falls back.
            Form::Inside(..) => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Form::Shared(text) => text,
        }
    }

    /// Its bytes, without a look at whether they are a text.
    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Inside(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Form::Shared(text) => text.as_bytes(),
        }
    }

    fn inside(text: &str) -> Option<Self> {
        let len = u8::try_from(text.len()).ok()?;
        let mut bytes = [0; INSIDE];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(Form::Inside(len, bytes)))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::inside(text).unwrap_or_else(|| Self(Form::Shared(RECENT.of(text))))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().into()
    }
}

impl From<Text> for serde_json::Value {
    fn from(text: Text) -> Self {
        text.as_str().into()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Form::Inside(0, [0; INSIDE]))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Inside(len, bytes), Form::Inside(its_len, its)) => len == its_len && bytes == its,
            _ => self.as_str() == other.as_str(),
        }
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    /// The order of texts is that of their bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Told;
        impl Visitor<'_> for Told {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(Told)
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        (*text).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_stay_as_they_are() {
        for text in ["", "in", "CA:7A:0A:00:12:FF", "äöü ₿ äöü ₿ äöü", &"x".repeat(22), &"ä".repeat(12)]
        {
            let kept = Text::from(text);
            assert_eq!((kept.as_str(), kept == kept.clone(), kept == "other"), (text, true, false));
            let json = serde_json::to_string(&kept).unwrap();
            assert_eq!(json, serde_json::to_string(text).unwrap());
            assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), kept);
        }
        assert_eq!(format!("{:>4}|{:?}", Text::from("in"), Text::from("a\"b")), "  in|\"a\\\"b\"");
    }

    #[test]
    fn short_texts_take_no_room_of_their_own_and_long_ones_are_shared() {
        assert_eq!((size_of::<Text>(), size_of::<Option<Text>>()), (24, 24));
        assert!(matches!(Text::from("x".repeat(22)).0, Form::Inside(..)));
        let pool = "stratum+tcp://pool.example.com:3333";
        let (Form::Shared(one), Form::Shared(other)) = (Text::from(pool).0, Text::from(pool).0) else {
            panic!("a long text stands elsewhere");
        };
        assert!(Arc::ptr_eq(&one, &other));
    }
}
