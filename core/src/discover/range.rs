use std::{fmt, net::Ipv4Addr, str::FromStr, sync::Arc};

use ipnet::Ipv4Net;
use serde::{Serialize, Serializer};

use crate::{Error, Result};

const OP: &str = "discover.range";
const FORMS: &str =
    "write 10.0.0.0/24, 10.0.0.1-10.0.0.200, 10.0.0.1-200 or 10.0.0.7, several with commas between";
/// How much of a wrong piece an error repeats.
const SHOWN_CHARS: usize = 40;

/// First and last address of a run.
type Span = (u32, u32);

/// A set of IPv4 addresses to look at: networks (`10.0.0.0/24`), runs (`10.0.0.1-10.0.0.200`, `10.0.0.1-200`) and
/// single addresses, mixed with commas or spaces between.
///
/// An address named twice counts once, and addresses come in ascending order. A network may be written by any of
/// its addresses; its network and broadcast addresses are left out when its prefix is shorter than 31 bits.
/// `Display` gives runs and single addresses, which parse to the same set. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressRange {
    /// Ascending, apart by at least one address.
    spans: Arc<[Span]>,
}

impl AddressRange {
    /// The most addresses that a range parsed without a limit of its own may hold: as many as a /12.
    pub const DEFAULT_LIMIT: u64 = 1 << 20;

    /// Parses `text` into at most `limit` addresses.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `field=range`, repeating the piece that is wrong and saying how
    /// it should look, or naming the limit (`limit=…`).
    pub fn with_limit(text: &str, limit: u64) -> Result<Self> {
        // Lists are split at white space, so a dash with spaces around it must first lose them.
        let dashed =
            text.replace(['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}'], "-");
        let joined = dashed.split('-').map(str::trim).collect::<Vec<_>>().join("-");
        let words =
            joined.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).filter(|w| !w.is_empty());
        let spans =
            words.map(|word| span(word).map_err(|why| wrong(word, why))).collect::<Result<Vec<_>>>()?;
        if spans.is_empty() {
            return Err(Error::invalid(OP, "range", format!("holds no address; {FORMS}")));
        }
        let range = Self::merged(spans);
        if range.len() > limit {
            let message = format!("holds {} addresses, more than the limit of {limit}", range.len());
            return Err(Error::invalid(OP, "range", message).with("limit", limit));
        }
        Ok(range)
    }

    /// How many addresses it holds.
    pub fn len(&self) -> u64 {
        count(&self.spans)
    }

    /// Whether it holds none. A parsed range always holds some.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether `ip` is in it.
    pub fn contains(&self, ip: Ipv4Addr) -> bool {
        let ip = u32::from(ip);
        let after = self.spans.partition_point(|(first, _)| *first <= ip);
        after > 0 && self.spans[after - 1].1 >= ip
    }

    /// Its runs of addresses, ascending: first and last of each.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (Ipv4Addr, Ipv4Addr)> {
        self.spans.iter().map(|(first, last)| ((*first).into(), (*last).into()))
    }

    /// Its addresses, ascending, made one at a time.
    pub fn iter(&self) -> Addresses {
        Addresses { spans: self.spans.clone(), span: 0, next: self.spans.first().map_or(0, |s| s.0) }
    }

    fn merged(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        spans.dedup_by(|later, kept| {
            let joins = later.0 <= kept.1.saturating_add(1);
            if joins {
                kept.1 = kept.1.max(later.1);
            }
            joins
        });
        Self { spans: spans.into() }
    }

    /// All the addresses of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::merged(self.spans.iter().chain(other.spans.iter()).copied().collect())
    }
}

fn count(spans: &[Span]) -> u64 {
    spans.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
}

fn wrong(word: &str, why: &str) -> Error {
    let mut shown: String = word.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if word.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    Error::invalid(OP, "range", format!("'{shown}' {why}; {FORMS}"))
}

/// One piece of a list; the error says what is wrong with it.
fn span(word: &str) -> Result<Span, &'static str> {
    if word.contains('/') {
        let net: Ipv4Net =
            word.parse().map_err(|_| "is not an IPv4 network with a prefix of 0 to 32 bits")?;
        let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
        return Ok(if net.prefix_len() < 31 { (first + 1, last - 1) } else { (first, last) });
    }
    if let Some((from, to)) = word.split_once('-') {
        let first = address(from)?;
        let last = match to.parse::<u8>() {
            Ok(byte) if to.bytes().all(|b| b.is_ascii_digit()) => (first & !0xff) | u32::from(byte),
            _ => address(to)?,
        };
        return if first <= last { Ok((first, last)) } else { Err("ends before it begins") };
    }
    address(word).map(|ip| (ip, ip))
}

