//! Replies as the device sends them, in one typed pass. Every member is lenient: a wrong type reads as absent.
//!
//! Reports (`summary`, `pools`, …) carry a list under their own name, the others one object under `Msg`. A joined
//! reply holds the complete ordinary reply of each command in a list of one.

use std::{fmt, marker::PhantomData};

use super::reply::{Details, Dev, ErrorList, Info, Pool, Psu, Status, Summary, Version};
use headframe_core::{
    Error, ErrorKind,
    codec::{
        cgminer::{self, ReplyEnd, StatusBlock},
        lenient,
    },
    model::MissingReason,
};
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor,
        value::MapAccessDeserializer,
    },
};

/// Operation of errors about replies.
pub(super) const READ: &str = "whatsminer.read";

/// The commands that the driver sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Summary,
    Edevs,
    Devs,
    Pools,
    Status,
    Errors,
    Version,
    Info,
    Details,
    Psu,
}

impl Ask {
    pub const ALL: [Self; 10] = [
        Self::Summary,
        Self::Edevs,
        Self::Devs,
        Self::Pools,
        Self::Status,
        Self::Errors,
        Self::Version,
        Self::Info,
        Self::Details,
        Self::Psu,
    ];

    /// The command's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Edevs => "edevs",
            Self::Devs => "devs",
            Self::Pools => "pools",
            Self::Status => "status",
            Self::Errors => "get_error_code",
            Self::Version => "get_version",
            Self::Info => "get_miner_info",
            Self::Details => "devdetails",
            Self::Psu => "get_psu",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ask| ask.name() == name)
    }
}

/// Why a command gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::whatsminer) enum Failure {
    /// Not asked, or asked and not answered.
    Silent,
    /// Code 14: the firmware does not have the command.
    Unknown,
    /// Code 45, or any other refusal.
    Denied,
    /// Not understood.
    Garbled,
}

impl Failure {
    /// The reason that stands in a snapshot.
    pub const fn reason(self) -> MissingReason {
        match self {
            Self::Silent => MissingReason::NoReply,
            Self::Unknown | Self::Denied => MissingReason::Refused,
            Self::Garbled => MissingReason::BadReply,
        }
    }
}

/// What a command gave.
pub(in crate::whatsminer) type Got<T> = Result<T, Failure>;

/// Ignores every scalar.
macro_rules! scalars_are {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

/// Reads a member's name and turns it into what the function says, without a copy.
struct Named<F>(F);

impl<'de, R, F: FnOnce(&str) -> R> DeserializeSeed<'de> for Named<F> {
    type Value = R;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<R, D::Error> {
        d.deserialize_str(self)
    }
}

impl<R, F: FnOnce(&str) -> R> Visitor<'_> for Named<F> {
    type Value = R;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E>(self, name: &str) -> Result<R, E> {
        Ok((self.0)(name))
    }
}

/// What one command's reply carries beside its status.
pub(in crate::whatsminer) trait Payload: Sized {
    /// The member that holds it.
    const KEY: &'static str;
    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error>;
}

/// The ordinary reply of one command; also in a list of one, as joined replies have it. Anything else is empty.
#[derive(Debug)]
pub(in crate::whatsminer) struct Part<T> {
    status: StatusBlock,
    code: Option<i64>,
    body: Option<T>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { status: StatusBlock::default(), code: None, body: None }
    }
}

impl<T> Part<T> {
    /// What the reply gave. Some refusals come without any status, some with a body of an older one.
    pub fn judge(self) -> Got<T> {
        let refused = matches!(self.status.letter, 'E' | 'F');
        match (self.body, self.code.or(self.status.code)) {
            (_, Some(14)) => Err(Failure::Unknown),
            (_, Some(45)) => Err(Failure::Denied),
            _ if refused => Err(Failure::Denied),
            (Some(body), _) => Ok(body),
            (None, _) => Err(Failure::Garbled),
        }
    }
}

impl<'de, T: Payload> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(PartVisitor(PhantomData))
    }
}

struct PartVisitor<T>(PhantomData<T>);

