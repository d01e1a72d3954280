//! From the device's numbers and texts to values that are true, or to the reason why there is none.

use headframe_core::{
    model::{Members, MissingReason, Text},
    units::{Celsius, Hashrate, JoulesPerTerahash, Megahertz, Watts, floor2},
};

/// A value, or why it is missing.
pub(super) type Reading<T> = Result<T, MissingReason>;

/// The reasons of a snapshot, by path.
#[derive(Debug, Default)]
pub(super) struct Missing(pub Members<MissingReason>);

impl Missing {
    /// Notes the reasons of several members.
    pub fn add(&mut self, gaps: &[(&'static str, MissingReason)]) {
        self.0.extend(gaps.iter().copied());
    }

    /// The value, if there is one; else its reason is noted under `path`.
    pub fn keep<T>(&mut self, path: &'static str, reading: Reading<T>) -> Option<T> {
        match reading {
            Ok(value) => Some(value),
            Err(reason) => {
                self.0.insert(path, reason);
                None
            }
        }
    }
}

pub(super) fn reported<T>(x: Option<T>) -> Reading<T> {
    x.ok_or(MissingReason::NotReported)
}

/// A number of 0 or more; −1 is the device's mark for unknown where `minus_one` says so.
fn positive(x: Option<f64>, minus_one: bool) -> Reading<f64> {
    match reported(x)? {
        x if x >= 0.0 => Ok(x),
        x if minus_one && x == -1.0 => Err(MissingReason::Sentinel),
        _ => Err(MissingReason::Implausible),
    }
}

/// MH/s.
pub(super) fn rate(mhs: Option<f64>) -> Reading<Hashrate> {
    let mhs = positive(mhs, false)?;
    Hashrate::from_mhs(mhs).map(Hashrate::floor2).ok_or(MissingReason::Implausible)
}

/// GH/s of the factory; firmwares that do not know it give 0 or less.
pub(super) fn factory(ghs: Option<f64>) -> Reading<Hashrate> {
    let ghs = reported(ghs)?;
    let rate = Hashrate::from_ghs(ghs).filter(|_| ghs > 0.0);
    rate.map(Hashrate::floor2).ok_or(MissingReason::Sentinel)
}

pub(super) fn watts(w: Option<f64>) -> Reading<Watts> {
    Watts::new(positive(w, true)?).map(Watts::floor2).ok_or(MissingReason::Implausible)
}

/// The efficiency that the machine tells, which as W per TH/s has the rules of W; else that of its power and rate.
pub(super) fn efficiency(
    told: Reading<Watts>,
    power: Option<Watts>,
    now: Option<Hashrate>,
) -> Reading<JoulesPerTerahash> {
    let own = told.and_then(|w| JoulesPerTerahash::new(w.get()).ok_or(MissingReason::Implausible));
    own.or_else(|reason| {
        let (Some(power), Some(now)) = (power, now) else { return Err(reason) };
        JoulesPerTerahash::of(power, now).map(JoulesPerTerahash::floor2).ok_or(MissingReason::Derived)
    })
}

/// A limit; 0 means that there is none.
pub(super) fn limit(w: Option<f64>) -> Reading<Watts> {
    watts(w).and_then(|w| if w.get() > 0.0 { Ok(w) } else { Err(MissingReason::Sentinel) })
}

/// °C, not rounded.
pub(super) fn degrees(c: Option<f64>) -> Reading<f64> {
    match reported(c)? {
        c if (-273.15..=-273.0).contains(&c) => Err(MissingReason::Sentinel),
        c if (-60.0..=200.0).contains(&c) => Ok(c),
        _ => Err(MissingReason::Implausible),
    }
}

pub(super) fn celsius(c: Option<f64>) -> Reading<Celsius> {
    Celsius::new(floor2(degrees(c)?)).ok_or(MissingReason::Implausible)
}

/// MHz.
pub(super) fn clock(mhz: Option<f64>) -> Reading<Megahertz> {
    Megahertz::new(positive(mhz, false)?).ok_or(MissingReason::Implausible)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within 0 and 10^6")]
pub(super) fn rpm(x: Option<f64>) -> Reading<u32> {
    match positive(x, true)? {
        x if x <= 1e6 => Ok(x as u32),
        _ => Err(MissingReason::Implausible),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be within 0 and 10^12"
)]
pub(super) fn millis(seconds: Option<f64>) -> Reading<u64> {
    match positive(seconds, false)? {
        s if s <= 1e12 => Ok((s * 1000.0) as u64),
        _ => Err(MissingReason::Implausible),
    }
}

/// Text without the quotes and newlines that old firmware puts around it; empty text means unknown.
pub(super) fn text(x: Option<&Text>) -> Reading<Text> {
    let raw = reported(x)?;
    let clean = raw.trim_matches(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\''));
    if clean.is_empty() {
        Err(MissingReason::Sentinel)
    } else if clean.len() == raw.len() && !clean.contains(char::is_control) {
        Ok(raw.clone())
    } else {
        Ok(clean.replace(char::is_control, "").into())
    }
}

/// A MAC address, upper case with colons.
pub(super) fn mac(x: Option<&Text>) -> Reading<Text> {
    let mac = text(x)?;
    let digits: Vec<char> = mac.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    if digits.len() != 12 || !digits.iter().all(char::is_ascii_hexdigit) {
        return Err(MissingReason::Implausible);
    }
    let pairs: Vec<String> = digits.chunks(2).map(|p| p.iter().collect::<String>()).collect();
    Ok(pairs.join(":").to_ascii_uppercase().into())
}

/// The first reading that is a value, else the reason of the first.
pub(super) fn either<T>(first: Reading<T>, second: impl FnOnce() -> Reading<T>) -> Reading<T> {
    first.or_else(|reason| second().map_err(|_| reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use MissingReason::{Implausible, NotReported, Sentinel};

    #[test]
    fn marks_for_unknown_are_not_values() {
        assert_eq!(watts(Some(-1.0)).unwrap_err(), Sentinel);
        assert_eq!(watts(Some(-3.0)).unwrap_err(), Implausible);
        assert_eq!(watts(None).unwrap_err(), NotReported);
        assert_eq!(watts(Some(5497.609)).unwrap().get(), 5497.6);
        assert_eq!(limit(Some(0.0)).unwrap_err(), Sentinel);
        assert_eq!(celsius(Some(-273.0)).unwrap_err(), Sentinel);
        assert_eq!(celsius(Some(-61.0)).unwrap_err(), Implausible);
        assert_eq!(celsius(Some(200.5)).unwrap_err(), Implausible);
        assert_eq!(celsius(Some(-12.345)).unwrap().get(), -12.35);
        assert_eq!(factory(Some(-0.003)).unwrap_err(), Sentinel);
        assert_eq!(factory(Some(0.0)).unwrap_err(), Sentinel);
        assert_eq!(factory(Some(212.0)).unwrap().mhs(), 212_000.0);
        assert_eq!(rate(Some(-1.0)).unwrap_err(), Implausible);
        assert_eq!(rate(Some(0.0)).unwrap().mhs(), 0.0);
        assert_eq!(rpm(Some(-5.0)).unwrap_err(), Implausible);
        assert_eq!((rpm(Some(5280.0)).unwrap(), rpm(Some(1e9)).unwrap_err()), (5280, Implausible));
        assert_eq!(
            (millis(Some(7261.0)).unwrap(), millis(Some(-1.0)).unwrap_err()),
            (7_261_000, Implausible)
        );
    }

    #[test]
    fn texts_lose_what_surrounds_them() {
        let read = |s: &str| text(Some(&Text::from(s)));
        assert_eq!(read("'20200917.22.REL'\n").unwrap(), "20200917.22.REL");
        assert_eq!(read("a\nb").unwrap(), "ab");
        assert_eq!(read(" \"\" ").unwrap_err(), Sentinel);
        let read = |s: &str| mac(Some(&Text::from(s)));
        assert_eq!(read("d4-01-02-03-04-0f").unwrap(), "D4:01:02:03:04:0F");
        assert_eq!(read("d4010203040f").unwrap(), "D4:01:02:03:04:0F");
        assert_eq!((read("d4:01").unwrap_err(), read("").unwrap_err()), (Implausible, Sentinel));
    }
}
