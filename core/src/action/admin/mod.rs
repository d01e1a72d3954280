//! What the site itself is told by actions: its policy, its limits, and who may do what. They are voted on as any write,
//! so nobody lowers a bar alone and walks under it.
//!
//! | action | parameters |
//! |---|---|
//! | `setPolicy` | [`Rules`](super::policy::Rules) |
//! | `setLimits` | `{"emergencyRampKwPerS"}` |
//! | `setPrincipal` | a [`PrincipalRecord`] |
//! | `removePrincipal` | the name |
//!
//! Their target is the rack [`SITE`], of the family of that name, which the area `users` guards.

mod hands;
mod live;
mod people;

pub use live::Limits;
pub use people::{PrincipalRecord, StoredPrincipals};

pub(super) use hands::{AdminHands, WithSite};
pub(super) use live::Live;

/// The rack that stands for the site itself.
pub const SITE: &str = "site";
