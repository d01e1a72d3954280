//! A scripted device on a network in memory, and what the tests do with it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use headframe_core::{
    Result, ThingId,
    driver::{Driver, Thing},
    io::{Ctx, MemNet, Net},
    model::{MinerSnapshot, ThingConf},
};
use headframe_drivers::whatsminer::Whatsminer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const AT: &str = "10.9.0.7:4028";
const VECTORS: &str = include_str!("../fixtures/whatsminer/snapshot_vectors.json");

/// Which commands the scripted device joins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Joins {
    Nothing,
    Reports,
    Everything,
}

/// A device that knows nothing but its answers.
#[derive(Debug)]
pub struct Device {
    joins: Joins,
    answers: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
    open: AtomicUsize,
    /// The most connections that were open at the same time.
    pub peak: AtomicUsize,
}

impl Device {
    pub async fn start(net: &MemNet, joins: Joins, answers: &Value) -> Arc<Self> {
        let answers = answers.as_object().unwrap().iter();
        let answers =
            answers.map(|(command, reply)| (command.clone(), reply.to_string().into_bytes())).collect();
        let (open, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let device =
            Arc::new(Self { joins, answers: Mutex::new(answers), asked: Mutex::default(), open, peak });
        let mut listener = net.listen(AT.parse::<SocketAddr>().unwrap()).await.unwrap();
        let served = device.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let device = served.clone();
                tokio::spawn(async move {
                    let now = device.open.fetch_add(1, Ordering::SeqCst) + 1;
                    device.peak.fetch_max(now, Ordering::SeqCst);
                    let mut request = vec![0; 4096];
                    let n = stream.read(&mut request).await.unwrap_or(0);
                    if let Ok(request) = serde_json::from_slice::<Value>(&request[..n]) {
                        let reply = device.reply(request["command"].as_str().unwrap());
                        tokio::task::yield_now().await;
                        let _gone = stream.write_all(&reply).await;
                    }
                    device.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        device
    }

    pub fn reply(&self, command: &str) -> Vec<u8> {
        self.asked.lock().unwrap().push(command.to_owned());
        let answers = self.answers.lock().unwrap();
        let refusal = |code: u16| {
            format!("{{\"STATUS\":\"E\",\"When\":1,\"Code\":{code},\"Msg\":\"no\"}}").into_bytes()
        };
        if let Some(reply) = answers.get(command) {
            return reply.clone();
        }
        if !command.contains('+') || self.joins == Joins::Nothing {
            return refusal(14);
        }
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for name in command.split('+') {
            let flat = name == "status" || name.starts_with("get_");
            let reply = match answers.get(name) {
                Some(_) if flat && self.joins == Joins::Reports => refusal(45),
                Some(reply) => reply.clone(),
                None => refusal(14),
            };
            parts.push([format!("\"{name}\":[").as_bytes(), &reply, b"]"].concat());
        }
        [b"{".as_slice(), &parts.join(&b','), b",\"id\":1}\0"].concat()
    }

    pub fn set(&self, command: &str, reply: impl AsRef<[u8]>) {
        self.answers.lock().unwrap().insert(command.into(), reply.as_ref().to_vec());
    }

    pub fn unset(&self, command: &str) {
        self.answers.lock().unwrap().remove(command);
    }

    /// The commands since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

pub fn conf(thing_type: &str) -> ThingConf {
    ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer").typed(thing_type).opt("address", "10.9.0.7")
}

pub async fn open(cx: &Ctx, thing_type: &str) -> Arc<dyn Thing> {
    Whatsminer::new().open(cx, &conf(thing_type)).await.unwrap()
}

pub async fn read(cx: &Ctx, thing: &dyn Thing) -> Result<MinerSnapshot> {
    let cx = cx.deadline_in(Duration::from_secs(10));
    thing.snapshot(&cx).await.map(|s| s.miner().unwrap().clone())
}

pub async fn pass(cx: &Ctx, seconds: u64) {
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(seconds)).await;
}

pub fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

/// A machine in good order: the answers of the first vector.
pub fn healthy() -> Value {
    let mut answers = vectors()[0]["answers"].clone();
    answers["status"] = json!({"STATUS": "S", "Code": 131, "Msg": {"mineroff": "false", "mineroff_reason": "",
        "FirmwareVersion": "20230714.15.Rel", "power_mode": "normal", "hash_percent": "0", "power_limit_set": ""}});
    answers["devdetails"] = json!({"STATUS": [{"STATUS": "S", "Code": 69}], "DEVDETAILS": [{"Driver": "bitmicro",
        "Model": "M63S_VK34"}], "id": 1});
    answers["get_psu"] = json!({"STATUS": "S", "Code": 131, "Msg": {"model": "P562B", "pin": "5500",
        "fan_speed": "6000", "serial_no": "", "sw_version": "230412", "temp0": "41.5", "vin": "39600"}});
    answers
}
