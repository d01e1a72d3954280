//! Tokens: one per device, shared by all its writes. The device keeps 16 and refuses to give out more.

use std::{net::SocketAddr, time::Duration};

use headframe_core::{
    Error, ErrorKind, Result, Secret,
    codec::{cgminer, lenient},
    io::{Ctx, Mono},
};
use serde::Deserialize;

use super::{
    crypto::{self, Key},
    packet::{Request, Verdict},
};

const OP: &str = "whatsminer.get_token";
/// A device forgets a token after 30 minutes; this leaves time for what is under way.
const LIFE: Duration = Duration::from_secs(25 * 60);
/// Longest text of a challenge: a device that sends more wants to keep us busy.
const MAX: usize = 64;

/// A token and the key that goes with it.
#[derive(Debug)]
pub(super) struct Token {
    pub sign: Secret,
    pub key: Key,
    until: Mono,
}

impl Token {
    /// Whether it is still good.
    pub fn is_live(&self, now: Mono) -> bool {
        now < self.until
    }
}

/// What a device gives to prove a password with.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Challenge {
    /// Opaque, not always a time.
    #[serde(deserialize_with = "lenient::text_opt")]
    time: Option<String>,
    #[serde(deserialize_with = "lenient::text_opt")]
    salt: Option<String>,
    #[serde(deserialize_with = "lenient::text_opt")]
    newsalt: Option<String>,
}

impl Challenge {
    /// Reads it from the message of a reply.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply) when a part is missing, or too long to be one.
    pub fn read(op: &'static str, verdict: &Verdict) -> Result<Self> {
        let read: Self = serde_json::from_str(&verdict.message).unwrap_or_default();
        let fits = |part: &Option<String>| part.as_ref().is_some_and(|p| (1..=MAX).contains(&p.len()));
        if fits(&read.time) && fits(&read.salt) && fits(&read.newsalt) {
            return Ok(read);
        }
        Err(Error::new(ErrorKind::BadReply, op, "the reply has no time, salt and newsalt"))
    }

    /// Time, salt and new salt.
    pub fn parts(&self) -> (&str, &str, &str) {
        (
            self.time.as_deref().unwrap_or_default(),
            self.salt.as_deref().unwrap_or_default(),
            self.newsalt.as_deref().unwrap_or_default(),
        )
    }
}

/// Asks for a token.
///
/// # Errors
/// Those of the connection, [`RateLimited`](ErrorKind::RateLimited) when too many are alive, and
/// [`BadReply`](ErrorKind::BadReply). No write has been sent.
pub(super) async fn fetch(cx: &Ctx, at: SocketAddr, password: &Secret) -> Result<Token> {
    let reply = cgminer::call(cx, at, br#"{"cmd":"get_token"}"#).await?;
    let verdict = Verdict::read(&reply, &Key::of("")).map_err(|e| e.with("address", at))?;
    if !verdict.is_ok() {
        return Err(verdict.error(&Request::new("get_token")).with("address", at));
    }
    let challenge = Challenge::read(OP, &verdict).map_err(|e| e.with("address", at))?;
    let (time, salt, newsalt) = challenge.parts();
    let hash = crypto::md5crypt(password.expose().as_bytes(), salt);
    let sign = Secret::new(crypto::sign(&hash, time, newsalt));
    Ok(Token { sign, key: Key::of(&hash), until: cx.clock.mono() + LIFE })
}
