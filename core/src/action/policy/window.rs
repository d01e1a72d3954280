//! Times of the week in a time zone.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::LazyLock};

use jiff::{
    Timestamp as Instant,
    civil::{DateTime, Time},
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, io::Timestamp, model::Text};

const OP: &str = "action.window";
const MINUTES_A_DAY: u16 = 24 * 60;
/// Every window opens again within so many days, but for one that the change to summer time swallows.
const DAYS_AHEAD: usize = 16;
/// No zone changes its clocks more often than that within the days looked at.
const MAX_CHANGES: usize = 8;

/// The zones that are part of the program: the same on every machine and in simulation.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time of the week when execution may begin, `{"days": ["sat", "sun"], "from": "08:00", "to": "17:30", "zone":
/// "Europe/Berlin"}`. An hour that is there twice when summer time ends is open twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Days of the week on which it opens.
    pub days: BTreeSet<Day>,
    /// When it opens, local time.
    pub from: LocalTime,
    /// When it closes on the same day, local time; the minute itself is outside. `24:00` is the end of the day.
    pub to: LocalTime,
    /// IANA name of the time zone.
    pub zone: Text,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "days need no words")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn of(at: DateTime) -> Self {
        match at.weekday() {
            jiff::civil::Weekday::Monday => Self::Mon,
            jiff::civil::Weekday::Tuesday => Self::Tue,
            jiff::civil::Weekday::Wednesday => Self::Wed,
            jiff::civil::Weekday::Thursday => Self::Thu,
            jiff::civil::Weekday::Friday => Self::Fri,
            jiff::civil::Weekday::Saturday => Self::Sat,
            jiff::civil::Weekday::Sunday => Self::Sun,
        }
    }
}

/// A time of the day, to the minute: `00:00` to `24:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalTime(u16);

impl LocalTime {
    const fn parts(self) -> (u16, u16) {
        (self.0 / 60, self.0 % 60)
    }

    /// `24:00` is no time at which something begins.
    pub(super) const fn is_end_of_day(self) -> bool {
        self.0 == MINUTES_A_DAY
    }

    fn civil(self) -> Option<Time> {
        let (hours, minutes) = self.parts();
        Time::new(i8::try_from(hours).ok()?, i8::try_from(minutes).ok()?, 0, 0).ok()
    }
}

impl FromStr for LocalTime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let two = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten()
        };
        let read = || {
            let (hours, minutes) = text.split_once(':')?;
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            let all = hours * 60 + minutes;
            (minutes < 60 && all <= MINUTES_A_DAY).then_some(Self(all))
        };
        read().ok_or_else(|| Error::invalid(OP, "time", "a time is written 00:00 to 24:00"))
    }
}

impl TryFrom<String> for LocalTime {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<LocalTime> for String {
    fn from(time: LocalTime) -> Self {
        time.to_string()
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes) = self.parts();
        write!(f, "{hours:02}:{minutes:02}")
    }
}

impl fmt::Debug for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Window {
    /// Whether it is open.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a zone that is not known here.
    pub fn is_open(&self, at: Timestamp) -> Result<bool> {
        Ok(self.is_open_at(self.zone()?.to_datetime(instant(at)?)))
    }

    /// The first moment from `at` on when it is open; `None` when there is none within 16 days.
    ///
    /// # Errors
    /// As [`is_open`](Self::is_open).
    pub fn next_open(&self, at: Timestamp) -> Result<Option<Timestamp>> {
        let (zone, at) = (self.zone()?, instant(at)?);
        let now = zone.to_datetime(at);
        if self.is_open_at(now) {
            return Ok(Some(Timestamp(at.as_millisecond())));
        }
        // It opens at its time of a day, or where the clocks are changed.
        let mut moments: Vec<Instant> =
            zone.following(at).take(MAX_CHANGES).map(|change| change.timestamp()).collect();
        if let Some(from) = self.from.civil() {
            for date in now.date().series(jiff::Span::new().days(1)).take(DAYS_AHEAD) {
                let local = zone.to_ambiguous_timestamp(date.to_datetime(from));
                moments.extend(local.earlier().into_iter().chain(local.later()));
            }
        }
        let opens = moments.into_iter().filter(|m| *m > at && self.is_open_at(zone.to_datetime(*m)));
        Ok(opens.min().map(|m| Timestamp(m.as_millisecond())))
    }

    fn is_open_at(&self, local: DateTime) -> bool {
        let minute =
            u16::try_from(local.hour()).unwrap_or(0) * 60 + u16::try_from(local.minute()).unwrap_or(0);
        self.days.contains(&Day::of(local)) && (self.from.0..self.to.0).contains(&minute)
    }

    pub(super) fn zone(&self) -> Result<TimeZone> {
        ZONES.get(&self.zone).map_err(|_| Error::invalid(OP, "zone", "is no time zone that is known here"))
    }
}

/// The first moment from `at` on when one of `windows` is open, `at` itself without any; `None` when none opens again.
///
/// # Errors
/// As [`Window::is_open`].
pub fn next_open(windows: &[Window], at: Timestamp) -> Result<Option<Timestamp>> {
    if windows.is_empty() {
        return Ok(Some(at));
    }
    let opens = windows.iter().map(|window| window.next_open(at)).collect::<Result<Vec<_>>>()?;
    Ok(opens.into_iter().flatten().min())
}

