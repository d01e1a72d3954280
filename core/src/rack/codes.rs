//! Codes: `PREFIX-NNNN`, the name that people say and print on labels.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// Longest number that a person may give, in digits; so that there is always a next one.
const MOST_DIGITS: usize = 9;
const MOST_CHARS: usize = 128;

/// The prefix of a type's codes: the type without its first part, in capitals.
pub(super) fn prefix(thing_type: &str) -> String {
    thing_type.split_once('-').map_or(thing_type, |(_, rest)| rest).to_uppercase()
}

/// Prefix and number of a code.
fn parts(code: &str) -> Option<(&str, u64)> {
    let (prefix, number) = code.rsplit_once('-')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits.then_some(())?;
    Some((prefix, number.parse().ok()?))
}

/// Refuses a code that does not end in a dash and a number.
pub(super) fn check(code: &str) -> Result<()> {
    let digits = code.rsplit_once('-').map_or("", |(_, number)| number);
    let good = parts(code).is_some()
        && digits.len() <= MOST_DIGITS
        && code.chars().count() <= MOST_CHARS
        && !code.chars().any(|c| c.is_whitespace() || c.is_control());
    if good {
        return Ok(());
    }
    let why = "a code ends in a dash and a number of at most 9 digits, and has no white space";
    Err(Error::invalid("thing.register", "code", why).code_as("ERR_THING_CODE_INVALID"))
}

/// The numbers in use, per prefix.
#[derive(Debug, Default)]
pub(super) struct Codes(BTreeMap<Box<str>, BTreeMap<u64, u32>>);

impl Codes {
    pub fn add(&mut self, code: &str) {
        if let Some((prefix, number)) = parts(code) {
            *self.0.entry(prefix.into()).or_default().entry(number).or_default() += 1;
        }
    }

    pub fn remove(&mut self, code: &str) {
        let Some((prefix, number)) = parts(code) else { return };
        let Some(numbers) = self.0.get_mut(prefix) else { return };
        match numbers.get_mut(&number) {
            Some(n) if *n > 1 => *n -= 1,
            _ => {
                numbers.remove(&number);
            }
        }
        if numbers.is_empty() {
            self.0.remove(prefix);
        }
    }

    /// One more than the highest number in use. Numbers in between stay free, so that labels stay in order.
    pub fn next(&self, prefix: &str) -> String {
        self.next_of(prefix, 4)
    }

    /// The same with a number of at least so many digits.
    pub fn next_of(&self, prefix: &str, digits: usize) -> String {
        let highest = self.0.get(prefix).and_then(|n| n.last_key_value()).map_or(0, |(n, _)| *n);
        format!("{prefix}-{:0digits$}", highest.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_follow_the_type() {
        assert_eq!(prefix("miner-am-s21"), "AM-S21");
        assert_eq!(prefix("thing"), "THING");
    }

    #[test]
    fn a_code_ends_in_a_number() {
        for good in ["AM-S21-0450", "X-1", "a-b-c-000000001"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "AM-S21", "AM-", "AM-1x", "0450", "A B-1", "AM-1234567890", "AM-+1"] {
            let e = check(bad).unwrap_err();
            assert_eq!((e.code(), e.fact("field")), ("ERR_THING_CODE_INVALID", Some("code")), "{bad}");
        }
    }

    #[test]
    fn the_next_number_is_above_all_in_use() {
        let mut codes = Codes::default();
        assert_eq!(codes.next("AM-S21"), "AM-S21-0001");
        for code in ["AM-S21-0001", "AM-S21-0450", "AM-S21-450", "WM-M56S-9000", "odd"] {
            codes.add(code);
        }
        assert_eq!(codes.next("AM-S21"), "AM-S21-0451");
        codes.remove("AM-S21-0450");
        assert_eq!(codes.next("AM-S21"), "AM-S21-0451");
        codes.remove("AM-S21-450");
        assert_eq!(codes.next("AM-S21"), "AM-S21-0002");
        codes.add("AM-S21-9999");
        assert_eq!(codes.next("AM-S21"), "AM-S21-10000");
        assert_eq!(codes.next_of("PS-S21-APW_17", 2), "PS-S21-APW_17-01");
    }
}
