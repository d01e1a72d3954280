//! One column of a chunk: numbers in as few bytes as is cheap (parts) or as pco finds (days), exact to the last bit.

use pco::{
    ChunkConfig,
    data_types::Number,
    standalone::{simple_compress_into, simple_decompress_into},
};

use super::{
    bytes::{Cursor, put_signed, put_varint, unzigzag},
    line,
    number::{PLACES, decimal, undo},
};

/// How columns are written; any reader reads both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// Differences in varints: for parts.
    Fast,
    /// pco at a level: for days.
    Dense(usize),
}

/// No row has a value.
pub(super) const NOTHING: u8 = 0;
const CONST_RAW: u8 = 1;
const CONST_DECIMAL: u8 = 2;
const DELTA: u8 = 3;
const RAW: u8 = 4;
const PCO_INT: u8 = 5;
const PCO_FLOAT: u8 = 6;
const DELTA_OF_DELTA: u8 = 7;
const LINE: u8 = 8;
const KIND: u8 = 0x0f;
const PLACES_SHIFT: u8 = 4;
/// Some rows have no value.
const GAPS: u8 = 0x80;
const BITMAP: u8 = 0;
const RUNS: u8 = 1;
/// A line may be so many times as long as what pco makes: it is read several times as fast, and of a whole row's bytes
/// times and sequence are few.
const WORTH: usize = 2;
/// Fewer values do not pay for pco's own header.
const FEW: usize = 48;

/// Writes whole numbers; gives the encoding.
pub(super) fn put_ints(codec: Codec, ints: &[i64], out: &mut Vec<u8>) -> u8 {
    let Some(first) = ints.first() else { return NOTHING };
    if ints.iter().all(|v| v == first) {
        put_signed(out, *first);
        return CONST_DECIMAL;
    }
    if let Codec::Dense(level) = codec
        && ints.len() >= FEW
        && let Some(encoding) = put_dense(level, ints, out)
    {
        return encoding;
    }
    let (mut last, mut step) = (0_i64, 0_i64);
    for v in ints {
        let delta = v.wrapping_sub(last);
        put_signed(out, delta.wrapping_sub(step));
        (last, step) = (*v, delta);
    }
    DELTA_OF_DELTA
}

/// As distances from a line, unless that is longer than [`WORTH`] columns of pco.
fn put_dense(level: usize, ints: &[i64], out: &mut Vec<u8>) -> Option<u8> {
    let start = out.len();
    let line = line::put(ints, out).then(|| out.split_off(start));
    let packed = pack(level, ints, out);
    match line {
        Some(line) if !packed || line.len() <= (out.len() - start) * WORTH => {
            out.truncate(start);
            out.extend_from_slice(&line);
            Some(LINE)
        }
        _ => packed.then_some(PCO_INT),
    }
}

