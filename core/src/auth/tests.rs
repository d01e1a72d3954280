use proptest::prelude::*;

use super::*;
use crate::ErrorKind;

fn parse(list: &[&str]) -> Permissions {
    Permissions::parse(list).unwrap()
}

#[test]
fn rights_are_what_the_list_says_and_no_more() {
    let some = parse(&["miner:rw", "container:r", "comments:w"]);
    assert!(some.allows(Area::Miner, Access::Read) && some.allows(Area::Miner, Access::Write));
    assert!(some.allows(Area::Container, Access::Read) && !some.allows(Area::Container, Access::Write));
    assert!(some.allows(Area::Comments, Access::Write) && !some.allows(Area::Comments, Access::Read));
    assert!(!some.allows_family("minerpool", Access::Read), "a family is not a prefix");
    assert!(!some.allows_family("robot", Access::Read), "an unknown family is for `*` alone");
    assert!(parse(&["*:r"]).allows_family("robot", Access::Read));
    assert!(parse(&["temp:r"]).allows_family("sensor", Access::Read));
    for (area, access) in every() {
        assert!(!Permissions::NONE.allows(area, access));
        assert!(parse(&["*"]).allows(area, access) && parse(&["*:rw"]).allows(area, access));
        assert!(!parse(&["*:r"]).allows(area, Access::Write));
    }
    assert_eq!(parse(&["ticket:r"]), parse(&["tickets:r"]));
    assert_eq!(parse(&["miner:r", "miner:w"]), parse(&["miner:wr"]));
    assert_eq!(Permissions::parse(Vec::<String>::new()).unwrap(), Permissions::NONE);
}

#[test]
fn what_is_not_understood_is_refused_whole() {
    for text in [
        "",
        ":",
        "miner",
        "miner:",
        ":rw",
        "miner:x",
        "miner:rr",
        "miner:rwx",
        "miner:RW",
        "Miner:r",
        "miner :r",
        " miner:r",
        "miner:r ",
        "miner:r:w",
        "robot:r",
        "**:r",
        "*:",
        "mi*:r",
    ] {
        let e = Permissions::parse(["container:r", text]).unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, "ERR_PERMISSION_INVALID"), "{text}");
        assert_eq!(e.fact("field"), Some("permissions"));
    }
    let long = "x".repeat(5_000);
    assert!(Permissions::parse([long]).unwrap_err().to_string().len() < 300);
}

#[test]
fn refusals_tell_what_is_needed() {
    let reader = parse(&["miner:r"]);
    let e = reader.check("call", Scope::Family, Access::Write).unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Forbidden, "ERR_MISSING_WRITE_PERMISSIONS"));
    let e = reader.check("call", Scope::Area(Area::Settings), Access::Read).unwrap_err();
    assert_eq!((e.code(), e.fact("needs")), ("ERR_AUTH_FAIL_NO_PERMS", Some("settings:r")));
    assert!(reader.check("call", Scope::Family, Access::Read).is_ok());
    assert!(reader.check("call", Scope::Any, Access::Read).is_ok());
    assert!(Permissions::NONE.check("call", Scope::Any, Access::Read).is_err());
    for no_racks in ["settings:rw", "users:rw"] {
        for access in [Access::Read, Access::Write] {
            assert!(parse(&[no_racks]).check("call", Scope::Family, access).is_err(), "{no_racks}");
        }
    }
    let e = reader.check_family("call", "container", Access::Read).unwrap_err();
    assert_eq!(e.fact("needs"), Some("container:r"));
    let e = reader.check_family("call", "robot", Access::Write).unwrap_err();
    assert_eq!(e.fact("needs"), Some("*:w"));
}

fn every() -> impl Iterator<Item = (Area, Access)> {
    Area::ALL.iter().flat_map(|area| [(*area, Access::Read), (*area, Access::Write)])
}

fn permission() -> impl Strategy<Value = Permission> {
    let area = prop_oneof![
        9 => (0..Area::ALL.len()).prop_map(|i| Some(Area::ALL[i])),
        1 => Just(None),
    ];
    (area, 1u8..4).prop_map(|(area, bits)| Permission { area, read: bits & 1 != 0, write: bits & 2 != 0 })
}

proptest! {
    #[test]
    fn written_and_read_again_they_are_the_same(list in prop::collection::vec(permission(), 0..12)) {
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        let all = Permissions::parse(&texts).unwrap();
        let shown = all.to_string();
        let again = Permissions::parse(shown.split(',').filter(|t| !t.is_empty())).unwrap();
        prop_assert_eq!(all, again);
        for (area, access) in every() {
            let said = list.iter().any(|p| {
                let covers = p.area.is_none_or(|a| a == area);
                covers && match access { Access::Read => p.read, Access::Write => p.write }
            });
            prop_assert_eq!(all.allows(area, access), said);
        }
    }

    #[test]
    fn any_text_is_a_permission_or_the_one_error(text in "[a-z_*:rw ]{0,20}|.{0,20}") {
        match text.parse::<Permission>() {
            Ok(one) => prop_assert_eq!(one.to_string().parse::<Permission>().unwrap(), one),
            Err(e) => prop_assert_eq!(e.code(), "ERR_PERMISSION_INVALID"),
        }
    }
}
