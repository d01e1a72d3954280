use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::{
    Sent,
    io::Rng,
    model::{
        CommandName, FanControl, FirmwareImage, NetworkSetup, PoolSetup, PowerMode, Preheat, RackId, Zone,
    },
    store::{Key, SealKey, Sealer},
};

fn images() -> (Images, String) {
    let shelf = FirmwareShelf::default();
    let hash = shelf.add(&b"firmware"[..]);
    (Images::new(Some(Arc::new(shelf))), hash)
}

fn number<T: serde::de::DeserializeOwned>(value: f64) -> T {
    serde_json::from_value(json!(value)).unwrap()
}

/// A command of each name whose arguments say something.
fn sample(name: CommandName, hash: &str) -> Command {
    match name {
        N::Reboot => Command::Reboot,
        N::RestartMinerSoftware => Command::RestartMinerSoftware,
        N::SuspendMining => Command::SuspendMining,
        N::ResumeMining => Command::ResumeMining,
        N::PrePowerOn => Command::PrePowerOn(Preheat::Continue),
        N::SetPowerMode => Command::SetPowerMode(PowerMode::Low),
        N::SetPowerLimit => Command::SetPowerLimit(number(3000.5)),
        N::SetPowerPct => Command::SetPowerPct(90),
        N::SetFrequency => Command::SetFrequency(number(480.0)),
        N::SetTargetFreq => Command::SetTargetFreq(-10),
        N::SetUpfreqSpeed => Command::SetUpfreqSpeed(9),
        N::SetFastBoot => Command::SetFastBoot(true),
        N::SetTempOffset => Command::SetTempOffset(-5),
        N::SetPowerOffCool => Command::SetPowerOffCool(false),
        N::SetFanZeroSpeed => Command::SetFanZeroSpeed(true),
        N::SetFan => Command::SetFan(FanControl::Fixed(70)),
        N::SetupPools => Command::SetupPools(vec![
            PoolSetup::new("stratum+tcp://a.example:1", "site.w1.m7", "p00l-w0rd"),
            PoolSetup::new("stratum+tcp://b.example:1", "site.w1", ""),
        ]),
        N::SetWebPools => Command::SetWebPools(false),
        N::SetLed => Command::SetLed(true),
        N::SetHostname => Command::SetHostname("rack-7-03".into()),
        N::SetZone => Command::SetZone(Zone { timezone: "CST-8".into(), zonename: "Asia/Shanghai".into() }),
        N::SetNetworkInformation => Command::SetNetworkInformation(NetworkSetup::Static {
            ip_address: [10, 7, 3, 9].into(),
            ip_netmask: [255, 255, 0, 0].into(),
            ip_gw: [10, 7, 0, 1].into(),
            dns: vec![[1, 1, 1, 1].into()],
        }),
        N::UpdateAdminPassword => Command::UpdateAdminPassword(Secret::new("N3w_0ne")),
        N::FactoryReset => Command::FactoryReset,
        N::UpdateFirmware => {
            let image = FirmwareImage::new("a.bin", hash, &b"firmware"[..]);
            Command::UpdateFirmware(FirmwareImage { version: Some("2".into()), ..image })
        }
        N::DownloadLogs => Command::DownloadLogs,
    }
}

fn refused(action: &str, params: Value) -> (ErrorKind, &'static str, String) {
    let (images, _) = images();
    let pools = [json!({"url": "stratum+tcp://a:1", "workerName": "site"})];
    let scope = Scope { thing: "m1", pools: Some(&pools), images: &images };
    let e = to_command(action, params.as_array().unwrap(), &scope).expect_err(&params.to_string());
    assert_eq!(e.sent(), Sent::No);
    (e.kind(), e.code(), e.fact("field").unwrap_or_default().to_owned())
}

