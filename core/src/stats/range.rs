//! Blocks of the calendar in a time zone, for questions such as "by day in New York".

use std::collections::BTreeSet;

use jiff::{
    ToSpan,
    civil::{Date, Time},
    tz::{AmbiguousOffset, TimeZone},
};

use super::{bucket::Unit, fold::Span};
use crate::{Error, Result, io::Timestamp};

const OP: &str = "stats.buckets";
/// Most blocks of one question.
const MOST: usize = 100_000;
/// The longest count.
const MOST_UNITS: u32 = 9_999;

/// Blocks of a calendar: hours, days, weeks that begin on Monday, and months, as clocks and calendars in the zone show
/// them.
///
/// A block is `[start, end)`. Blocks of several units are counted so that they do not move with the question: hours from
/// midnight, days and weeks from 1970, months from January, so that 3 months are a quarter. A day on which clocks change
/// has 23 or 25 hours (or 23½, 24½), of which `1H` gives as many; a block of several hours is longer or shorter instead. A
/// day that was left out, as in Samoa in 2011, has no block.
#[derive(Debug, Clone)]
pub struct Buckets {
    spans: Vec<Span>,
}

impl Buckets {
    /// All whole blocks that have a part in `range`, which is `[start, end)`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a zone that is not known, a count of 0, more than 24 hours or 9,999 of
    /// other units, a time outside of the calendar, or more than 100,000 blocks.
    pub fn new(zone: &str, unit: Unit, count: u32, range: Span) -> Result<Self> {
        let most = if unit == Unit::Hour { 24 } else { MOST_UNITS };
        if !(1..=most).contains(&count) {
            return Err(Error::invalid(OP, "count", format!("the count is from 1 to {most} for this unit")));
        }
        let tz = TimeZone::get(zone).map_err(|e| {
            Error::invalid(OP, "zone", "no such time zone").with("zone", shown(zone)).caused_by(e)
        })?;
        if range.start >= range.end {
            return Ok(Self { spans: Vec::new() });
        }
        let calendar = Calendar { tz, unit, count: i64::from(count) };
        Ok(Self { spans: calendar.spans(range)? })
    }

    /// The blocks, in order; each begins where the one before ends.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }
}

fn shown(zone: &str) -> String {
    zone.chars().take(64).collect()
}

fn outside(e: jiff::Error) -> Error {
    Error::invalid(OP, "range", "the time is outside of the calendar").caused_by(e)
}

struct Calendar {
    tz: TimeZone,
    unit: Unit,
    count: i64,
}

impl Calendar {
    fn spans(&self, range: Span) -> Result<Vec<Span>> {
        let first = jiff::Timestamp::from_millisecond(range.start.0).map_err(outside)?;
        jiff::Timestamp::from_millisecond(range.end.0).map_err(outside)?;
        let mut date = self.block_of(first.to_zoned(self.tz.clone()).date())?;
        let mut borders = BTreeSet::new();
        loop {
            let begun = self.start(date)?;
            self.borders(date, &mut borders)?;
            if borders.len() > MOST + 1 {
                let why = "more than 100,000 blocks: ask for a shorter time or larger blocks";
                return Err(Error::invalid(OP, "range", why));
            }
            if begun >= range.end {
                break;
            }
            date = self.after(date)?;
        }
        let borders: Vec<Timestamp> = borders.into_iter().collect();
        let pairs = borders.windows(2).map(|pair| Span { start: pair[0], end: pair[1] });
        Ok(pairs.filter(|span| span.end > range.start && span.start < range.end).collect())
    }

    /// The first day of the block in which the day is.
    fn block_of(&self, date: Date) -> Result<Date> {
        let back = |days: i64| date.checked_sub(days.days()).map_err(outside);
        let day = date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24;
        match self.unit {
            Unit::Hour => Ok(date),
            Unit::Day => back(day.rem_euclid(self.count)),
            // 5 January 1970 was a Monday.
            Unit::Week => back((day - 4).rem_euclid(7 * self.count)),
            Unit::Month => {
                let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
                let first = date.first_of_month();
                first.checked_sub(month.rem_euclid(self.count).months()).map_err(outside)
            }
        }
    }

