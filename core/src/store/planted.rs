//! The bugs that the trust checks plant to prove that they would be noticed. Only a build with `--cfg planted` holds
//! them; the variable `HEADFRAME_PLANTED` chooses one.

/// A bug at one place of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(planted), allow(dead_code, reason = "the names are only read by builds that hold the bugs"))]
pub(super) enum Bug {
    /// Nothing is ever synced.
    NoSync,
    /// No checksum of blocks and records is compared.
    NoChecksum,
    /// A failed commit counts as undone, without a look.
    FailedIsUndone,
    /// An empty or missing store is made anew when it is opened.
    CreateOnOpen,
    /// No space is kept for stop actions.
    NoBallast,
    /// Secrets are written as they are.
    PlainSecret,
}

#[cfg(planted)]
pub(super) fn planted(bug: Bug) -> bool {
    let name = match bug {
        Bug::NoSync => "no-sync",
        Bug::NoChecksum => "no-checksum",
        Bug::FailedIsUndone => "failed-is-undone",
        Bug::CreateOnOpen => "create-on-open",
        Bug::NoBallast => "no-ballast",
        Bug::PlainSecret => "plain-secret",
    };
    std::env::var("HEADFRAME_PLANTED").is_ok_and(|chosen| chosen == name)
}

#[cfg(not(planted))]
pub(super) const fn planted(_: Bug) -> bool {
    false
}
