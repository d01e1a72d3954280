//! Numbers as short decimals, where that is exact to the last bit.

use super::bytes::{Cursor, put_varint, unzigzag, zigzag};

/// Decimal places that are tried.
pub(super) const PLACES: usize = 5;
/// Mark of a value that is no short decimal.
pub(super) const RAW: usize = PLACES;
const ABSENT: u64 = 6;
const TAG_BITS: u32 = 3;
const SCALES: [f64; PLACES] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Adding and taking away 1.5 · 2^52 rounds to whole numbers, below 2^51.
const ROUND: f64 = 6_755_399_441_055_744.0;
const LARGEST: f64 = 2_251_799_813_685_248.0;

/// The whole number that, divided by 10^`places`, is `x` bit by bit.
#[inline]
pub(super) fn decimal(x: f64, places: usize) -> Option<i64> {
    let scale = SCALES[places];
    let scaled = x * scale;
    if scaled.is_nan() || scaled.abs() >= LARGEST {
        return None;
    }
    let whole = (scaled + ROUND) - ROUND;
    ((whole / scale).to_bits() == x.to_bits()).then_some(whole as i64)
}

/// The number that [`decimal`] made `whole` of.
#[inline]
pub(super) fn undo(whole: i64, places: usize) -> f64 {
    whole as f64 / SCALES[places]
}

/// Decimal places at which `x` is exact, beginning with those that served last; [`RAW`] when there are none.
fn places(x: f64, last: usize) -> (usize, i64) {
    if last == RAW {
        // What is exact with fewer places is nearly always exact with all: one trial is enough.
        return decimal(x, PLACES - 1).map_or((RAW, 0), |_| search(x));
    }
    decimal(x, last).map_or_else(|| search(x), |whole| (last, whole))
}

fn search(x: f64) -> (usize, i64) {
    (0..PLACES).find_map(|places| Some((places, decimal(x, places)?))).unwrap_or((RAW, 0))
}

/// Writes the values of one record; `hints` remembers the decimal places of each member.
pub(super) fn put_values(out: &mut Vec<u8>, values: &[f64], hints: &mut [u8]) {
    let mut absent = 0;
    for (x, hint) in values.iter().zip(hints) {
        if !x.is_finite() {
            absent += 1;
            continue;
        }
        flush_absent(out, &mut absent);
        let (places, whole) = places(*x, usize::from(*hint));
        *hint = places as u8;
        if places == RAW {
            out.push(RAW as u8);
            out.extend_from_slice(&x.to_le_bytes());
        } else {
            put_varint(out, zigzag(whole) << TAG_BITS | places as u64);
        }
    }
    flush_absent(out, &mut absent);
}

fn flush_absent(out: &mut Vec<u8>, absent: &mut u64) {
    if *absent > 0 {
        put_varint(out, *absent << TAG_BITS | ABSENT);
        *absent = 0;
    }
}

/// Reads `n` values into `out`, NaN where one is absent.
pub(super) fn take_values(from: &mut Cursor<'_>, n: usize, out: &mut Vec<f64>) -> Option<()> {
    let mut left = n;
    while left > 0 {
        let word = from.varint()?;
        let (tag, rest) = (word & 7, word >> TAG_BITS);
        if tag == ABSENT {
            let run = usize::try_from(rest).ok().filter(|run| (1..=left).contains(run))?;
            out.resize(out.len() + run, f64::NAN);
            left -= run;
            continue;
        }
        out.push(match tag as usize {
            RAW => f64::from_le_bytes(from.array()?),
            places if places < PLACES => undo(unzigzag(rest), places),
            _ => return None,
        });
        left -= 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back(values: &[f64]) -> Vec<u64> {
        let (mut out, mut back) = (Vec::new(), Vec::new());
        let mut hints = vec![0; values.len()];
        put_values(&mut out, values, &mut hints);
        let mut from = Cursor::new(&out);
        take_values(&mut from, values.len(), &mut back).unwrap();
        assert_eq!(from.left(), 0);
        back.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn short_decimals_are_short_and_exact() {
        for (x, places) in [(0.0, 0), (3_456.0, 0), (-0.1, 1), (98.76, 2), (0.001, 3), (123.456_7, 4)] {
            assert!(decimal(x, places).is_some(), "{x}");
            assert_eq!(undo(decimal(x, places).unwrap(), places).to_bits(), x.to_bits());
        }
        for x in [-0.0, f64::MIN_POSITIVE / 2.0, 1.0 / 3.0, 1e300, f64::MAX, 4.6e15] {
            assert!((0..PLACES).all(|places| decimal(x, places).is_none()), "{x}");
        }
        let mut out = Vec::new();
        put_values(&mut out, &[3.0, f64::NAN, f64::NAN, 65.5], &mut [0; 4]);
        assert_eq!(out.len(), 1 + 1 + 2);
    }

    proptest! {
        #[test]
        fn every_finite_number_comes_back_bit_by_bit(bits in proptest::collection::vec(any::<u64>(), 0..20),
            cents in proptest::collection::vec(any::<i32>(), 0..20)) {
            let mut values: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|x| x.is_finite()).collect();
            values.extend(cents.into_iter().map(|c| f64::from(c) / 100.0));
            values.extend([-0.0, 5e-324, f64::MAX, f64::MIN]);
            let expected: Vec<u64> = values.iter().map(|x| x.to_bits()).collect();
            prop_assert_eq!(there_and_back(&values), expected);
        }
    }
}