/// Reads `n` whole numbers that are all of `bytes`.
pub(super) fn take_ints(encoding: u8, bytes: &[u8], n: usize) -> Option<Vec<i64>> {
    let mut from = Cursor::new(bytes);
    let ints = match encoding {
        NOTHING if n == 0 => Vec::new(),
        CONST_DECIMAL => vec![from.signed()?; n],
        PCO_INT => return unpack(bytes, n),
        LINE => return line::take(bytes, n),
        DELTA_OF_DELTA => {
            let (mut last, mut step) = (0_i64, 0_i64);
            let next = |_| {
                step = step.wrapping_add(from.signed()?);
                last = last.wrapping_add(step);
                Some(last)
            };
            (0..n).map(next).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (from.left() == 0).then_some(ints)
}

/// What columns are made in, kept from one to the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    present: Vec<f64>,
    ints: Vec<i64>,
}

/// Writes values, NaN where absent; gives the encoding.
pub(super) fn put_values(codec: Codec, values: &[f64], out: &mut Vec<u8>, scratch: &mut Scratch) -> u8 {
    let Scratch { present, ints } = scratch;
    let absent = values.iter().filter(|x| x.is_nan()).count();
    if absent == 0 {
        return put_present(codec, values, out, ints);
    }
    if absent == values.len() {
        return NOTHING;
    }
    put_gaps(values, out);
    present.clear();
    present.extend(values.iter().filter(|x| !x.is_nan()));
    put_present(codec, present, out, ints) | GAPS
}

fn put_present(codec: Codec, values: &[f64], out: &mut Vec<u8>, ints: &mut Vec<i64>) -> u8 {
    let places = to_decimals(values, ints);
    let Some(first) = values.first() else { return NOTHING };
    if values.iter().all(|x| x.to_bits() == first.to_bits()) {
        return if let (Some(places), Some(int)) = (places, ints.first()) {
            put_signed(out, *int);
            CONST_DECIMAL | places << PLACES_SHIFT
        } else {
            out.extend_from_slice(&first.to_le_bytes());
            CONST_RAW
        };
    }
    let dense = match codec {
        Codec::Dense(level) if values.len() >= FEW => Some(level),
        _ => None,
    };
    let Some(places) = places else {
        if dense.is_some_and(|level| pack(level, values, out)) {
            return PCO_FLOAT;
        }
        values.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
        return RAW;
    };
    if dense.is_some_and(|level| pack(level, ints, out)) {
        return PCO_INT | places << PLACES_SHIFT;
    }
    let mut last = 0;
    for v in ints.iter() {
        put_signed(out, v - last);
        last = *v;
    }
    DELTA | places << PLACES_SHIFT
}

/// All values as whole numbers with the fewest decimal places that serve all.
fn to_decimals(values: &[f64], ints: &mut Vec<i64>) -> Option<u8> {
    let mut places = 0;
    'more: loop {
        ints.clear();
        for x in values {
            match decimal(*x, places) {
                Some(v) => ints.push(v),
                None => {
                    places = (places + 1..PLACES).find(|p| decimal(*x, *p).is_some())?;
                    continue 'more;
                }
            }
        }
        return Some(places as u8);
    }
}

/// Reads `rows` values that are all of `bytes`; NaN where absent.
pub(super) fn take_values(encoding: u8, bytes: &[u8], rows: usize) -> Option<Vec<f64>> {
    if encoding == NOTHING {
        return bytes.is_empty().then(|| vec![f64::NAN; rows]);
    }
    let mut from = Cursor::new(bytes);
    if encoding & GAPS == 0 {
        return take_present(encoding, from, rows);
    }
    let present = take_gaps(&mut from, rows)?;
    let n = present.iter().filter(|p| **p).count();
    let mut values = take_present(encoding & !GAPS, from, n)?.into_iter();
    present.into_iter().map(|p| if p { values.next() } else { Some(f64::NAN) }).collect()
}

fn take_present(encoding: u8, mut from: Cursor<'_>, n: usize) -> Option<Vec<f64>> {
    let places = usize::from(encoding >> PLACES_SHIFT);
    if places >= PLACES {
        return None;
    }
    let values = match encoding & KIND {
        CONST_RAW => vec![f64::from_le_bytes(from.array()?); n],
        CONST_DECIMAL => vec![undo(from.signed()?, places); n],
        RAW => (0..n).map(|_| from.array().map(f64::from_le_bytes)).collect::<Option<_>>()?,
        DELTA => {
            let mut last = 0_i64;
            let next = |_| {
                last = last.wrapping_add(unzigzag(from.varint()?));
                Some(undo(last, places))
            };
            (0..n).map(next).collect::<Option<_>>()?
        }
        PCO_INT => {
            let ints: Vec<i64> = unpack(from.take(from.left())?, n)?;
            ints.into_iter().map(|v| undo(v, places)).collect()
        }
        PCO_FLOAT => unpack(from.take(from.left())?, n)?,
        _ => return None,
    };
    (from.left() == 0).then_some(values)
}