enum PartKey {
    Status,
    Code,
    Body,
    Other,
}

impl<'de, T: Payload> Visitor<'de> for PartVisitor<T> {
    type Value = Part<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reply")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part<T>, A::Error> {
        let mut part = Part::default();
        let key = |name: &str| match name {
            "STATUS" => PartKey::Status,
            "Code" => PartKey::Code,
            name if name == T::KEY => PartKey::Body,
            _ => PartKey::Other,
        };
        while let Some(key) = map.next_key_seed(Named(key))? {
            match key {
                PartKey::Status => part.status = map.next_value()?,
                PartKey::Code => part.code = map.next_value::<Whole>()?.0,
                PartKey::Body => part.body = map.next_value_seed(Body(PhantomData))?,
                PartKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(part)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part<T>, A::Error> {
        let first = seq.next_element()?.unwrap_or_default();
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }

    fn visit_str<E>(self, _: &str) -> Result<Part<T>, E> {
        Ok(Part::default())
    }

    scalars_are!(Part::default());
}

struct Body<T>(PhantomData<T>);

impl<'de, T: Payload> DeserializeSeed<'de> for Body<T> {
    type Value = Option<T>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<T>, D::Error> {
        T::read(d)
    }
}

#[derive(Deserialize)]
struct Whole(#[serde(deserialize_with = "lenient::i64_opt")] Option<i64>);

/// The replies of one poll; `None` was not answered.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// Whether it has a status of its own, as ordinary replies have and joined ones do not.
    pub ordinary: bool,
    pub summary: Option<Got<Summary>>,
    pub edevs: Option<Got<Vec<Dev>>>,
    pub devs: Option<Got<Vec<Dev>>>,
    pub pools: Option<Got<Vec<Pool>>>,
    pub status: Option<Got<Status>>,
    pub errors: Option<Got<ErrorList>>,
    pub version: Option<Got<Version>>,
    pub info: Option<Got<Info>>,
    pub details: Option<Got<Details>>,
    pub psu: Option<Got<Psu>>,
}

/// Does the same with the member of `$replies` that belongs to `$ask`.
macro_rules! member {
    ($replies:expr, $ask:expr, $slot:ident => $what:expr) => {
        match $ask {
            Ask::Summary => {
                let $slot = &mut $replies.summary;
                $what
            }
            Ask::Edevs => {
                let $slot = &mut $replies.edevs;
                $what
            }
            Ask::Devs => {
                let $slot = &mut $replies.devs;
                $what
            }
            Ask::Pools => {
                let $slot = &mut $replies.pools;
                $what
            }
            Ask::Status => {
                let $slot = &mut $replies.status;
                $what
            }
            Ask::Errors => {
                let $slot = &mut $replies.errors;
                $what
            }
            Ask::Version => {
                let $slot = &mut $replies.version;
                $what
            }
            Ask::Info => {
                let $slot = &mut $replies.info;
                $what
            }
            Ask::Details => {
                let $slot = &mut $replies.details;
                $what
            }
            Ask::Psu => {
                let $slot = &mut $replies.psu;
                $what
            }
        }
    };
}

/// Reads a reply, and tells whether it came to its end. The valid reply is the rule, and a strict parser takes whole
/// ones only: the end is looked for only where the reply needs repair.
///
/// # Errors
/// As [`cgminer::parse`].
fn read_whole<T: DeserializeOwned>(reply: &[u8]) -> headframe_core::Result<(T, bool)> {
    match serde_json::from_slice(reply) {
        Ok(value) => Ok((value, true)),
        Err(_) => Ok((cgminer::parse(READ, reply)?, ReplyEnd::new().feed(reply).is_some())),
    }
}

impl Replies {
    /// Reads a joined reply. What is left of a cut one is not used: its parts are asked for one by one.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply), also for one that is cut.
    pub fn joined(reply: &[u8]) -> headframe_core::Result<Self> {
        match read_whole(reply)? {
            (replies, true) => Ok(replies),
            (_, false) => Err(Error::new(ErrorKind::BadReply, READ, "the reply is cut")),
        }
    }

    /// How `ask` failed; `None` when it was answered.
    pub fn failure(&mut self, ask: Ask) -> Option<Failure> {
        member!(self, ask, slot => match slot {
            Some(Ok(_)) => None,
            Some(Err(failure)) => Some(*failure),
            None => Some(Failure::Silent),
        })
    }

    /// Whether asking again is of no use: it was answered, or the firmware does not have it.
    pub fn settled(&mut self, ask: Ask) -> bool {
        matches!(self.failure(ask), None | Some(Failure::Unknown))
    }

    /// What came of `summary`.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()?.as_ref().ok()
    }

    /// Whether anything came that says how the unit does.
    pub fn says_something(&mut self) -> bool {
        [Ask::Summary, Ask::Edevs, Ask::Devs, Ask::Status].into_iter().any(|ask| self.failure(ask).is_none())
    }

    /// Notes that `ask` failed.
    pub fn fail(&mut self, ask: Ask, failure: Failure) {
        member!(self, ask, slot => *slot = Some(Err(failure)));
    }

    /// Reads the reply to `ask` alone.
    pub fn read(&mut self, ask: Ask, reply: &[u8]) -> headframe_core::Result<()> {
        let whole = member!(self, ask, slot => {
            let (part, whole) = read_whole::<Part<_>>(reply)?;
            *slot = Some(part.judge());
            whole
        });
        if !whole {
            self.cut(ask);
        }
        Ok(())
    }

    /// The reply to `ask` was cut. What is left of it cannot be told from a complete one (a missing board for
    /// example), except that of an error list the entries that came are true, and that the power supply's texts
    /// stand for themselves.
    fn cut(&mut self, ask: Ask) {
        let usable = match ask {
            Ask::Errors => matches!(&self.errors, Some(Ok(list)) if !list.0.is_empty()),
            Ask::Psu => true,
            _ => false,
        };
        if !usable && self.failure(ask).is_none() {
            self.fail(ask, Failure::Garbled);
        }
    }
}

/// A joined reply. Firmware that does not join answers with a status only, which leaves it empty.
impl<'de> Deserialize<'de> for Replies {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(JoinedVisitor)
    }
}

