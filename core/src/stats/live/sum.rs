/// The lowest 27 bits of a float's fraction. Without them it has 26 digits, and its product with a time of up to 27
/// binary digits (a day in ms) is exact.
const LOW: u64 = (1 << 27) - 1;

/// A sum of floats that keeps what rounding takes from it (Neumaier's compensation, with Knuth's exact sum of two):
/// some 106 binary digits. Adding and later subtracting the same values leaves nothing behind.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    /// Nothing yet.
    pub const ZERO: Self = Self { high: 0.0, low: 0.0 };

    /// The sum, rounded once.
    pub fn get(self) -> f64 {
        self.high + self.low
    }

    /// Adds `x`, which is finite.
    #[inline]
    pub fn add(&mut self, x: f64) {
        let sum = self.high + x;
        let of_x = sum - self.high;
        let lost = (self.high - (sum - of_x)) + (x - of_x);
        self.high = sum;
        self.low += lost;
    }

    /// Adds `x` times `ms`, without rounding the product.
    #[inline]
    #[allow(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
    pub fn add_product(&mut self, x: f64, ms: i64) {
        let upper = f64::from_bits(x.to_bits() & !LOW);
        let ms = ms as f64;
        self.add(upper * ms);
        self.add((x - upper) * ms);
    }

    /// Adds another sum.
    #[inline]
    pub fn add_sum(&mut self, other: Self) {
        self.add(other.high);
        self.low += other.low;
    }

    /// Adds another sum times `ms`.
    #[inline]
    pub fn add_scaled(&mut self, other: Self, ms: i64) {
        self.add_product(other.high, ms);
        if other.low != 0.0 {
            self.add_product(other.low, ms);
        }
    }

    /// Subtracts another sum.
    pub fn subtract(&mut self, other: Self) {
        self.add_sum(Self { high: -other.high, low: -other.low });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_went_leaves_nothing() {
        let mut sum = Sum::ZERO;
        let value = |n: u32| f64::from(n.wrapping_mul(2_654_435_761)) * 1.000_000_7e-3;
        sum.add(1e15);
        sum.add(0.1);
        (0..3_000_000).for_each(|n| sum.add(value(n)));
        (0..3_000_000).for_each(|n| sum.add(-value(n)));
        sum.add(-1e15);
        assert!((sum.get() - 0.1).abs() < 1e-12, "{}", sum.get());
    }

    #[test]
    fn products_are_not_rounded() {
        let mut sum = Sum::ZERO;
        sum.add_product(1e15 + 0.3, 59_999);
        sum.add_product(0.7, 86_399_999);
        sum.add_product(-(1e15 + 0.3), 59_999);
        assert_eq!(sum.get(), 0.7 * 86_399_999.0);
    }
}
