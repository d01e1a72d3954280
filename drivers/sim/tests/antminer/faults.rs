use std::{sync::Arc, time::Duration};

use headframe_core::{
    Error, ErrorKind,
    io::{Ctx, SystemClock, SystemNet, SystemRng},
};
use headframe_sim::{AntminerOptions, Fault, FleetBuilder, Lie, Role};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, Site, authorization, request};

const STATS: &str = "/cgi-bin/stats.cgi";

/// What one authorised request brings within ten seconds, as bytes; an error when it takes longer.
async fn fetch(site: &Site) -> Result<Vec<u8>, Error> {
    let mut client = site.client();
    let nonce = client.exchange(&request("GET", STATS, None, b"")).await?.unwrap().nonce();
    let header = authorization("root", "GET", STATS, &nonce, 1);
    let at = site.device().address(Role::Web).unwrap();
    let within = site.cx.deadline_in(Duration::from_secs(10));
    within
        .within("fetch", async {
            let mut stream = site.cx.net.tcp(at).await?;
            let bytes = request("GET", STATS, Some(&header), b"");
            let text = String::from_utf8(bytes).unwrap().replace("Host", "Connection: close\r\nHost");
            stream.write_all(text.as_bytes()).await.unwrap();
            let (mut out, mut chunk) = (Vec::new(), [0; 4096]);
            while out.len() < 1 << 20 {
                match stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => out.extend_from_slice(&chunk[..n]),
                }
            }
            Ok(out)
        })
        .await
}

async fn with(fault: Fault) -> Result<Vec<u8>, Error> {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault_on("stats", fault);
    fetch(&site).await
}

#[tokio::test(start_paused = true)]
async fn spoilt_replies() {
    let whole = fetch(&Site::new(AntminerOptions::default()).await).await.unwrap();
    assert!(whole.starts_with(b"HTTP/1.1 200") && whole.ends_with(b"}"));
    assert_eq!(with(Fault::Hang).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(with(Fault::Cut { after: 100 }).await.unwrap(), whole[..100]);
    let drip = |every| Fault::Drip { bytes: 200, every: Duration::from_millis(every) };
    assert_eq!(with(drip(10)).await.unwrap(), whole);
    assert_eq!(with(drip(60_000)).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(with(Fault::Flood).await.unwrap().len(), 1 << 20);
    let garbage = with(Fault::Garbage).await.unwrap();
    assert!(garbage.starts_with(b"HTTP/1.1 200") && String::from_utf8(garbage).is_err());
    let half = with(Fault::HalfJson).await.unwrap();
    assert!(half.len() < whole.len() && half.starts_with(b"HTTP/1.1 200"));
    assert!(with(Fault::Oversized { bytes: 300_000 }).await.unwrap().len() > 300_000);
    let slow = with(Fault::Slow { delay: Duration::from_secs(9) }).await.unwrap();
    assert_eq!(slow.len(), whole.len());
}

#[tokio::test(start_paused = true)]
async fn a_hung_write_is_received_and_never_done() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault_on("reboot", Fault::Hang);
    let mut client = site.client();
    let cx = site.cx.deadline_in(Duration::from_secs(5));
    let hung = cx.within("reboot", client.send("POST", "/cgi-bin/reboot.cgi", b"")).await;
    assert_eq!(hung.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(site.device().truth().up);
    assert_eq!((site.counted("reboot"), site.executed("reboot")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn lies_reach_every_report() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault(Fault::Lie(Lie::Zero));
    let stats = site.client().get("stats").await.json();
    assert_eq!((&stats["STATS"][0]["rate_5s"], &stats["STATS"][0]["watt"]), (&json!(0.0), &json!(0)));
    assert_eq!(stats["STATS"][0]["chain"][0]["temp_chip"], json!([0.0, 0.0, 0.0, 0.0]));
    site.device().fault(Fault::Lie(Lie::Negative));
    let stats = site.client().get("stats").await.json();
    assert!(stats["STATS"][0]["watt"].as_i64().unwrap() < -3000);
    assert!(site.device().truth().power_w > 3000.0);
}

#[tokio::test(start_paused = true)]
async fn a_refusing_device_is_unreachable() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault(Fault::Refuse);
    site.cx.clock.sleep_until(site.cx.clock.mono() + Duration::from_millis(10)).await;
    assert!(site.client().send("GET", STATS, b"").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nonsense_gets_a_bad_request_and_an_idle_client_is_left() {
    let site = Site::new(AntminerOptions::default()).await;
    let reply = site.raw(Role::Web, b"\x16\x03\x01 not http\r\n\r\n").await;
    assert!(reply.starts_with(b"HTTP/1.1 400"));
    let before = site.cx.clock.mono();
    assert!(site.raw(Role::Web, b"GET / HTTP/1.1\r\n").await.is_empty());
    assert_eq!(site.cx.clock.mono().since(before), Duration::from_secs(30));
}

#[tokio::test]
async fn real_sockets_serve_three_devices() {
    let cx = Ctx::new(Arc::new(SystemClock::default()), Arc::new(SystemRng), Arc::new(SystemNet));
    // Addresses of this process alone, so that two runs of the tests do not meet.
    let [_, _, a, b] = std::process::id().to_be_bytes();
    let fleet = FleetBuilder::new()
        .seed(3)
        .base([127, 64 + a % 128, b, 1].into())
        .antminers(2)
        .antminer(AntminerOptions::s21_2024())
        .start(&cx)
        .await
        .unwrap();
    let mut macs = Vec::new();
    for device in fleet.devices() {
        let mut client = Client::new(&cx, device.address(Role::Web).unwrap(), "root");
        let info = client.get("get_system_info").await.json();
        assert_eq!(info["ipaddress"], json!(device.ip().to_string()));
        macs.push(info["macaddr"].as_str().unwrap().to_owned());
        let answer = client.post("blink", &json!({"blink": true})).await.unwrap().json();
        assert_eq!(answer["code"], json!("B000"));
        assert_eq!(client.get("get_blink_status").await.json(), json!({"blink": true}));
        assert_eq!(device.connections(), 1);
        let mut rpc = cx.net.tcp(device.address(Role::Rpc).unwrap()).await.unwrap();
        rpc.write_all(b"{\"command\":\"version\"}").await.unwrap();
        let mut bytes = Vec::new();
        rpc.read_to_end(&mut bytes).await.unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains("Antminer S21"));
    }
    macs.dedup();
    assert_eq!(macs.len(), 3);
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_button_reports_address_and_mac() {
    let site = Site::new(AntminerOptions::default()).await;
    let listener = site.cx.net.udp("127.0.0.1:14235".parse().unwrap()).await.unwrap();
    site.device().press_ip_report(&site.cx, listener.local_addr()).await.unwrap();
    let mut bytes = [0; 64];
    let (n, _) = listener.recv_from(&mut bytes).await.unwrap();
    let expected = format!("{},{}", site.device().ip(), site.device().mac());
    assert_eq!(&bytes[..n], expected.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_bytes() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let site = Site::new(AntminerOptions::default()).await;
        runs.push((
            site.raw(Role::Web, b"GET / HTTP/1.0\r\n\r\n").await,
            site.client().get("stats").await.body,
        ));
    }
    assert_eq!(runs[0], runs[1]);
}