    fn after(&self, date: Date) -> Result<Date> {
        let step = match self.unit {
            Unit::Hour => 1.day(),
            Unit::Day => self.count.days(),
            Unit::Week => self.count.weeks(),
            Unit::Month => self.count.months(),
        };
        date.checked_add(step).map_err(outside)
    }

    /// When the day begins. Where midnight is left out, with the first moment after it.
    fn start(&self, date: Date) -> Result<Timestamp> {
        let at = self.tz.to_ambiguous_timestamp(date.to_datetime(Time::midnight()));
        at.compatible().map(|at| Timestamp(at.as_millisecond())).map_err(outside)
    }

    /// Where blocks begin on this day.
    fn borders(&self, date: Date, out: &mut BTreeSet<Timestamp>) -> Result<()> {
        if self.unit != Unit::Hour {
            out.insert(self.start(date)?);
            return Ok(());
        }
        let hours = (0..24_i8).step_by(usize::try_from(self.count).unwrap_or(24));
        for hour in hours {
            let at = self.tz.to_ambiguous_timestamp(date.at(hour, 0, 0, 0));
            let twice = matches!(at.offset(), AmbiguousOffset::Fold { .. });
            if twice && self.count == 1 {
                let later = at.later().map_err(outside)?;
                out.insert(Timestamp(later.as_millisecond()));
            }
            let at = at.compatible().map_err(outside)?;
            out.insert(Timestamp(at.as_millisecond()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn spans(zone: &str, unit: Unit, count: u32, start: &str, end: &str) -> Vec<Span> {
        let spans = Buckets::new(zone, unit, count, Span::ms(ms(start), ms(end))).unwrap().spans().to_vec();
        assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].start), "{spans:?}");
        assert!(spans.iter().all(|span| span.start < span.end));
        spans
    }

    fn hours(spans: &[Span]) -> Vec<f64> {
        spans.iter().map(|span| (span.end.0 - span.start.0) as f64 / HOUR as f64).collect()
    }

    #[test]
    fn days_in_new_york_around_both_changes() {
        let zone = "America/New_York";
        let spring = spans(zone, Unit::Day, 1, "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z");
        assert_eq!(hours(&spring), [24.0, 23.0, 24.0]);
        assert_eq!(spring[1].start.0, ms("2026-03-08T05:00:00Z"));
        let autumn = spans(zone, Unit::Day, 1, "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z");
        assert_eq!(hours(&autumn), [24.0, 25.0, 24.0]);
        let day = |d: &Span| spans(zone, Unit::Hour, 1, &at(d.start), &at(d.end));
        assert_eq!(hours(&day(&spring[1])), [1.0; 23]);
        assert_eq!(hours(&day(&autumn[1])), [1.0; 25]);
        let six = spans(zone, Unit::Hour, 6, &at(autumn[1].start), &at(autumn[1].end));
        assert_eq!(hours(&six), [7.0, 6.0, 6.0, 6.0]);
    }

    fn at(ts: Timestamp) -> String {
        jiff::Timestamp::from_millisecond(ts.0).unwrap().to_string()
    }

    #[test]
    fn half_an_hour_on_lord_howe() {
        let zone = "Australia/Lord_Howe";
        let autumn = spans(zone, Unit::Day, 1, "2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z");
        assert_eq!(hours(&autumn), [24.5]);
        let spring = spans(zone, Unit::Day, 1, "2026-10-03T14:00:00Z", "2026-10-03T15:00:00Z");
        assert_eq!(hours(&spring), [23.5]);
        let each = spans(zone, Unit::Hour, 1, &at(spring[0].start), &at(spring[0].end));
        assert_eq!(hours(&each)[..4], [1.0, 1.0, 0.5, 1.0]);
        let each = spans(zone, Unit::Hour, 1, &at(autumn[0].start), &at(autumn[0].end));
        assert_eq!(hours(&each)[..4], [1.0, 1.5, 1.0, 1.0]);
    }

    #[test]
    fn quarters_of_an_hour_in_kathmandu() {
        let one = spans("Asia/Kathmandu", Unit::Hour, 1, "2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z");
        assert_eq!(
            one.iter().map(|s| at(s.start)).collect::<Vec<_>>(),
            ["2025-12-31T23:15:00Z", "2026-01-01T00:15:00Z"]
        );
        let day = spans("Asia/Kathmandu", Unit::Day, 1, "2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z");
        assert_eq!(at(day[0].start), "2025-12-31T18:15:00Z");
    }

    #[test]
    fn a_day_that_did_not_exist_in_samoa() {
        let days = spans("Pacific/Apia", Unit::Day, 1, "2011-12-29T20:00:00Z", "2011-12-31T09:00:00Z");
        let dates: Vec<String> = days
            .iter()
            .map(|s| jiff::Timestamp::from_millisecond(s.start.0).unwrap())
            .map(|t| t.to_zoned(TimeZone::get("Pacific/Apia").unwrap()).date().to_string())
            .collect();
        assert_eq!(dates, ["2011-12-29", "2011-12-31"]);
        assert_eq!(hours(&days), [24.0, 24.0]);
        let each = spans("Pacific/Apia", Unit::Hour, 1, &at(days[0].start), &at(days[1].end));
        assert_eq!(hours(&each), [1.0; 48]);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_are_those_of_the_calendar() {
        let weeks = spans("UTC", Unit::Week, 1, "2026-01-01T00:00:00Z", "2026-01-06T00:00:00Z");
        assert_eq!(
            weeks.iter().map(|s| at(s.start)).collect::<Vec<_>>(),
            ["2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"]
        );
        let months = spans("UTC", Unit::Month, 1, "2024-01-31T00:00:00Z", "2024-03-01T00:00:00Z");
        assert_eq!(hours(&months), [31.0 * 24.0, 29.0 * 24.0]);
        let quarter = spans("UTC", Unit::Month, 3, "2026-05-15T00:00:00Z", "2026-05-16T00:00:00Z");
        assert_eq!(
            (at(quarter[0].start), at(quarter[0].end)),
            ("2026-04-01T00:00:00Z".to_owned(), "2026-07-01T00:00:00Z".to_owned())
        );
        let before = spans("UTC", Unit::Week, 2, "1969-12-31T00:00:00Z", "1970-01-06T00:00:00Z");
        assert_eq!(hours(&before), [336.0, 336.0]);
    }

    #[test]
    fn blocks_of_days_stay_where_they_are() {
        let one = spans("UTC", Unit::Day, 10, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        let other = spans("UTC", Unit::Day, 10, "2026-01-15T00:00:00Z", "2026-02-01T00:00:00Z");
        assert!(one.ends_with(&other));
    }

    #[test]
    fn what_cannot_be_is_refused_by_field() {
        let field = |zone: &str, unit, count, range| {
            let error = Buckets::new(zone, unit, count, range).unwrap_err();
            error.fact("field").unwrap().to_owned()
        };
        let year = Span::ms(0, 365 * 24 * HOUR);
        assert_eq!(field("Mars/Base", Unit::Day, 1, year), "zone");
        assert_eq!(field("UTC", Unit::Day, 0, year), "count");
        assert_eq!(field("UTC", Unit::Hour, 25, year), "count");
        assert_eq!(field("UTC", Unit::Hour, 1, Span::ms(0, 20 * year.end.0)), "range");
        assert_eq!(field("UTC", Unit::Day, 1, Span::ms(0, i64::MAX)), "range");
        assert!(Buckets::new("UTC", Unit::Day, 1, Span::ms(5, 5)).unwrap().spans().is_empty());
    }
}
