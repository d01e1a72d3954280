//! Writes over the web interface.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use headframe_core::{
    Error, ErrorKind, Result, Secret, Sent,
    codec::http::{HttpClient, HttpReply},
    driver::{Identity, NOT_CONFIRMED, Observed, Permit},
    io::Ctx,
    model::{Command, CommandName, FirmwareImage, NetworkSetup, PowerMode, Receipt},
};
use serde_json::{Value, json};

use super::{
    fetch::page,
    firmware,
    look::{self, Start},
    network::{self, Network},
    receipt::{self, Yes},
    rows,
    settings::Settings,
    thing::{MAX_PAGE, Machine},
    wire::{Blink, MinerType, SystemInfo},
    writer::Writer,
};

const OP: &str = "antminer.write";
const JSON: &str = "application/json";
/// Longest wait for the reply to a write.
const REPLY: Duration = Duration::from_secs(30);
/// The same for a firmware.
const UPLOAD: Duration = Duration::from_secs(15 * 60);
/// Longest log.
const MAX_LOG: usize = 4 * 1024 * 1024;
/// How long the light may take until it shows what it was told.
const LIGHT: Duration = Duration::from_secs(1);

/// One CGI that changes something.
struct Cgi {
    path: &'static str,
    yes: Yes,
    /// Whether it always answers; else silence means that it has the whole command.
    answers: bool,
    wait: Duration,
}

const fn cgi(path: &'static str, codes: &'static [&'static str], answers: bool) -> Cgi {
    Cgi { path, yes: Yes { codes, any: false }, answers, wait: REPLY }
}

/// No source tells what this one says.
const fn curt(path: &'static str, answers: bool) -> Cgi {
    Cgi { path, yes: Yes { codes: &["R000"], any: true }, answers, wait: REPLY }
}

const SET_CONF: Cgi = cgi("/cgi-bin/set_miner_conf.cgi", &["M000"], false);
/// `B000` for on and `B100` for off; some say `B000` for both.
const SET_BLINK: Cgi = cgi("/cgi-bin/blink.cgi", &["B000", "B100"], true);
const SET_NETWORK: Cgi = cgi("/cgi-bin/set_network_conf.cgi", &["N000"], false);
const SET_PASSWORD: Cgi = cgi("/cgi-bin/passwd.cgi", &["P000"], true);
const REBOOT: Cgi = curt("/cgi-bin/reboot.cgi", false);
const RESET: Cgi = curt("/cgi-bin/reset_conf.cgi", true);
const UPGRADE: Cgi = Cgi { wait: UPLOAD, ..cgi("/cgi-bin/upgrade.cgi", &["U000"], true) };
const LOG: &str = "/cgi-bin/log.cgi";

/// One write, from its connection to its receipt.
struct Job<'a> {
    machine: &'a Machine,
    cx: &'a Ctx,
    ip: IpAddr,
    web: HttpClient,
    permit: &'a Permit,
    identity: Identity,
    system: SystemInfo,
    /// Whether nothing was asked since the machine proved who it is.
    proven: AtomicBool,
}

impl Machine {
    pub(super) async fn observed(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        if rows::row(name).is_none() {
            return Err(Error::unsupported(OP, name.as_str()));
        }
        let moved = self.writer().and_then(Writer::address).is_some();
        if !moved {
            return self.observed_once(cx, name).await;
        }
        // A machine that was sent to another address is there or here.
        let half = cx.remaining().map_or_else(|| cx.deadline_in(REPLY), |left| cx.deadline_in(left / 2));
        match self.observed_once(&half, name).await {
            Ok(shown) if self.new_writer().is_it(&shown.identity) || !self.look_elsewhere() => {
                return Ok(shown);
            }
            Err(e) if !self.is_elsewhere(&e) => return Err(e),
            _ => {}
        }
        let shown = self.observed_once(cx, name).await?;
        self.new_writer().is_it(&shown.identity);
        Ok(shown)
    }

    async fn observed_once(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        let ip = self.ip(cx).await?;
        if let Some(writer) = self.writer() {
            writer.may_try(cx, ip)?;
        }
        let web = self.client(ip, MAX_PAGE, self.password());
        let out = cx.within(OP, look::observe(&web, cx, name)).await;
        self.noted(cx, ip, out)
    }

