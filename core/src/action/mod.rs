//! Approved writes. An action is a write on selected things; people vote for it, and only then it is carried out, at
//! most once per target, with every step in the audit log.

pub mod catalogue;
mod fleet;
mod id;
mod person;
pub mod policy;
mod principals;
mod status;
mod stops;
mod watch;

pub use claims::{Bare, Claims};
pub use fleet::{Ask, Before, Call, Excluded, Fleet, FleetRack, Hands, Look, Pick, Reply, Seen, Selection};
pub use id::ActionId;
pub use person::Person;
pub use principals::{Kind, Principals, Rights, RightsSource, Standing, StaticPrincipals, Voter};
pub use status::{Bucket, Status};
pub use stops::{LIFTERS, Stop, StopScope, Stops};
pub use watch::{Summary, Watch, Watched};
