use std::time::Duration;

/// What only API v3 has.
#[derive(Debug, Clone, PartialEq)]
pub struct V3Options {
    /// `system.api`, and `api_ver` on port 4028.
    pub api: String,
    /// Password of `super`, the account of API v3.
    pub password: String,
    /// The salt until the password changes or [`V3Options::salt_life`] ends; without one it follows from the seed.
    pub salt: Option<String>,
    /// How long a salt is good; without an end it stays while the password does. Ends are counted from the clock's
    /// origin.
    pub salt_life: Option<Duration>,
    /// How far `ts` may be from the device's clock, in both directions.
    pub skew: Duration,
    /// What becomes of a packet whose `ts` and token came before.
    pub replay: Replay,
    /// Which forms of the parameter `set.miner.pools` takes.
    pub pools: PoolsParam,
    /// Whether `set.miner.mode` exists. Without it clients set the mode through [`V3Options::v2_writes`].
    pub mode: bool,
    /// Writes that close the connection without a reply, by name.
    pub silent: Vec<String>,
    /// Reads of API v2 that port 4028 does not know any more, by name.
    pub lacks: Vec<String>,
    /// Whether port 4028 still takes the encrypted writes of API v2, under the account `admin`.
    pub v2_writes: bool,
    /// Whether the nominal hashrate is known; else `factory-hash` is −0.001 for each board.
    pub tells_factory_hash: bool,
    /// How `error-code` is written.
    pub errors: ErrorList,
}

impl Default for V3Options {
    fn default() -> Self {
        Self {
            api: "3.0.2".into(),
            password: "super".into(),
            salt: None,
            salt_life: None,
            skew: Duration::from_secs(300),
            replay: Replay::Accepted,
            pools: PoolsParam::Encrypted,
            mode: true,
            silent: vec!["set.system.reboot".into()],
            lacks: Vec::new(),
            v2_writes: false,
            tells_factory_hash: true,
            errors: ErrorList::Objects,
        }
    }
}

/// What becomes of a packet that came before. Two writes of one name within one second are such a pair, too: `ts`
/// counts whole seconds and the token does not cover the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replay {
    /// It is carried out once more, as real devices do as far as is known.
    #[default]
    Accepted,
    /// It is refused.
    Refused,
}

/// Which forms of the parameter `set.miner.pools` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoolsParam {
    /// The encrypted text.
    #[default]
    Encrypted,
    /// The encrypted text, and the list as it is.
    Any,
}

/// How `error-code` is written. Without errors the member is absent, but for [`ErrorList::Null`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorList {
    /// `{"264":"2026-05-23 09:19:10","reason":"…"}`
    #[default]
    Objects,
    /// `264`
    Numbers,
    /// `"264"`
    Digits,
    /// Numbers behind a `null`, which is there without errors too.
    Null,
    /// The whole member is a text without any code.
    Text,
}
