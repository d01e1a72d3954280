use std::sync::Arc;

use serde_json::Value;

use crate::{
    Error, Result,
    action::{Bare, Claims, Person},
    model::Text,
    query::Filter,
};

const OP: &str = "action.push";
const NAME_CHARS: usize = 64;
const PARAMS: usize = 32;
const PARAMS_BYTES: usize = 1 << 20;
const KEY_CHARS: usize = 128;
const WHY_CHARS: usize = 500;

/// Who acts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct By {
    /// The person.
    pub person: Person,
    /// The rights that come with the call, where claims are what counts.
    pub claims: Claims,
}

impl By {
    /// A person whose rights the site's principals know.
    pub fn new(person: Person) -> Self {
        Self { person, claims: Claims::default() }
    }

    /// A person with the rights that come with a call.
    pub const fn claiming(person: Person, claims: Claims) -> Self {
        Self { person, claims }
    }

    /// The caller in the body of a push, as MiningOS's gateway sends it: `voter` and `authPerms`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_VOTER_INVALID`, `ERR_PAYLOAD_AUTH_PERMS_REQUIRED` or
    /// `ERR_AUTH_PERMS_INVALID`.
    pub fn pushing(body: &Value) -> Result<Self> {
        Self::from_body(body, Bare::Refused)
    }

    /// The caller in the body of a vote. A bare name counts as writing: the gateway takes the levels off.
    ///
    /// # Errors
    /// As [`pushing`](Self::pushing).
    pub fn voting(body: &Value) -> Result<Self> {
        Self::from_body(body, Bare::CountAsWrite)
    }

    fn from_body(body: &Value, bare: Bare) -> Result<Self> {
        let person = Person::from_json(body.get("voter").unwrap_or(&Value::Null))?;
        let claims = Claims::parse(body.get("authPerms").unwrap_or(&Value::Null), bare)?;
        Ok(Self::claiming(person, claims))
    }
}

/// A write that somebody wants.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Draft {
    /// The action's name.
    pub action: Text,
    /// Its parameters.
    pub params: Arc<[Value]>,
    /// Which things, in the query language.
    pub query: Value,
    /// Only racks of this type, or of one that begins with it and a dash.
    pub rack_type: Option<Text>,
    /// The same key and the same body get the same answer, however often they come.
    pub client_key: Option<Text>,
    /// Why it is wanted; it goes into the audit log.
    pub why: Option<Text>,
}

impl Draft {
    /// The action `action` on the things that match `query`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_ACTION_INVALID`, `ERR_PARAMS_INVALID` or `ERR_QUERY_INVALID`.
    pub fn new(action: &str, params: Vec<Value>, query: Value) -> Result<Self> {
        let refused = |field, why: &str, code| Err(Error::invalid(OP, field, why).code_as(code));
        let plain = |c: char| !c.is_control() && !c.is_whitespace();
        if action.is_empty() || action.chars().count() > NAME_CHARS || !action.chars().all(plain) {
            return refused("action", "takes the name of an action", "ERR_ACTION_INVALID");
        }
        if params.len() > PARAMS {
            return refused("params", "takes at most 32 parameters", "ERR_PARAMS_INVALID");
        }
        if serde_json::to_vec(&params).map_or(usize::MAX, |json| json.len()) > PARAMS_BYTES {
            return refused("params", "takes at most 1 MiB", "ERR_PARAMS_INVALID");
        }
        if !query.is_object() {
            return refused("query", "takes an object", "ERR_QUERY_INVALID");
        }
        Filter::parse(&query).map_err(|e| e.code_as("ERR_QUERY_INVALID"))?;
        Ok(Self {
            action: action.into(),
            params: params.into(),
            query,
            rack_type: None,
            client_key: None,
            why: None,
        })
    }

    /// The draft in the body of a push: `query`, `action`, `params`, `rackType?`, `clientKey?`, `why?`.
    ///
    /// # Errors
    /// As [`new`](Self::new), in the order in which MiningOS looks.
    pub fn from_body(body: &Value) -> Result<Self> {
        let refused = |field, why: &str, code| Error::invalid(OP, field, why).code_as(code);
        let query = body.get("query").cloned().unwrap_or(Value::Null);
        if !query.is_object() {
            return Err(refused("query", "takes an object", "ERR_QUERY_INVALID"));
        }
        let action = body.get("action").and_then(Value::as_str).unwrap_or_default();
        let Some(params) = body.get("params").and_then(Value::as_array) else {
            let first = Self::new(action, Vec::new(), query).err();
            return Err(first.unwrap_or_else(|| refused("params", "takes a list", "ERR_PARAMS_INVALID")));
        };
        let mut draft = Self::new(action, params.clone(), query)?;
        draft.rack_type = text(body, "rackType")?;
        draft.client_key = text(body, "clientKey")?;
        draft.why = reason(body.get("why").and_then(Value::as_str))?;
        Ok(draft)
    }
}

/// A reason as it goes into the audit log.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_WHY_INVALID` above 500 characters or with control characters.
pub(super) fn reason(why: Option<&str>) -> Result<Option<Text>> {
    let fits = |why: &str| why.chars().count() <= WHY_CHARS && !why.contains(char::is_control);
    match why {
        Some(why) if !fits(why) => {
            let text = "a reason has at most 500 characters, and none that controls";
            Err(Error::invalid("action", "why", text).code_as("ERR_WHY_INVALID"))
        }
        why => Ok(why.filter(|why| !why.is_empty()).map(Text::from)),
    }
}

/// A name that a caller gives to a push, a vote or a batch.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_PAYLOAD_INVALID` unless it has 1 to 128 characters and none that
/// controls.
pub(super) fn label(member: &'static str, label: Option<&Text>) -> Result<()> {
    let fits = |text: &Text| {
        !text.is_empty() && text.chars().count() <= KEY_CHARS && !text.contains(char::is_control)
    };
    if label.is_none_or(fits) {
        return Ok(());
    }
    Err(Error::invalid(OP, member, "takes a text of 1 to 128 characters").code_as("ERR_PAYLOAD_INVALID"))
}

/// A text of the body that is there and not null.
pub(super) fn text(body: &Value, member: &'static str) -> Result<Option<Text>> {
    let Some(value) = body.get(member).filter(|value| !value.is_null()) else { return Ok(None) };
    let wrong =
        || Error::invalid(OP, member, "takes a text of 1 to 128 characters").code_as("ERR_PAYLOAD_INVALID");
    let text = value.as_str().map(Text::from).ok_or_else(wrong)?;
    label(member, Some(&text))?;
    Ok(Some(text))
}

/// How drafts are pushed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchOptions {
    /// Names the batch; `<ms>-` is put before it.
    pub uid: Option<Text>,
    /// Put behind it, after a dash.
    pub suffix: Option<Text>,
    /// Whether all are pushed or none.
    pub all_or_nothing: bool,
}
