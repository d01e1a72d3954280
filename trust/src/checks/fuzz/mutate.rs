//! Bytes for a case: a file of the corpus with changes, two of them joined, or nothing but drawn ones.

use crate::run::Case;

/// The longest case. Most are as short as what they are made of.
const LONGEST: usize = 300 * 1024;
/// What devices and callers get wrong, as text.
const WORDS: [&[u8]; 30] = [
    b"\x1e",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\0",
    b"null",
    b"true",
    b"nan",
    b"-inf",
    b"1e999",
    b"-1",
    b"0.0000000000000000000000001",
    b"99999999999999999999999999999999",
    b"18446744073709551615",
    b"-9223372036854775808",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\xe2\x80\xae",
    b"\r\n\r\n",
    b"{\"$regex\":\"(a*)*\"}",
    b"{\"a\":1,\"a\":2}",
    b"\"__proto__\":{}",
    b"Content-Length: -1\r\n",
];
/// Lengths at which something ends.
const LENGTHS: [u32; 12] =
    [0, 1, 3, 4, 255, 65_535, 65_536, 262_143, 262_144, 262_145, 0x7fff_ffff, 0xffff_ffff];

/// The bytes of the case.
pub fn drawn(case: &mut Case, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let rng = &mut case.rng;
    let of = |rng: &mut fastrand::Rng| rng.choice(files).map_or_else(Vec::new, |(_, bytes)| bytes.clone());
    let (mut bytes, probe) = match rng.u32(0..10) {
        0 => {
            let length = rng.usize(0..512);
            ((0..length).map(|_| rng.u8(..)).collect(), "drawn")
        }
        1 | 2 => {
            let (mut a, b) = (of(rng), of(rng));
            a.truncate(rng.usize(0..=a.len()));
            a.extend_from_slice(b.get(rng.usize(0..=b.len())..).unwrap_or_default());
            (a, "two of the corpus joined")
        }
        _ => (of(rng), "changed"),
    };
    for _ in 0..rng.u32(1..=6) {
        change(rng, &mut bytes);
    }
    let deep = rng.u32(0..12) == 0;
    if deep {
        nest(rng, &mut bytes);
    }
    bytes.truncate(LONGEST);
    case.hit(probe);
    case.hit_if(deep, "nested deep");
    bytes
}

fn change(rng: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    let at = rng.usize(0..=bytes.len());
    let end = at + rng.usize(0..=(bytes.len() - at).min(64));
    match rng.u32(0..9) {
        0 => flip(rng, bytes),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let piece = bytes[at..end].to_vec();
            let to = rng.usize(0..=bytes.len());
            bytes.splice(to..to, piece);
        }
        3 => {
            let word = rng.choice(WORDS).unwrap_or_default();
            bytes.splice(at..at, word.iter().copied());
        }
        4 => {
            let word = rng.choice(WORDS).unwrap_or_default();
            bytes.splice(at..end, word.iter().copied());
        }
        5 => number(rng, bytes, at),
        6 => length(rng, bytes, at),
        7 => bytes.truncate(at),
        _ => {
            let piece = bytes[at..end].to_vec();
            for _ in 0..rng.usize(1..200) {
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
}

fn flip(rng: &mut fastrand::Rng, bytes: &mut [u8]) {
    for _ in 0..rng.u32(1..=8) {
        if let Some(at) = (!bytes.is_empty()).then(|| rng.usize(0..bytes.len())) {
            bytes[at] ^= 1 << rng.u32(0..8);
        }
    }
}

/// Another number for the next one in the text.
fn number(rng: &mut fastrand::Rng, bytes: &mut Vec<u8>, at: usize) {
    let begins = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| at + n);
    let Some(begin) = begins else { return };
    let end = bytes[begin..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| begin + n);
    let new = match rng.u32(0..4) {
        0 => format!("{}", rng.u64(..)),
        1 => format!("-{}e{}", rng.u8(..), rng.i32(-400..400)),
        2 => "1".repeat(rng.usize(1..400)),
        _ => format!("{}.{}", rng.u16(..), rng.u64(..)),
    };
    bytes.splice(begin..end, new.into_bytes());
}

/// Four bytes as a length, little-endian mostly.
fn length(rng: &mut fastrand::Rng, bytes: &mut [u8], at: usize) {
    let told = rng.choice(LENGTHS).unwrap_or(0).wrapping_add(rng.u32(0..3));
    let four = if rng.u32(0..4) == 0 { told.to_be_bytes() } else { told.to_le_bytes() };
    for (byte, new) in bytes.iter_mut().skip(at).zip(four) {
        *byte = new;
    }
}

/// Opens many brackets somewhere, and closes them or not.
fn nest(rng: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    let levels = rng.choice([33, 127, 128, 129, 1_000, 20_000]).unwrap_or(128);
    let (open, close): (&[u8], &[u8]) = rng
        .choice([(&b"["[..], &b"]"[..]), (b"{\"a\":", b"}"), (b"{\"$and\":[", b"]}"), (b"[{\"a\":", b"}]")])
        .unwrap_or((b"[", b"]"));
    let at = rng.usize(0..=bytes.len());
    let closed = if rng.bool() { close.repeat(levels) } else { Vec::new() };
    bytes.splice(at..at, [open.repeat(levels), b"1".to_vec(), closed].concat());
}
