//! What was proposed of late, so that many small actions count as one large.

use serde::{Deserialize, Serialize};

/// How much an action touches, or several.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Targets.
    pub targets: u64,
    /// The most that the power of those of which it is known can change by, kW.
    pub kw: f64,
    /// Targets of which nobody can say.
    pub unknown: u64,
}

impl Sums {
    /// Of targets whose power can change by so many W each at most; `None` where nobody can say.
    pub fn of(powers_w: impl IntoIterator<Item = Option<f64>>) -> Self {
        let mut all = Self::default();
        for power in powers_w {
            all.targets += 1;
            match power.filter(|w| w.is_finite()) {
                Some(w) => all.kw += w.abs() / 1_000.0,
                None => all.unknown += 1,
            }
        }
        all
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            targets: self.targets.saturating_add(other.targets),
            kw: self.kw + other.kw,
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }
}

/// What was proposed before, within the window, in actions of the same class that can still be carried out or were.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Recent {
    /// By the same creator.
    pub creator: Sums,
    /// By everybody.
    pub site: Sums,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_known_or_counted_as_unknown() {
        let all = Sums::of([Some(3_500.0), None, Some(-500.0), Some(f64::NAN), Some(f64::INFINITY)]);
        assert_eq!(all, Sums { targets: 5, kw: 4.0, unknown: 3 });
        assert_eq!(all.and(all), Sums { targets: 10, kw: 8.0, unknown: 6 });
    }
}
