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
    /// An audit log is checked without its checkpoints.
    ChainOnly,
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
        Bug::ChainOnly => "chain-only",
    };
    std::env::var("HEADFRAME_PLANTED").is_ok_and(|chosen| chosen == name)
}

/// Whether this build holds `bug` and it is the chosen one.
#[cfg(not(planted))]
pub const fn planted(_: Bug) -> bool {
    false
}
