//! Drivers and simulated devices with a network between them that does what a check says.

mod act;
mod memory;
mod plan;
mod proxy;
mod samples;
mod site;
mod stream;
mod verdict;

pub use act::{Act, End, Make, Reply, Request, Script};
pub use memory::{Memory, in_use_bytes, resident_kib};
pub use plan::{Plan, Turn};
pub use proxy::{Dial, Exchange};
pub use site::{Generation, PASSWORD, Site, WRITING, generations};
pub use verdict::{Before, judge};
