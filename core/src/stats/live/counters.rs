/// What an engine left out, since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Numbers that were infinite, or so large that sums over them would be; taken as unknown. NaN is not counted: it is
    /// how a caller says that a value is unknown.
    pub implausible: u64,
    /// Samples that came too late for a minute or before the thing's last one.
    pub late: u64,
    /// Samples refused because minutes before them had not been closed.
    pub ahead: u64,
    /// Windows of all lengths that ended with nothing in them.
    pub skipped: u64,
}
