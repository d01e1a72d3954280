//! A snapshot on its way to JavaScript, parted into its form, which things of one kind share, and its values.
//!
//! Names and nesting are most of a snapshot's JSON and of the time that reading it takes. JavaScript reads a form once, and of
//! each snapshot only the list of its values.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use foldhash::HashMap;
use headframe::{Error, ErrorKind};
use napi_derive::napi;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use crate::told::{Ours, write};

/// Forms that are known; a snapshot of another one goes whole.
const MOST: usize = 1 << 10;
/// Bytes that the values of most snapshots fit in, and their form.
const USUAL: usize = 4 << 10;

static FORMS: LazyLock<Mutex<Forms>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Forms {
    numbers: HashMap<Arc<str>, usize>,
    texts: Vec<Arc<str>>,
}

/// The JSON with the place of each text, number, boolean and null in the list in its stead, by its number.
#[napi]
pub fn form(number: u32) -> Option<String> {
    let forms = FORMS.lock().unwrap_or_else(PoisonError::into_inner);
    forms.texts.get(number as usize).map(|form| form.to_string())
}

/// The JSON of `value` as a list: the number of its form and its values in order, or null and all of it.
pub fn parted<T: Serialize>(value: &T) -> Ours<String> {
    let (mut form, mut values) = (Vec::with_capacity(USUAL), Vec::with_capacity(USUAL));
    let parting = Parting { form: &mut form, values: 0, in_name: false };
    value.serialize(&mut Serializer::with_formatter(&mut values, parting)).map_err(failed)?;
    let text = |bytes| String::from_utf8(bytes).map_err(failed);
    let number = FORMS.lock().unwrap_or_else(PoisonError::into_inner).number(&text(form)?);
    match number {
        Some(number) => Ok(format!("[{number}{}]", text(values)?)),
        None => Ok(format!("[null,{}]", write(value)?)),
    }
}

fn failed(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "node.write", "a snapshot cannot be written as JSON").caused_by(e)
}

impl Forms {
    fn number(&mut self, form: &str) -> Option<usize> {
        if let Some(number) = self.numbers.get(form) {
            return Some(*number);
        }
        // Such a name cannot be given to an object of JavaScript like another.
        if self.texts.len() == MOST || form.contains("\"__proto__\"") {
            return None;
        }
        let form: Arc<str> = form.into();
        self.texts.push(Arc::clone(&form));
        self.numbers.insert(form, self.texts.len() - 1);
        Some(self.texts.len() - 1)
    }
}

/// Writes values alone, with a comma before each; all else goes to the form. Places stand there because JavaScript puts names
/// that are numbers first.
struct Parting<'f> {
    form: &'f mut Vec<u8>,
    /// How many there were.
    values: u32,
    in_name: bool,
}

impl Parting<'_> {
    fn put(&mut self, sign: u8) -> io::Result<()> {
        self.form.push(sign);
        Ok(())
    }

    fn put_unless(&mut self, first: bool, sign: u8) -> io::Result<()> {
        if first { Ok(()) } else { self.put(sign) }
    }

    fn begin_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.values += 1;
        CompactFormatter.write_u32(self.form, self.values)?;
        writer.write_all(b",")
    }
}

/// Scalars: values, or a part of a name.
macro_rules! scalars {
    ($($method:ident($($value:ident: $type:ty)?)),*) => {
        $(fn $method<W: io::Write + ?Sized>(&mut self, writer: &mut W $(, $value: $type)?) -> io::Result<()> {
            if self.in_name {
                return CompactFormatter.$method(self.form $(, $value)?);
            }
            self.begin_value(writer)?;
            CompactFormatter.$method(writer $(, $value)?)
        })*
    };
}

