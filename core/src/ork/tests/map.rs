use std::{collections::BTreeMap, net::Ipv4Addr};

use proptest::prelude::*;

use super::{super::*, id, ip};
use crate::ThingId;

fn refused(text: &str) -> Error {
    let e = ThingMap::parse(text).unwrap_err();
    assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("thingMap")), "{text}");
    e
}

#[test]
fn an_address_has_the_owner_that_the_map_names() {
    let text = r#"{"a": "10.0.0.0/24, 10.0.2.7", "b": ["10.0.1.1-10.0.1.99", "10.0.2.0 - 6 10.9.0.0/31"]}"#;
    let map = ThingMap::parse(&text.replace(" 10.9.0.0/31", "\", \"10.9.0.0/31")).unwrap();
    for (address, owner) in [
        ("10.0.0.0", Some("a")),
        ("10.0.0.255", Some("a")),
        ("10.0.1.0", None),
        ("10.0.1.1", Some("b")),
        ("10.0.1.99", Some("b")),
        ("10.0.1.100", None),
        ("10.0.2.6", Some("b")),
        ("10.0.2.7", Some("a")),
        ("10.0.2.8", None),
        ("10.9.0.1", Some("b")),
        ("0.0.0.0", None),
        ("255.255.255.255", None),
    ] {
        assert_eq!(map.owner(ip(address)).map(RackId::as_str), owner, "{address}");
    }
    let whole = ThingMap::parse(r#"{"all": "0.0.0.0/0"}"#).unwrap();
    assert_eq!(whole.owner(ip("255.255.255.255")), Some(&id("all")));
    assert!(ThingMap::parse("{}").unwrap().is_empty());
}

#[test]
fn two_owners_of_one_address_are_both_named() {
    let e = refused(r#"{"a": "10.0.0.0/24", "b": "10.0.0.255-10.0.1.5"}"#);
    assert_eq!(e.code(), "ERR_THING_MAP_OVERLAP");
    assert_eq!((e.fact("rack"), e.fact("range")), (Some("a"), Some("10.0.0.0-10.0.0.255")));
    assert_eq!((e.fact("other_rack"), e.fact("other")), (Some("b"), Some("10.0.0.255-10.0.1.5")));
    assert!(ThingMap::parse(r#"{"a": "10.0.0.1", "a": "10.0.0.1-3"}"#).is_ok(), "one rack may say it twice");
    refused(r#"{"a": "10.0.0.0/8", "b": "10.1.2.3"}"#);
}

#[test]
fn what_is_not_understood_is_refused() {
    for text in ["", "[]", "null", r#"{"a": 7}"#, r#"{"a": ""}"#, r#"{"a": []}"#, r#"{"": "10.0.0.1"}"#] {
        assert_eq!(refused(text).code(), "ERR_THING_MAP_INVALID");
    }
    let e = refused(r#"{"a": "10.0.0.1", "b": "10.0.0.300"}"#);
    assert_eq!(e.fact("rack"), Some("b"));
    assert!(e.message().contains("10.0.0.300"));
    refused(r#"{"a": "10.0.0.0/33"}"#);
    refused(r#"{"a": "fe80::1"}"#);
    refused(r#"{"a": "10.0.0.0/24 10.0.1.1 - 5"}"#);
}

#[test]
fn a_new_map_moves_only_what_lies_in_another_racks_range() {
    let map = ThingMap::parse(r#"{"a": "10.0.0.0/24", "b": "10.0.1.0/24"}"#).unwrap();
    let thing = |name: &str, rack: &str, address: Option<&str>| Holding {
        id: ThingId::new(name).unwrap(),
        rack: id(rack),
        address: address.map(ip),
    };
    let things = [
        thing("right", "a", Some("10.0.0.1")),
        thing("wrong", "a", Some("10.0.1.1")),
        thing("serial", "a", None),
        thing("nowhere", "b", Some("10.7.0.1")),
        thing("other", "c", Some("10.0.0.9")),
    ];
    let moves = map.misplaced(&things);
    let shown: Vec<_> = moves.iter().map(|m| (m.id.as_str(), m.from.as_str(), m.to.as_str())).collect();
    assert_eq!(shown, [("wrong", "a", "b"), ("other", "c", "a")]);
    let after: Vec<Holding> = things
        .iter()
        .map(|t| match moves.iter().find(|m| m.id == t.id) {
            Some(m) => Holding { rack: m.to.clone(), ..t.clone() },
            None => t.clone(),
        })
        .collect();
    assert_eq!(map.misplaced(&after), []);
}

/// Runs of few addresses, so that they meet often.
fn entries() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0u8..4, 0u8..64, 0u8..6), 0..10)
}

proptest! {
    #[test]
    fn a_map_is_refused_exactly_when_two_racks_share_an_address(entries in entries()) {
        let written: Vec<(RackId, String)> = entries
            .iter()
            .map(|(rack, from, n)| (id(&format!("r{rack}")), format!("10.0.0.{from}-{}", from + n)))
            .collect();
        let mut owners: BTreeMap<u8, u8> = BTreeMap::new();
        let mut shared = false;
        for (rack, from, n) in &entries {
            for address in *from..=from + n {
                shared |= owners.insert(address, *rack).is_some_and(|before| before != *rack);
            }
        }
        match ThingMap::new(written) {
            Err(e) => {
                prop_assert!(shared);
                prop_assert_eq!(e.code(), "ERR_THING_MAP_OVERLAP");
            }
            Ok(map) => {
                prop_assert!(!shared);
                for address in 0..=80 {
                    let owner = owners.get(&address).map(|rack| id(&format!("r{rack}")));
                    prop_assert_eq!(map.owner(Ipv4Addr::new(10, 0, 0, address)), owner.as_ref());
                }
                let json = serde_json::to_string(&map).unwrap();
                prop_assert_eq!(&ThingMap::parse(&json).unwrap(), &map);
                prop_assert_eq!(&serde_json::from_str::<ThingMap>(&json).unwrap(), &map);
            }
        }
    }

    #[test]
    fn any_text_is_a_map_or_the_one_error(text in r#"\{"a": "[0-9./, -]{0,20}"\}|.{0,30}"#) {
        if let Err(e) = ThingMap::parse(&text) {
            prop_assert_eq!(e.fact("field"), Some("thingMap"));
        }
    }
}
