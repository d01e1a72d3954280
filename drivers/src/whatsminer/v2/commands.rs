//! From commands to the requests that carry them out.

use headframe_core::{
    Error, ErrorKind, Result, Secret,
    model::{Command, NetworkSetup, PoolSetup, PowerMode, Preheat},
};

use super::{
    look::Look,
    packet::{Arg, OP, Request},
    rows::{Generation, POOLS},
};

/// The longest password of the device.
const PASSWORD_MAX: usize = 8;
/// Stands for "no limit" on the wire, so it can be none.
const NO_LIMIT_W: f64 = 99_999.0;
/// The colour that shows, and the blinking in ms.
const LED: (&str, [(&str, i64); 3]) = ("red", [("period", 200), ("duration", 100), ("start", 0)]);

/// Refuses what no Whatsminer takes, before anything is asked or sent.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid), naming the field.
pub(super) fn check(command: &Command) -> Result<()> {
    match command {
        Command::UpdateAdminPassword(new) => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let new = new.expose();
            if new.is_empty() || new.len() > PASSWORD_MAX || !new.bytes().all(plain) {
                let text = "a password is 1 to 8 letters, digits and underscores";
                return Err(Error::invalid(OP, "password", text));
            }
        }
        Command::SetupPools(pools) if pools.len() > POOLS => {
            return Err(Error::invalid(OP, "pools", "the device holds 3 pools"));
        }
        Command::SetPowerLimit(limit) if limit.get() >= NO_LIMIT_W => {
            return Err(Error::invalid(OP, "power_limit_w", "no unit draws as much"));
        }
        _ => {}
    }
    Ok(())
}

/// The requests that carry `command` out, in order. `password` is the one in force.
///
/// # Errors
/// [`Rejected`](ErrorKind::Rejected) for what the unit, as it is now, must not be told, and
/// [`Unsupported`](ErrorKind::Unsupported) for a command that it does not have.
pub(super) fn requests(
    command: &Command,
    look: &Look,
    generation: Generation,
    password: &Secret,
) -> Result<Vec<Request>> {
    let one = match command {
        Command::Reboot => Request::new("reboot").with("respbefore", "true"),
        Command::RestartMinerSoftware => Request::new("restart_btminer"),
        Command::SuspendMining | Command::SetPowerMode(PowerMode::Sleep) => sleep(),
        Command::ResumeMining => Request::new("power_on"),
        Command::SetPowerMode(mode) => return modes(*mode, look),
        Command::PrePowerOn(step) => warm_up(*step),
        Command::SetPowerLimit(limit) => {
            Request::new("adjust_power_limit").with("power_limit", format!("{:.0}", limit.get()))
        }
        Command::SetPowerPct(percent) => {
            let late = generation == Generation::Late;
            let name = if late { "set_power_pct_v2" } else { "set_power_pct" };
            Request::new(name).with("percent", percent.to_string())
        }
        Command::SetTargetFreq(percent) => {
            Request::new("set_target_freq").with("percent", percent.to_string())
        }
        Command::SetUpfreqSpeed(speed) => upfreq(*speed, look)?,
        Command::SetFastBoot(on) => {
            Request::new(if *on { "enable_btminer_fast_boot" } else { "disable_btminer_fast_boot" })
        }
        Command::SetTempOffset(offset) => {
            Request::new("set_temp_offset").with("temp_offset", i64::from(*offset))
        }
        Command::SetPowerOffCool(on) => Request::new("set_poweroff_cool").with("poweroff_cool", switch(*on)),
        Command::SetFanZeroSpeed(on) => {
            Request::new("set_fan_zero_speed").with("fan_zero_speed", switch(*on))
        }
        Command::SetupPools(pools) => update_pools(pools, look)?,
        Command::SetWebPools(on) => Request::new(if *on { "enable_web_pools" } else { "disable_web_pools" }),
        Command::SetLed(on) => led(*on),
        Command::SetHostname(name) => Request::new("set_hostname").with("hostname", name.as_str()),
        Command::SetZone(zone) => Request::new("set_zone")
            .with("timezone", zone.timezone.as_str())
            .with("zonename", zone.zonename.as_str()),
        Command::SetNetworkInformation(network) => net_config(network, look)?,
        Command::UpdateAdminPassword(new) => Request::new("update_pwd")
            .with("old", Arg::Secret(password.clone()))
            .with("new", Arg::Secret(new.clone())),
        Command::FactoryReset => Request::new("factory_reset"),
        other => return Err(Error::unsupported(OP, other.name().as_str())),
    };
    Ok(vec![one])
}

/// With this, which is text, the unit answers before it acts.
fn sleep() -> Request {
    Request::new("power_off").with("respbefore", "true")
}

