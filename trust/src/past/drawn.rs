//! What is appended: many owners, shapes that come and go, late samples, texts.

use std::sync::Arc;

use headframe_core::{
    Result,
    history::{History, Sample, Shape},
    io::Timestamp,
};

pub const DAY_MS: i64 = 86_400_000;
const OWNERS: u32 = 6;

/// A sample of a case.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub owner: String,
    pub ts: i64,
    pub shape: Arc<Shape>,
    pub values: Vec<f64>,
    pub text: Option<String>,
}

/// The owners there can be.
pub fn owners() -> Vec<String> {
    (0..OWNERS).map(|n| format!("owner-{n}")).collect()
}

/// Shapes that overlap, and one without members.
pub fn shapes() -> std::result::Result<Vec<Arc<Shape>>, String> {
    let all = [&["a", "b", "c"][..], &["a", "d"], &["e", "c", "b", "a", "f"], &["g", "a"], &[]];
    let shape = |names: &[&str]| Shape::new(names.iter().copied()).map_err(|e| e.to_string());
    all.into_iter().map(shape).collect()
}

fn value(rng: &mut fastrand::Rng) -> f64 {
    match rng.u32(0..10) {
        0 => f64::NAN,
        1 => -0.0,
        2 => f64::from_bits(rng.u64(1..1 << 52)),
        3 => std::iter::repeat_with(|| f64::from_bits(rng.u64(..))).find(|v| v.is_finite()).unwrap_or(0.0),
        4 => 7.5,
        5 => f64::from(rng.i32(..)) / 10_000.0,
        _ => f64::from(rng.i32(3_000..3_500)) / 10.0,
    }
}

/// Some samples around `now`.
pub fn samples(rng: &mut fastrand::Rng, shapes: &[Arc<Shape>], now: i64) -> Vec<Drawn> {
    // In each span of time only some of the shapes are in use.
    let first = usize::try_from(now / (6 * 3_600_000)).unwrap_or(0);
    let mut drawn = Vec::new();
    for _ in 0..rng.usize(1..20) {
        let shape = shapes[(first + rng.usize(0..3)) % shapes.len()].clone();
        let values = (0..shape.len()).map(|_| value(rng)).collect();
        let back = match rng.u32(0..20) {
            0 => rng.i64(0..3 * DAY_MS),
            1..=4 => rng.i64(0..60_000),
            _ => 0,
        };
        let text = (rng.u32(0..8) == 0).then(|| format!("{{\"n\":{}}}", rng.u16(..)));
        let owner = format!("owner-{}", rng.u32(0..OWNERS));
        drawn.push(Drawn { owner, ts: now - back, shape, values, text });
    }
    drawn
}

/// Appends them; gives the sequence of the last.
pub fn append(history: &History, drawn: &[Drawn]) -> Result<u64> {
    let samples: Vec<Sample<'_>> = drawn
        .iter()
        .map(|drawn| Sample {
            owner: &drawn.owner,
            ts: Timestamp(drawn.ts),
            shape: &drawn.shape,
            values: &drawn.values,
            texts: drawn.text.as_deref(),
        })
        .collect();
    history.append(&samples)
}

/// The UTC day, since 1970, with which the name of a sealed file begins.
pub fn day_of_name(name: &str) -> Option<i64> {
    let mut parts = name.split('.').next()?.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Years that begin in March, so that the day of a leap year is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_names() {
        assert_eq!(day_of_name("1970-01-01.1.day"), Some(0));
        assert_eq!(day_of_name("2024-02-29.7.part"), Some(19_782));
        assert_eq!(day_of_name("2025-11-26.12.day"), Some(20_418));
        assert_eq!(day_of_name("17.log"), None);
    }
}
