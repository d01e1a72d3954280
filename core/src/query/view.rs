use std::{borrow::Cow, convert::Infallible};

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value};

use super::{
    hidden::View,
    path,
    project::{Branch, Mode},
};

/// What a projection gives of a value, seen in the document itself: nothing is copied until it is asked for.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    /// The value without what is hidden.
    Whole(View<'a>, &'a Value),
    /// Some elements of an array, without what is hidden.
    Items(View<'a>, &'a [Value]),
    /// What a branch of the projection gives of an object or array.
    Part(Mode, &'a Branch, View<'a>, &'a Value),
}

impl<'a> Shown<'a> {
    pub(super) const NULL: Self = Self::Whole(View::NOTHING, &Value::Null);

    pub(super) fn whole(value: &'a Value) -> Self {
        Self::Whole(View::NOTHING, value)
    }

    /// The value that it is seen in.
    fn container(self) -> Option<&'a Value> {
        match self {
            Self::Whole(_, value) | Self::Part(.., value) => Some(value),
            Self::Items(..) => None,
        }
    }

    pub(super) fn is_object(self) -> bool {
        self.container().is_some_and(Value::is_object)
    }

    /// Gives `each` the members of an object in ascending order, until one fails.
    pub(super) fn members<E>(self, mut each: impl FnMut(&'a str, Self) -> Result<(), E>) -> Result<(), E> {
        let Some(Value::Object(members)) = self.container() else { return Ok(()) };
        match self {
            Self::Part(mode @ Mode::Include, branch, view, _) => {
                branch.named(mode, view, members).try_for_each(|(name, member)| each(name, member))
            }
            Self::Part(mode, branch, view, _) => members.iter().try_for_each(|(name, value)| {
                let shown = view.member(name).and_then(|below| branch.member(mode, name, below, value));
                shown.map_or(Ok(()), |member| each(name, member))
            }),
            Self::Whole(view, _) => members.iter().try_for_each(|(name, value)| {
                view.member(name).map_or(Ok(()), |below| each(name, Self::Whole(below, value)))
            }),
            Self::Items(..) => Ok(()),
        }
    }

    /// Gives `each` the elements of an array in their order, until one fails.
    fn items<E>(self, mut each: impl FnMut(Self) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Items(view, items) => items.iter().try_for_each(|item| each(Self::Whole(view, item))),
            Self::Whole(view, Value::Array(items)) => Self::Items(view, items).items(each),
            Self::Part(mode, branch, view, Value::Array(items)) => {
                let mut places = items.iter().enumerate();
                places.try_for_each(|(at, item)| match branch.item(mode, at, view, item) {
                    Some(item) => each(item),
                    None => Ok(()),
                })
            }
            Self::Whole(..) | Self::Part(..) => Ok(()),
        }
    }

    /// An object's member.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        let Some(Value::Object(members)) = self.container() else { return None };
        let value = || path::member(members, name);
        match self {
            Self::Whole(view, _) => Some(Self::Whole(view.member(name)?, value()?)),
            // What is not named needs no look into the document.
            Self::Part(Mode::Include, branch, ..) if branch.child(name).is_none() => None,
            Self::Part(mode, branch, view, _) => branch.member(mode, name, view.member(name)?, value()?),
            Self::Items(..) => None,
        }
    }

    /// The value at a dotted path of members and elements.
    pub(super) fn at(self, path: &str) -> Option<Self> {
        path.split('.').try_fold(self, |shown, part| {
            if shown.is_object() {
                return shown.member(part);
            }
            let mut left = part.parse::<usize>().ok()?;
            let element = shown.items(|item| {
                if left == 0 {
                    return Err(item);
                }
                left -= 1;
                Ok(())
            });
            element.err()
        })
    }

    /// The same as a value of its own, borrowed where it stands so in the document.
    pub(super) fn value(self) -> Cow<'a, Value> {
        match self {
            Self::Whole(view, value) => view.visible(value),
            _ => Cow::Owned(self.to_value()),
        }
    }

    /// The same as a value of its own.
    pub(super) fn to_value(self) -> Value {
        match (self, self.container()) {
            (Self::Whole(view, value), _) => view.copy(value),
            (_, Some(Value::Object(_))) => {
                let mut members = Map::new();
                let Ok(()) = self.members::<Infallible>(|name, member| {
                    members.insert(name.to_owned(), member.to_value());
                    Ok(())
                });
                Value::Object(members)
            }
            _ => {
                let mut items = Vec::new();
                let Ok(()) = self.items::<Infallible>(|item| {
                    items.push(item.to_value());
                    Ok(())
                });
                Value::Array(items)
            }
        }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (*self, self.container()) {
            (Self::Whole(view, value), _) if !view.hides_something() => value.serialize(serializer),
            (_, Some(Value::Object(_))) => {
                let mut map = serializer.serialize_map(None)?;
                self.members(|name, member| map.serialize_entry(name, &member))?;
                map.end()
            }
            (_, None | Some(Value::Array(_))) => {
                let mut seq = serializer.serialize_seq(None)?;
                self.items(|item| seq.serialize_element(&item))?;
                seq.end()
            }
            (_, Some(value)) => value.serialize(serializer),
        }
    }
}
