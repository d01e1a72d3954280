//! Writes against a scripted device, for what no sane device does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use headframe_core::{
    ErrorKind, Result, Sent, ThingId,
    driver::{Direct, IDENTITY_MISMATCH},
    io::{BoxStream, Ctx, MemNet, Net},
    model::{Command, FirmwareImage, Outcome, PowerMode, ThingConf},
    testkit,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::crypto::{self, Key};
use crate::whatsminer::Whatsminer;

/// What the device does with a write.
#[derive(Debug, Clone)]
enum Act {
    /// Answers encrypted.
    Say(Value),
    /// Answers so.
    Raw(Vec<u8>),
    /// Says that it is ready, takes so many bytes, and answers or closes.
    Image(usize, Option<Value>),
    /// Never answers.
    Hang,
}

fn ok() -> Value {
    json!({"STATUS": "S", "Code": 131, "Msg": "API command OK"})
}

fn error(code: i64) -> Value {
    json!({"STATUS": "E", "Code": code, "Msg": "no"})
}

#[derive(Debug)]
struct Device {
    cx: Ctx,
    acts: Vec<Act>,
    /// Names of all requests; writes as `!name`.
    asked: Mutex<Vec<String>>,
    /// Whether another device takes the address once a token was given out.
    swaps: bool,
}

impl Device {
    fn read(&self, command: &str) -> Value {
        let tokens = self.count("get_token");
        let mac = if self.swaps && tokens > 0 { "d4:01:02:03:04:99" } else { "d4:01:02:03:04:05" };
        let up = 9000 + self.cx.clock.mono().since_origin().as_secs();
        let summary = json!({"Uptime": up, "Elapsed": up - 60, "MHS av": 1e8, "HS RT": 1e8, "Power Mode": "Normal",
            "Btminer Fast Boot": "disable"});
        let flat = |message: Value| json!({"STATUS": "S", "Code": 131, "Msg": message});
        match command {
            "summary" => json!({"STATUS": [{"STATUS": "S"}], "SUMMARY": [summary]}),
            "status" => flat(json!({"mineroff": "false", "hash_percent": "0"})),
            "get_version" => {
                flat(json!({"api_ver": "2.0.5", "fw_ver": "20230803.11.REL", "platform": "H616"}))
            }
            "get_miner_info" => flat(json!({"mac": mac, "ledstat": "auto", "hostname": "wm1"})),
            "get_token" => flat(json!({"time": "1764000000", "salt": "BQ5hoXV9", "newsalt": "jbzkfQls"})),
            _ => error(14),
        }
    }

    fn count(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == name).count()
    }

    fn writes(&self) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with('!')).count()
    }

    async fn serve(&self, stream: &mut BoxStream) -> std::io::Result<()> {
        let mut bytes = vec![0; 4096];
        let n = stream.read(&mut bytes).await?;
        let request: BTreeMap<String, Value> = serde_json::from_slice(&bytes[..n])?;
        let command = request.get("cmd").or_else(|| request.get("command")).and_then(Value::as_str);
        if let Some(command) = command {
            let reply = self.read(command);
            self.asked.lock().unwrap().push(command.to_owned());
            return stream.write_all(reply.to_string().as_bytes()).await;
        }
        let key = Key::of(&crypto::md5crypt(b"admin", "BQ5hoXV9"));
        let plain = key.open(request["data"].as_str().unwrap()).unwrap();
        let plain: Value = serde_json::from_str(&plain)?;
        let nth = self.writes();
        self.asked.lock().unwrap().push(format!("!{}", plain["cmd"].as_str().unwrap()));
        let seal = |v: &Value| json!({"enc": key.seal(&v.to_string())}).to_string().into_bytes();
        let act = self.acts.get(nth).or(self.acts.last()).unwrap();
        match act {
            Act::Say(reply) => stream.write_all(&seal(reply)).await,
            Act::Raw(reply) => stream.write_all(reply).await,
            Act::Hang => std::future::pending().await,
            Act::Image(take, last) => {
                let ready = json!({"STATUS": "S", "Code": 131, "Msg": "ready"});
                stream.write_all(&[seal(&ready), vec![0]].concat()).await?;
                stream.read_exact(&mut vec![0; *take]).await?;
                match last {
                    Some(reply) => stream.write_all(&seal(reply)).await,
                    None => Ok(()),
                }
            }
        }
    }
}

async fn start(cx: &Ctx, net: &MemNet, acts: Vec<Act>, swaps: bool) -> (Arc<Device>, Direct) {
    let device = Arc::new(Device { cx: cx.clone(), acts, asked: Mutex::default(), swaps });
    let mut listener = net.listen("10.9.0.7:4028".parse().unwrap()).await.unwrap();
    let served = device.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let device = served.clone();
            tokio::spawn(async move { device.serve(&mut stream).await });
        }
    });
    let conf = ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer")
        .opt("address", "10.9.0.7")
        .opt("password", "admin");
    let direct = Direct::open(&Whatsminer::new(), cx, &conf).await.unwrap();
    direct.snapshot(&cx.deadline_in(Duration::from_secs(10))).await.unwrap();
    (device, direct)
}

/// Runs one command on a device that does so with its writes in turn; gives what came of it and how many it got.
fn write(acts: Vec<Act>, command: Command, check: impl FnOnce(Result<Outcome>, usize)) {
    testkit::run(|cx, net| async move {
        let (device, direct) = start(&cx, &net, acts, false).await;
        let outcome = direct.execute(&cx, &command).await;
        check(outcome, device.writes());
    });
}

