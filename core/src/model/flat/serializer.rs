use std::fmt;

use serde::{Serialize, Serializer, ser};

use super::{
    DEEPEST, Found,
    compound::{List, Object},
    trie::{Rule, Trie},
};
use crate::units::shortest;

/// Whole numbers up to this size survive a 64-bit float unchanged.
const EXACT: u64 = 1 << 53;

/// Why a value cannot be made flat.
#[derive(Debug)]
pub(super) struct Stopped(pub String);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stopped {}

impl ser::Error for Stopped {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// One member, which is about to say what it is.
pub(super) struct Member<'a> {
    pub trie: &'a mut Trie,
    pub found: &'a mut Found,
    pub node: u32,
}

impl<'a> Member<'a> {
    fn at_root(&self) -> bool {
        self.found.depth == 0
    }

    fn number(self, value: f64, exact: bool) -> Result<(), Stopped> {
        if self.at_root() {
            return Err(no_object());
        }
        let Some(node) = self.trie.node(self.node) else { return Ok(()) };
        if !value.is_finite() {
            self.found.not_finite += 1;
            self.found.texts.raw(&node.label, "null");
        } else if exact && node.rule == Rule::Measured {
            self.found.nodes.push(self.node);
            self.found.values.push(value);
        } else {
            self.found.texts.shown(&node.label, value);
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "not within the exact range")]
    fn whole(self, value: impl Into<i128>) -> Result<(), Stopped> {
        let value = value.into();
        let exact = value.unsigned_abs() <= u128::from(EXACT);
        let told = self.trie.node(self.node).is_none_or(|node| node.rule != Rule::Measured);
        if exact && !told { self.number(value as f64, true) } else { self.shown(value) }
    }

    fn shown(self, value: impl fmt::Display) -> Result<(), Stopped> {
        if self.at_root() {
            return Err(no_object());
        }
        if let Some(node) = self.trie.node(self.node) {
            self.found.texts.shown(&node.label, value);
        }
        Ok(())
    }

    /// A value that is JSON already; an empty object may be the whole value.
    pub fn raw(&mut self, json: &str) -> Result<(), Stopped> {
        if self.at_root() {
            return if json == "{}" { Ok(()) } else { Err(no_object()) };
        }
        if let Some(node) = self.trie.node(self.node) {
            self.found.texts.raw(&node.label, json);
        }
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), Stopped> {
        self.found.depth += 1;
        if self.found.depth > DEEPEST { Err(Stopped("it is nested too deep".into())) } else { Ok(()) }
    }

    fn list(mut self) -> Result<List<'a>, Stopped> {
        if self.at_root() {
            return Err(no_object());
        }
        self.deeper()?;
        Ok(List { of: self, len: 0, last: None, levels: 1 })
    }

    fn object(mut self) -> Result<Object<'a>, Stopped> {
        self.deeper()?;
        Ok(Object { of: self, last: None, levels: 1 })
    }

    /// The only member of an object, named after a variant.
    fn variant(mut self, variant: &str) -> Result<Self, Stopped> {
        self.deeper()?;
        self.node = self.trie.member(self.node, None, variant);
        Ok(self)
    }
}

fn no_object() -> Stopped {
    Stopped("its JSON is not an object".into())
}

impl<'a> Serializer for Member<'a> {
    type Ok = ();
    type Error = Stopped;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Object<'a>;
    type SerializeStructVariant = Object<'a>;

    fn serialize_bool(mut self, v: bool) -> Result<(), Stopped> {
        self.raw(if v { "true" } else { "false" })
    }

    fn serialize_i8(self, v: i8) -> Result<(), Stopped> {
        self.number(f64::from(v), true)
    }

    fn serialize_i16(self, v: i16) -> Result<(), Stopped> {
        self.number(f64::from(v), true)
    }

    fn serialize_i32(self, v: i32) -> Result<(), Stopped> {
        self.number(f64::from(v), true)
    }

    #[allow(clippy::cast_precision_loss, reason = "checked")]
    fn serialize_i64(self, v: i64) -> Result<(), Stopped> {
        if v.unsigned_abs() <= EXACT { self.number(v as f64, true) } else { self.shown(v) }
    }

    fn serialize_i128(self, v: i128) -> Result<(), Stopped> {
        self.whole(v)
    }

    fn serialize_u8(self, v: u8) -> Result<(), Stopped> {
        self.number(f64::from(v), true)
    }

    fn serialize_u16(self, v: u16) -> Result<(), Stopped> {
        self.number(f64::from(v), true)
    }

    fn serialize_u32(self, v: u32) -> Result<(), Stopped> {
        self.number(f64::from(v), true)
    }

    #[allow(clippy::cast_precision_loss, reason = "checked")]
    fn serialize_u64(self, v: u64) -> Result<(), Stopped> {
        if v <= EXACT { self.number(v as f64, true) } else { self.shown(v) }
    }

    fn serialize_u128(self, v: u128) -> Result<(), Stopped> {
        match i128::try_from(v) {
            Ok(v) => self.whole(v),
            Err(_) => self.shown(v),
        }
    }

    fn serialize_f32(self, v: f32) -> Result<(), Stopped> {
        self.number(shortest(v), true)
    }

    fn serialize_f64(self, v: f64) -> Result<(), Stopped> {
        self.number(v, true)
    }

    fn serialize_char(self, v: char) -> Result<(), Stopped> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<(), Stopped> {
        if self.at_root() {
            return Err(no_object());
        }
        if let Some(node) = self.trie.node(self.node) {
            self.found.texts.text(&node.label, v);
        }
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), Stopped> {
        v.serialize(self)
    }

    fn serialize_none(self) -> Result<(), Stopped> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stopped> {
        value.serialize(self)
    }

    fn serialize_unit(mut self) -> Result<(), Stopped> {
        self.raw("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stopped> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Stopped> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Stopped> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Stopped> {
        let mut object = self.object()?;
        ser::SerializeStruct::serialize_field(&mut object, variant, value)?;
        ser::SerializeStruct::end(object)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, Stopped> {
        self.list()
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>, Stopped> {
        self.list()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'a>, Stopped> {
        self.list()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'a>, Stopped> {
        let mut list = self.variant(variant)?.list()?;
        list.levels = 2;
        Ok(list)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Object<'a>, Stopped> {
        self.object()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Object<'a>, Stopped> {
        self.object()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Object<'a>, Stopped> {
        let mut object = self.variant(variant)?.object()?;
        object.levels = 2;
        Ok(object)
    }
}