fn pools_for(thing: &str, rack: Option<&[Value]>, params: &[Value]) -> Vec<PoolSetup> {
    let (images, _) = images();
    let scope = Scope { thing, pools: rack, images: &images };
    match to_command("setupPools", params, &scope).unwrap() {
        Command::SetupPools(pools) => pools,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_command_goes_there_and_back() {
    let (images, hash) = images();
    for name in CommandName::ALL {
        let command = sample(*name, &hash);
        let (action, params) = of_command(&command);
        assert_eq!(action, name.as_str());
        for thing in ["m1", "m7"] {
            let scope = Scope { thing, pools: None, images: &images };
            assert_eq!(to_command(action, &params, &scope).unwrap(), command, "{params:?}");
        }
        let row = row(action).unwrap();
        assert_eq!(row.kind, ActionKind::Device(*name));
        assert!(knows("miner", action) && !knows("container", action) && !knows("minerpool", action));
    }
}

#[test]
fn the_table_names_each_action_once_with_miningoss_votes() {
    for (at, one) in ACTIONS.iter().enumerate() {
        assert!(ACTIONS.iter().skip(at + 1).all(|other| other.name != one.name), "{}", one.name);
        assert!(one.code.starts_with("ERR_") && !one.families.is_empty());
    }
    let two: Vec<&str> = ACTIONS.iter().filter(|row| row.votes == 2).map(|row| row.name).collect();
    let expected = [
        "setUpfreqSpeed",
        "resetCoolingSystem",
        "setLiquidSupplyTemperature",
        "setTemperatureSettings",
        "rackReboot",
    ];
    assert_eq!(two, expected);
    assert_eq!((votes("miner", "rackReboot"), votes("container", "switchSocket")), (Some(2), Some(1)));
    for (family, action) in
        [("miner", "switchSocket"), ("inventory", "reboot"), ("minerpool", "rackReboot"), ("miner", "nope")]
    {
        assert_eq!(votes(family, action), None, "{family} {action}");
    }
    for unknown in ["resetContainer", "emergencyStop", "maintenance"] {
        assert!(row(unknown).is_none(), "{unknown} has no implementation anywhere");
    }
}

#[test]
fn wrong_parameters_have_codes_and_name_the_field() {
    use ErrorKind::{Invalid, Unsupported};
    let long = "x".repeat(65 << 10);
    let mut deep = json!(1);
    (0..20).for_each(|_| deep = json!([deep]));
    for (action, params, kind, code, field) in [
        ("setPowerMode", json!([]), Invalid, "ERR_SET_POWER_MODE_INVALID", "mode"),
        ("setPowerMode", json!(["turbo"]), Invalid, "ERR_SET_POWER_MODE_INVALID", "mode"),
        ("setLED", json!(["on"]), Invalid, "ERR_SET_LED_ENABLED_INVALID", "enabled"),
        ("setPowerPct", json!([201]), Invalid, "ERR_SET_POWER_PCT_INVALID", "percent"),
        ("setPowerPct", json!([70_000]), Invalid, "ERR_SET_POWER_PCT_INVALID", "percent"),
        ("setUpfreqSpeed", json!([1.5]), Invalid, "ERR_SET_UPFREQ_SPEED_INVALID", "upfreq_speed"),
        ("setPowerLimit", json!(["3000"]), Invalid, "ERR_SET_POWER_LIMIT_INVALID", "power_limit_w"),
        ("setFan", json!([{"fixed": 300}]), Invalid, "ERR_SET_FAN_INVALID", "fan.fixed"),
        ("setZone", json!([{"timezone": "CST-8"}]), Invalid, "ERR_SET_ZONE_INVALID", "zone"),
        ("setHostname", json!(["a b"]), Invalid, "ERR_SET_HOSTNAME_INVALID", "hostname"),
        ("setHostname", json!([long]), Invalid, "ERR_PARAMS_INVALID", "params"),
        ("setHostname", json!([deep]), Invalid, "ERR_PARAMS_INVALID", "params"),
        ("updateAdminPassword", json!([7]), Invalid, "ERR_UPDATE_ADMIN_PASSWORD_INVALID", "password"),
        ("nope", json!([]), Invalid, "ERR_ACTION_UNKOWN", "action"),
        ("switchSocket", json!([[["1", "2", true]]]), Unsupported, "ERR_UNSUPPORTED", ""),
        ("rackReboot", json!([]), Unsupported, "ERR_UNSUPPORTED", ""),
    ] {
        assert_eq!(refused(action, params), (kind, code, field.to_owned()), "{action}");
    }
}

#[test]
fn nothing_stands_behind_the_parameters() {
    let by = json!({"actionId": 1, "user": "ann"});
    for (action, params, field) in [
        ("reboot", json!([by]), "params[0]"),
        ("setPowerMode", json!(["sleep", by]), "params[1]"),
        ("setupPools", json!([{"config": null}, by]), "params[1]"),
    ] {
        assert_eq!(refused(action, params), (ErrorKind::Invalid, "ERR_PARAMS_INVALID", field.to_owned()));
    }
    let (_, code, field) = refused("setupPools", json!([by]));
    assert_eq!((code, field.as_str()), ("ERR_SETUP_POOLS_INVALID", "params[0].actionId"));
}

#[test]
fn pools_get_the_things_id_and_a_password() {
    let rack = [
        json!({"url": "stratum+tcp://a:1", "workerName": "site", "workerPassword": "x"}),
        json!({"url": "stratum+tcp://b:1", "workerName": "site"}),
        json!({"url": "", "workerName": ""}),
    ];
    let own = pools_for("m7", Some(&rack), &[]);
    let expected = [
        PoolSetup::new("stratum+tcp://a:1", "site.m7", "x"),
        PoolSetup::new("stratum+tcp://b:1", "site.m7", "."),
    ];
    assert_eq!(own, expected);
    assert_eq!(pools_for("m7", Some(&rack), &[json!({})]), expected);
    let given = json!({"config": {"id": 3, "name": "n", "poolUrls": [{"url": "stratum+tcp://c:1", "workerName": "w"}]}});
    let other = pools_for("m8", Some(&rack), std::slice::from_ref(&given));
    assert_eq!(other, [PoolSetup::new("stratum+tcp://c:1", "w.m8", ".")]);
    assert_eq!(pool_config("setupPools", std::slice::from_ref(&given)), Some(&json!(3)));
    assert_eq!((pool_config("setupPools", &[]), pool_config("reboot", &[given])), (None, None));
    for (config, field) in [
        (json!({"poolUrls": {}}), "config.poolUrls"),
        (json!({"poolUrls": [{"url": 7}]}), "config.poolUrls[0].url"),
        (json!({"poolUrls": []}), "pools"),
        (json!({"poolUrls": [{"url": "stratum+tcp://c:1"}]}), "username"),
        (json!({"poolUrls": [], "appendId": 1}), "config.appendId"),
        (
            json!({"poolUrls": vec![json!({"url": "stratum+tcp://c:1", "workerName": "w"}); 17]}),
            "config.poolUrls",
        ),
    ] {
        let (kind, code, found) = refused("setupPools", json!([{ "config": config }]));
        assert_eq!((kind, code, found.as_str()), (ErrorKind::Invalid, "ERR_SETUP_POOLS_INVALID", field));
    }
    let (images, _) = images();
    let scope = Scope { thing: "m1", pools: None, images: &images };
    assert_eq!(to_command("setupPools", &[], &scope).unwrap_err().fact("field"), Some("config"));
}

#[test]
fn images_are_named_by_hash_and_hashed_again() {
    #[derive(Debug)]
    struct Swapped;
    impl FirmwareStore for Swapped {
        fn image(&self, _: &str) -> crate::Result<Bytes> {
            Ok(Bytes::from_static(b"another"))
        }
    }
    let (images, hash) = images();
    let params = [json!({"name": "a.bin", "sha256": hash.to_uppercase()})];
    let command =
        |images: &Images| to_command("updateFirmware", &params, &Scope { thing: "m1", pools: None, images });
    let Command::UpdateFirmware(image) = command(&images).unwrap() else { panic!("another command") };
    assert_eq!((&image.bytes[..], image.version), (&b"firmware"[..], None));
    let e = command(&Images::new(Some(Arc::new(Swapped)))).unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, FIRMWARE_CHANGED));
    assert_eq!(command(&Images::new(None)).unwrap_err().code(), FIRMWARE_NOT_FOUND);
    let other = json!([{"name": "a.bin", "sha256": "0".repeat(64)}]);
    assert_eq!(refused("updateFirmware", other).1, FIRMWARE_NOT_FOUND);
    for wrong in [
        json!(["a.bin"]),
        json!([{"name": "a.bin", "sha256": "ab"}]),
        json!([{"name": "a.bin", "sha256": hash, "url": "http://x"}]),
    ] {
        assert_eq!(refused("updateFirmware", wrong).1, "ERR_INVALID_FIRMWARE");
    }
}

