//! Discovery: which devices answer at which addresses.
//!
//! - [`Scan`] looks at every address of an [`AddressRange`] and streams what it finds, without any password. Every
//!   address gets exactly one [`Outcome`]; what a deadline left over is said in the [`ScanReport`].
//! - [`probe_one`] does the same for one address, and [`open_one`] opens what it finds there.
//! - [`ReportListener`] hears devices whose IP-report button is pressed. A report proves nothing: anyone on the
//!   network can send one, so the use of it is to look at that address with [`probe_one`].
//!
//! A scan is meant to be made once and its devices kept; [`Match::conf`](crate::driver::Match::conf) is what to
//! register.

mod connect;
mod open;
mod outcome;
mod probe;
mod range;
mod report;
mod report_parse;
mod scan;
mod stream;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

pub use open::open_one;
pub use outcome::{Answer, FoundDevice, Outcome, Progress, ScanEvent, ScanReport, UnknownHost};
pub use probe::{Budgets, probe_one};
pub use range::{AddressRange, Addresses};
pub use report::{IpReport, ReportCounts, ReportEvent, ReportListener, ReportPorts, ReportStream};
pub use scan::Scan;
pub use stream::{ScanProgress, ScanStream};
