//! Whole numbers that lie close to a straight line, as the times of regular polls do: the line, and each one's distance
//! from it in as many bits as the greatest needs. Such a column is read several times as fast as one of pco.

use super::bytes::{Cursor, put_signed};

/// The widest distance, in bits: with a shift of 7 it still fits a word of 64.
const MOST_BITS: u32 = 32;

/// Appends the line and the distances; false, with nothing appended, where one is too far from the line.
pub(super) fn put(ints: &[i64], out: &mut Vec<u8>) -> bool {
    let Some((start, step, width)) = line(ints) else { return false };
    put_signed(out, start);
    put_signed(out, step);
    out.push(width as u8);
    let (mut word, mut bits) = (0_u64, 0);
    for (i, v) in ints.iter().enumerate() {
        word |= (v.wrapping_sub(at(start, step, i)) as u64) << bits;
        bits += width;
        while bits >= 8 {
            out.push(word as u8);
            word >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(word as u8);
    }
    true
}

/// The line that lies under all numbers, and the bits of the greatest distance.
fn line(ints: &[i64]) -> Option<(i64, i64, u32)> {
    let (first, last) = (*ints.first()?, *ints.last()?);
    let steps = i64::try_from(ints.len() - 1).ok()?.max(1);
    let span = last.checked_sub(first)?;
    // To the nearest: a step that is one short is a whole row's length short at the end.
    let step = span.checked_add(steps / 2)?.div_euclid(steps);
    let (mut least, mut most) = (0_i64, 0_i64);
    for (i, v) in ints.iter().enumerate() {
        let distance = v.checked_sub(first)?.checked_sub(step.checked_mul(i64::try_from(i).ok()?)?)?;
        (least, most) = (least.min(distance), most.max(distance));
    }
    let width = u64::BITS - most.checked_sub(least)?.unsigned_abs().leading_zeros();
    (width <= MOST_BITS).then_some((first.checked_add(least)?, step, width))
}

fn at(start: i64, step: i64, i: usize) -> i64 {
    start.wrapping_add(step.wrapping_mul(i as i64))
}

/// Reads `n` numbers that are all of `bytes`.
pub(super) fn take(bytes: &[u8], n: usize) -> Option<Vec<i64>> {
    let mut from = Cursor::new(bytes);
    let (start, step, width) = (from.signed()?, from.signed()?, u32::from(from.u8()?));
    let packed = from.take(from.left())?;
    if width > MOST_BITS || packed.len() != n.checked_mul(width as usize)?.div_ceil(8) {
        return None;
    }
    let mask = (1_u64 << width) - 1;
    let one = |i: usize| {
        let bit = i * width as usize;
        let distance = word(packed, bit / 8) >> (bit % 8) & mask;
        at(start, step, i).wrapping_add(distance as i64)
    };
    Some((0..n).map(one).collect())
}

/// Eight bytes from `from` on, zeros behind the end.
#[inline]
fn word(bytes: &[u8], from: usize) -> u64 {
    let rest = bytes.get(from..).unwrap_or_default();
    if let Some(whole) = rest.first_chunk() {
        return u64::from_le_bytes(*whole);
    }
    rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(ints: &[i64]) -> Option<Vec<u8>> {
        let mut out = vec![9];
        put(ints, &mut out).then(|| out.split_off(1))
    }

    #[test]
    fn regular_numbers_are_the_line_alone() {
        let ints: Vec<i64> = (0..1_440).map(|i| 1_764_000_000_000 + i * 300_000).collect();
        let bytes = bytes(&ints).unwrap();
        assert!(bytes.len() < 12, "{}", bytes.len());
        assert_eq!(take(&bytes, ints.len()), Some(ints));
        let down: Vec<i64> = (0..7).map(|i| -i * 5).collect();
        assert_eq!(take(&super::tests::bytes(&down).unwrap(), 7), Some(down));
    }

    #[test]
    fn a_late_poll_costs_bits_and_not_a_step() {
        let ints: Vec<i64> = (0..1_440).map(|i| 1_764_000_000_000 + i * 60_000 + i * 7_919 % 180).collect();
        let bytes = bytes(&ints).unwrap();
        assert!(bytes.len() <= 12 + 1_440 * 9 / 8, "{}", bytes.len());
        assert_eq!(take(&bytes, ints.len()), Some(ints));
    }

    #[test]
    fn what_is_far_from_a_line_is_left() {
        assert_eq!(bytes(&[0, 1 << 40, 3]), None);
        assert_eq!(bytes(&[i64::MIN, i64::MAX]), None);
        assert_eq!(bytes(&[]), None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let bytes = bytes(&[5, 17, 20, 28]).unwrap();
        assert_eq!(take(&bytes, 4), Some(vec![5, 17, 20, 28]));
        assert_eq!(take(&bytes, 40), None);
        assert_eq!(take(&bytes[..bytes.len() - 1], 4), None);
        assert_eq!(take(&[0, 2, 60, 1, 2, 3], 2), None);
        assert_eq!(take(&[], 0), None);
    }

    proptest! {
        #[test]
        fn all_come_back(start: i32, step in -100_000_i64..100_000, bits in 0_u32..33, n in 1_usize..200, seed: u64) {
            let far = |i: i64| (seed.wrapping_mul(i as u64 + 1).rotate_left(17) & ((1 << bits) - 1)) as i64;
            let ints: Vec<i64> = (0..n as i64).map(|i| i64::from(start) + i * step + far(i)).collect();
            if let Some(bytes) = bytes(&ints) {
                prop_assert_eq!(take(&bytes, n), Some(ints));
            } else {
                prop_assert!(bits > 30);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40), n in 0_usize..60) {
            if let Some(ints) = take(&bytes, n) {
                prop_assert_eq!(ints.len(), n);
            }
        }
    }
}
