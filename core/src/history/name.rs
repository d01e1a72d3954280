//! Names of files, and days.

use jiff::{civil::Date, tz::TimeZone};

pub(super) const DAY_MS: i64 = 86_400_000;

/// Day since 1970 UTC.
pub(super) const fn day_of(ts: i64) -> i32 {
    ts.div_euclid(DAY_MS) as i32
}

pub(super) fn day_name(day: i32) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::from(day) * DAY_MS).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).date().to_string()
}

fn parse_day(name: &str) -> Option<i32> {
    let date: Date = name.parse().ok()?;
    let day = day_of(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond());
    (day_name(day) == name).then_some(day)
}

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Part {
        day: i32,
    },
    Day {
        day: i32,
    },
    Unfinished,
    /// Says that a day's files up to this number were removed, or are to be.
    Gone {
        day: i32,
    },
}

pub(super) fn log_name(number: u32) -> String {
    format!("{number}.log")
}

pub(super) fn sealed_name(kind: Kind, number: u32) -> String {
    match kind {
        Kind::Part { day } => format!("{}.{number}.part", day_name(day)),
        Kind::Day { day } => format!("{}.{number}.day", day_name(day)),
        Kind::Log => log_name(number),
        Kind::Unfinished => format!("{number}.tmp"),
        Kind::Gone { day } => format!("{}.{number}.gone", day_name(day)),
    }
}

/// Reads a name; `None` when it is not one of ours.
pub(super) fn parse(name: &str) -> Option<(Kind, u32)> {
    let (stem, ending) = name.rsplit_once('.')?;
    let (day, number) = match stem.split_once('.') {
        Some((day, number)) => (Some(parse_day(day)?), number),
        None => (None, stem),
    };
    let number: u32 = number.parse().ok()?;
    let kind = match (ending, day) {
        ("log", None) => Kind::Log,
        ("tmp", None) => Kind::Unfinished,
        ("part", Some(day)) => Kind::Part { day },
        ("day", Some(day)) => Kind::Day { day },
        ("gone", Some(day)) => Kind::Gone { day },
        _ => return None,
    };
    (sealed_name(kind, number) == name).then_some((kind, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_not_ours() {
        let day = day_of(1_764_115_200_000);
        assert_eq!(day_name(day), "2025-11-26");
        for kind in [Kind::Log, Kind::Part { day }, Kind::Day { day }, Kind::Unfinished, Kind::Gone { day }] {
            assert_eq!(parse(&sealed_name(kind, 17)), Some((kind, 17)));
        }
        for other in ["x", "1.logs", "01.log", "-1.log", "2025-13-01.1.day", "2025-11-26.1.log", "1.log.part"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(day_of(-1), -1);
    }
}
