//! A whole site in one simulation: real drivers and codecs over bytes in memory, real racks, the real store on a disk that
//! loses power, the real engine; devices, people and everything that goes wrong come from one seed.

mod converge;
mod desk;
mod eyes;
mod faults;
mod house;
mod knobs;
mod ledger;
mod net;
mod oracle;
mod people;
mod play;
mod queries;
mod script;
mod stream;
mod trace;

pub use knobs::Scale;
pub use play::{Played, play};
use queries::OPERATORS;
pub use trace::Trace;