/// A unit that stands is told to mine first. It keeps its mode while it stands, so that the mode that was there
/// before comes back without a second restart.
fn modes(mode: PowerMode, look: &Look) -> Result<Vec<Request>> {
    let name = match mode {
        PowerMode::Low => "set_low_power",
        PowerMode::Normal => "set_normal_power",
        PowerMode::High => "set_high_power",
        _ => return Err(Error::unsupported(OP, "power mode").with("mode", mode.as_str())),
    };
    let set = Request::new(name);
    Ok(match look.asleep() {
        Some(true) if look.mode() == Some(mode) => vec![Request::new("power_on")],
        Some(true) => vec![Request::new("power_on"), set],
        _ => vec![set],
    })
}

fn warm_up(step: Preheat) -> Request {
    let (complete, message) = match step {
        Preheat::Begin => ("false", "wait for adjust temp"),
        Preheat::Continue => ("false", "adjust continue"),
        Preheat::Complete => ("true", "adjust complete"),
    };
    Request::new("pre_power_on").with("complete", complete).with("msg", message)
}

fn upfreq(speed: u8, look: &Look) -> Result<Request> {
    if look.fast_boot() == Some(true) {
        let text = "the unit starts by fast boot, with which a speed does not go: switch fast boot off first";
        return Err(Error::new(ErrorKind::Rejected, OP, text));
    }
    Ok(Request::new("adjust_upfreq_speed").with("upfreq_speed", speed.to_string()))
}

const fn switch(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}

/// One request each: two colours would be two writes, of which one can fail.
fn led(on: bool) -> Request {
    let request = Request::new("set_led");
    if !on {
        return request.with("param", "auto");
    }
    let (color, blink) = LED;
    blink.iter().fold(request.with("color", color), |request, (name, ms)| request.with(name, *ms))
}