fn address(word: &str) -> Result<u32, &'static str> {
    match word.parse::<Ipv4Addr>() {
        Ok(ip) => Ok(ip.into()),
        Err(_) if word.parse::<std::net::SocketAddrV4>().is_ok() => Err("names a port, which is set apart"),
        Err(_) if word.matches(':').nth(1).is_some() => Err("looks like IPv6, which cannot be scanned"),
        Err(_) => Err("is not an IPv4 address"),
    }
}

impl FromStr for AddressRange {
    type Err = Error;

    /// [`AddressRange::with_limit`] with [`AddressRange::DEFAULT_LIMIT`].
    fn from_str(text: &str) -> Result<Self> {
        Self::with_limit(text, Self::DEFAULT_LIMIT)
    }
}

impl From<Ipv4Addr> for AddressRange {
    fn from(ip: Ipv4Addr) -> Self {
        Self { spans: [(ip.into(), ip.into())].into() }
    }
}

impl FromIterator<Ipv4Addr> for AddressRange {
    fn from_iter<I: IntoIterator<Item = Ipv4Addr>>(ips: I) -> Self {
        Self::merged(ips.into_iter().map(|ip| (ip.into(), ip.into())).collect())
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.spans.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            write!(f, "{}", Ipv4Addr::from(*first))?;
            if first != last {
                write!(f, "-{}", Ipv4Addr::from(*last))?;
            }
        }
        Ok(())
    }
}

impl Serialize for AddressRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl IntoIterator for &AddressRange {
    type Item = Ipv4Addr;
    type IntoIter = Addresses;

    fn into_iter(self) -> Addresses {
        self.iter()
    }
}

/// The addresses of an [`AddressRange`], ascending.
#[derive(Debug, Clone)]
pub struct Addresses {
    spans: Arc<[Span]>,
    span: usize,
    next: u32,
}

impl Addresses {
    /// What has not been given yet.
    pub fn rest(&self) -> AddressRange {
        let mut spans: Vec<Span> = self.spans[self.span..].to_vec();
        if let Some(current) = spans.first_mut() {
            current.0 = self.next;
        }
        AddressRange { spans: spans.into() }
    }
}

impl Iterator for Addresses {
    type Item = Ipv4Addr;

