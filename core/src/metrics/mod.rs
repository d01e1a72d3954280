//! What a site counts, for a program that forwards it: above all what was dropped or refused.
//!
//! A [`Recorder`] is given every number when the program asks, for example each time Prometheus scrapes it:
//! [`Site::measure`](crate::site::Site::measure) asks a whole site, [`Measured`] one part that is used alone. Nothing is
//! pushed, so that counting costs what it did. [`ALL`] lists the metrics; `docs/counters.md` is the same list to read.

mod list;
mod measured;
#[cfg(test)]
#[cfg(all(feature = "history", feature = "testkit"))]
mod tests;

pub use list::{ALL, names};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Only rises, and begins at 0 with the process. Names end in `_total`.
    Counter,
    /// How something is at the moment.
    Gauge,
}

/// What a metric counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// What the name says.
    Count,
    /// Bytes; the name says so.
    Bytes,
    /// Seconds; the name says so.
    Seconds,
    /// 1 or 0.
    Flag,
}

/// A metric. Its name, labels and meaning are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Metric {
    /// Such as `headframe_rack_polls_total`.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it counts in.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// In which version it came.
    pub since: &'static str,
    /// What it means, in one sentence.
    pub about: &'static str,
}

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// Takes numbers, and hands them on as the program likes. Labels are those of the metric, in its order.
pub trait Recorder {
    /// The count so far of a [`Kind::Counter`].
    fn counter(&mut self, metric: &'static Metric, labels: Labels<'_>, value: u64);

    /// The value of a [`Kind::Gauge`] now.
    fn gauge(&mut self, metric: &'static Metric, labels: Labels<'_>, value: f64);
}

/// What can be measured.
pub trait Measured {
    /// Gives all its numbers to a recorder. `part` is the value of the label that tells this one from others of its kind:
    /// the id of a rack or the name of a history; kinds of which a process has one ignore it.
    fn measure(&self, part: &str, to: &mut dyn Recorder);
}
