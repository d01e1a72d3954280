//! The bugs that the trust checks plant between a caller and its devices to prove that they would be noticed. Only a build with
//! `--cfg planted` holds them; the variable `HEADFRAME_PLANTED` chooses one.

/// A bug at one place of the production code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bug {
    /// A write whose reply did not come in time is sent again.
    RetryOnTimeout,
    /// Every error says that nothing was sent.
    NothingSent,
    /// Redirects are followed, body and credentials with them.
    FollowRedirects,
    /// Whoever answers at the address gets the write.
    TrustAddress,
    /// Replies are read to their end, however long that is.
    ReadToEnd,
    /// A length that the device tells is believed.
    UncheckedLength,
    /// Things that hang share the lanes of the healthy ones, for as long as they like.
    SharedSemaphore,
    /// People are compared by the text of their names as it was written.
    CompareEmailText,
    /// A vote counts after its action was cancelled.
    VoteAfterCancel,
    /// Actions are judged by what is durable, not by what is about to be, and written without a look at their revision.
    StaleRead,
    /// A call is journalled only after it was sent.
    IntentAfterSend,
    /// A call counts as done before its reply is read.
    OutcomeBeforeReply,
    /// An action that is paused goes on.
    IgnoreHold,
    /// What an action touches is not compared with what was voted for.
    DigestWithoutTargets,
    /// The rights of those who voted are looked at once.
    CachedRights,
    /// The audit log is judged by its chain alone, without checkpoints.
    ChainOnly,
    /// No answer to a client key is remembered.
    NoKeys,
    /// Time is what the wall clock says at the moment, and a run's deadline is a time of that clock.
    WallDeadline,
    /// Stops wait their turn behind all other requests, and hold nothing before they are durable.
    StopInQueue,
    /// One method asks nobody for a permission.
    OpenRoute,
    /// The audit log is stamped by the machine's clock, past the clock that everything else goes by.
    WallClock,
    /// Somebody holds every reading for ever.
    LeakReading,
    /// Nothing that history appends is synced.
    NoSync,
    /// No checksum of history's blocks, records and chunks is compared.
    NoChecksum,
    /// A log of history is removed before its parts are whole.
    RemoveFirst,
    /// A binding panics where a handle was closed, and nothing stands between the panic and its caller.
    UnguardedPanic,
}

/// Whether this build holds `bug` and it is the chosen one.
#[cfg(planted)]
pub fn planted(bug: Bug) -> bool {
    let name = match bug {
        Bug::RetryOnTimeout => "retry-on-timeout",
        Bug::NothingSent => "nothing-sent",
        Bug::FollowRedirects => "follow-redirects",
        Bug::TrustAddress => "trust-address",
        Bug::ReadToEnd => "read-to-end",
        Bug::UncheckedLength => "unchecked-length",
        Bug::SharedSemaphore => "shared-semaphore",
        Bug::CompareEmailText => "compare-text",
        Bug::VoteAfterCancel => "vote-after-cancel",
        Bug::StaleRead => "stale-read",
        Bug::IntentAfterSend => "intent-after-send",
        Bug::OutcomeBeforeReply => "outcome-before-reply",
        Bug::IgnoreHold => "ignore-hold",
        Bug::DigestWithoutTargets => "digest-without-targets",
        Bug::CachedRights => "cached-rights",
        Bug::ChainOnly => "chain-only",
        Bug::NoKeys => "no-keys",
        Bug::WallDeadline => "wall-deadline",
        Bug::StopInQueue => "stop-in-queue",
        Bug::OpenRoute => "open-route",
        Bug::WallClock => "wall-clock",
        Bug::LeakReading => "leak-reading",
        Bug::NoSync => "no-sync",
        Bug::NoChecksum => "no-checksum",
        Bug::RemoveFirst => "remove-first",
        Bug::UnguardedPanic => "unguarded-panic",
    };
    std::env::var("HEADFRAME_PLANTED").is_ok_and(|chosen| chosen == name)
}

/// Whether this build holds `bug` and it is the chosen one.
#[cfg(not(planted))]
pub const fn planted(_: Bug) -> bool {
    false
}

/// The machine's time, ms, past every clock: what [`Bug::WallClock`] takes.
#[cfg(planted)]
#[allow(clippy::disallowed_methods, reason = "this is the bug")]
pub fn machine_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// Nobody asks for it in a build without bugs.
#[cfg(not(planted))]
pub const fn machine_ms() -> i64 {
    0
}
