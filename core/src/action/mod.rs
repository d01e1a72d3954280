//! Approved writes. An action is a write on selected things; people vote for it, and only then it is carried out, at
//! most once per target, with every step in the audit log.

pub mod admin;
mod archive;
mod calls;
pub mod catalogue;
mod claims;
mod desk;
mod engine;
mod fleet;
mod hex;
mod id;
mod keys;
mod note;
mod person;
pub mod policy;
mod principals;
mod record;
mod shared;
pub mod state;
mod status;
mod stops;
mod watch;

pub use archive::{ActionArchive, ArchiveDocument};
pub use claims::{Bare, Claims};
pub use engine::{
    ActionQuery, ActionView, AuditOptions, Ballot, BatchOptions, By, Draft, Engine, EngineOptions, Group,
    Listed, Points, Preview, Pushed, Settled, Shed, Witnessed,
};
pub use fleet::{Ask, Before, Call, Excluded, Fleet, FleetRack, Hands, Look, Pick, Reply, Seen, Selection};
pub use id::ActionId;
pub use person::Person;
pub use policy::{Policy, Proposal};
pub use principals::{Kind, Principals, Rights, RightsSource, Standing, StaticPrincipals, Voter};
pub use status::{Bucket, Status};
pub use stops::{LIFTERS, Stop, StopScope, Stops};
pub use watch::{Summary, Watch, Watched};