    /// Keeps in mind that our account was refused.
    fn noted<T>(&self, cx: &Ctx, ip: IpAddr, out: Result<T>) -> Result<T> {
        out.inspect_err(|e| {
            if e.kind() == ErrorKind::Unauthenticated {
                self.new_writer().note(cx, ip);
            }
        })
    }

    pub(super) async fn carry_out(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        if rows::row(command.name()).is_none() {
            return Err(Error::unsupported(OP, command.name().as_str()));
        }
        if let Command::UpdateFirmware(image) = command {
            firmware::check(image).await?;
        }
        let writer = self.new_writer();
        let _turn = cx.within(OP, async { Ok(writer.turn.lock().await) }).await?;
        let ip = self.ip(cx).await?;
        writer.may_try(cx, ip)?;
        let max = if *command == Command::DownloadLogs { MAX_LOG } else { MAX_PAGE };
        let web = self.client(ip, max, self.password());
        let who = cx.within(OP, look::who(&web, cx)).await;
        let (identity, system) = self.noted(cx, ip, who)?;
        permit.prove(&identity)?;
        let proven = AtomicBool::new(true);
        let job = Job { machine: self, cx, ip, web, permit, identity, system, proven };
        // Before it too: a caller may not wait for the end.
        writer.touch();
        let out = job.run(command).await;
        writer.touch();
        out
    }
}

