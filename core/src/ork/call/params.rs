use std::{borrow::Cow, collections::BTreeMap};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    Error, Result, ThingId,
    query::{Filter, Projection, Query},
    rack::RackId,
};

use super::OP;

/// Longest parameters that are looked at, in bytes: a file of 10 MiB in base64 and what stands beside it.
const MAX_BYTES: usize = 16 << 20;

/// Parameters of a call: the caller's text, and what it holds.
#[derive(Debug)]
pub(super) struct Params<'a> {
    text: &'a str,
    value: Value,
}

impl<'a> Params<'a> {
    pub fn parse(text: &'a str) -> Result<Self> {
        let wrong = |why| Error::invalid(OP, "params", why).code_as("ERR_FACS_NET_DATA_FORMAT");
        if text.len() > MAX_BYTES {
            return Err(wrong("more than 16 MiB"));
        }
        let text = if text.trim().is_empty() { "{}" } else { text };
        // The error's own text can quote what was sent.
        let value = serde_json::from_str(text).map_err(|_| wrong("not JSON"))?;
        Ok(if value == Value::Null {
            Self { text: "{}", value: Map::new().into() }
        } else {
            Self { text, value }
        })
    }

    pub fn value(self) -> Value {
        self.value
    }

    pub fn object(&self) -> Result<&Map<String, Value>> {
        self.value.as_object().ok_or_else(|| Error::invalid(OP, "params", "takes an object"))
    }

    /// The parameters as they came, when they are an object.
    pub fn body(&self) -> Result<&Value> {
        self.object().map(|_| &self.value)
    }

    /// A member that is there and not null.
    pub fn get(&self, member: &str) -> Result<Option<&Value>> {
        Ok(self.object()?.get(member).filter(|value| !value.is_null()))
    }

    pub fn text(&self, member: &'static str, code: &'static str) -> Result<&str> {
        let text = self.get(member)?.and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| Error::invalid(OP, member, "takes a text").code_as(code))
    }

    pub fn text_or_none(&self, member: &'static str) -> Result<Option<&str>> {
        let Some(value) = self.get(member)? else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| Error::invalid(OP, member, "takes a text"))
    }

    pub fn number_or_none(&self, member: &'static str) -> Result<Option<i64>> {
        let Some(value) = self.get(member)? else { return Ok(None) };
        whole(value).map(Some).ok_or_else(|| Error::invalid(OP, member, "takes a whole number"))
    }

    pub fn rack(&self) -> Result<RackId> {
        RackId::new(self.text("rackId", "ERR_RACK_ID_INVALID")?).map_err(|e| e.with("field", "rackId"))
    }

    pub fn rack_or_none(&self) -> Result<Option<RackId>> {
        if self.get("rackId")?.is_none() { Ok(None) } else { self.rack().map(Some) }
    }

    pub fn thing(&self, member: &'static str, code: &'static str) -> Result<ThingId> {
        let id = ThingId::new(self.text(member, code)?);
        id.map_err(|e| e.code_as(code).with("field", member))
    }

    pub fn fields(&self) -> Result<Projection> {
        self.get("fields")?.map_or_else(|| Projection::parse(&Map::new().into()), Projection::parse)
    }

    pub fn filter(&self) -> Result<Option<Filter>> {
        self.get("query")?.map(Filter::parse).transpose()
    }

    /// As a listing. It is read from the text: the order of a sort's keys stands only there.
    pub fn query(&self) -> Result<Query> {
        self.object()?;
        Query::parse_str(&self.unquoted())
    }

    /// The text with numbers that a URL made texts of.
    fn unquoted(&self) -> Cow<'_, str> {
        const NUMBERS: [&str; 3] = ["status", "offset", "limit"];
        let digits = |value: &Value| {
            let text = value.as_str().filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()));
            text?.parse::<u64>().ok()
        };
        let given: Vec<(&str, u64)> =
            NUMBERS.iter().filter_map(|name| Some((*name, digits(self.value.get(name)?)?))).collect();
        if given.is_empty() {
            return self.text.into();
        }
        let Ok(mut members) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(self.text) else {
            return self.text.into();
        };
        for (name, number) in given {
            if let Ok(raw) = serde_json::value::to_raw_value(&number) {
                members.insert(name.into(), raw);
            }
        }
        serde_json::to_string(&members).map_or(self.text.into(), Cow::from)
    }

    /// The text of one member that is there and not null.
    pub fn raw(&self, member: &str) -> Result<Option<String>> {
        if self.get(member)?.is_none() {
            return Ok(None);
        }
        let members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(self.text).map_err(|_| Error::invalid(OP, "params", "takes an object"))?;
        Ok(members.get(member).map(|raw| raw.get().to_owned()))
    }

    /// Members of a thing, with the codes that a rack has for them.
    pub fn thing_members<T: DeserializeOwned>(&self) -> Result<T> {
        self.read().map_err(|e| match e.fact("field").and_then(code_of_member) {
            Some(code) => e.code_as(code),
            None => e,
        })
    }

    /// The parameters as a type of their own.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.object()?;
        serde_path_to_error::deserialize(&self.value).map_err(|e| {
            // Its text can quote a password.
            Error::invalid(OP, &e.path().to_string(), "has the wrong type")
        })
    }
}

/// Code of the error for a member of a thing that has the wrong form; `path` begins with the member.
pub(in crate::ork) fn code_of_member(path: &str) -> Option<&'static str> {
    match path.split(['.', '[']).next() {
        Some("id") => Some("ERR_THING_ID_INVALID"),
        Some("code") => Some("ERR_THING_CODE_INVALID"),
        Some("tags") => Some("ERR_THING_TAGS_INVALID"),
        Some("opts") => Some("ERR_THING_VALIDATE_OPTS_INVALID"),
        Some("info") => Some("ERR_THING_VALIDATE_INFO_INVALID"),
        _ => None,
    }
}

/// A whole number, or the text that a URL made of one.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// What JavaScript takes for yes.
pub(super) fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(yes)) => *yes,
        Some(Value::Number(n)) => n.as_f64().is_some_and(|n| n != 0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}
