//! Typed units. Each serialises as the plain number of MiningOS's JSON (MH/s, W, °C, MHz, J/TH): whole numbers
//! without a fraction, as JavaScript writes them. None can hold NaN or an infinity: constructors give `None`. An
//! absent value therefore needs no room of its own: an `Option` of a unit has the size of the unit.

use std::{cmp::Ordering, fmt, num::NonZeroU64, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Whole numbers up to this size survive a 64-bit float unchanged.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// MiningOS's rounding: down to two decimals, multiplied first, in 64-bit floats.
pub fn floor2(x: f64) -> f64 {
    (x * 100.0).floor() / 100.0
}

/// Writes a number as JavaScript does: `26`, not `26.0`.
pub fn serialize_number<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match whole(*x) {
        Some(whole) => serializer.serialize_i64(whole),
        None => serializer.serialize_f64(*x),
    }
}

/// Writes a time as whole milliseconds.
pub(crate) fn as_millis<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The whole number that it is. Without `fract`, which costs a call on processors of the oldest kind that is served.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "compared with what it was")]
fn whole(x: f64) -> Option<i64> {
    let whole = x as i64;
    (whole as f64 == x && x.abs() < EXACT).then_some(whole)
}

/// The float that is nearest to what JSON shows of `x`: 65.3, not 65.30000305175781.
pub(crate) fn shortest(x: f32) -> f64 {
    /// Adding and taking away 1.5 · 2^52 rounds to whole numbers, below 2^51.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let wide = f64::from(x);
    let decimal = |scale: f64| ((wide * scale + ROUND) - ROUND) / scale;
    #[allow(clippy::cast_possible_truncation, reason = "it is compared with what is meant")]
    let is_it = |rounded: &f64| (*rounded as f32).to_bits() == x.to_bits();
    let short = [1.0, 10.0, 100.0, 1000.0].into_iter().map(decimal).find(is_it).filter(|_| wide.abs() < 1e6);
    short.unwrap_or_else(|| x.to_string().parse().unwrap_or(wide))
}

/// A finite number whose bits are never all zero, which leaves that pattern to `None`.
#[derive(Clone, Copy)]
struct Finite(NonZeroU64);

impl Finite {
    /// The bits of one NaN, the number that no value has.
    const NONE: u64 = f64::NAN.to_bits();

    fn new(value: f64) -> Option<Self> {
        let bits = value.is_finite().then(|| value.to_bits() ^ Self::NONE)?;
        NonZeroU64::new(bits).map(Self)
    }

    const fn get(self) -> f64 {
        f64::from_bits(self.0.get() ^ Self::NONE)
    }
}

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $symbol:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(Finite);

        impl $name {
            /// `None` for NaN and infinities.
            pub fn new(value: f64) -> Option<Self> {
                Finite::new(value).map(Self)
            }

            /// The number in this unit.
            pub const fn get(self) -> f64 {
                self.0.get()
            }

            /// Rounded down to two decimals, as MiningOS stores it.
            #[must_use]
            pub fn floor2(self) -> Self {
                // A number too large to be multiplied has no decimals anyway.
                Self::new(floor2(self.get())).unwrap_or(self)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.get() == other.get()
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                self.get().partial_cmp(&other.get())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.get()).finish()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.get(), f)?;
                f.write_str(concat!(" ", $symbol))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_number(&self.get(), serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(f64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a finite number"))
            }
        }
    };
}

unit!(
    /// Electrical power in W.
    Watts, "W"
);
unit!(
    /// Temperature in °C.
    Celsius, "°C"
);
unit!(
    /// Clock frequency in MHz.
    Megahertz, "MHz"
);
unit!(
    /// Electrical tension in V.
    Volts, "V"
);
unit!(
    /// Electrical current in A.
    Amperes, "A"
);
unit!(
    /// Efficiency in J/TH, which is W per TH/s.
    JoulesPerTerahash, "J/TH"
);
unit!(
    /// Hashrate. Held and serialised in MH/s, MiningOS's unit.
    Hashrate, "MH/s"
);

impl Hashrate {
    /// From MH/s (Whatsminer API v2, MiningOS).
    pub fn from_mhs(value: f64) -> Option<Self> {
        Self::new(value)
    }

    /// From GH/s (Antminer).
    pub fn from_ghs(value: f64) -> Option<Self> {
        Self::new(value * 1e3)
    }

    /// From TH/s (Whatsminer API v3).
    pub fn from_ths(value: f64) -> Option<Self> {
        Self::new(value * 1e6)
    }

    /// In MH/s.
    pub const fn mhs(self) -> f64 {
        self.get()
    }

    /// In TH/s, the unit in which people speak of one miner.
    pub fn ths(self) -> f64 {
        self.get() / 1e6
    }
}

impl JoulesPerTerahash {
    /// What `power` buys; `None` when nothing is hashed.
    pub fn of(power: Watts, hashrate: Hashrate) -> Option<Self> {
        (hashrate.ths() > 0.0).then(|| Self::new(power.get() / hashrate.ths())).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        let json = |x| serde_json::to_string(&Watts::new(x).unwrap()).unwrap();
        assert_eq!([json(26.0), json(5497.6), json(-0.5), json(0.0)], ["26", "5497.6", "-0.5", "0"]);
    }

    #[test]
    fn an_absent_value_needs_no_room() {
        assert_eq!(size_of::<Option<Watts>>(), size_of::<f64>());
        for x in [0.0, -0.0, 1.0, -273.15, f64::MAX, f64::MIN_POSITIVE] {
            assert_eq!(Watts::new(x).unwrap().get().to_bits(), x.to_bits());
        }
        assert!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].iter().all(|x| Watts::new(*x).is_none()));
        assert_eq!(Watts::new(f64::MAX).unwrap().floor2().get(), f64::MAX);
    }

    #[test]
    fn rounding_multiplies_first() {
        assert_eq!(floor2(612.348), 612.34);
        assert_eq!(floor2(211_345_678.905), 211_345_678.9);
        assert_eq!(Celsius::new(69.999).unwrap().floor2().get(), 69.99);
    }

    #[test]
    fn the_three_hashrate_units_meet() {
        let rates = [Hashrate::from_mhs(2e8), Hashrate::from_ghs(2e5), Hashrate::from_ths(200.0)];
        assert!(rates.iter().all(|r| r.unwrap().mhs() == 2e8));
        assert_eq!(Hashrate::from_ghs(f64::NAN), None);
        assert_eq!(Hashrate::from_ths(200.0).unwrap().ths(), 200.0);
    }

    #[test]
    fn efficiency_of_an_idle_miner_is_absent() {
        let watts = Watts::new(3500.0).unwrap();
        assert_eq!(JoulesPerTerahash::of(watts, Hashrate::from_ths(0.0).unwrap()), None);
        assert_eq!(JoulesPerTerahash::of(watts, Hashrate::from_ths(200.0).unwrap()).unwrap().get(), 17.5);
    }
}
