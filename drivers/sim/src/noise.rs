//! Numbers that look random and follow from a seed.

/// SplitMix64 of two numbers.
pub(crate) fn mix(seed: u64, salt: u64) -> u64 {
    let mut z =
        seed.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in 0..1 that belongs to this seed and salt.
pub(crate) fn unit(seed: u64, salt: u64) -> f64 {
    (mix(seed, salt) >> 11) as f64 / (1u64 << 53) as f64
}

/// A number in -1..1 that belongs to this seed, salt and step of time.
pub(crate) fn noise(seed: u64, salt: u64, step: f64) -> f64 {
    2.0 * unit(mix(seed, salt), step.to_bits()) - 1.0
}
