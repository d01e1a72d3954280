//! Writes: each is proven with a token, goes over a connection of its own, and is sent once.

use std::{borrow::Cow, net::SocketAddr, time::Duration};

use headframe_core::{
    Error, ErrorKind, Result, Secret,
    codec::framed::{self, frame},
    driver::Permit,
    io::Ctx,
    model::{Command, PoolSetup, PowerMode, Receipt, ReplyRule, Text},
};
use serde::{Serialize, de::IgnoredAny};

use super::{
    auth::{ACCOUNT, Proof},
    look::{self, Look},
    refusal::{self, Refused},
    rows,
    wire::Reply,
};

pub(super) const OP: &str = "whatsminer.v3.execute";
/// The longest that one write may take, readings before it included.
const LIMIT: Duration = Duration::from_secs(55);
/// The longest that one request of it may take.
const REPLY: Duration = Duration::from_secs(30);
/// Blinks as MiningOS's do.
const LED_ON: &str = r#"[{"color":"red","period":200,"duration":100,"start":0}]"#;
const LED_OFF: &str = r#""auto""#;

/// One request of a write.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub cmd: &'static str,
    /// JSON; left out where there is none.
    param: Option<Cow<'static, str>>,
    /// Whether the parameter is encrypted; it holds secrets then.
    sealed: bool,
}

impl Step {
    const fn new(cmd: &'static str, param: Option<&'static str>) -> Self {
        let param = match param {
            Some(json) => Some(Cow::Borrowed(json)),
            None => None,
        };
        Self { cmd, param, sealed: false }
    }

    const fn service(order: &'static str) -> Self {
        Self::new("set.miner.service", Some(order))
    }

    /// The request as it is sent.
    fn body(&self, proof: &Proof, ts: i64) -> String {
        match (&self.param, self.sealed) {
            (Some(json), true) => self.text(Some(&format!("\"{}\"", proof.seal(json))), ts, &proof.token()),
            (param, _) => self.text(param.as_deref(), ts, &proof.token()),
        }
    }

    /// The request for a receipt.
    fn shown(&self, ts: i64) -> String {
        let param = if self.sealed { Some("\"***\"") } else { self.param.as_deref() };
        self.text(param, ts, "***")
    }