    fn next(&mut self) -> Option<Ipv4Addr> {
        let (_, last) = *self.spans.get(self.span)?;
        let ip = self.next;
        if ip == last {
            self.span += 1;
            self.next = self.spans.get(self.span).map_or(0, |s| s.0);
        } else {
            self.next = ip + 1;
        }
        Some(ip.into())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self.spans[self.span..].split_first() {
            Some(((_, last), later)) => u64::from(last - self.next) + 1 + count(later),
            None => 0,
        };
        let left = usize::try_from(left).ok();
        (left.unwrap_or(usize::MAX), left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> String {
        let e = text.parse::<AddressRange>().unwrap_err();
        assert_eq!((e.kind(), e.op(), e.fact("field")), (ErrorKind::Invalid, OP, Some("range")));
        e.message().to_owned()
    }

    #[test]
    fn every_form_is_understood() {
        for (text, len, shown) in [
            ("10.0.0.0/24", 254, "10.0.0.1-10.0.0.254"),
            ("10.0.0.77/24", 254, "10.0.0.1-10.0.0.254"),
            ("10.0.0.4/30", 2, "10.0.0.5-10.0.0.6"),
            ("10.0.0.4/31", 2, "10.0.0.4-10.0.0.5"),
            ("10.0.0.4/32", 1, "10.0.0.4"),
            ("10.0.0.1-10.0.0.200", 200, "10.0.0.1-10.0.0.200"),
            ("10.0.0.1-200", 200, "10.0.0.1-10.0.0.200"),
            ("10.0.0.1 \u{2013} 200", 200, "10.0.0.1-10.0.0.200"),
            ("10.0.0.250-10.0.1.5", 12, "10.0.0.250-10.0.1.5"),
            ("10.0.0.7", 1, "10.0.0.7"),
            (" 10.0.0.9, 10.0.0.7-8\n10.1.0.0/31 ,", 5, "10.0.0.7-10.0.0.9,10.1.0.0-10.1.0.1"),
            ("10.0.0.7 10.0.0.7,10.0.0.0/29", 7, "10.0.0.1-10.0.0.7"),
            ("255.255.255.254-255.255.255.255", 2, "255.255.255.254-255.255.255.255"),
            ("0.0.0.0", 1, "0.0.0.0"),
        ] {
            let range = range(text);
            assert_eq!((range.len(), range.to_string().as_str()), (len, shown), "{text}");
            assert_eq!(range.iter().count() as u64, len, "{text}");
        }
    }

    #[test]
    fn a_wrong_piece_is_repeated_with_the_forms_there_are() {
        let message = refused("10.0.0.1, 10.0.0.300");
        assert!(message.starts_with("'10.0.0.300' is not an IPv4 address; write 10.0.0.0/24,"), "{message}");
        for (text, says) in [
            ("10.0.0.0/33", "'10.0.0.0/33' is not an IPv4 network"),
            ("10.0.0.9-10.0.0.1", "ends before it begins"),
            ("10.0.0.9-1", "ends before it begins"),
            ("10.0.0.1-+9", "is not an IPv4 address"),
            ("10.0.0.1-2-3", "is not an IPv4 address"),
            ("10.0.0.1-256", "is not an IPv4 address"),
            ("10.0.0.7:4028", "names a port"),
            ("fe80::1", "looks like IPv6"),
            ("rack7", "is not an IPv4 address"),
            ("10.0.0", "is not an IPv4 address"),
            ("", "holds no address"),
            (" , ", "holds no address"),
        ] {
            assert!(refused(text).contains(says), "{text}: {}", refused(text));
        }
        assert!(refused(&"9".repeat(500)).len() < 250);
    }

    #[test]
    fn the_limit_is_named_and_counts_addresses_once() {
        let message = refused("10.0.0.0/11");
        assert_eq!(message, "holds 2097150 addresses, more than the limit of 1048576");
        assert_eq!(range("10.0.0.0/12").len(), 1_048_574);
        assert!("0.0.0.0/0".parse::<AddressRange>().is_err());
        assert_eq!(AddressRange::with_limit("10.0.0.1-4,10.0.0.2-4", 4).unwrap().len(), 4);
        let e = AddressRange::with_limit("10.0.0.1-5", 4).unwrap_err();
        assert_eq!(e.fact("limit"), Some("4"));
    }

    #[test]
    fn what_is_left_is_a_range_again() {
        let range = range("10.0.0.1-3,10.0.0.9");
        let mut addresses = range.iter();
        assert_eq!(addresses.rest(), range);
        assert_eq!(addresses.by_ref().take(2).last(), Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(addresses.rest().to_string(), "10.0.0.3,10.0.0.9");
        assert_eq!(addresses.size_hint(), (2, Some(2)));
        assert_eq!(addresses.by_ref().count(), 2);
        assert!(addresses.rest().is_empty() && addresses.next().is_none());
        assert_eq!(AddressRange::default().union(&range), range);
    }

    fn piece() -> impl Strategy<Value = String> {
        let ip = || any::<u32>().prop_map(Ipv4Addr::from);
        let near = (0u32..400, 0u32..400).prop_map(|(a, b)| (0x0a00_0000 + a.min(b), 0x0a00_0000 + a.max(b)));
        prop_oneof![
            ip().prop_map(|ip| ip.to_string()),
            (ip(), 20u8..=32).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
            near.prop_map(|(a, b)| format!("{}-{}", Ipv4Addr::from(a), Ipv4Addr::from(b))),
        ]
    }

    proptest! {
        #[test]
        fn any_text_gives_a_range_or_the_one_error(text in "[0-9./, \u{2013}:a-f-]{0,60}|.{0,60}") {
            if let Err(e) = text.parse::<AddressRange>() {
                prop_assert_eq!(e.fact("field"), Some("range"));
            }
        }

        #[test]
        fn display_parses_to_the_same_set(pieces in prop::collection::vec(piece(), 1..12)) {
            let range = range(&pieces.join(", "));
            prop_assert_eq!(&range.to_string().parse::<AddressRange>().unwrap(), &range);
            let all: Vec<Ipv4Addr> = range.iter().collect();
            prop_assert!(all.is_sorted_by(|a, b| a < b) && all.len() as u64 == range.len());
            prop_assert_eq!(all.iter().copied().collect::<AddressRange>(), range.clone());
            prop_assert!(all.iter().all(|ip| range.contains(*ip)));
        }
    }
}
