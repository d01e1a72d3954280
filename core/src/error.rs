//! The one error type of Headframe.
//!
//! [`ErrorKind`] tells the caller what to do, [`Sent`] whether a device or the store may have been changed, `code` is
//! stable text for machines. The message is for people and is not part of the API.

use std::{collections::BTreeMap, error::Error as StdError, fmt};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// Result with Headframe's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument, a configuration or a range is wrong: correct it. The field is named in the context.
    Invalid,
    /// The thing, rack or action does not exist.
    NotFound,
    /// The state changed meanwhile, or the thing exists already: read again.
    Conflict,
    /// This device, model or firmware cannot do it: ask [`Capability`](crate::model::Capability) first.
    Unsupported,
    /// The credentials are missing or wrong.
    Unauthenticated,
    /// The credentials are right but do not allow it.
    Forbidden,
    /// No connection: powered off, wrong address, or the port is closed.
    Unreachable,
    /// The deadline passed.
    Timeout,
    /// Too many requests: wait before the next.
    RateLimited,
    /// The device understood and refused; its reason is in the message.
    Rejected,
    /// The reply could not be understood.
    BadReply,
    /// Stored data failed a check.
    Corrupt,
    /// The handle, collector or connection was closed.
    Closed,
    /// A defect of Headframe itself.
    Internal,
}

impl ErrorKind {
    /// The stable code used where an error names none of its own.
    pub const fn default_code(self) -> &'static str {
        match self {
            Self::Invalid => "ERR_INVALID",
            Self::NotFound => "ERR_NOT_FOUND",
            Self::Conflict => "ERR_CONFLICT",
            Self::Unsupported => "ERR_UNSUPPORTED",
            Self::Unauthenticated => "ERR_UNAUTHENTICATED",
            Self::Forbidden => "ERR_FORBIDDEN",
            Self::Unreachable => "ERR_OFFLINE",
            Self::Timeout => "ERR_TIMEOUT",
            Self::RateLimited => "ERR_RATE_LIMITED",
            Self::Rejected => "ERR_REJECTED",
            Self::BadReply => "ERR_BAD_REPLY",
            Self::Corrupt => "ERR_CORRUPT",
            Self::Closed => "ERR_CLOSED",
            Self::Internal => "ERR_INTERNAL",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate limited",
            Self::Rejected => "rejected",
            Self::BadReply => "bad reply",
            Self::Corrupt => "corrupt",
            Self::Closed => "closed",
            Self::Internal => "internal",
        }
    }
}

/// Whether a write may have taken effect before the error: reached the device, or become durable in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sent {
    /// Certainly not: the device or the store is as it was, and the write can be tried again.
    No,
    /// Possibly: settle it by reading the device or the record back before anything is sent again.
    Maybe,
}