/// Pieces of a text: of a value, or of a name.
macro_rules! pieces {
    ($($method:ident($($piece:ident: $type:ty)?)),*) => {
        $(fn $method<W: io::Write + ?Sized>(&mut self, writer: &mut W $(, $piece: $type)?) -> io::Result<()> {
            if self.in_name {
                return CompactFormatter.$method(self.form $(, $piece)?);
            }
            CompactFormatter.$method(writer $(, $piece)?)
        })*
    };
}

impl Formatter for Parting<'_> {
    scalars!(
        write_null(), write_bool(v: bool), write_i8(v: i8), write_i16(v: i16), write_i32(v: i32), write_i64(v: i64),
        write_i128(v: i128), write_u8(v: u8), write_u16(v: u16), write_u32(v: u32), write_u64(v: u64),
        write_u128(v: u128), write_f32(v: f32), write_f64(v: f64), write_number_str(v: &str),
        write_raw_fragment(v: &str), begin_string()
    );

    pieces!(write_string_fragment(piece: &str), write_char_escape(piece: CharEscape), end_string());

    fn begin_array<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b'[')
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b']')
    }

    fn begin_array_value<W: io::Write + ?Sized>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.put_unless(first, b',')
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b'{')
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b'}')
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.in_name = true;
        self.put_unless(first, b',')
    }

    fn end_object_key<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_name = false;
        Ok(())
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b':')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Number, Value, json};

    use super::*;

    /// What JavaScript makes of it.
    fn whole(parted: &str) -> Value {
        let Ok(Value::Array(list)) = serde_json::from_str(parted) else { panic!("{parted} is no list") };
        let Some(number) = list[0].as_u64() else { return list[1].clone() };
        let mut made = serde_json::from_str(&form(number as u32).unwrap()).unwrap();
        assert_eq!(fill(&mut made, &list), list.len() - 1);
        made
    }

    fn fill(form: &mut Value, list: &[Value]) -> usize {
        match form {
            Value::Array(items) => items.iter_mut().map(|v| fill(v, list)).sum(),
            Value::Object(members) => members.values_mut().map(|v| fill(v, list)).sum(),
            place => {
                *place = list[place.as_u64().unwrap() as usize].clone();
                1
            }
        }
    }

    #[test]
    fn things_of_one_kind_share_a_form() {
        let of = |watts: i64, who: &str| parted(&json!({"by": [who, null], "none": {}, "w": watts})).unwrap();
        let (a, b) = (of(5, "a,\\\"]:x"), of(-61, "{"));
        let number = |parted: &str| parted[1..].split(',').next().map(str::to_owned);
        assert_eq!(number(&a), number(&b));
        assert_eq!(whole(&a), json!({"w": 5, "by": ["a,\\\"]:x", null], "none": {}}));
        assert_eq!(whole(&b), json!({"w": -61, "by": ["{", null], "none": {}}));
    }

    #[test]
    fn numbers_as_names_are_names() {
        let of = std::collections::BTreeMap::from([(7, true), (19, false)]);
        assert_eq!(whole(&parted(&of).unwrap()), json!({"7": true, "19": false}));
    }

    #[test]
    fn a_name_that_javascript_has_a_use_for_goes_whole() {
        let of = json!({"__proto__": {"a": 1}});
        assert_eq!(parted(&of).unwrap(), r#"[null,{"__proto__":{"a":1}}]"#);
    }

    #[test]
    fn forms_are_bounded() {
        let mut forms = Forms::default();
        for i in 0..MOST {
            assert_eq!(forms.number(&format!("{{\"{i}\":0}}")), Some(i));
        }
        assert_eq!((forms.number("{}"), forms.number("{\"7\":0}")), (None, Some(7)));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|x| Number::from_f64(x).map_or(Value::Null, Value::from)),
            "[\\\\\"a-c{}:,\\[\\]\u{7}é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec(("[\\\\\"a-c{}:,]{0,3}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_parted_can_be_put_together(value in value()) {
            let read: Value = serde_json::from_str(&value.to_string()).unwrap();
            prop_assert_eq!(whole(&parted(&value).unwrap()), read);
        }
    }
}
