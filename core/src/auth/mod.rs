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
}

impl Principal {
    /// The principal called `user`.
    pub fn new(user: &str, permissions: Permissions) -> Self {
        Self { user: user.into(), permissions }
    }
}