fn upload(size: usize) -> Command {
    let bytes = vec![7_u8; size];
    let sum = crypto::sha256_hex(&bytes);
    Command::UpdateFirmware(FirmwareImage::new("wm.bin", sum, bytes))
}

#[test]
fn a_refusal_says_whether_it_was_carried_out_and_is_repeated_only_for_a_token() {
    for (reply, kind, sent, writes) in [
        (error(135), ErrorKind::Rejected, Sent::No, 2),
        (error(45), ErrorKind::Forbidden, Sent::No, 1),
        (error(132), ErrorKind::Rejected, Sent::No, 1),
        (error(14), ErrorKind::Unsupported, Sent::No, 1),
        (error(136), ErrorKind::RateLimited, Sent::No, 1),
        (error(99), ErrorKind::Rejected, Sent::Maybe, 1),
        (json!({"STATUS": "E"}), ErrorKind::Rejected, Sent::Maybe, 1),
        (json!({"STATUS": "S", "Code": 0}), ErrorKind::Rejected, Sent::Maybe, 1),
    ] {
        for raw in [false, true] {
            let act = if raw { Act::Raw(reply.to_string().into_bytes()) } else { Act::Say(reply.clone()) };
            write(vec![act], Command::SetPowerOffCool(true), |outcome, got| {
                let e = outcome.unwrap_err();
                assert_eq!((e.kind(), e.sent(), got), (kind, sent, writes), "{reply}: {e:?}");
            });
        }
    }
    write(vec![Act::Say(error(135)), Act::Say(ok())], Command::SetPowerOffCool(true), |outcome, got| {
        assert_eq!((outcome.unwrap().receipt.unwrap().requests.len(), got), (1, 2));
    });
}

#[test]
fn replies_that_are_none_may_have_been_writes() {
    for reply in [
        Vec::new(),
        b"{\"enc\":\"AAAA\"}".to_vec(),
        b"\"\\\"\\\\\\\"x\\\\\\\"\\\"\"".to_vec(),
        vec![b'['; 300_000],
        vec![b' '; 300_000],
        b"busy\0".to_vec(),
        b"null".to_vec(),
    ] {
        write(vec![Act::Raw(reply.clone())], Command::SetPowerOffCool(true), |outcome, got| {
            let e = outcome.unwrap_err();
            let shown = reply.len().min(20);
            assert_eq!(
                (e.kind(), e.sent(), got),
                (ErrorKind::BadReply, Sent::Maybe, 1),
                "{:?}",
                &reply[..shown]
            );
        });
    }
    // What ends a reply is skipped before the next, but not without end.
    write(vec![Act::Raw(vec![0; 1 << 20])], Command::Reboot, |outcome, got| {
        let e = outcome.unwrap_err();
        assert_eq!((e.kind(), e.sent(), got), (ErrorKind::BadReply, Sent::Maybe, 1));
        assert!(e.fact("max").is_some(), "{e:?}");
    });
    let refused = b"Socket connect failed: Connection refused\n".to_vec();
    write(vec![Act::Raw(refused)], Command::SetPowerOffCool(true), |outcome, _| {
        let e = outcome.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Unreachable, Sent::No));
    });
}

#[test]
fn an_upload_that_breaks_says_how_far_it_came() {
    const SIZE: usize = 400_000;
    for (act, kind, sent) in [
        // Not ready, in one way or another.
        (Act::Say(ok()), ErrorKind::Rejected, Sent::No),
        (Act::Say(error(132)), ErrorKind::Rejected, Sent::No),
        (Act::Raw(Vec::new()), ErrorKind::BadReply, Sent::No),
        (Act::Hang, ErrorKind::Timeout, Sent::No),
        // The image was begun.
        (Act::Image(0, None), ErrorKind::Unreachable, Sent::Maybe),
        (Act::Image(4 + SIZE / 2, None), ErrorKind::Unreachable, Sent::Maybe),
        (Act::Image(4, Some(error(132))), ErrorKind::Rejected, Sent::No),
        // It has left as a whole.
        (Act::Image(4 + SIZE, None), ErrorKind::BadReply, Sent::Maybe),
        (Act::Image(4 + SIZE, Some(error(99))), ErrorKind::Rejected, Sent::Maybe),
        (Act::Image(4 + SIZE, Some(error(132))), ErrorKind::Rejected, Sent::No),
        (Act::Image(5 + SIZE, None), ErrorKind::Timeout, Sent::Maybe),
    ] {
        write(vec![act.clone()], upload(SIZE), |outcome, got| {
            let e = outcome.unwrap_err();
            // The unit never restarts, so a maybe stays one.
            assert_eq!((e.kind(), e.sent(), got), (kind, sent, 1), "{act:?}: {e:?}");
        });
    }
}

#[test]
fn a_device_that_was_exchanged_while_its_token_was_fetched_gets_no_write() {
    testkit::run(|cx, net| async move {
        let (device, direct) = start(&cx, &net, vec![Act::Say(ok())], true).await;
        let e = direct.execute(&cx, &Command::SetPowerMode(PowerMode::Low)).await.unwrap_err();
        assert_eq!((e.code(), e.sent(), device.writes()), (IDENTITY_MISMATCH, Sent::No, 0));
        assert_eq!(device.count("get_token"), 1);
    });
}

#[test]
fn what_the_device_does_not_tell_is_not_read_back() {
    // This one tells no speed of its clock's rise.
    write(vec![Act::Say(ok())], Command::SetUpfreqSpeed(3), |outcome, _| {
        let outcome = outcome.unwrap();
        assert_eq!((outcome.before, outcome.receipt.unwrap().unreadable), (None, true));
    });
}
