//! What devices send when their IP-report button is pressed. The sender is anybody, so every byte is suspect.

use std::net::Ipv4Addr;

/// What one datagram says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Report {
        ip: Option<Ipv4Addr>,
        mac: Option<String>,
    },
    /// The answer of a vendor's own tool to a report.
    Acknowledgement,
    /// Neither an address nor a MAC address.
    Nothing,
}

fn report(ip: Option<Ipv4Addr>, mac: Option<String>) -> Said {
    if ip.is_none() && mac.is_none() { Said::Nothing } else { Said::Report { ip, mac } }
}

/// `<ip>,<mac>`, or `[<ip>/…,<mac>` on some firmwares. `OK` followed by NULs is an acknowledgement.
pub(super) fn pair(bytes: &[u8]) -> Said {
    if bytes.strip_prefix(b"OK").is_some_and(|rest| rest.iter().all(|b| *b == 0)) {
        return Said::Acknowledgement;
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches(|c: char| c == '[' || c.is_whitespace());
    let (ip, behind) = address(text);
    let mac_text = text.rsplit_once(',').map_or(behind, |(_, mac)| mac);
    report(ip, mac(mac_text))
}

/// `IP:<ip>MAC:<mac>` and a byte more.
pub(super) fn labelled(bytes: &[u8]) -> Said {
    let text = String::from_utf8_lossy(bytes).to_ascii_uppercase();
    let ip = text.split_once("IP:").and_then(|(_, rest)| address(rest.trim_start()).0);
    report(ip, text.split_once("MAC:").and_then(|(_, rest)| mac(rest)))
}

/// The address at the beginning of `text`, when it can be a device's, and what stands behind it.
fn address(text: &str) -> (Option<Ipv4Addr>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (ip, behind) = text.split_at(end);
    let ip = ip.parse::<Ipv4Addr>().ok();
    (ip.filter(|ip| !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast()), behind)
}

/// The MAC address at the beginning of `text` as `AA:BB:CC:DD:EE:FF`; colons, dashes or nothing between its bytes.
fn mac(text: &str) -> Option<String> {
    let mut chars = text.trim_start().chars().peekable();
    let mut out = String::with_capacity(17);
    for byte in 0..6 {
        if byte > 0 {
            out.push(':');
            chars.next_if(|c| matches!(c, ':' | '-'));
        }
        for _ in 0..2 {
            out.push(chars.next().filter(char::is_ascii_hexdigit)?.to_ascii_uppercase());
        }
    }
    let alike = |digit| out.chars().all(|c| c == ':' || c == digit);
    (!alike('0') && !alike('F')).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(ip: &str, mac: &str) -> Said {
        let mac = (!mac.is_empty()).then(|| mac.to_owned());
        Said::Report { ip: ip.parse().ok(), mac }
    }

    #[test]
    fn pairs_are_read_in_all_their_forms() {
        let mac = "AA:BB:CC:0D:0E:0F";
        for (bytes, want) in [
            (&b"10.0.0.7,aa:bb:cc:0d:0e:0f"[..], said("10.0.0.7", mac)),
            (b"10.0.0.7,aa-bb-cc-0d-0e-0f\0\0", said("10.0.0.7", mac)),
            (b"[10.0.0.7/255.255.255.0,AABBCC0D0E0F]", said("10.0.0.7", mac)),
            (b" 10.0.0.7 , aa:bb:cc:0d:0e:0f\n", said("10.0.0.7", mac)),
            (b"10.0.0.7", said("10.0.0.7", "")),
            (b"10.0.0.7,\xff\xfe", said("10.0.0.7", "")),
            (b"10.0.0.7,aa:bb:cc", said("10.0.0.7", "")),
            (b"10.0.0.7,00:00:00:00:00:00", said("10.0.0.7", "")),
            (b"0.0.0.0,aa:bb:cc:0d:0e:0f", said("", mac)),
            (b"10.0.0.777,aa:bb:cc:0d:0e:0f", said("", mac)),
            (b"OK\0\0\0\0\0\0\0\0", Said::Acknowledgement),
            (b"OKAY", Said::Nothing),
            (b"", Said::Nothing),
            (b",", Said::Nothing),
            (b"\xff\xff\xff", Said::Nothing),
            (b"255.255.255.255,nothing", Said::Nothing),
        ] {
            assert_eq!(pair(bytes), want, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn labelled_reports_are_read_in_all_their_forms() {
        let mac = "C8:11:05:00:0A:0B";
        for (bytes, want) in [
            (&b"IP:10.0.0.8MAC:C8:11:05:00:0A:0B\0"[..], said("10.0.0.8", mac)),
            (b"IP:10.0.0.8MAC:c8:11:05:00:0a:0b1", said("10.0.0.8", mac)),
            (b"ip: 10.0.0.8 mac: c8:11:05:00:0a:0b\n", said("10.0.0.8", mac)),
            (b"IP:10.0.0.8", said("10.0.0.8", "")),
            (b"MAC:C8:11:05:00:0A:0B", said("", mac)),
            (b"IP:\xffMAC:\xff", Said::Nothing),
            (b"10.0.0.8", Said::Nothing),
            (b"", Said::Nothing),
        ] {
            assert_eq!(labelled(bytes), want, "{}", bytes.escape_ascii());
        }
    }

    fn datagram() -> impl Strategy<Value = Vec<u8>> {
        let near = "(OK|\\[|IP:|ip:|MAC:|mac:|,|/|[0-9]{1,3}\\.|[0-9a-fA-F]{2}[:-]|\u{e9}|\0| ){0,30}";
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..600),
            near.prop_map(String::into_bytes),
            (near.prop_map(String::into_bytes), any::<u8>(), any::<prop::sample::Index>()).prop_map(
                |(mut bytes, byte, at)| {
                    bytes.insert(at.index(bytes.len() + 1), byte);
                    bytes
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_without_panic(bytes in datagram()) {
            for said in [pair(&bytes), labelled(&bytes)] {
                if let Said::Report { ip, mac } = said {
                    prop_assert!(ip.is_some() || mac.is_some());
                    let well_formed = |m: &String| m.len() == 17 && m.to_ascii_uppercase() == *m;
                    prop_assert!(mac.as_ref().is_none_or(well_formed));
                }
            }
        }

        #[test]
        fn what_a_device_sends_is_what_is_read(ip in 1u32..0xdfff_ffff, mac: [u8; 6], last: u8) {
            prop_assume!(mac != [0; 6] && mac != [0xff; 6]);
            let ip = Ipv4Addr::from(ip);
            let mac = mac.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":");
            let want = Said::Report { ip: Some(ip), mac: Some(mac.clone()) };
            prop_assert_eq!(&pair(format!("{ip},{}", mac.to_lowercase()).as_bytes()), &want);
            prop_assert_eq!(&pair(format!("[{ip}/24,{mac}").as_bytes()), &want);
            let mut datagram = format!("IP:{ip}MAC:{mac}").into_bytes();
            datagram.push(last);
            prop_assert_eq!(&labelled(&datagram), &want);
        }
    }
}
