use std::time::Duration;

use headframe_sim::{AntminerOptions, Door, Role};

use crate::client::{Client, Site, authorization, md5_hex, request, wait};

const SUMMARY: &str = "/cgi-bin/summary.cgi";

async fn status(client: &mut Client, header: Option<&str>) -> (u16, bool) {
    let reply = client.exchange(&request("GET", SUMMARY, header, b"")).await.unwrap().unwrap();
    let stale = reply.header("www-authenticate").is_some_and(|h| h.contains("stale=true"));
    (reply.status, stale)
}

async fn nonce(client: &mut Client) -> String {
    client.exchange(&request("GET", SUMMARY, None, b"")).await.unwrap().unwrap().nonce()
}

#[tokio::test(start_paused = true)]
async fn challenges_in_the_vendors_realm_and_then_lets_in() {
    let site = Site::new(AntminerOptions::default()).await;
    let mut client = site.client();
    let challenge = client.exchange(&request("GET", SUMMARY, None, b"")).await.unwrap().unwrap();
    let header = challenge.header("www-authenticate").unwrap();
    assert!(header.starts_with("Digest realm=\"antMiner Configuration\", nonce=\""), "{header}");
    assert!(header.ends_with(", qop=\"auth\""), "{header}");
    let good = authorization("root", "GET", SUMMARY, &challenge.nonce(), 1);
    assert_eq!(status(&mut client, Some(&good)).await, (200, false));
    assert_eq!((site.counted("auth.missing"), site.counted("summary")), (1, 1));
    assert_eq!((site.device().requests(), site.device().connections()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_nonce_serves_many_requests_and_connections_while_its_counter_rises() {
    let site = Site::new(AntminerOptions::default()).await;
    let mut client = site.client();
    for cgi in ["summary", "stats", "pools"] {
        assert_eq!(client.get(cgi).await.status, 200);
        client.hang_up();
    }
    assert_eq!((client.nc, site.counted("auth.missing"), site.device().connections()), (3, 1, 3));
    let nonce = client.nonce.clone().unwrap();
    for nc in [3, 1] {
        let again = authorization("root", "GET", SUMMARY, &nonce, nc);
        assert_eq!(status(&mut client, Some(&again)).await, (401, true));
    }
    let skipped = authorization("root", "GET", SUMMARY, &nonce, 9);
    assert_eq!(status(&mut client, Some(&skipped)).await, (200, false));
    assert_eq!(site.counted("auth.stale"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_ends_with_its_time_and_with_a_reboot() {
    let options = AntminerOptions { nonce_ttl: Duration::from_secs(40), ..AntminerOptions::default() };
    let site = Site::new(options).await;
    let mut client = site.client();
    let first = nonce(&mut client).await;
    wait(&site.cx, 39).await;
    let (one, two) = (1, 2);
    client.hang_up();
    let header = authorization("root", "GET", SUMMARY, &first, one);
    assert_eq!(status(&mut client, Some(&header)).await, (200, false));
    wait(&site.cx, 1).await;
    let header = authorization("root", "GET", SUMMARY, &first, two);
    let reply = client.exchange(&request("GET", SUMMARY, Some(&header), b"")).await.unwrap().unwrap();
    assert_eq!(reply.status, 401);
    assert!(reply.header("www-authenticate").unwrap().contains("stale=true"));
    let fresh = reply.nonce();
    assert_ne!(fresh, first);
    let header = authorization("root", "GET", SUMMARY, &fresh, 1);
    assert_eq!(status(&mut client, Some(&header)).await, (200, false));
    site.device().fault(headframe_sim::Fault::Reboot { down: Duration::from_secs(5) });
    client.hang_up();
    wait(&site.cx, 6).await;
    let header = authorization("root", "GET", SUMMARY, &fresh, 2);
    assert_eq!(status(&mut client, Some(&header)).await, (401, true));
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_not_stale() {
    let site = Site::new(AntminerOptions::default()).await;
    let mut client = site.client();
    let nonce = nonce(&mut client).await;
    for bad in [
        authorization("admin", "GET", SUMMARY, &nonce, 1),
        authorization("root", "POST", SUMMARY, &nonce, 1),
        authorization("root", "GET", "/cgi-bin/stats.cgi", &nonce, 1),
        authorization("root", "GET", SUMMARY, &nonce, 1).replace("username=\"root\"", "username=\"admin\""),
        authorization("root", "GET", SUMMARY, &nonce, 1).replace("antMiner", "blackMiner"),
        "Basic cm9vdDpyb290".to_owned(),
        "Digest nonsense".to_owned(),
    ] {
        assert_eq!(status(&mut client, Some(&bad)).await, (401, false), "{bad}");
    }
    assert_eq!((site.counted("auth.wrong"), site.counted("summary")), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_nonce_is_stale_only_with_the_right_password() {
    let site = Site::new(AntminerOptions::default()).await;
    let mut client = site.client();
    let foreign = "6c2f0d1e5b7a49388f01c2d3e4b5a697";
    let right = authorization("root", "GET", SUMMARY, foreign, 1);
    assert!(right.contains("277d078ed4cc6e399361e4b273d1114d"));
    assert_eq!(status(&mut client, Some(&right)).await, (401, true));
    let wrong = authorization("toor", "GET", SUMMARY, foreign, 1);
    assert_eq!(status(&mut client, Some(&wrong)).await, (401, false));
}

#[tokio::test(start_paused = true)]
async fn without_qop_the_short_response_counts() {
    let site = Site::new(AntminerOptions { qop: false, ..AntminerOptions::default() }).await;
    let mut client = site.client();
    let challenge = client.exchange(&request("GET", SUMMARY, None, b"")).await.unwrap().unwrap();
    assert!(!challenge.header("www-authenticate").unwrap().contains("qop"));
    let nonce = challenge.nonce();
    let ha1 = md5_hex("root:antMiner Configuration:root");
    let response = md5_hex(&format!("{ha1}:{nonce}:{}", md5_hex(&format!("GET:{SUMMARY}"))));
    let header = format!(
        "Digest username=\"root\", realm=\"antMiner Configuration\", nonce=\"{nonce}\", uri=\"{SUMMARY}\", \
         response=\"{response}\""
    );
    assert_eq!(status(&mut client, Some(&header)).await, (200, false));
    let with_qop = authorization("root", "GET", SUMMARY, &nonce, 1);
    assert_eq!(status(&mut client, Some(&with_qop)).await, (401, false));
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_can_lock_the_web_user() {
    let lockout = Some((3, Duration::from_secs(300)));
    let site = Site::new(AntminerOptions { lockout, ..AntminerOptions::default() }).await;
    let mut wrong = site.client_with("guess");
    for _ in 0..3 {
        assert_eq!(wrong.get("summary").await.status, 401);
    }
    let mut right = site.client();
    assert_eq!(right.get("summary").await.status, 401);
    assert_eq!((site.counted("auth.wrong"), site.counted("auth.locked")), (3, 2));
    wait(&site.cx, 301).await;
    right.hang_up();
    assert_eq!(right.get("summary").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_web_can_be_closed_or_refuse_everybody_while_4028_answers() {
    for (web, expected) in [(Door::Unauthorized, 401), (Door::Forbidden, 403)] {
        let site = Site::new(AntminerOptions { web, ..AntminerOptions::default() }).await;
        let mut client = site.client();
        let header = authorization("root", "GET", SUMMARY, "0", 1);
        assert_eq!(status(&mut client, Some(&header)).await.0, expected);
        assert!(site.raw(Role::Rpc, b"{\"command\":\"version\"}").await.len() > 100);
    }
    let site = Site::new(AntminerOptions { web: Door::Closed, ..AntminerOptions::default() }).await;
    let device = site.device();
    assert_eq!(device.address(Role::Web), None);
    let ip = device.ip();
    let refused = site.cx.net.tcp((ip, 14_080).into()).await.unwrap_err();
    assert_eq!(refused.fact("refused"), Some("true"));
    assert!(site.raw(Role::Rpc, b"{\"command\":\"version\"}").await.len() > 100);
}
