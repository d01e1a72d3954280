//! How large a query may be. What goes over is refused, so no query can cost more than these allow.

/// Nesting of a filter: `$and`, `$or`, `$nor`, `$not`, `$elemMatch`, `$expr` and literal values.
pub const DEPTH: usize = 32;
/// Conditions in a filter, in all its branches together.
pub const CONDITIONS: usize = 4_096;
/// Values in all lists and literals of a filter together.
pub const VALUES: usize = 131_072;
/// Regular expressions in a filter.
pub const REGEXES: usize = 32;
/// Characters of one regular expression.
pub const REGEX_CHARS: usize = 1_000;
/// The largest count in a repetition of a regular expression.
pub const REGEX_REPEAT: u32 = 1_000;
/// Bytes of one compiled regular expression.
pub const REGEX_BYTES: usize = 256 * 1024;
/// Bytes of a dotted path.
pub const PATH_BYTES: usize = 1_024;
/// Parts of a dotted path.
pub const PATH_PARTS: usize = 32;
/// Members of a projection.
pub const FIELDS: usize = 1_024;
/// Keys of a sort.
pub const SORT_KEYS: usize = 16;
/// Characters of a text that count for its place in the order.
pub const SORT_CHARS: usize = 256;
/// Characters of a cursor.
pub const CURSOR_CHARS: usize = 256 * 1024;
