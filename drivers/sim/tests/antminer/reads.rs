use std::time::Duration;

use headframe_sim::{AntminerModel, AntminerOptions, BlinkForm, Fault, ModeForm, PowerKey, Role, SidePort};
use serde_json::{Value, json};

use crate::client::{START, Site, wait};

fn close(a: f64, b: f64, part: f64) -> bool {
    (a - b).abs() <= b.abs() * part
}

fn sum(values: &Value, key: &str) -> f64 {
    values.as_array().unwrap().iter().map(|v| v[key].as_f64().unwrap()).sum()
}

#[tokio::test(start_paused = true)]
async fn summary_stats_and_pools_say_what_is_true() {
    let site = Site::new(AntminerOptions::default()).await;
    let mut client = site.client();
    let (summary, stats, pools) = (
        client.get("summary").await.json(),
        client.get("stats").await.json(),
        client.get("pools").await.json(),
    );
    let truth = site.device().truth();
    for body in [&summary, &stats, &pools] {
        assert_eq!(body["STATUS"]["STATUS"], json!("S"));
        assert_eq!(body["STATUS"]["when"], json!(START));
        assert_eq!(body["INFO"]["type"], json!("Antminer S21"));
    }
    let summary = &summary["SUMMARY"][0];
    assert_eq!(summary["elapsed"], json!(truth.elapsed_s));
    assert!(close(summary["rate_5s"].as_f64().unwrap() * 1000.0, truth.rates.s5, 1e-6));
    assert!(close(summary["rate_30m"].as_f64().unwrap() * 1000.0, truth.rates.m30, 1e-6));
    assert!(close(summary["rate_avg"].as_f64().unwrap() * 1000.0, truth.rates.average, 1e-6));
    assert_eq!((&summary["rate_ideal"], &summary["rate_unit"]), (&json!(200_000.0), &json!("GH/s")));
    let kinds: Vec<&str> =
        summary["status"].as_array().unwrap().iter().map(|s| s["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["rate", "network", "fans", "temp"]);
    assert!(summary["status"].as_array().unwrap().iter().all(|s| s["status"] == json!("s")));
    let stats = &stats["STATS"][0];
    assert_eq!(
        (&stats["chain_num"], &stats["fan_num"], &stats["miner-mode"]),
        (&json!(3), &json!(4), &json!(0))
    );
    assert_eq!(stats["fan"].as_array().unwrap().len(), 4);
    assert_eq!(stats["watt"], json!(truth.power_w.round() as i64));
    let chain = &stats["chain"];
    assert!(close(sum(chain, "rate_real") * 1000.0, truth.rates.realtime, 1e-6));
    assert_eq!(sum(chain, "asic_num"), 324.0);
    let first = &chain[0];
    assert_eq!((first["asic"].as_str().unwrap().len(), &first["index"]), (108, &json!(0)));
    let mean =
        |key: &str| first[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).sum::<f64>() / 4.0;
    assert!((mean("temp_pcb") - truth.boards[0].pcb_c).abs() < 0.2);
    assert!((mean("temp_chip") - truth.boards[0].chip_avg_c).abs() < 0.2);
    assert!(first["temp_pic"][2].as_f64() < first["temp_pic"][1].as_f64());
    let pools = pools["POOLS"].as_array().unwrap();
    assert_eq!(pools.len(), 2);
    assert_eq!(pools[0]["url"], json!("stratum+tcp://pool.example:3333"));
    assert_eq!((&pools[0]["status"], &pools[0]["accepted"]), (&json!("Alive"), &json!(truth.accepted)));
    assert_eq!(pools[1]["accepted"], json!(0));
}

#[tokio::test(start_paused = true)]
async fn identity_network_configuration_light_and_log() {
    let site = Site::new(AntminerOptions::default()).await;
    let mut client = site.client();
    assert_eq!(
        client.get("miner_type").await.json(),
        json!({"miner_type": "Antminer S21", "subtype": "AMLCtrl_BHB68601",
               "fw_version": "Thu Oct  9 18:55:45 CST 2025"})
    );
    let device = site.device();
    let info = client.get("get_system_info").await.json();
    assert_eq!((&info["minertype"], &info["hostname"]), (&json!("Antminer S21"), &json!("Antminer")));
    assert_eq!((&info["macaddr"], &info["serinum"]), (&json!(device.mac()), &json!(device.serial())));
    assert_eq!(info["system_filesystem_version"], json!("FR-1.12(251009-S21)"));
    let network = client.get("get_network_info").await.json();
    assert_eq!((&network["nettype"], &network["conf_nettype"]), (&json!("DHCP"), &json!("DHCP")));
    assert_eq!(
        (&network["ipaddress"], &network["netmask"]),
        (&json!(device.ip().to_string()), &json!("255.255.0.0"))
    );
    let conf = client.get("get_miner_conf").await.json();
    assert_eq!(conf["pools"][2], json!({"url": "", "user": "", "pass": ""}));
    assert_eq!(conf["pools"][0]["pass"], json!("x"));
    assert_eq!((&conf["bitmain-work-mode"], &conf["bitmain-freq-level"]), (&json!("0"), &json!("100")));
    assert_eq!((&conf["bitmain-fan-ctrl"], &conf["bitmain-fan-pwm"]), (&json!(false), &json!("100")));
    assert_eq!(client.get("get_blink_status").await.json(), json!({"blink": false}));
    assert!(client.get("log").await.text().contains("Antminer S21"));
    assert_eq!(client.get("get_power").await.status, 404);
    assert_eq!(client.send("GET", "/", b"").await.unwrap().unwrap().status, 200);
    assert_eq!(client.send("GET", "/cgi-bin/luci", b"").await.unwrap().unwrap().status, 404);
    assert_eq!(client.get("set_miner_conf").await.status, 405);
    assert!(device.executed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn options_change_the_form_of_answers() {
    let options = AntminerOptions {
        chunked: true,
        close_after_reply: true,
        power_key: PowerKey::Power,
        mode_form: ModeForm::MinerMode,
        blink_form: BlinkForm::Text,
        lacks: vec!["miner_type".to_owned()],
        ..AntminerOptions::s21_2024()
    };
    let site = Site::new(options).await;
    let mut client = site.client();
    let stats = client.get("stats").await;
    assert_eq!(stats.header("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(stats.header("connection").as_deref(), Some("close"));
    let stats = stats.json();
    assert_eq!(stats["STATS"][0].get("watt"), None);
    assert!(stats["STATS"][0]["power"].as_i64().unwrap() > 3000);
    assert_eq!(client.get("summary").await.json()["SUMMARY"][0]["status"], json!([]));
    assert_eq!(client.get("get_miner_conf").await.json()["miner-mode"], json!("0"));
    assert_eq!(client.get("get_blink_status").await.json(), json!({"blink": "false"}));
    assert_eq!(client.get("miner_type").await.status, 404);
    assert_eq!(client.get("get_system_info").await.json().get("serinum"), None);
    assert!(site.device().connections() >= 6);
}

#[tokio::test(start_paused = true)]
async fn every_machine_has_its_boards_chips_and_fans() {
    for (model, boards, chips, fans) in [
        (AntminerModel::S19_XP, 3, 110, 4),
        (AntminerModel::S19_XP_HYD, 3, 204, 0),
        (AntminerModel::S19J_PRO, 3, 126, 4),
        (AntminerModel::S21, 3, 108, 4),
        (AntminerModel::S21_PRO, 3, 65, 4),
        (AntminerModel::S21_PLUS_HYD, 3, 95, 0),
        (AntminerModel::UNKNOWN, 4, 77, 4),
    ] {
        let site = Site::new(AntminerOptions::with_model(model)).await;
        let mut client = site.client();
        let stats = client.get("stats").await.json()["STATS"][0].clone();
        let chain = stats["chain"].as_array().unwrap();
        assert_eq!((chain.len(), stats["fan_num"].as_u64().unwrap()), (boards, fans));
        assert!(chain.iter().all(|c| c["asic_num"] == json!(chips)));
        let (pic, pcb, chip) = (&chain[0]["temp_pic"], &chain[0]["temp_pcb"], &chain[0]["temp_chip"]);
        let number = |v: &Value| v.as_f64().unwrap();
        match model.sheet.name {
            "Antminer S21+ Hyd." => {
                assert!(number(&pcb[2]) > number(&pcb[0]) && number(&pic[0]) > number(&pcb[2]));
                assert_eq!(chip, &json!([0.0, 0.0, 0.0, 0.0]));
            }
            "Antminer S19 XP" => {
                assert!(number(&pic[0]) > number(&pic[2]) && number(&pic[1]) > number(&pic[3]))
            }
            _ => assert!(number(&pic[1]) > number(&pic[2])),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_side_port_tells_warnings_and_power() {
    let site = Site::new(AntminerOptions::s21_2024()).await;
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").into_bytes();
    let warning = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        let body = text.split("\r\n\r\n").nth(1).unwrap().to_owned();
        serde_json::from_str::<Value>(&body).unwrap()["error_message"].as_str().unwrap().to_owned()
    };
    assert_eq!(warning(site.raw(Role::Side, &get("/warning")).await), "None");
    let power = String::from_utf8(site.raw(Role::Side, &get("/miner_power")).await).unwrap();
    let watts = site.device().truth().power_w;
    assert!(power.ends_with(&format!("miner power:{watts:.0}")), "{power}");
    site.device().set_errors(&["J3:2"]);
    assert_eq!(warning(site.raw(Role::Side, &get("/warning")).await), "J3:2");
    site.device().set_errors(&[]);
    site.device().fault(Fault::BoardLost { slot: 1 });
    assert_eq!(warning(site.raw(Role::Side, &get("/warning")).await), "J0:8");
    assert_eq!((site.counted("warning"), site.counted("miner_power")), (3, 1));
    let other = String::from_utf8(site.raw(Role::Side, &get("/cgi-bin/summary.cgi")).await).unwrap();
    assert!(other.starts_with("HTTP/1.1 404"));

    let site = Site::new(AntminerOptions::s19_xp_2022()).await;
    let old = String::from_utf8(site.raw(Role::Side, &get("/warning")).await).unwrap();
    assert!(old.starts_with("HTTP/1.1 200") && old.ends_with("\r\n\r\nerror 6060 cmd"));

    let options =
        AntminerOptions { side_port_auth: true, side_port: SidePort::Json, ..AntminerOptions::default() };
    let site = Site::new(options).await;
    let closed = String::from_utf8(site.raw(Role::Side, &get("/warning")).await).unwrap();
    assert!(closed.starts_with("HTTP/1.1 401"));

    let site = Site::new(AntminerOptions::default()).await;
    assert_eq!(site.device().address(Role::Side), None);
    assert!(site.cx.net.tcp((site.device().ip(), 16_060).into()).await.is_err());
}

async fn line(site: &Site, kind: &str) -> Value {
    let summary = site.client().get("summary").await.json();
    let lines = summary["SUMMARY"][0]["status"].as_array().unwrap().clone();
    lines.into_iter().find(|l| l["type"] == json!(kind)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_shows_in_the_status_list() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault(Fault::BoardLost { slot: 2 });
    site.device().fault(Fault::FanFailed { fan: 0 });
    site.device().fault(Fault::PoolsDead);
    assert_eq!(line(&site, "rate").await["status"], json!("e"));
    assert_eq!(line(&site, "rate").await["code"], json!(8));
    assert_eq!(line(&site, "fans").await["status"], json!("e"));
    assert_eq!(line(&site, "network").await["status"], json!("e"));
    let mut client = site.client();
    let stats = client.get("stats").await.json();
    assert_eq!(stats["STATS"][0]["chain_num"], json!(2));
    let pools = client.get("pools").await.json();
    assert!(pools["POOLS"].as_array().unwrap().iter().all(|p| p["status"] == json!("Dead")));
    site.device().clear();
    assert_eq!(line(&site, "fans").await["status"], json!("s"));

    site.device().fault(Fault::Overheat);
    wait(&site.cx, 900).await;
    assert!(site.device().truth().protecting);
    let temp = line(&site, "temp").await;
    assert_eq!((&temp["status"], &temp["code"]), (&json!("e"), &json!(1)));
    assert_eq!(site.device().truth().errors[0].code, "P:1");
    assert_eq!(site.client().get("summary").await.json()["SUMMARY"][0]["rate_5s"], json!(0.0));
}

#[tokio::test(start_paused = true)]
async fn the_status_list_is_blank_while_starting() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault(Fault::Reboot { down: Duration::from_secs(10) });
    wait(&site.cx, 12).await;
    assert_eq!(line(&site, "rate").await["status"], json!(""));
    wait(&site.cx, 60).await;
    assert_eq!(line(&site, "temp").await["status"], json!("s"));
}