/// Which rows have a value: lengths of runs, beginning with one of present values, or one bit each.
fn put_gaps(values: &[f64], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(RUNS);
    let mut runs: Vec<u64> = Vec::new();
    let (mut present, mut run) = (true, 0);
    for x in values {
        if x.is_nan() == present {
            runs.push(run);
            (present, run) = (!present, 0);
        }
        run += 1;
    }
    runs.push(run);
    put_varint(out, runs.len() as u64);
    runs.iter().for_each(|run| put_varint(out, *run));
    if out.len() - start > 1 + values.len().div_ceil(8) {
        out.truncate(start);
        out.push(BITMAP);
        for eight in values.chunks(8) {
            let bit = |byte, (i, x): (usize, &f64)| byte | u8::from(!x.is_nan()) << i;
            out.push(eight.iter().enumerate().fold(0, bit));
        }
    }
}

fn take_gaps(from: &mut Cursor<'_>, rows: usize) -> Option<Vec<bool>> {
    let mut present = Vec::with_capacity(rows);
    if from.u8()? == BITMAP {
        let bits = from.take(rows.div_ceil(8))?;
        present.extend((0..rows).map(|i| bits[i / 8] >> (i % 8) & 1 == 1));
        return Some(present);
    }
    for i in 0..from.count(rows + 1)? {
        let run = from.count(rows - present.len())?;
        present.resize(present.len() + run, i % 2 == 0);
    }
    (present.len() == rows).then_some(present)
}

/// Appends what pco makes of `numbers`. False, with nothing appended, should it refuse.
fn pack<T: Number>(level: usize, numbers: &[T], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let config = ChunkConfig::default().with_compression_level(level);
    let packed = simple_compress_into(numbers, &config, &mut *out).is_ok();
    if !packed {
        out.truncate(start);
    }
    packed
}

fn unpack<T: Number + Default>(bytes: &[u8], n: usize) -> Option<Vec<T>> {
    let mut out = vec![T::default(); n];
    let progress = simple_decompress_into(bytes, &mut out).ok()?;
    (progress.finished && progress.n_processed == n).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODECS: [Codec; 2] = [Codec::Fast, Codec::Dense(4)];

    fn bits(values: &[f64]) -> Vec<Option<u64>> {
        values.iter().map(|x| (!x.is_nan()).then(|| x.to_bits())).collect()
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(f64::NAN),
            Just(-0.0),
            Just(5e-324),
            any::<f64>().prop_filter("finite", |x| x.is_finite()),
            any::<i32>().prop_map(|v| f64::from(v) / 100.0),
            Just(42.0),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn values_come_back_bit_by_bit(mixed in proptest::collection::vec(value(), 0..200), kind in 0..4) {
            let values: Vec<f64> = match kind {
                0 => mixed,
                1 => mixed.iter().map(|x| if x.is_nan() { f64::NAN } else { 7.25 }).collect(),
                2 => mixed.iter().enumerate().map(|(i, _)| i as f64 * 0.5).collect(),
                _ => mixed.iter().map(|x| if x.abs() > 1e9 { f64::NAN } else { *x }).collect(),
            };
            for codec in CODECS {
                let (mut out, mut scratch) = (Vec::new(), Scratch::default());
                let encoding = put_values(codec, &values, &mut out, &mut scratch);
                let back = take_values(encoding, &out, values.len()).unwrap();
                prop_assert_eq!(bits(&back), bits(&values));
            }
        }

        #[test]
        fn whole_numbers_come_back(mut ints in proptest::collection::vec(any::<i64>(), 0..200), regular: bool) {
            if regular {
                ints = (0..ints.len() as i64).map(|i| 1_764_000_000_000 + i * 60_000 + i % 7).collect();
            }
            for codec in CODECS {
                let mut out = Vec::new();
                let encoding = put_ints(codec, &ints, &mut out);
                prop_assert_eq!(take_ints(encoding, &out, ints.len()), Some(ints.clone()));
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(take_ints(DELTA_OF_DELTA, &[1, 2], 3), None);
        assert_eq!(take_ints(CONST_DECIMAL, &[1, 2], 3), None);
        assert!(take_values(RAW, &[0; 15], 2).is_none());
        assert!(take_values(GAPS | CONST_DECIMAL, &[RUNS, 1, 5, 0], 3).is_none());
        assert!(take_values(0x0e, &[], 2).is_none());
        assert!(take_values(PCO_INT, b"pco!", 2).is_none());
    }
}
