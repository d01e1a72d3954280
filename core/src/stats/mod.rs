//! Statistics of a site: pure arithmetic, without a clock and without I/O.

pub mod live;
