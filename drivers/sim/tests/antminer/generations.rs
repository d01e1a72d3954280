//! What the generations of the firmware have and have not.

use headframe_sim::{AntminerModel, AntminerOptions, Role};
use serde_json::{Value, json};

use crate::client::{Site, wait};

#[tokio::test(start_paused = true)]
async fn an_s19_of_2020() {
    let site = Site::new(AntminerOptions::s19_2020()).await;
    let mut client = site.client();
    assert_eq!(client.get("miner_type").await.status, 404);
    let system = client.get("get_system_info").await.json();
    assert_eq!((&system["minertype"], system.get("serinum")), (&json!("Antminer S19"), None));
    let conf = client.get("get_miner_conf").await.json();
    assert_eq!((&conf["miner-mode"], conf.get("bitmain-work-mode")), (&json!("0"), None));
    let stats = client.get("stats").await.json()["STATS"][0].clone();
    assert_eq!(
        (stats["chain"][0]["asic_num"].as_u64(), stats.get("watt"), stats.get("power")),
        (Some(76), None, None)
    );
    assert_eq!(client.get("summary").await.json()["SUMMARY"][0]["status"], json!([]));
    assert_eq!(site.device().address(Role::Side), None);
    let legacy = site.raw(Role::Rpc, br#"{"command":"stats","new_api":true}"#).await;
    assert!(String::from_utf8(legacy).unwrap().contains("\"BMMiner\""), "new_api is not known");
    // A part of the form is not enough.
    let reply = client.post("set_miner_conf", &json!({"miner-mode": "1"})).await.unwrap().json();
    assert_eq!(reply["stats"], "error");
    let form = json!({"pools": conf["pools"], "bitmain-fan-ctrl": false, "bitmain-fan-pwm": "100",
                      "miner-mode": "1", "freq-level": "100"});
    assert_eq!(client.post("set_miner_conf", &form).await.unwrap().json()["code"], "M000");
    assert!(site.device().truth().asleep && site.executed("set_miner_conf") == 1);
}

#[tokio::test(start_paused = true)]
async fn a_frequency_that_the_read_does_not_show_is_passed_over() {
    for (tells_freq, frequency) in [(true, 441.0), (false, 490.0)] {
        let site = Site::new(AntminerOptions { tells_freq, ..AntminerOptions::s21_2025() }).await;
        let mut client = site.client();
        let conf = client.get("get_miner_conf").await.json();
        assert_eq!(conf.get("bitmain-freq").and_then(Value::as_str), tells_freq.then_some("490"));
        let reply = client.post("set_miner_conf", &json!({"bitmain-freq": "441"})).await.unwrap();
        assert_eq!(reply.json()["code"], "M000");
        wait(&site.cx, 900).await;
        assert!((site.device().truth().frequency_mhz - frequency).abs() < 1e-6);
    }
}

#[tokio::test(start_paused = true)]
async fn logs_are_text_and_name_the_errors() {
    let site = Site::new(AntminerOptions::s21_2025()).await;
    site.device().set_errors(&["J3:2"]);
    let log = site.client().get("log").await;
    assert!(log.header("content-type").unwrap().starts_with("text/plain"));
    assert!(String::from_utf8(log.body).unwrap().contains("error J3:2"));
}

/// CRC-32 as in Ethernet, bit by bit from the front.
fn crc(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for byte in bytes {
        for bit in 0..8 {
            let out = (register ^ u32::from(byte >> bit)) & 1;
            register >>= 1;
            if out == 1 {
                register ^= 0xedb8_8320;
            }
        }
    }
    register ^ u32::MAX
}

/// A bundle with one image, for a model and a hash board.
fn bundle(model: &str, hardware: &str) -> Vec<u8> {
    let mut file = vec![0; 36 + 172];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0xab; 4]);
    for (at, number) in [(8, 36u32), (12, 1), (16, 172), (36 + 164, 208), (36 + 168, 6)] {
        put(at, &number.to_le_bytes());
    }
    put(36, &[0, 0, hardware.len() as u8, model.len() as u8]);
    put(36 + 100, hardware.as_bytes());
    put(36 + 132, model.as_bytes());
    file.extend_from_slice(b"kernel");
    let sum = crc(&file);
    file[24..28].copy_from_slice(&sum.to_le_bytes());
    file
}

#[tokio::test(start_paused = true)]
async fn a_bundle_for_another_machine_is_refused() {
    let model = AntminerModel::S21;
    let options = AntminerOptions { checks_image: true, ..AntminerOptions::s21_2025() };
    let good = bundle(model.sheet.name, "AMLCtrl_BHB68xxx");
    let mut damaged = good.clone();
    damaged[210] ^= 1;
    for (file, code) in [
        (bundle("Antminer S19", &model.subtype()), "U001"),
        (bundle(model.sheet.name, "zynq7007_BHB68601"), "U001"),
        (damaged, "U001"),
        (good[..100].to_vec(), "U001"),
        (good, "U000"),
        (b"any other file".to_vec(), "U000"),
    ] {
        let site = Site::new(options.clone()).await;
        let mut client = site.client();
        client.get("summary").await;
        let length = file.len();
        let reply = client.upload(&file).await;
        assert_eq!(reply["code"], code, "{length}");
        wait(&site.cx, 70).await;
        let built = site.client().get("miner_type").await.json()["fw_version"].clone();
        assert_eq!(built == options.upgraded.as_str(), code == "U000");
        assert_eq!(site.executed("upgrade"), u64::from(code == "U000"));
    }
    let lenient = Site::new(AntminerOptions::s21_2025()).await;
    let mut client = lenient.client();
    client.get("summary").await;
    assert_eq!(client.upload(&bundle("Antminer S19", "x")).await["code"], "U000");
}