/// All nine parameters must be there.
fn update_pools(pools: &[PoolSetup], look: &Look) -> Result<Request> {
    if look.is_half_booted() {
        let text =
            "the unit is still starting: it shows no pools, which may not be true. Try again in 3 minutes";
        return Err(Error::new(ErrorKind::Rejected, OP, text));
    }
    const NAMES: [[&str; 3]; POOLS] =
        [["pool1", "worker1", "passwd1"], ["pool2", "worker2", "passwd2"], ["pool3", "worker3", "passwd3"]];
    let none = PoolSetup::default();
    let places = pools.iter().chain(std::iter::repeat(&none));
    let add = |request: Request, ([url, worker, password], pool): ([&'static str; 3], &PoolSetup)| {
        request
            .with(url, pool.url.as_str())
            .with(worker, pool.username.as_str())
            .with(password, Arg::Secret(pool.password.clone()))
    };
    Ok(NAMES.into_iter().zip(places).fold(Request::new("update_pools"), add))
}

/// The static form writes the host name too, which is none of this command's business.
fn net_config(network: &NetworkSetup, look: &Look) -> Result<Request> {
    let request = Request::new("net_config");
    let NetworkSetup::Static { ip_address, ip_netmask, ip_gw, dns } = network else {
        return Ok(request.with("param", "dhcp"));
    };
    let Some(host) = look.hostname() else {
        let text = "the unit does not tell its host name, which this command would overwrite";
        return Err(Error::new(ErrorKind::BadReply, OP, text));
    };
    let dns: Vec<String> = dns.iter().map(ToString::to_string).collect();
    Ok(request
        .with("ip", ip_address.to_string())
        .with("mask", ip_netmask.to_string())
        .with("gate", ip_gw.to_string())
        .with("dns", dns.join(" "))
        .with("host", host.to_string()))
}

#[cfg(test)]
mod tests {
    use headframe_core::{
        Sent,
        model::Zone,
        units::{Megahertz, Watts},
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::whatsminer::v2::{
        firmware,
        wire::{Ask, Replies},
    };

    fn look(asleep: bool, mode: &str, fast_boot: &str) -> Look {
        let off = if asleep { "true" } else { "false" };
        let mut replies = Replies::default();
        for (ask, reply) in [
            (
                Ask::Summary,
                json!({"SUMMARY": [{"Power Mode": mode, "Btminer Fast Boot": fast_boot, "Uptime": 900}]}),
            ),
            (Ask::Status, json!({"STATUS": "S", "Msg": {"mineroff": off}})),
            (Ask::Info, json!({"STATUS": "S", "Msg": {"hostname": "wm1", "mac": "d4:01:02:03:04:05"}})),
            (Ask::Pools, json!({"POOLS": [{"URL": "stratum+tcp://old.example:3333", "User": "w"}]})),
        ] {
            replies.read(ask, reply.to_string().as_bytes()).unwrap();
        }
        Look::of(replies)
    }

    fn plain(command: &Command, look: &Look, generation: Generation) -> Vec<Value> {
        let requests = requests(command, look, generation, &Secret::new("admin")).unwrap();
        requests.iter().map(|r| serde_json::from_str(&r.plain("<sign>")).unwrap()).collect()
    }

    fn names(command: &Command, look: &Look) -> Vec<String> {
        let sent = plain(command, look, Generation::Late);
        sent.iter().map(|r| r["cmd"].as_str().unwrap().to_owned()).collect()
    }

    fn network(dns: &[[u8; 4]]) -> NetworkSetup {
        NetworkSetup::Static {
            ip_address: [10, 7, 1, 12].into(),
            ip_netmask: [255, 255, 0, 0].into(),
            ip_gw: [10, 7, 0, 1].into(),
            dns: dns.iter().map(|d| (*d).into()).collect(),
        }
    }

    /// All commands with the arguments of the forms.
    fn all() -> Vec<Command> {
        let zone = Zone { timezone: "CST-8".into(), zonename: "Asia/Shanghai".into() };
        let dns = [[10, 7, 0, 2], [1, 1, 1, 1]];
        vec![
            Command::RestartMinerSoftware,
            Command::SuspendMining,
            Command::ResumeMining,
            Command::PrePowerOn(Preheat::Begin),
            Command::SetPowerMode(PowerMode::Low),
            Command::SetPowerMode(PowerMode::Normal),
            Command::SetPowerMode(PowerMode::High),
            Command::SetPowerLimit(Watts::new(3000.4).unwrap()),
            Command::SetPowerPct(90),
            Command::SetTargetFreq(-10),
            Command::SetUpfreqSpeed(5),
            Command::SetFastBoot(true),
            Command::SetFastBoot(false),
            Command::SetTempOffset(-5),
            Command::SetPowerOffCool(true),
            Command::SetFanZeroSpeed(true),
            Command::SetupPools(vec![PoolSetup::new("stratum+tcp://pool.example:3333", "w", "x")]),
            Command::SetLed(true),
            Command::SetHostname("wm1".into()),
            Command::SetZone(zone),
            Command::SetNetworkInformation(network(&dns)),
            Command::UpdateAdminPassword(Secret::new("Rack_07x")),
            Command::SetWebPools(true),
            Command::SetWebPools(false),
            Command::FactoryReset,
        ]
    }

    #[test]
    fn every_form_is_what_the_reference_says() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/whatsminer/write_vectors.json"))
                .unwrap();
        let look = look(false, "Normal", "disable");
        let mut ours: Vec<Value> =
            all().iter().flat_map(|command| plain(command, &look, Generation::Late)).collect();
        ours.extend(plain(&Command::SetPowerPct(90), &look, Generation::Early));
        // The wire form that makes the unit answer first is the other one there.
        let mut reboot = plain(&Command::Reboot, &look, Generation::Late).remove(0);
        assert_eq!(reboot.as_object_mut().unwrap().remove("respbefore"), Some("true".into()));
        ours.push(reboot);
        ours.push(serde_json::from_str(&firmware::request().plain("<sign>")).unwrap());
        let forms = vectors["forms"].as_array().unwrap();
        assert_eq!(forms.len(), ours.len());
        for form in forms {
            let want: Value = serde_json::from_str(form["plaintext"].as_str().unwrap()).unwrap();
            assert!(ours.contains(&want), "{want}");
        }
        for (command, want) in [
            (Command::SetLed(false), json!({"cmd": "set_led", "param": "auto", "token": "<sign>"})),
            (
                Command::SetNetworkInformation(NetworkSetup::Dhcp),
                json!({"cmd": "net_config", "param": "dhcp", "token": "<sign>"}),
            ),
        ] {
            assert_eq!(plain(&command, &look, Generation::Late), [want]);
        }
    }

    #[test]
    fn a_unit_that_stands_is_woken_first_and_one_in_its_mode_only_woken() {
        for (asleep, told, mode, want) in [
            (false, "Normal", PowerMode::Low, &["set_low_power"][..]),
            (true, "Normal", PowerMode::Low, &["power_on", "set_low_power"]),
            (true, "Low", PowerMode::Low, &["power_on"]),
            (true, "", PowerMode::High, &["power_on", "set_high_power"]),
            (false, "Low", PowerMode::Sleep, &["power_off"]),
        ] {
            assert_eq!(names(&Command::SetPowerMode(mode), &look(asleep, told, "disable")), want);
        }
    }

    #[test]
    fn what_must_not_be_sent_is_refused_with_the_reason() {
        let fast = look(false, "Normal", "enable");
        let e =
            requests(&Command::SetUpfreqSpeed(3), &fast, Generation::Late, &Secret::default()).unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Rejected, Sent::No));
        assert!(e.message().contains("fast boot"));
        for wrong in ["", "123456789", "a b", "p\u{e9}", "x-y"] {
            let e = check(&Command::UpdateAdminPassword(Secret::new(wrong))).unwrap_err();
            assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("password")), "{wrong}");
        }
        check(&Command::UpdateAdminPassword(Secret::new("Rack_07x"))).unwrap();
        let most = Command::SetPowerLimit(Watts::new(99_999.0).unwrap());
        assert_eq!(check(&most).unwrap_err().fact("field"), Some("power_limit_w"));
        let clock = Command::SetFrequency(Megahertz::new(500.0).unwrap());
        let e = requests(&clock, &fast, Generation::Late, &Secret::default()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        let empty = Look::of(Replies::default());
        let moving = Command::SetNetworkInformation(network(&[]));
        let e = requests(&moving, &empty, Generation::Late, &Secret::default()).unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::BadReply, Sent::No));
    }
}