struct JoinedVisitor;

impl<'de> Visitor<'de> for JoinedVisitor {
    type Value = Replies;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a joined reply")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Replies, A::Error> {
        let mut out = Replies::default();
        while let Some((status, ask)) =
            map.next_key_seed(Named(|name: &str| (name == "STATUS", Ask::of(name))))?
        {
            out.ordinary |= status;
            match ask {
                Some(ask) => {
                    member!(out, ask, slot => *slot = Some(map.next_value::<Part<_>>()?.judge()));
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(out)
    }
}

/// `Msg` of the flat replies: an object, or the text of a refusal.
struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<T>, E> {
        Ok(None)
    }

    scalars_are!(None);
}

macro_rules! payload {
    ($name:ty, $key:literal, first) => {
        impl Payload for $name {
            const KEY: &'static str = $key;
            fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
                Ok(lenient::objects_or_none(d)?.and_then(|list: Vec<Self>| list.into_iter().next()))
            }
        }
    };
    ($name:ty, $key:literal, all) => {
        impl Payload for $name {
            const KEY: &'static str = $key;
            fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
                lenient::objects_or_none(d)
            }
        }
    };
    ($name:ty) => {
        impl Payload for $name {
            const KEY: &'static str = "Msg";
            fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
                d.deserialize_any(Object(PhantomData))
            }
        }
    };
}

payload!(Summary, "SUMMARY", first);
payload!(Details, "DEVDETAILS", first);
payload!(Vec<Dev>, "DEVS", all);
payload!(Vec<Pool>, "POOLS", all);
payload!(Status);
payload!(Version);
payload!(Info);
payload!(Psu);

impl Payload for ErrorList {
    const KEY: &'static str = "Msg";
    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Msg {
            error_code: Option<ErrorList>,
        }
        Ok(d.deserialize_any(Object::<Msg>(PhantomData))?.and_then(|msg| msg.error_code))
    }
}
