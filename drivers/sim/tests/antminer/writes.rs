use headframe_sim::{
    AntminerOptions, BlinkRule, ConfRule, FanControl, Fault, Led, ModeForm, PowerMode, Restarting,
};
use serde_json::{Value, json};

use crate::client::{Site, wait};

/// The browser's form.
fn form(mode: &Value) -> Value {
    json!({
        "pools": [
            {"url": "stratum+tcp://new.example:3333", "user": "w", "pass": "p"},
            {"url": "", "user": "", "pass": ""},
            {"url": "", "user": "", "pass": ""},
        ],
        "bitmain-fan-ctrl": false, "bitmain-fan-pwm": "100", "miner-mode": mode, "freq-level": "100",
    })
}

async fn write(site: &Site, cgi: &str, body: &Value) -> Value {
    site.client().post(cgi, body).await.unwrap().json()
}

fn setting(site: &Site, key: &str) -> String {
    site.device().truth().settings[key].clone()
}

#[tokio::test(start_paused = true)]
async fn sleep_empties_the_reports_and_normal_brings_them_back() {
    let site = Site::new(AntminerOptions::default()).await;
    let answer = write(&site, "set_miner_conf", &form(&json!(1))).await;
    assert_eq!(answer, json!({"stats": "success", "code": "M000", "msg": "OK!"}));
    wait(&site.cx, 60).await;
    let mut client = site.client();
    assert_eq!(client.get("summary").await.json()["SUMMARY"], json!([]));
    assert_eq!(client.get("stats").await.json()["STATS"], json!([]));
    assert_eq!(client.get("pools").await.json()["POOLS"].as_array().unwrap().len(), 1);
    assert_eq!(client.get("get_miner_conf").await.json()["bitmain-work-mode"], json!("1"));
    let truth = site.device().truth();
    assert!(truth.asleep && !truth.mining && truth.power_w < 100.0);
    assert_eq!(
        (truth.pools[0].url.as_str(), truth.pools[0].password.as_str()),
        ("stratum+tcp://new.example:3333", "p")
    );

    write(&site, "set_miner_conf", &form(&json!(0))).await;
    wait(&site.cx, 400).await;
    let stats = site.client().get("stats").await.json();
    assert_eq!(stats["STATS"][0]["miner-mode"], json!(0));
    let truth = site.device().truth();
    assert!(!truth.asleep && truth.mining && !truth.ramping);
    assert_eq!((site.counted("set_miner_conf"), site.executed("set_miner_conf")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn sleep_can_keep_the_reports() {
    let site = Site::new(AntminerOptions { sleep_empty: false, ..AntminerOptions::default() }).await;
    write(&site, "set_miner_conf", &form(&json!("1"))).await;
    wait(&site.cx, 60).await;
    let stats = site.client().get("stats").await.json();
    assert_eq!((&stats["STATS"][0]["miner-mode"], &stats["STATS"][0]["rate_5s"]), (&json!(1), &json!(0.0)));
}

#[tokio::test(start_paused = true)]
async fn low_mode_mines_less() {
    let site = Site::new(AntminerOptions::default()).await;
    write(&site, "set_miner_conf", &json!({"miner-mode": "3", "bitmain-work-mode": "3"})).await;
    wait(&site.cx, 600).await;
    let truth = site.device().truth();
    assert_eq!((truth.mode, truth.mining), (PowerMode::Low, true));
    assert!(truth.rates.m1 < 0.8 * truth.nominal_mhs && truth.power_w < 0.75 * 3500.0);
    let mut client = site.client();
    assert_eq!(client.get("stats").await.json()["STATS"][0]["miner-mode"], json!(3));
    assert_eq!(client.get("get_miner_conf").await.json()["bitmain-work-mode"], json!("3"));
    assert_eq!(client.get("get_miner_conf").await.json()["pools"][0]["user"], json!("site1.am0001"));

    let site = Site::new(AntminerOptions { low_mode: false, ..AntminerOptions::default() }).await;
    assert_eq!(write(&site, "set_miner_conf", &json!({"miner-mode": 3})).await["code"], json!("M000"));
    assert_eq!((setting(&site, "miner-mode").as_str(), site.device().truth().mode), ("0", PowerMode::Normal));
}

#[tokio::test(start_paused = true)]
async fn mining_restarts_after_a_configuration_write() {
    for restarting in [Restarting::Empty, Restarting::Drop] {
        let site = Site::new(AntminerOptions { restarting, ..AntminerOptions::default() }).await;
        let mut client = site.client();
        client.post("set_miner_conf", &form(&json!(0))).await.unwrap();
        let during = client.send("GET", "/cgi-bin/stats.cgi", b"").await.unwrap();
        match restarting {
            Restarting::Empty => assert_eq!(during.unwrap().json()["STATS"], json!([])),
            Restarting::Drop => assert!(during.is_none()),
        }
        assert!(!site.device().truth().mining);
        client.hang_up();
        wait(&site.cx, 30).await;
        let stats = client.get("stats").await.json();
        assert_eq!(stats["STATS"][0]["elapsed"], json!(10));
        assert!(site.device().truth().ramping);
    }
}

#[tokio::test(start_paused = true)]
async fn old_firmware_wants_the_full_form_and_newer_takes_parts() {
    let fan = json!({"bitmain-fan-ctrl": true, "bitmain-fan-pwm": "70"});
    let site = Site::new(AntminerOptions::s19_xp_2022()).await;
    assert_eq!(
        write(&site, "set_miner_conf", &fan).await,
        json!({"stats": "error", "code": "M001", "msg": "Invalid pool!"})
    );
    let short = json!({"pools": [{"url": "stratum+tcp://a:1", "user": "u", "pass": "x"}]});
    assert_eq!(write(&site, "set_miner_conf", &short).await["stats"], json!("error"));
    assert_eq!((site.counted("set_miner_conf"), site.executed("set_miner_conf")), (2, 0));
    assert_eq!(site.device().truth().fan_control, FanControl::Auto);
    let mut full = form(&json!("0"));
    full["bitmain-fan-ctrl"] = json!(true);
    full["bitmain-fan-pwm"] = json!("70");
    assert_eq!(write(&site, "set_miner_conf", &full).await["code"], json!("M000"));
    assert_eq!(site.device().truth().fan_control, FanControl::Percent(70.0));

    let site = Site::new(AntminerOptions::default()).await;
    assert_eq!(write(&site, "set_miner_conf", &fan).await["code"], json!("M000"));
    let mut client = site.client();
    let conf = client.get("get_miner_conf").await.json();
    assert_eq!((&conf["bitmain-fan-ctrl"], &conf["bitmain-fan-pwm"]), (&json!(true), &json!("70")));
    assert_eq!(conf["pools"][0]["url"], json!("stratum+tcp://pool.example:3333"));
    client.post("set_miner_conf", &json!({"freq-level": "80", "bitmain-freq": "500"})).await.unwrap();
    let conf = client.get("get_miner_conf").await.json();
    assert_eq!((&conf["bitmain-freq-level"], &conf["bitmain-freq"]), (&json!("80"), &json!("500")));
    wait(&site.cx, 900).await;
    let truth = site.device().truth();
    assert!((truth.frequency_mhz - 400.0).abs() < 1e-6, "{}", truth.frequency_mhz);
    assert!(truth.mining && truth.power_w < 0.85 * 3500.0);
}

#[tokio::test(start_paused = true)]
async fn a_write_after_a_failed_read_can_cost_the_pools() {
    let error = json!({"success": false, "error": "invalid json response body", "miner-mode": 1});
    let site = Site::new(AntminerOptions { conf_rule: ConfRule::Wipes, ..AntminerOptions::default() }).await;
    assert_eq!(write(&site, "set_miner_conf", &error).await["code"], json!("M000"));
    let truth = site.device().truth();
    assert!(truth.asleep && truth.pools.iter().all(|p| p.url.is_empty()));
    let site = Site::new(AntminerOptions { conf_rule: ConfRule::Full, ..AntminerOptions::default() }).await;
    assert_eq!(write(&site, "set_miner_conf", &error).await["code"], json!("M001"));
    assert!(!site.device().truth().asleep);
}

#[tokio::test(start_paused = true)]
async fn a_firmware_may_want_the_mode_as_text_or_not_answer() {
    let options = AntminerOptions { mode_form: ModeForm::TextOnly, ..AntminerOptions::default() };
    let site = Site::new(options).await;
    assert_eq!(write(&site, "set_miner_conf", &form(&json!(1))).await["code"], json!("M000"));
    assert!(!site.device().truth().asleep);
    write(&site, "set_miner_conf", &form(&json!("1"))).await;
    assert!(site.device().truth().asleep);

    let site = Site::new(AntminerOptions { conf_answered: false, ..AntminerOptions::default() }).await;
    assert!(site.client().post("set_miner_conf", &form(&json!(1))).await.is_none());
    assert!(site.device().truth().asleep);
    assert_eq!(site.executed("set_miner_conf"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_light_follows_each_firmwares_reading() {
    for (rule, body, code, on) in [
        (BlinkRule::Both, json!(true), "B000", true),
        (BlinkRule::Both, json!("true"), "B000", true),
        (BlinkRule::Both, json!("false"), "B100", false),
        (BlinkRule::Truthy, json!("false"), "B000", true),
        (BlinkRule::Truthy, json!(false), "B100", false),
        (BlinkRule::TextOnly, json!(true), "B000", false),
        (BlinkRule::TextOnly, json!("true"), "B000", true),
    ] {
        let site = Site::new(AntminerOptions { blink_rule: rule, ..AntminerOptions::default() }).await;
        assert_eq!(write(&site, "blink", &json!({"blink": body})).await["code"], json!(code));
        assert_eq!(site.device().truth().led == Led::Locate, on, "{rule:?} {body}");
        assert_eq!(site.client().get("get_blink_status").await.json(), json!({"blink": on}));
        assert_eq!(site.counted("blink"), 1);
    }
    let site = Site::new(AntminerOptions::default()).await;
    assert_eq!(write(&site, "blink", &json!({"blink": 2})).await["stats"], json!("error"));
}

#[tokio::test(start_paused = true)]
async fn a_reboot_kills_the_connection_and_the_device_comes_back() {
    for method in ["GET", "POST"] {
        let site = Site::new(AntminerOptions::default()).await;
        let mut client = site.client();
        client.get("summary").await;
        assert!(client.send(method, "/cgi-bin/reboot.cgi", b"{}").await.unwrap().is_none());
        wait(&site.cx, 1).await;
        assert!(client.send("GET", "/cgi-bin/summary.cgi", b"").await.is_err());
        assert!(!site.device().truth().up);
        wait(&site.cx, 65).await;
        let reply = client.send("GET", "/cgi-bin/summary.cgi", b"").await.unwrap().unwrap();
        assert!(reply.status == 401 && reply.head.contains("stale=true"));
        let summary = site.client().get("summary").await.json();
        assert!(summary["SUMMARY"][0]["elapsed"].as_u64().unwrap() < 30);
        assert_eq!(site.executed("reboot"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn network_settings_are_checked_shown_and_followed() {
    let site = Site::new(AntminerOptions::default()).await;
    let old = site.device().ip();
    let mut body = json!({"ipHost": "am1", "ipPro": 2, "ipAddress": "10.7.1", "ipSub": "255.255.0.0",
                          "ipGateway": "10.7.0.1", "ipDns": "10.7.0.2,1.1.1.1"});
    assert_eq!(
        write(&site, "set_network_conf", &body).await,
        json!({"stats": "error", "code": "N001", "msg": "Invalid network!"})
    );
    body["ipAddress"] = json!("10.7.1.13");
    assert_eq!(write(&site, "set_network_conf", &body).await["code"], json!("N000"));
    wait(&site.cx, 1).await;
    assert!(site.cx.net.tcp((old, 14_080).into()).await.is_err());
    let mut client = site.client().moved("10.7.1.13".parse().unwrap());
    let network = client.get("get_network_info").await.json();
    assert_eq!((&network["nettype"], &network["ipaddress"]), (&json!("Static"), &json!("10.7.1.13")));
    assert_eq!(
        (&network["conf_hostname"], &network["conf_dnsservers"]),
        (&json!("am1"), &json!("10.7.0.2,1.1.1.1"))
    );
    assert_eq!((site.device().truth().hostname.as_str(), site.executed("set_network_conf")), ("am1", 1));
    assert_eq!(setting(&site, "conf_gateway"), "10.7.0.1");
    let dhcp =
        json!({"ipHost": "am2", "ipPro": 1, "ipAddress": "", "ipSub": "", "ipGateway": "", "ipDns": ""});
    client.post("set_network_conf", &dhcp).await.unwrap();
    assert_eq!(client.get("get_network_info").await.json()["conf_nettype"], json!("DHCP"));
}

fn body(current: &str, new: &str, again: &str) -> Value {
    json!({"curPwd": current, "newPwd": new, "confirmPwd": again})
}

#[tokio::test(start_paused = true)]
async fn the_password_changes_at_once() {
    let site = Site::new(AntminerOptions::default()).await;
    assert_eq!(write(&site, "passwd", &body("wrong", "a", "a")).await["code"], json!("P001"));
    assert_eq!(write(&site, "passwd", &body("root", "a", "b")).await["code"], json!("P002"));
    assert_eq!(site.executed("passwd"), 0);
    assert_eq!(write(&site, "passwd", &body("root", "new1", "new1")).await["code"], json!("P000"));
    assert_eq!((setting(&site, "password").as_str(), site.executed("passwd")), ("new1", 1));
    assert_eq!(site.client().get("summary").await.status, 401);
    assert_eq!(site.client_with("new1").get("summary").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_factory_reset_forgets_everything() {
    let site = Site::new(AntminerOptions::default()).await;
    let body = json!({"curPwd": "root", "newPwd": "new1", "confirmPwd": "new1"});
    write(&site, "passwd", &body).await;
    let mut client = site.client_with("new1");
    client.post("set_miner_conf", &json!({"miner-mode": 1})).await.unwrap();
    assert_eq!(client.post("reset_conf", &json!({})).await.unwrap().status, 200);
    let truth = site.device().truth();
    assert!(!truth.asleep && truth.pools.iter().all(|p| p.url.is_empty()));
    assert_eq!(site.client().get("get_miner_conf").await.json()["bitmain-work-mode"], json!("0"));
    wait(&site.cx, 600).await;
    // Nobody gives it work.
    assert!(!site.device().truth().mining);
}

#[tokio::test(start_paused = true)]
async fn an_upload_reboots_into_the_new_firmware() {
    let site = Site::new(AntminerOptions::default()).await;
    let mut client = site.client();
    client.get("summary").await;
    assert_eq!(client.post("upgrade", &json!({})).await.unwrap().json()["code"], json!("U001"));
    assert_eq!(client.upload(b"\xab\xab\xab\xab").await["code"], json!("U000"));
    assert_eq!(setting(&site, "firmware_bytes"), "4");
    wait(&site.cx, 70).await;
    let kind = site.client().get("miner_type").await.json();
    assert_eq!(kind["fw_version"], json!("Mon Feb  2 10:20:30 CST 2026"));
    assert_eq!((site.counted("upgrade"), site.executed("upgrade")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn ignored_and_mute_writes() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault_on("set_miner_conf", Fault::IgnoreWrites);
    assert_eq!(write(&site, "set_miner_conf", &form(&json!(1))).await["code"], json!("M000"));
    assert!(!site.device().truth().asleep);
    assert_eq!((site.counted("set_miner_conf"), site.executed("set_miner_conf")), (1, 0));
    site.device().clear();
    site.device().fault_on("set_miner_conf", Fault::Mute);
    assert!(site.client().post("set_miner_conf", &form(&json!(1))).await.is_none());
    assert!(site.device().truth().asleep);
    assert_eq!((site.counted("set_miner_conf"), site.executed("set_miner_conf")), (2, 1));
}
