use super::*;
use crate::ErrorKind;

fn pool(url: &str) -> PoolSetup {
    PoolSetup::new(url, "site1.w1", "x")
}

#[test]
fn json_is_name_and_arguments() {
    for (command, json) in [
        (Command::Reboot, r#"{"name":"reboot"}"#),
        (Command::SetLed(true), r#"{"name":"setLED","args":true}"#),
        (Command::SetPowerMode(PowerMode::Low), r#"{"name":"setPowerMode","args":"low"}"#),
        (Command::SetFan(FanControl::Fixed(70)), r#"{"name":"setFan","args":{"fixed":70}}"#),
        (
            Command::SetNetworkInformation(NetworkSetup::Dhcp),
            r#"{"name":"setNetworkInformation","args":{"mode":"dhcp"}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&command).unwrap(), json);
        assert_eq!(serde_json::from_str::<Command>(json).unwrap(), command);
    }
}

#[test]
fn the_name_in_json_is_the_commands_name() {
    for command in
        [Command::Reboot, Command::SetLed(false), Command::SetWebPools(true), Command::DownloadLogs]
    {
        let json = serde_json::to_value(&command).unwrap();
        assert_eq!(json["name"], command.name().as_str());
        assert_eq!(command.name().as_str().parse::<CommandName>().unwrap(), command.name());
    }
    assert_eq!("selfDestruct".parse::<CommandName>().unwrap_err().fact("field"), Some("name"));
}

#[test]
fn secrets_do_not_leave_in_json() {
    let pools = Command::SetupPools(vec![PoolSetup::new("stratum+tcp://a:1", "w", "Rack_07x")]);
    let password = Command::UpdateAdminPassword(Secret::new("Rack_07x"));
    for command in [pools, password] {
        let shown = format!("{command:?} {}", serde_json::to_string(&command).unwrap());
        assert!(!shown.contains("Rack_07x") && shown.contains("***"));
    }
}

#[test]
fn a_state_meets_a_command() {
    let limit = |w| Command::SetPowerLimit(Watts::new(w).unwrap());
    assert!(limit(3000.0).is_met_by(&limit(3000.6)) && !limit(3000.0).is_met_by(&limit(3002.0)));
    let sleeping = Command::SetPowerMode(PowerMode::Sleep);
    let low = Command::SetPowerMode(PowerMode::Low);
    assert!(Command::SuspendMining.is_met_by(&sleeping) && !Command::SuspendMining.is_met_by(&low));
    assert!(Command::ResumeMining.is_met_by(&low) && !Command::ResumeMining.is_met_by(&sleeping));
    let wanted = Command::SetupPools(vec![pool("stratum+tcp://a:1")]);
    let shown =
        Command::SetupPools(vec![PoolSetup::new("stratum+tcp://a:1", "site1.w1", ""), PoolSetup::default()]);
    let moved = Command::SetupPools(vec![PoolSetup::default(), pool("stratum+tcp://a:1")]);
    assert!(wanted.is_met_by(&shown) && !wanted.is_met_by(&moved));
    assert!(!wanted.is_already(&shown), "the device does not tell its passwords");
    assert!(wanted.is_already(&Command::SetupPools(vec![pool("stratum+tcp://a:1")])));
    assert!(!Command::Reboot.is_met_by(&Command::SetLed(true)));
}

#[test]
fn impossible_arguments_are_refused_by_name() {
    let fixed = |address: &str, mask: &str, gateway: &str| {
        Command::SetNetworkInformation(NetworkSetup::Static {
            ip_address: address.parse().unwrap(),
            ip_netmask: mask.parse().unwrap(),
            ip_gw: gateway.parse().unwrap(),
            dns: Vec::new(),
        })
    };
    let image = |sha: &str| Command::UpdateFirmware(FirmwareImage::new("a.bin", sha, &b"x"[..]));
    for (command, field) in [
        (Command::SetPowerPct(0), "percent"),
        (Command::SetPowerPct(201), "percent"),
        (Command::SetUpfreqSpeed(10), "upfreq_speed"),
        (Command::SetTempOffset(1), "temp_offset"),
        (Command::SetFan(FanControl::Fixed(101)), "percent"),
        (Command::SetupPools(vec![]), "pools"),
        (Command::SetupPools(vec![pool("")]), "url"),
        (Command::SetupPools(vec![pool("stratum+tcp://a b")]), "url"),
        (Command::SetHostname("-a".into()), "hostname"),
        (Command::SetHostname("a b".into()), "hostname"),
        (Command::UpdateAdminPassword(Secret::new("")), "password"),
        (fixed("10.7.1.12", "255.0.255.0", "10.7.0.1"), "ip_netmask"),
        (fixed("10.7.0.0", "255.255.0.0", "10.7.0.1"), "ip_address"),
        (fixed("10.7.1.12", "255.255.0.0", "10.8.0.1"), "ip_gw"),
        (image("ab"), "sha256"),
    ] {
        let e = command.check().unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some(field)), "{command:?}");
    }
    fixed("10.7.1.12", "255.255.0.0", "10.7.0.1").check().unwrap();
    image(&"a".repeat(64)).check().unwrap();
}
