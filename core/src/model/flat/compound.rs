use serde::{Serialize, ser};

use super::{
    serializer::{Member, Stopped},
    trie::Rule,
};

/// A list, member by member.
pub(super) struct List<'a> {
    pub of: Member<'a>,
    pub len: usize,
    /// The last item.
    pub last: Option<u32>,
    /// How much deeper its items are than what holds it.
    pub levels: usize,
}

impl List<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
        let node = self.of.trie.item(self.of.node, self.last, self.len);
        self.len += 1;
        self.last = Some(node);
        value.serialize(Member { trie: self.of.trie, found: self.of.found, node })
    }

    fn done(mut self) -> Result<(), Stopped> {
        self.of.found.depth -= 1;
        if self.len == 0 {
            self.of.raw("[]")?;
        }
        self.of.found.depth -= self.levels - 1;
        Ok(())
    }
}

/// An object, member by member.
pub(super) struct Object<'a> {
    pub of: Member<'a>,
    /// The last member.
    pub last: Option<u32>,
    pub levels: usize,
}

impl Object<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Stopped> {
        self.last = Some(self.of.trie.field(self.of.node, self.last, name));
        self.value(value)
    }

    fn name(&mut self, name: &str) {
        self.last = Some(self.of.trie.member(self.of.node, self.last, name));
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
        let Some(node) = self.last else { return Ok(()) };
        if self.of.trie.rule(node) == Rule::LeftOut {
            return Ok(());
        }
        value.serialize(Member { trie: self.of.trie, found: self.of.found, node })
    }

    fn done(mut self) -> Result<(), Stopped> {
        self.of.found.depth -= 1;
        if self.last.is_none() {
            self.of.raw("{}")?;
        }
        self.of.found.depth -= self.levels - 1;
        Ok(())
    }
}

macro_rules! list {
    ($($which:ident $item:ident),*) => {
        $(impl ser::$which for List<'_> {
            type Ok = ();
            type Error = Stopped;

            fn $item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
                self.item(value)
            }

            fn end(self) -> Result<(), Stopped> {
                self.done()
            }
        })*
    };
}

list!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! object {
    ($($which:ident),*) => {
        $(impl ser::$which for Object<'_> {
            type Ok = ();
            type Error = Stopped;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Stopped> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Stopped> {
                self.done()
            }
        })*
    };
}

object!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Object<'_> {
    type Ok = ();
    type Error = Stopped;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stopped> {
        key.serialize(Name(self))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
        self.value(value)
    }

    fn end(self) -> Result<(), Stopped> {
        self.done()
    }
}

/// The name of a member of a map: a text, or what JSON writes as one.
struct Name<'a, 'b>(&'a mut Object<'b>);

impl Name<'_, '_> {
    fn shown(self, name: impl ToString) -> Result<(), Stopped> {
        self.0.name(&name.to_string());
        Ok(())
    }

    fn never<T>(self) -> Result<T, Stopped> {
        Err(Stopped("a name in it is not a text".into()))
    }
}

macro_rules! shown {
    ($($method:ident $type:ty),*) => {
        $(fn $method(self, name: $type) -> Result<(), Stopped> {
            self.shown(name)
        })*
    };
}

type Never = ser::Impossible<(), Stopped>;

impl ser::Serializer for Name<'_, '_> {
    type Ok = ();
    type Error = Stopped;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    shown!(
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_char char
    );

    fn serialize_str(self, name: &str) -> Result<(), Stopped> {
        self.0.name(name);
        Ok(())
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

    fn serialize_f32(self, _: f32) -> Result<(), Stopped> {
        self.never()
    }

    fn serialize_f64(self, _: f64) -> Result<(), Stopped> {
        self.never()
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Stopped> {
        self.never()
    }

    fn serialize_none(self) -> Result<(), Stopped> {
        self.never()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stopped> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Stopped> {
        self.never()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stopped> {
        self.never()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Stopped> {
        self.never()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Never, Stopped> {
        self.never()
    }

    fn serialize_tuple(self, _: usize) -> Result<Never, Stopped> {
        self.never()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Never, Stopped> {
        self.never()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Stopped> {
        self.never()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Never, Stopped> {
        self.never()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Never, Stopped> {
        self.never()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Stopped> {
        self.never()
    }
}
