//! Bytes as text.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(super) fn encode(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The bytes, if the text is whole and in lower case, so that there is one text for each.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| DIGITS.iter().position(|d| *d == c).map(|n| n as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| if let [high, low] = pair { Some(digit(*high)? << 4 | digit(*low)?) } else { None })
        .collect()
}