pub(super) fn instant(at: Timestamp) -> Result<Instant> {
    Instant::from_millisecond(at.0)
        .map_err(|_| Error::invalid(OP, "time", "is outside of the years that can be shown"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn window(days: &[&str], from: &str, to: &str, zone: &str) -> Window {
        serde_json::from_value(json!({"days": days, "from": from, "to": to, "zone": zone})).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<Instant>().unwrap().as_millisecond())
    }

    #[test]
    fn it_is_open_at_its_time_in_its_zone() {
        let weekend = window(&["sat", "sun"], "08:00", "17:30", "Europe/Berlin");
        for (time, open) in [
            ("2026-11-28T06:59:59.999Z", false),
            ("2026-11-28T07:00:00Z", true),
            ("2026-11-28T16:29:59Z", true),
            ("2026-11-28T16:30:00Z", false),
            ("2026-11-27T10:00:00Z", false),
            ("2026-07-04T06:00:00Z", true),
        ] {
            assert_eq!(weekend.is_open(at(time)).unwrap(), open, "{time}");
        }
        assert_eq!(weekend.next_open(at("2026-11-25T12:00:00Z")).unwrap(), Some(at("2026-11-28T07:00:00Z")));
        assert_eq!(weekend.next_open(at("2026-11-28T09:00:00Z")).unwrap(), Some(at("2026-11-28T09:00:00Z")));
        assert_eq!(weekend.next_open(at("2026-11-29T16:30:00Z")).unwrap(), Some(at("2026-12-05T07:00:00Z")));
        let late = window(&["sun"], "22:00", "24:00", "America/Chicago");
        assert!(late.is_open(at("2026-11-30T05:59:59Z")).unwrap());
        assert!(!late.is_open(at("2026-11-30T06:00:00Z")).unwrap());
    }

    #[test]
    fn changes_of_the_clocks_open_late_or_twice() {
        // 2026-03-29 in Berlin: 02:00 to 03:00 are missing. 2026-10-25: they are there twice.
        let night = window(&["sun"], "02:30", "04:00", "Europe/Berlin");
        assert_eq!(night.next_open(at("2026-03-28T12:00:00Z")).unwrap(), Some(at("2026-03-29T01:00:00Z")));
        let swallowed = window(&["sun"], "02:10", "02:50", "Europe/Berlin");
        assert_eq!(
            swallowed.next_open(at("2026-03-28T12:00:00Z")).unwrap(),
            Some(at("2026-04-05T00:10:00Z"))
        );
        assert_eq!(
            swallowed.next_open(at("2026-10-25T00:00:00Z")).unwrap(),
            Some(at("2026-10-25T00:10:00Z"))
        );
        assert_eq!(
            swallowed.next_open(at("2026-10-25T00:55:00Z")).unwrap(),
            Some(at("2026-10-25T01:10:00Z"))
        );
    }

    #[test]
    fn the_first_of_several_counts_and_none_is_always() {
        let both =
            [window(&["mon"], "08:00", "09:00", "UTC"), window(&["fri"], "08:00", "09:00", "Asia/Tokyo")];
        let now = at("2026-11-25T12:00:00Z");
        assert_eq!(next_open(&both, now).unwrap(), Some(at("2026-11-26T23:00:00Z")));
        assert_eq!(next_open(&[], now).unwrap(), Some(now));
    }

    #[test]
    fn times_are_read_strictly_and_unknown_zones_are_errors() {
        for text in
            ["24:01", "25:00", "8:00", "08:0", "08:60", "0800", "", "-1:00", "+1:00", "08:00:00", "８:00"]
        {
            assert!(text.parse::<LocalTime>().is_err(), "{text}");
        }
        assert_eq!("24:00".parse::<LocalTime>().unwrap().to_string(), "24:00");
        let nowhere = window(&["mon"], "08:00", "09:00", "Mars/Olympus");
        assert_eq!(nowhere.is_open(at("2026-11-25T12:00:00Z")).unwrap_err().fact("field"), Some("zone"));
        assert!(window(&["mon"], "08:00", "09:00", "UTC").is_open(Timestamp(i64::MAX)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nothing_is_open_between_now_and_the_next_time(
            minutes in 0i64..(3 * 365 * 24 * 60),
            (from, length) in (0u16..1440).prop_flat_map(|from| (Just(from), 1..=1440 - from)),
            day in 0usize..7,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Chicago", "Australia/Lord_Howe"]),
        ) {
            let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let mut window = window(&[days[day]], "00:00", "24:00", zone);
            (window.from, window.to) = (LocalTime(from), LocalTime(from + length));
            let now = Timestamp(at("2026-01-01T00:00:00Z").0 + minutes * 60_000);
            let next = window.next_open(now).unwrap().unwrap();
            prop_assert!(window.is_open(next).unwrap());
            // Every minute before it is closed.
            for before in 0..((next.0 - now.0) / 60_000) {
                prop_assert!(!window.is_open(Timestamp(now.0 + before * 60_000)).unwrap());
            }
        }
    }
}
