//! Who may do what: areas, rights and the people and programs that have them.

mod perm;
#[cfg(test)]
mod tests;

pub use perm::{Access, Area, Permission, Permissions, Scope};

/// Somebody who asks: a person or a program, with the rights that it has now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Principal {
    /// The name that stands in audit and comments.
    pub user: String,
    /// What it may do.
    pub permissions: Permissions,
    /// The rights that its pushes and votes claim, `["miner:rw"]`, where the site takes rights from the call; `None` for
    /// [`permissions`](Self::permissions). Only who signed the caller in may set them.
    pub claims: Option<Vec<String>>,
    gateway: bool,
}

impl Principal {
    /// The principal called `user`.
    pub fn new(user: &str, permissions: Permissions) -> Self {
        Self { user: user.into(), permissions, claims: None, gateway: false }
    }

    /// A gateway in the same process that has signed its own callers in, as MiningOS's does: for the methods of actions,
    /// who acts and with which rights stands in the body of each call (`voter`, `authPerms`). Whoever holds such a
    /// principal can be anybody, so it is made for no session and for nothing that comes over a network.
    pub fn gateway(name: &str, permissions: Permissions) -> Self {
        Self { gateway: true, ..Self::new(name, permissions) }
    }

    /// Whether it speaks for others.
    pub const fn is_gateway(&self) -> bool {
        self.gateway
    }
}