impl Job<'_> {
    async fn run(&self, command: &Command) -> Result<Receipt> {
        match command {
            Command::SetLed(on) => self.light(*on).await,
            Command::SetHostname(name) => self.hostname(name).await,
            Command::SetNetworkInformation(network) => self.network(network).await,
            Command::UpdateAdminPassword(new) => self.password(new).await,
            Command::UpdateFirmware(image) => self.upgrade(image).await,
            Command::DownloadLogs => self.log().await,
            Command::Reboot => self.reboot().await,
            Command::FactoryReset => {
                let receipt = self.posted(&RESET, &json!({})).await?;
                self.machine.features.forget_mode();
                Ok(receipt)
            }
            _ => self.configure(command).await,
        }
    }

    /// Changes the command's own members of the configuration and writes all of it.
    async fn configure(&self, command: &Command) -> Result<Receipt> {
        let mut settings = Settings::of(self.read(look::CONF).await?)?;
        self.permit.unchanged(settings.fingerprint())?;
        let features = &self.machine.features;
        settings.mode().into_iter().for_each(|mode| features.seen(mode));
        match command {
            Command::SuspendMining => settings.set_mode(number(PowerMode::Sleep)),
            Command::ResumeMining => settings.set_mode(features.awake()),
            Command::SetPowerMode(mode) => settings.set_mode(number(*mode)),
            Command::SetupPools(pools) => settings.set_pools(pools),
            Command::SetFan(fan) => settings.set_fan(*fan),
            Command::SetFrequency(clock) => settings.set_clock(*clock)?,
            other => return Err(Error::unsupported(OP, other.name().as_str())),
        }
        // No reboot follows, as MiningOS sends: the CGI restarts the mining software itself.
        let reply = self.post(&SET_CONF, JSON, settings.body()).await?;
        Ok(Receipt::new(format!("POST {} {}", SET_CONF.path, settings.shown()), reply))
    }

    async fn reboot(&self) -> Result<Receipt> {
        let blind = self.uptime_is_unknown().await;
        // The other sources send GET, which a client or a proxy may repeat.
        let mut receipt = self.posted(&REBOOT, &json!({})).await?;
        receipt.unreadable = blind;
        Ok(receipt)
    }

    /// A machine that sleeps tells no uptime, so its restart is seen nowhere. One that hangs must be restarted all
    /// the same.
    async fn uptime_is_unknown(&self) -> bool {
        self.proven.store(false, Ordering::Relaxed);
        Start::read(&self.web, self.cx).await.uptime().is_none()
    }

    /// Booleans first. A firmware that only reads texts answers them well and does nothing, so the light is looked
    /// at, and the text form is sent once when it shows that the first had no effect.
    async fn light(&self, on: bool) -> Result<Receipt> {
        let first = self.posted(&SET_BLINK, &json!({ "blink": on })).await;
        let mut receipt = match first {
            Ok(receipt) => {
                // Only a light that is seen to be otherwise is a reason to write again.
                if !self.light_stays(on).await {
                    return Ok(receipt);
                }
                receipt
            }
            // Refused in so many words: nothing was carried out.
            Err(e) if e.kind() == ErrorKind::Rejected && e.sent() == Sent::No => {
                Receipt::new(self.line(&SET_BLINK, &json!({ "blink": on })), Some(e.message().to_owned()))
            }
            Err(e) => return Err(e),
        };
        let second = self.posted(&SET_BLINK, &json!({ "blink": on.to_string() })).await;
        let second = second.map_err(Error::maybe_sent)?;
        receipt.requests.extend(second.requests);
        receipt.reply = second.reply;
        Ok(receipt)
    }

    /// Whether the machine's own light shows, twice within a second, something else than was ordered.
    async fn light_stays(&self, on: bool) -> bool {
        let other = || async {
            let blink: Result<Blink> = self.read(look::BLINK).await;
            blink.is_ok_and(|blink| blink.blink == Some(!on)) && self.prove(self.cx).await.is_ok()
        };
        if !other().await {
            return false;
        }
        let clock = &self.cx.clock;
        clock.sleep_until(clock.mono() + LIGHT).await;
        other().await
    }

    async fn hostname(&self, name: &str) -> Result<Receipt> {
        let read: Network = self.read(look::NETWORK).await?;
        let form = network::form(name, &read.configured()?);
        self.posted(&SET_NETWORK, &form).await
    }

    async fn network(&self, network: &NetworkSetup) -> Result<Receipt> {
        let read: Network = self.read(look::NETWORK).await?;
        let named = self.system.hostname.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let hostname = read.hostname().or(named).ok_or_else(|| {
            let text = "the machine does not tell its host name, which would be lost: nothing was sent";
            Error::new(ErrorKind::BadReply, OP, text)
        })?;
        let out = self.posted(&SET_NETWORK, &network::form(hostname, network)).await;
        let sent = out.as_ref().map_or_else(|e| e.sent() == Sent::Maybe, |_| true);
        if let NetworkSetup::Static { ip_address, .. } = network
            && sent
        {
            self.machine.goes_to(self.identity.clone(), self.ip, IpAddr::V4(*ip_address));
        }
        let mut receipt = out?;
        // The lease's address is the DHCP server's to know.
        receipt.unreadable = *network == NetworkSetup::Dhcp;
        Ok(receipt)
    }

    /// The device checks the old password itself; the new one is ours once it lets us read.
    async fn password(&self, new: &Secret) -> Result<Receipt> {
        let old = self.machine.password();
        let form = json!({"curPwd": old.expose(), "newPwd": new.expose(), "confirmPwd": new.expose()});
        match self.posted(&SET_PASSWORD, &form).await {
            Ok(receipt) => match self.opens_with(new).await {
                Err(e) if e.kind() == ErrorKind::Unauthenticated => Err(self.disbelieved(&old).await),
                // It said yes, and cannot be asked: its word counts.
                out => {
                    self.machine.renew(new.clone());
                    out.map(|()| receipt).map_err(Error::maybe_sent)
                }
            },
            Err(e) if e.sent() == Sent::Maybe => match self.opens_with(new).await {
                Ok(()) => {
                    self.machine.renew(new.clone());
                    Ok(Receipt::new(self.line(&SET_PASSWORD, &form), None))
                }
                Err(_) => Err(e),
            },
            Err(e) => Err(e),
        }
    }

    /// Whether the account opens the machine with this password.
    async fn opens_with(&self, password: &Secret) -> Result<()> {
        let web = self.machine.client(self.ip, MAX_PAGE, password.clone());
        let (identity, _) = self.cx.within(OP, look::who(&web, self.cx)).await?;
        self.permit.prove(&identity)
    }

    async fn disbelieved(&self, old: &Secret) -> Error {
        let old_works = self.opens_with(old).await.is_ok();
        let text = "the device says that the password is changed, and does not take the new one";
        let e = Error::new(ErrorKind::Rejected, OP, text).code_as(NOT_CONFIRMED);
        e.with("old_works", old_works).maybe_sent()
    }

    async fn upgrade(&self, image: &FirmwareImage) -> Result<Receipt> {
        let (name, bytes) = if firmware::is_bundle(&image.bytes) {
            let kind: Result<MinerType> = self.read("/cgi-bin/miner_type.cgi").await;
            let kind = match kind {
                Err(e) if e.kind() == ErrorKind::Unsupported => MinerType::default(),
                kind => kind?,
            };
            let model = kind.miner_type.or_else(|| self.system.minertype.clone()).unwrap_or_default();
            firmware::choose(&image.bytes, model.trim(), kind.subtype.unwrap_or_default().trim())?
        } else {
            (image.name.clone(), image.bytes.clone())
        };
        let blind = self.uptime_is_unknown().await;
        let salt = (u128::from(self.cx.rng.u64()) << 64) | u128::from(self.cx.rng.u64());
        let (kind, body) = firmware::upload(&name, &bytes, salt);
        let reply = self.post(&UPGRADE, &kind, body).await?;
        let line =
            format!("POST {} firmware={name} ({} bytes of {})", UPGRADE.path, bytes.len(), image.sha256);
        let mut receipt = Receipt::new(line, reply);
        receipt.unreadable = blind;
        Ok(receipt)
    }

    async fn log(&self) -> Result<Receipt> {
        let text = self.web.get(self.cx, LOG).await?.ok(OP).map_err(|e| e.with("path", LOG))?;
        let mut receipt = Receipt::new(format!("GET {LOG}"), Some(format!("{} bytes", text.len())));
        receipt.data = Some(text);
        Ok(receipt)
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.proven.store(false, Ordering::Relaxed);
        self.cx.within(OP, page(&self.web, self.cx, path)).await
    }

    fn line(&self, cgi: &Cgi, form: &Value) -> String {
        let mut shown = form.clone();
        receipt::redact(&mut shown);
        format!("POST {} {shown}", cgi.path)
    }

    async fn posted(&self, cgi: &Cgi, form: &Value) -> Result<Receipt> {
        let reply = self.post(cgi, JSON, form.to_string().into()).await?;
        Ok(Receipt::new(self.line(cgi, form), reply))
    }

    /// Proves that the machine is still who it was, unless that was the last thing it was asked: what was read since
    /// may have come from another one, whose nonce we have then.
    async fn prove(&self, cx: &Ctx) -> Result<()> {
        if !self.proven.load(Ordering::Relaxed) {
            let (identity, _) = cx.within(OP, look::who(&self.web, cx)).await?;
            self.permit.prove(&identity)?;
            self.proven.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sends one write, once; `None` is the silence of a device that has the whole of it.
    async fn post(&self, cgi: &Cgi, kind: &str, body: Bytes) -> Result<Option<String>> {
        let cx = self.cx.deadline_in(cgi.wait);
        self.prove(&cx).await?;
        self.proven.store(false, Ordering::Relaxed);
        let mut out = self.web.post_once(&cx, cgi.path, kind, body.clone()).await;
        if out.as_ref().is_err_and(|e| e.fact("challenged").is_some()) {
            // A nonce that is not known can also be that of another machine, which has the address now.
            self.prove(&cx).await?;
            self.proven.store(false, Ordering::Relaxed);
            out = self.web.post_once(&cx, cgi.path, kind, body).await;
        }
        match out {
            Ok(reply) => {
                let words = done(reply).and_then(|body| receipt::accepted(&body, cgi.yes));
                words.map(Some).map_err(|e| e.with("path", cgi.path))
            }
            Err(e) if !cgi.answers && e.fact("silent").is_some() => Ok(None),
            Err(e) => Err(e.with("path", cgi.path)),
        }
    }
}

/// The body of a write's reply. Some statuses say that it was not carried out; the others leave it open.
fn done(reply: HttpReply) -> Result<Bytes> {
    let surely_not = matches!(reply.status, 401 | 403 | 404 | 405 | 411 | 413 | 429);
    reply.ok(OP).map_err(|e| if surely_not { e } else { e.maybe_sent() })
}

/// The number of a power mode in the form.
const fn number(mode: PowerMode) -> u8 {
    match mode {
        PowerMode::Sleep => 1,
        PowerMode::High => 2,
        PowerMode::Low => 3,
        _ => 0,
    }
}