#[derive(Debug)]
struct Fixed;
impl Rng for Fixed {
    fn fill(&self, out: &mut [u8]) {
        out.fill(5);
    }
}

#[test]
fn secrets_are_hidden_in_views_and_sealed_in_the_store() {
    let sealer = Sealer::new(&SealKey::from_bytes([7; 32]));
    let (key, other) = (Key::number(7), Key::number(8));
    let pools = of_command(&sample(N::SetupPools, "")).1;
    let thing = vec![
        json!({"rackId": "miner-x-a", "opts": {"address": "10.0.0.1", "password": "hunter2", "login": {"passphrase": "hunter3"}}}),
    ];
    let password = vec![json!("hunter4"), json!({"old": "hunter5"})];
    for (action, params, plain) in [
        ("setupPools", pools, vec!["p00l-w0rd"]),
        ("registerThing", thing, vec!["hunter2", "hunter3"]),
        ("updateAdminPassword", password, vec!["hunter4", "hunter5"]),
    ] {
        let shown = redact(action, &params).to_string();
        let sealed = seal(&sealer, &Fixed, &key, action, &params).unwrap();
        let kept = json!(sealed).to_string();
        for secret in plain {
            assert!(!shown.contains(secret) && !kept.contains(secret), "{action}");
        }
        assert!(shown.contains("***") && kept.contains("$sealed"));
        assert_eq!(open(&sealer, &key, action, &sealed).unwrap(), params);
        assert!(open(&sealer, &other, action, &sealed).is_err(), "it opens in its own record only");
        assert_eq!(seal(&sealer, &Fixed, &key, action, &sealed).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(redact("setPowerMode", &[json!("sleep")]), json!(["sleep"]));
}

fn rack(text: &str) -> RackId {
    RackId::new(text).unwrap()
}

#[test]
fn rack_actions_name_their_racks() {
    let (a, b) = (rack("miner-a-0"), rack("miner-b-0"));
    let parse = |action: &str, params: Value, every: bool| {
        let read = RackAction::parse(action, params.as_array().unwrap(), &json!({}), every);
        read.unwrap().unwrap()
    };
    let new =
        parse("registerThing", json!([{"rackId": "miner-a-0", "id": "new1", "info": {}, "opts": {}}]), false);
    assert!(new.is_for(&a) && !new.is_for(&b));
    assert_eq!(new.call_id(&a), "new1");
    let RackAction::Register { thing, .. } = &new else { panic!("{new:?}") };
    assert_eq!(json!(thing), json!({"id": "new1", "info": {}, "opts": {}}));
    let nameless =
        parse("registerThing", json!([{"rackId": "miner-a-0", "opts": {"password": "hunter2"}}]), false);
    assert_eq!(nameless.call_id(&a), "miner-a-0");
    assert!(!format!("{nameless:?}").contains("hunter2"));
    assert_eq!(
        parse("forgetThings", json!([{"rackId": "miner-a-0", "query": {"id": "m1"}}]), false).call_id(&a),
        "m1"
    );
    assert_eq!(parse("updateThing", json!([{"rackId": "miner-a-0", "id": "m1"}]), false).call_id(&a), "m1");

    let reboot = parse("rackReboot", json!([{"rackIds": ["miner-b-0", "miner-a-0", "miner-b-0"]}]), false);
    assert_eq!(reboot, RackAction::Reboot(Racks::Named(vec![a.clone(), b.clone()])));
    assert_eq!(reboot.call_id(&b), "miner-b-0");
    assert!(!parse("rackReboot", json!([{"rackId": "miner-a-0"}]), true).is_for(&b));
    assert!(parse("rackReboot", json!([]), true).is_for(&b));
    assert_eq!(RackAction::parse("reboot", &[], &json!({}), true).unwrap(), None);
}

#[test]
fn rack_actions_without_their_names_are_refused() {
    for (action, params, query, code, named) in [
        ("registerThing", json!([{"id": "x"}]), json!({}), MISSING_RACK, None),
        ("registerThing", json!([]), json!({}), MISSING_RACK, None),
        ("forgetThings", json!([{"rackId": "miner-a-0"}]), json!({}), QUERY_ID, Some("miner-a-0")),
        (
            "forgetThings",
            json!([{"rackId": "miner-a-0", "query": {"id": 7}}]),
            json!({}),
            QUERY_ID,
            Some("miner-a-0"),
        ),
        ("updateThing", json!([{"rackId": "miner-a-0"}]), json!({}), MISSING_ID, Some("miner-a-0")),
        ("rackReboot", json!([]), json!({"id": "m0"}), MISSING_RACK, None),
        ("rackReboot", json!([{}]), json!({}), MISSING_RACK, None),
        ("rackReboot", json!([{"rackIds": [7]}]), json!({}), MISSING_RACK, None),
        ("rackReboot", json!([{"rackIds": []}]), json!({}), "ERR_PARAMS_INVALID", None),
        ("rackReboot", json!([{"rackId": "miner-a-0"}, {}]), json!({}), "ERR_PARAMS_INVALID", None),
        (
            "forgetThings",
            json!([{"rackId": "miner-a-0", "all": true, "query": {"id": "m1"}}]),
            json!({}),
            "ERR_PARAMS_INVALID",
            Some("miner-a-0"),
        ),
        (
            "forgetThings",
            json!([{"rackId": "miner-a-0", "query": {"id": "m1", "x": 1}}]),
            json!({}),
            "ERR_PARAMS_INVALID",
            Some("miner-a-0"),
        ),
    ] {
        let e = RackAction::parse(action, params.as_array().unwrap(), &query, true).expect_err(action);
        assert_eq!((e.kind(), e.code(), e.fact("rack")), (ErrorKind::Invalid, code, named), "{params}");
        assert!(e.fact("field").is_some());
    }
    let safe = RackAction::parse("rackReboot", &[], &json!({}), false).unwrap_err();
    assert_eq!(safe.code(), MISSING_RACK);
}
