//! Which devices the Antminer driver takes for its own.

use bytes::Bytes;
use headframe_core::{
    ThingId,
    driver::{Driver, Evidence, Match, PortRole, Ports, ProbeReply, ProbeRequest, ProbeSpec},
};
use headframe_drivers::antminer::Antminer;

const VERSION: ProbeSpec = ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer("version") };
const ROOT: ProbeSpec = ProbeSpec { role: PortRole::Web, request: ProbeRequest::HttpGet("/") };

fn evidence(version: &str, realm: &str, body: &'static str) -> Evidence {
    let mut out = Evidence { host: "10.0.0.7".into(), ..Evidence::default() };
    let rpc = if version.is_empty() {
        ProbeReply::Refused
    } else {
        ProbeReply::Cgminer(Bytes::from(version.to_owned()))
    };
    out.replies.insert(VERSION, rpc);
    let challenge = format!("Digest realm=\"{realm}\", nonce=\"00\", qop=\"auth\"");
    let web = ProbeReply::Http {
        status: 401,
        challenge: if realm.is_empty() { String::new() } else { challenge },
        location: String::new(),
        body: Bytes::from_static(body.as_bytes()),
    };
    out.replies.insert(ROOT, web);
    out
}

fn found(version: &str, realm: &str) -> Option<Match> {
    Antminer::new().recognise(&evidence(version, realm, ""))
}

const STOCK: &str = r#"{"STATUS":[{"STATUS":"S"}],"VERSION":[{"API":"3.1","Miner":"49.0.1.3",
    "CompileTime":"Tue Dec  6 16:12:30 CST 2022","Type":"Antminer S19 Pro"}],"id":1}"#;

#[test]
fn stock_machines_are_known_by_either_port() {
    assert_eq!(Antminer::new().probes(), [VERSION, ROOT]);
    let both = found(STOCK, "antMiner Configuration").unwrap();
    assert_eq!((both.driver, both.make.as_str(), both.stock), ("antminer", "Antminer", true));
    assert_eq!(both.model.as_deref(), Some("Antminer S19 Pro"));
    assert_eq!(both.firmware.as_deref(), Some("Tue Dec  6 16:12:30 CST 2022"));
    assert_eq!(found("", "AntMiner Configuration").unwrap().model, None);
    assert!(found(STOCK, "").is_some());
    assert!(found("Antminer, but no JSON", "").unwrap().model.is_none());
}

#[test]
fn other_firmwares_and_makers_are_not_ours() {
    for mark in ["BOSminer+", "boser", "LUXminer", "VNish", "kaonsu", "MaraFW", "Hiveon", "RWGLR", "bitmicro"]
    {
        let version = format!("{{\"VERSION\":[{{\"{mark}\":\"1\",\"Type\":\"Antminer S19\"}}]}}");
        assert_eq!(found(&version, "antMiner Configuration"), None, "{mark}");
    }
    for realm in ["blackMiner Configuration", "Daoge Configuration"] {
        assert_eq!(found("", realm), None, "{realm}");
        assert_eq!(found(STOCK, realm), None, "{realm}");
    }
    assert_eq!(found("{\"STATUS\":\"S\",\"Description\":\"cgminer 4.9.2\"}", "login"), None);
    assert_eq!(found("", ""), None);
    assert_eq!(Antminer::new().recognise(&Evidence::default()), None);
    let vnish = evidence(STOCK, "", "<title>AnthillOS</title>");
    assert_eq!(Antminer::new().recognise(&vnish), None);
}

#[tokio::test]
async fn the_match_opens_at_the_ports_that_were_asked() {
    let mut evidence = evidence(STOCK, "antMiner Configuration", "");
    assert_eq!(
        Antminer::new().recognise(&evidence).unwrap().opts.iter().map(|(k, _)| k).collect::<Vec<_>>(),
        ["address"]
    );
    evidence.ports = Ports::simulated();
    let conf = Antminer::new().recognise(&evidence).unwrap().conf(ThingId::new("am1").unwrap());
    let ports = ["port", "rpc_port", "side_port"].map(|key| conf.opts.get(key).unwrap().as_u64().unwrap());
    assert_eq!(ports, [14_080, 14_028, 16_060]);
    let cx = headframe_core::io::Ctx::system();
    assert!(Antminer::new().open(&cx, &conf).await.is_ok());
}
