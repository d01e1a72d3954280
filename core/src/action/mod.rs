//! Approved writes. An action is a write on selected things; people vote for it, and only then it is carried out, at
//! most once per target, with every step in the audit log.

pub mod catalogue;
mod fleet;
mod id;
mod status;

pub use fleet::{Ask, Before, Call, Excluded, Fleet, FleetRack, Hands, Look, Pick, Reply, Seen, Selection};
pub use id::ActionId;
pub use status::{Bucket, Status};