    fn text(&self, param: Option<&str>, ts: i64, token: &str) -> String {
        let param = param.map(|json| format!(r#","param":{json}"#)).unwrap_or_default();
        let cmd = self.cmd;
        format!(r#"{{"cmd":"{cmd}"{param},"ts":{ts},"account":"{ACCOUNT}","token":"{token}"}}"#)
    }
}

/// The requests that bring `command` about on a device in the state of `look`.
fn steps(command: &Command, look: &Look) -> Result<Vec<Step>> {
    Ok(match command {
        Command::Reboot => vec![Step::new("set.system.reboot", None)],
        Command::RestartMinerSoftware => vec![Step::service(r#""restart""#)],
        Command::SuspendMining | Command::SetPowerMode(PowerMode::Sleep) => vec![Step::service(r#""stop""#)],
        Command::ResumeMining => vec![Step::service(r#""start""#)],
        Command::SetPowerMode(mode) => mode_steps(*mode, look)?,
        Command::SetPowerLimit(limit) => {
            // A whole number is written without a fraction.
            let param = Some(Cow::Owned(limit.get().to_string()));
            vec![Step { cmd: "set.miner.power_limit", param, sealed: false }]
        }
        Command::SetLed(on) => vec![Step::new("set.system.led", Some(if *on { LED_ON } else { LED_OFF }))],
        Command::SetupPools(pools) => vec![pool_step(pools)?],
        other => return Err(Error::unsupported(OP, other.name().as_str())),
    })
}

/// A device that was ordered not to mine is started first, as MiningOS does it.
fn mode_steps(mode: PowerMode, look: &Look) -> Result<Vec<Step>> {
    let set = Step::new(
        "set.miner.mode",
        Some(match mode {
            PowerMode::Low => r#""low""#,
            PowerMode::Normal => r#""normal""#,
            PowerMode::High => r#""high""#,
            _ => return Err(Error::unsupported(OP, mode.as_str())),
        }),
    );
    let off = look.live.off().ok_or_else(starting)?;
    let start = off.then(|| Step::service(r#""start""#));
    let kept = off && super::map::mode(&look.live) == Ok(mode);
    Ok(start.into_iter().chain((!kept).then_some(set)).collect())
}

fn starting() -> Error {
    let text = "the device does not tell whether it mines: it may still be starting";
    Error::new(ErrorKind::BadReply, OP, text)
}

fn pool_step(pools: &[PoolSetup]) -> Result<Step> {
    #[derive(Serialize)]
    struct Pool<'a> {
        pool: &'a str,
        worker: &'a str,
        passwd: &'a str,
    }
    if pools.len() > rows::POOLS_MAX {
        let text = format!("the device holds {} pools", rows::POOLS_MAX);
        return Err(Error::invalid(OP, "pools", text).with("max", rows::POOLS_MAX));
    }
    let list: Vec<Pool<'_>> = pools
        .iter()
        .map(|p| Pool { pool: &p.url, worker: &p.username, passwd: p.password.expose() })
        .collect();
    let json = serde_json::to_string(&list)
        .map_err(|e| Error::new(ErrorKind::Internal, OP, "the pools cannot be written").caused_by(e))?;
    Ok(Step { cmd: "set.miner.pools", param: Some(Cow::Owned(json)), sealed: true })
}

/// One write in the making.
pub(super) struct Write<'a> {
    pub at: SocketAddr,
    /// Of the account `super`.
    pub password: &'a Secret,
    pub command: &'a Command,
    pub permit: &'a Permit,
}

impl Write<'_> {
    /// Carries it out.
    ///
    /// # Errors
    /// As [`Thing::execute`](headframe_core::driver::Thing::execute).
    pub async fn carry_out(&self, cx: &Ctx) -> Result<Receipt> {
        let name = self.command.name();
        let row = rows::find(name).ok_or_else(|| Error::unsupported(OP, name.as_str()))?;
        let cx = &cx.deadline_in(LIMIT);
        let pools = match self.command {
            Command::SetupPools(_) => Some(look::pools(cx, self.at).await?),
            _ => None,
        };
        // Last, so that who answers now is who answered a moment ago.
        let look = Look::at(cx, self.at).await?;
        self.permit.prove(&look.identity())?;
        if let Some(pools) = pools {
            // A device without pools is one thing, and one that has not read its settings yet another.
            if pools.is_empty() && look.live.off().is_none() {
                return Err(starting());
            }
            self.permit.unchanged(look::version(&pools))?;
        }
        let mut receipt: Option<Receipt> = None;
        for step in steps(self.command, &look)? {
            let sent = self.send(cx, &look, &step, row.reply).await;
            // The step before was carried out, so the device is not as it was.
            let (request, reply) = sent.map_err(|e| if receipt.is_some() { e.maybe_sent() } else { e })?;
            match &mut receipt {
                Some(receipt) => {
                    receipt.requests.push(request);
                    receipt.reply = reply;
                }
                None => receipt = Some(Receipt::new(request, reply)),
            }
        }
        receipt.ok_or_else(|| Error::unsupported(OP, name.as_str()))
    }

    /// Sends one request; gives it and the reply for a receipt. It is repeated once, and only after the device said
    /// that it did not carry it out and turned out to have another salt meanwhile.
    async fn send(
        &self,
        cx: &Ctx,
        look: &Look,
        step: &Step,
        rule: ReplyRule,
    ) -> Result<(String, Option<String>)> {
        let mut salt = look.salt(cx, self.at).await?;
        let mut repeated = false;
        loop {
            let ts = cx.clock.wall().0.div_euclid(1000);
            let proof = Proof::new(step.cmd, self.password.expose(), &salt, ts);
            let request = frame(&step.body(&proof, ts));
            let json = match framed::write(&cx.deadline_in(REPLY), self.at, &request).await {
                Ok(json) => json,
                Err(lost) if lost.again() && !repeated => {
                    repeated = true;
                    continue;
                }
                Err(lost) if lost.whole && rule == ReplyRule::SilenceMeansSent => {
                    return Ok((step.shown(ts), None));
                }
                Err(lost) => return Err(lost.error.with("command", step.cmd)),
            };
            let unclear = |e: Error| e.maybe_sent().with("command", step.cmd).with("address", self.at);
            let reply = Reply::<IgnoredAny>::parse(&json).map_err(unclear)?;
            let Some(refusal) = reply.refusal() else {
                let neither = || Error::new(ErrorKind::BadReply, OP, "the device says neither yes nor no");
                return if reply.is_ok() {
                    let text = refusal::plain(reply.text().unwrap_or("ok"), &self.secrets());
                    Ok((step.shown(ts), Some(text)))
                } else {
                    Err(unclear(neither()))
                };
            };
            let fresh = if repeated { None } else { self.fresh_salt(cx, &salt).await? };
            match fresh {
                Some(other) => (salt, repeated) = (other, true),
                None => {
                    let refused = Refused { refusal, cmd: step.cmd, ts, when: reply.when, look };
                    return Err(refused.error(&self.secrets()).with("address", self.at));
                }
            }
        }
    }

    /// The device's salt, if it is another than `used`.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when another device answers now.
    async fn fresh_salt(&self, cx: &Ctx, used: &str) -> Result<Option<Text>> {
        // The refusal tells more than why the device could not be asked again.
        let Ok(look) = Look::at(cx, self.at).await else { return Ok(None) };
        self.permit.prove(&look.identity())?;
        Ok(look.salt(cx, self.at).await.ok().filter(|salt| salt != used))
    }

    /// What no text of the device may show.
    fn secrets(&self) -> Vec<&str> {
        let mut secrets = vec![self.password.expose()];
        if let Command::SetupPools(pools) = self.command {
            secrets.extend(pools.iter().map(|pool| pool.password.expose()));
        }
        secrets
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The writes of the reference, computed by its own tool.
    const VECTORS: &str = include_str!("../../../tests/fixtures/whatsminer/v3_vectors.json");

    fn look(working: &str, mode: &str) -> Look {
        let json =
            format!(r#"{{"code":0,"msg":{{"miner":{{"working":{working}}},"power":{{"mode":{mode}}}}}}}"#);
        Look::of(json.as_bytes()).unwrap()
    }

    fn command(vector: &Value) -> Command {
        let plain = |v: &Value| serde_json::from_str::<Vec<Value>>(v.as_str().unwrap()).unwrap();
        match vector["cmd"].as_str().unwrap() {
            "set.system.reboot" => Command::Reboot,
            "set.miner.service" => Command::SuspendMining,
            "set.miner.power_limit" => {
                Command::SetPowerLimit(headframe_core::units::Watts::new(3000.0).unwrap())
            }
            "set.system.led" => Command::SetLed(true),
            _ => Command::SetupPools(
                plain(&vector["param_plaintext"])
                    .iter()
                    .map(|p| {
                        let text = |key: &str| p[key].as_str().unwrap();
                        PoolSetup::new(text("pool"), text("worker"), text("passwd"))
                    })
                    .collect(),
            ),
        }
    }

    #[test]
    fn requests_are_the_references() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for v in vectors["writes"].as_array().unwrap() {
            let text = |key: &str| v[key].as_str().unwrap();
            let ts = v["ts"].as_i64().unwrap();
            let steps = steps(&command(v), &look(r#""true""#, r#""1""#)).unwrap();
            let proof = Proof::new(text("cmd"), text("password"), text("salt"), ts);
            let body = steps[0].body(&proof, ts);
            // The members of a pool have no order, and one vector has another than we write.
            if !v["param_plaintext"].as_str().is_some_and(|plain| plain.starts_with(r#"[{"passwd""#)) {
                assert_eq!(body, text("request_json"));
            }
            let header: String = frame(&body)[..4].iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(header, text("frame_header_hex"));
            let shown = steps[0].shown(ts);
            assert!(!shown.contains(text("token")) && !shown.contains("stratum"), "{shown}");
        }
    }
    fn sent(command: &Command, look: &Look) -> Vec<(&'static str, String)> {
        let steps = steps(command, look).unwrap();
        steps.into_iter().map(|s| (s.cmd, s.param.unwrap_or_default().into_owned())).collect()
    }

    #[test]
    fn a_mode_also_starts_a_device_that_stands() {
        let (service, mode) = ("set.miner.service", "set.miner.mode");
        let low = Command::SetPowerMode(PowerMode::Low);
        let (awake, asleep) = (look(r#""true""#, r#""1""#), look(r#""false""#, r#""1""#));
        assert_eq!(sent(&low, &awake), [(mode, r#""low""#.to_owned())]);
        let both = [(service, r#""start""#.to_owned()), (mode, r#""low""#.to_owned())];
        assert_eq!(sent(&low, &asleep), both);
        let kept = look(r#""false""#, r#""0""#);
        assert_eq!(sent(&low, &kept), [(service, r#""start""#.to_owned())]);
        let sleep = Command::SetPowerMode(PowerMode::Sleep);
        assert_eq!(sent(&sleep, &awake), [(service, r#""stop""#.to_owned())]);
        let e = steps(&low, &look("null", r#""1""#)).unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::BadReply, headframe_core::Sent::No));
    }

    #[test]
    fn parameters_are_as_written_down() {
        let awake = look(r#""true""#, r#""1""#);
        let limit = |w| Command::SetPowerLimit(headframe_core::units::Watts::new(w).unwrap());
        assert_eq!(sent(&limit(3000.0), &awake), [("set.miner.power_limit", "3000".to_owned())]);
        assert_eq!(sent(&limit(3000.5), &awake), [("set.miner.power_limit", "3000.5".to_owned())]);
        assert_eq!(sent(&Command::SetLed(false), &awake), [("set.system.led", r#""auto""#.to_owned())]);
        let many = Command::SetupPools(vec![PoolSetup::new("a", "b", "c"); 4]);
        assert_eq!(steps(&many, &awake).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(steps(&Command::FactoryReset, &awake).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