/// What failed, on which thing, and what to do.
///
/// `Display` reads `op: kind: message (key=value, …)`; sources follow through
/// [`std::error::Error::source`]. Its JSON is `{code, kind, op, message, sent, retryable, context}` in every language;
/// `message` is there all that `Display` shows.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    sent: Sent,
    code: &'static str,
    op: &'static str,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind` raised by the operation `op` (a short constant such as `"whatsminer.summary"`).
    pub fn new(kind: ErrorKind, op: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            sent: Sent::No,
            code: kind.default_code(),
            op,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// [`ErrorKind::Invalid`], naming the wrong field.
    pub fn invalid(op: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, op, message).with("field", field)
    }

    /// [`ErrorKind::Unsupported`] for a command that this device does not have.
    pub fn unsupported(op: &'static str, what: &str) -> Self {
        Self::new(ErrorKind::Unsupported, op, format!("{what} is not supported by this device"))
    }

    /// Replaces the code derived from the kind, for the codes MiningOS defines itself.
    #[must_use]
    pub fn code_as(mut self, code: &'static str) -> Self {
        self.0.code = code;
        self
    }

    /// Marks that the write may have taken effect.
    #[must_use]
    pub fn maybe_sent(mut self) -> Self {
        self.0.sent = Sent::Maybe;
        self
    }

    /// Adds a fact such as `("address", "10.0.0.7:4028")`. Never pass a secret.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a device or the store may have been changed.
    pub fn sent(&self) -> Sent {
        self.0.sent
    }

    /// Stable code for machines, `ERR_…`.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The operation that failed.
    pub fn op(&self) -> &'static str {
        self.0.op
    }

    /// Text for people; not stable.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Facts in the order in which they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(k, v)| (*k, v.as_str()))
    }

    /// The last value of one fact.
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.0.context.iter().rev().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }

    /// True when the same call may succeed later without a change by the caller, and repeating it is safe.
    pub fn retryable(&self) -> bool {
        self.0.sent == Sent::No
            && matches!(
                self.0.kind,
                ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::RateLimited | ErrorKind::Conflict
            )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.0.op, self.0.kind.words(), self.0.message)?;
        for (i, (key, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { " (" } else { ", " })?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        if self.0.sent == Sent::Maybe {
            f.write_str(" [it may have taken effect]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{}]", self.0.code)?;
        match &self.0.source {
            Some(source) => write!(f, " caused by: {source}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let context: BTreeMap<_, _> = self.context().collect();
        let mut told = serializer.serialize_struct("Error", 7)?;
        told.serialize_field("code", self.code())?;
        told.serialize_field("kind", &self.kind())?;
        told.serialize_field("op", self.op())?;
        told.serialize_field("message", &format_args!("{self}"))?;
        told.serialize_field("sent", &self.sent())?;
        told.serialize_field("retryable", &self.retryable())?;
        told.serialize_field("context", &context)?;
        told.end()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_operation_kind_and_facts() {
        let e = Error::invalid("scan.range", "range", "'10.0.0.0/99' is not a network").with("index", 2);
        assert_eq!(
            e.to_string(),
            "scan.range: invalid: '10.0.0.0/99' is not a network (field=range, index=2)"
        );
        assert_eq!(e.code(), "ERR_INVALID");
        assert_eq!(e.fact("field"), Some("range"));
        assert!(!e.retryable());
    }

    #[test]
    fn a_write_that_may_have_arrived_is_not_retryable() {
        let e = Error::new(ErrorKind::Timeout, "whatsminer.reboot", "no reply before the deadline");
        assert!(e.retryable());
        let e = e.maybe_sent();
        assert!(!e.retryable());
        assert_eq!(e.sent(), Sent::Maybe);
        assert!(e.to_string().ends_with("[it may have taken effect]"));
        let e = Error::new(ErrorKind::Unreachable, "store.commit", "the disk failed").maybe_sent();
        assert_eq!(e.to_string(), "store.commit: unreachable: the disk failed [it may have taken effect]");
    }

    #[test]
    fn debug_shows_code_and_cause() {
        let io = std::io::Error::other("broken pipe");
        let e = Error::new(ErrorKind::Unreachable, "net.tcp", "no route").caused_by(io);
        assert_eq!(format!("{e:?}"), "net.tcp: unreachable: no route [ERR_OFFLINE] caused by: broken pipe");
    }

    #[test]
    fn its_json_says_all_but_the_cause() {
        let e = Error::new(ErrorKind::BadReply, "net.tcp", "cut")
            .with("address", "10.0.0.7:4028")
            .with("after", 3)
            .maybe_sent()
            .caused_by(std::io::Error::other("broken pipe"));
        let told = serde_json::json!({
            "code": "ERR_BAD_REPLY", "kind": "BadReply", "op": "net.tcp", "sent": "maybe", "retryable": false,
            "message": "net.tcp: bad reply: cut (address=10.0.0.7:4028, after=3) [it may have taken effect]",
            "context": {"address": "10.0.0.7:4028", "after": "3"},
        });
        assert_eq!(serde_json::to_value(&e).unwrap(), told);
    }

    #[test]
    fn error_is_one_pointer_wide_and_shareable() {
        fn shareable<T: Send + Sync + 'static>() {}
        shareable::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
