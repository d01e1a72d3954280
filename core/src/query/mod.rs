//! The query language: which documents, which of their members, in which order, and how many of them. Pure: it reads
//! JSON values and gives JSON values.
//!
//! It is the language that MiningOS's callers use, a part of MongoDB's. [`Filter`], [`Projection`] and [`Sort`] are
//! compiled once and used on many documents; [`Query`] is all of them together. What cannot be understood is refused
//! as [`Invalid`](crate::ErrorKind::Invalid) with the code `ERR_QUERY_INVALID`, before any document is looked at.
//!
//! # Filters
//!
//! A filter is an object. Its members must all hold. A member's name is a dotted path, or a logical operator:
//!
//! | written | holds when |
//! |---|---|
//! | `"a.b": value` | the member equals the value, or is an array with such an element; `null` also when it is missing |
//! | `"a.0.b"` | the same, of an array's element |
//! | `"a.b"` where `a` is an array | one of the objects in it has such a member |
//! | `"a.b": {"$op": …}` | all operators hold |
//! | `$and: [filter, …]` | all hold; none in the list: true |
//! | `$or: [filter, …]` | one holds; none in the list: false |
//! | `$nor: [filter, …]` | none holds |
//! | `$expr: expression` | the expression is true |
//!
//! Operators. Each looks at the member and, when it is an array, at each of its elements, unless it says otherwise:
//!
//! | operator | holds when the member |
//! |---|---|
//! | `$eq`, `$ne` | equals the value, or does not; objects are equal when their members are, in any order |
//! | `$gt`, `$gte`, `$lt`, `$lte` | is so ordered against a value *of the same type*; null is only equal to null |
//! | `$in`, `$nin` | equals one of the list, or none; texts are texts, never patterns |
//! | `$not` | does not meet the operators given |
//! | `$exists` | is there, or with `false` (or 0) is not; null is there |
//! | `$type` | has this type, by name or number, or one of a list; `int` and `long` are whole numbers of 32 and 64 bits, `array` is the array itself |
//! | `$mod: [d, r]` | leaves `r` when divided by `d`; null counts as 0 here, a missing member does not |
//! | `$regex`, `$options` | is a text with a match; JavaScript's syntax and flags `i m s g u y` |
//! | `$all: […]` | equals each of the list, one element for each; each may be an `$elemMatch`; an empty list never holds |
//! | `$elemMatch` | is an array with one element that meets all operators, or all members of a filter |
//! | `$size` | is an array of this length |
//! | `$bitsAllSet`, `$bitsAllClear`, `$bitsAnySet`, `$bitsAnyClear` | is a whole number with these bits, given as a number or a list of positions |
//!
//! Expressions compare members of one document: `{"$gt": ["$info.limit", "$last.power"]}`. `"$a.b"` is the value at a
//! path; `$eq $ne $gt $gte $lt $lte` compare two of them as above, `$cmp` gives −1, 0 or 1 by an order of all values
//! (null and missing, numbers, texts, objects, arrays, booleans), `$and $or $not` combine.
//!
//! Refused: `$where`, `$jsonSchema`, `$text`, `$near`, `$geoWithin`, `$comment`, `$rand`, `$sampleRate` and whatever
//! else is not listed; variables (`$$ROOT`) and arithmetic, text or list expressions; operators mixed with plain
//! members; operators inside a value that is compared; a query that is no object; an operand of the wrong type. Of
//! patterns: look-around, back-references, `\p{…}`, the flag `x`, and what JavaScript itself refuses. `$` and `^` with
//! the flag `m` know line feeds and carriage returns as line ends. [`limits`] bounds nesting, conditions, lists and
//! patterns; patterns are matched in time that grows linearly with the text.
//!
//! # Projections
//!
//! | written | gives |
//! |---|---|
//! | `"a.b": 1` or `true` | only what is named so; objects on the way are there even when the member is not |
//! | `"a.b": 0` or `false` | all but what is named so |
//! | `"a": {"b": 1}` | the same as `"a.b": 1` |
//! | `"a": {"$slice": n}`, `[skip, n]` | the first `n` elements, the last where negative; alone, all other members too |
//! | `"a": {"$elemMatch": …}` | an array of the first such element, or nothing |
//! | `"a": "$b.c"` | the value of another member |
//!
//! A path goes through arrays. No `id` is added. Refused: inclusions mixed with exclusions, positions (`a.$`), and
//! everything computed.
//!
//! # Order and pages
//!
//! See [`Sort`], [`Page`] and [`Cursor`]. Filter, sort, page and projection are applied in this order, so a listing can be
//! sorted by what it does not give, and [`Query::merge`] makes one true page of the pages of several racks.
//!
//! A page's documents come as [`Row`]s. Those of [`Query::run_shared`] share the documents that were asked, so that giving
//! ten thousand of them costs no more than writing them: a row serialises straight from its document.
//!
//! # Hidden members
//!
//! [`Hidden`] names members that do not exist as far as any of this goes: naming one in a filter, a projection or a sort
//! is refused, and what lies above one is compared and given without it. Only leaving one out (`"opts": 0`) is accepted.

mod compare;
mod expr;
mod filter;
mod hex;
mod hidden;
pub mod limits;
mod natural;
mod page;
mod parse;
mod path;
mod project;
mod regex;
mod row;
mod run;
mod sort;
#[cfg(test)]
mod tests;
mod view;

pub use filter::Filter;
pub use hidden::Hidden;
pub use page::{Cursor, Item, Page, QueryPage};
pub use project::Projection;
pub use row::Row;
pub use run::Query;
pub use sort::{Direction, Sort, SortKey};

use crate::Error;

/// The code of everything that is wrong with a query.
const CODE: &str = "ERR_QUERY_INVALID";

fn refused(op: &'static str, field: &str, why: impl Into<String>) -> Error {
    Error::invalid(op, &shown(field), why).code_as(CODE)
}

/// As much of the caller's text as an error repeats.
fn shown(text: &str) -> String {
    const CHARS: usize = 80;
    match text.char_indices().nth(CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
