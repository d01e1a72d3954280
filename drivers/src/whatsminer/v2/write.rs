//! Carries writes out: who the unit is, a token, one packet over a connection of its own, and what it said.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex as Held, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use headframe_core::{
    Error, ErrorKind, Result, Secret, Sent,
    driver::{Identity, Permit},
    io::{Ctx, Mono},
    model::{Command, CommandRow, FirmwareImage, NetworkSetup, ReadBack, Receipt, ReplyRule},
    planted::{Bug, planted},
};
use tokio::sync::Mutex;

use super::{
    V2, commands, firmware,
    link::{Answer, Link, Progress, after},
    look::Look,
    packet::{self, OP, Refusal, Request, Verdict},
    token::{self, Token},
    unlock,
};
use crate::whatsminer::WhatsminerConf;

/// How long a reply is waited for. Units answer at once or never.
const WAIT: Duration = Duration::from_secs(30);
/// The same where silence is an answer too.
const WAIT_SILENT: Duration = Duration::from_secs(10);

/// What writes remember of one unit.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// One write at a time; so are tokens asked for one at a time.
    session: Mutex<Session>,
    moved: Held<Option<Moved>>,
    changed: AtomicBool,
}

/// Where a write has sent the unit.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub ip: IpAddr,
    /// Where it was before.
    pub from: SocketAddr,
    pub since: Mono,
    /// Who was sent.
    pub identity: Identity,
    /// Whether it was met there.
    pub seen: bool,
}

impl Writer {
    fn place(&self) -> std::sync::MutexGuard<'_, Option<Moved>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it was sent.
    pub fn moved(&self) -> Option<Moved> {
        self.place().clone()
    }

    /// It was met where it was sent.
    pub fn arrived(&self) {
        if let Some(moved) = self.place().as_mut() {
            moved.seen = true;
        }
    }

    /// It did not go.
    pub fn stays(&self) {
        if let Some(moved) = self.place().as_mut() {
            (moved.ip, moved.seen) = (moved.from.ip(), true);
        }
    }

    /// Drops what a later write can ask for again.
    pub fn forget(&self) {
        // A write that is under way still needs its own.
        if let Ok(mut session) = self.session.try_lock() {
            session.drop_token();
        }
    }

    /// Whether something was written since the last call, so that what was read before is out of date.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }
}

/// What one write leaves for the next.
#[derive(Debug, Default)]
struct Session {
    /// In place of the configured one, since a write changed it.
    password: Option<Secret>,
    /// This may be the password: the reply to its change was lost.
    other: Option<Secret>,
    token: Option<Token>,
    /// Whether the token's key was refused already, so that another token would be too.
    refused: bool,
}

impl Session {
    fn password<'a>(&'a self, conf: &'a WhatsminerConf) -> &'a Secret {
        self.password.as_ref().unwrap_or(&conf.password)
    }

    fn drop_token(&mut self) {
        (self.token, self.refused) = (None, false);
    }
}

/// What was tried to mend a refusal; each once.
#[derive(Debug, Default)]
struct Tried {
    fetched: bool,
    token: bool,
    unlock: bool,
}

/// One write under way.
struct Job<'a> {
    cx: &'a Ctx,
    conf: &'a WhatsminerConf,
    permit: &'a Permit,
    session: &'a mut Session,
    at: SocketAddr,
    /// Whether the unit has just proven who it is.
    proven: bool,
    receipt: Receipt,
}

impl V2 {
    /// Carries `command` out, once.
    ///
    /// # Errors
    /// As [`Thing::execute`](headframe_core::driver::Thing::execute).
    pub async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        let row = self.capability().check(command)?.clone();
        commands::check(command)?;
        if let Command::UpdateFirmware(image) = command {
            firmware::check(image)?;
        }
        let writer = self.writer.get_or_init(Box::default);
        let wait = async { Ok(writer.session.lock().await) };
        let mut session = cx.within(OP, wait).await?;
        let look = self.look(cx, Some(row.name)).await?;
        permit.prove(&look.identity)?;
        if let Some(section) = look.section(row.name) {
            permit.unchanged(section)?;
        }
        let (conf, at) = (&*self.conf, look.at);
        let session = &mut *session;
        let mut job = Job { cx, conf, permit, session, at, proven: true, receipt: Receipt::default() };
        let done = match command {
            Command::UpdateFirmware(image) => job.flash(image, &look).await,
            _ => {
                let password = job.session.password(conf).clone();
                match commands::requests(command, &look, self.kind().generation, &password) {
                    Ok(requests) => job.run(&requests, row.reply).await,
                    Err(e) => Err(e),
                }
            }
        };
        job.settle(command, done.as_ref().err());
        let mut receipt = job.receipt;
        let left = done.as_ref().map_or_else(Error::sent, |()| Sent::Maybe) == Sent::Maybe;
        writer.changed.fetch_or(left, Ordering::Relaxed);
        if let (Command::SetNetworkInformation(network), true) = (command, left) {
            receipt.unreadable |= *network == NetworkSetup::Dhcp;
            writer.send_away(network, &look, cx.clock.mono());
        }
        receipt.unreadable |= !is_readable(&row, &look, cx);
        done.map(|()| receipt)
    }
}

impl Writer {
    /// A leased address is known to nobody, so that the unit is looked for where it was.
    fn send_away(&self, network: &NetworkSetup, look: &Look, since: Mono) {
        if let NetworkSetup::Static { ip_address, .. } = network {
            let (ip, identity) = (IpAddr::V4(*ip_address), look.identity.clone());
            *self.place() = Some(Moved { ip, from: look.at, since, identity, seen: false });
        }
    }
}

/// The error of a command that was not carried out, whatever `e` says of what went before it.
fn unsent(what: &str, e: Error) -> Error {
    Error::new(e.kind(), OP, format!("{what}: {}", e.message())).code_as(e.code()).caused_by(e)
}

/// Whether the unit tells what the row says is read back: older firmware lacks some members.
fn is_readable(row: &CommandRow, look: &Look, cx: &Ctx) -> bool {
    match row.read_back {
        ReadBack::Value { .. } => look.now(row.name).is_some(),
        ReadBack::Restarted { .. } => look.observed(cx, row.name).up_since_ms.is_some(),
        ReadBack::None => true,
    }
}

impl Job<'_> {
    async fn run(&mut self, requests: &[Request], rule: ReplyRule) -> Result<()> {
        for (i, request) in requests.iter().enumerate() {
            // What comes before the last must be known to have worked.
            let last = i + 1 == requests.len();
            let rule = if last { rule } else { ReplyRule::Expected };
            let answer = self.step(request, rule).await;
            let answer = answer.map_err(|e| if i > 0 { after(e, Progress::Part) } else { e })?;
            self.receipt.requests.push(request.shown());
            self.receipt.reply = answer.map(|(_, verdict)| request.scrub(&verdict.text));
        }
        Ok(())
    }

    /// Sends one request until the unit carries it out, is silent, or refuses for good. Only what the unit says that it
    /// did not carry out is sent again.
    async fn step(&mut self, request: &Request, rule: ReplyRule) -> Result<Option<(Link, Verdict)>> {
        let mut tried = Tried::default();
        let mut again = planted(Bug::RetryOnTimeout);
        loop {
            let (sign, key) = self.ready(&mut tried).await?;
            let packet = packet::seal(&key, &request.plain(sign.expose()));
            let mut link = Link::open(self.cx, self.at).await?;
            let wait = if rule == ReplyRule::Expected { WAIT } else { WAIT_SILENT };
            let reply = match link.ask(self.cx, packet.as_bytes(), wait).await {
                Answer::Reply(reply) => reply,
                Answer::Silent(_) if again => {
                    again = false;
                    continue;
                }
                Answer::Silent(_) if rule == ReplyRule::SilenceMeansSent => return Ok(None),
                Answer::Silent(e) | Answer::Failed(e) => return Err(e.with("command", request.command)),
            };
            let verdict = Verdict::read(&reply, &key);
            let verdict = verdict.map_err(|e| after(e.with("command", request.command), Progress::All))?;
            if verdict.is_ok() {
                return Ok(Some((link, verdict)));
            }
            drop(link);
            if !self.mend(verdict.refusal(), &mut tried).await? {
                return Err(verdict.error(request).with("address", self.at));
            }
        }
    }

    /// A live token, and the proof that the unit is still who it was: both right before a packet is sent.
    async fn ready(&mut self, tried: &mut Tried) -> Result<(Secret, super::crypto::Key)> {
        let now = self.cx.clock.mono();
        let token = match self.session.token.take_if(|token| token.is_live(now)) {
            Some(token) => token,
            None => {
                let password = self.session.password(self.conf).clone();
                tried.fetched = true;
                self.session.refused = false;
                self.proven = false;
                token::fetch(self.cx, self.at, &password).await?
            }
        };
        let token = self.session.token.insert(token);
        let parts = (token.sign.clone(), token.key.clone());
        if !std::mem::replace(&mut self.proven, false) {
            let look = Look::take(self.cx, self.at, None).await?;
            self.permit.prove(&look.identity)?;
        }
        Ok(parts)
    }

    /// Removes the reason of a refusal, if that can be; the unit has not carried the request out.
    async fn mend(&mut self, refusal: Refusal, tried: &mut Tried) -> Result<bool> {
        match refusal {
            Refusal::Token if !tried.token => {
                tried.token = true;
                self.session.drop_token();
                Ok(true)
            }
            // The salt, and with it the key, may be another than when the token was fetched.
            Refusal::Key if !tried.fetched && !self.session.refused => {
                self.session.drop_token();
                Ok(true)
            }
            Refusal::Key => {
                let other = self.session.other.take();
                let open = other.is_some();
                if open {
                    self.session.password = other;
                    self.session.drop_token();
                } else {
                    self.session.refused = true;
                }
                Ok(open)
            }
            Refusal::Locked if !tried.unlock => {
                let Some(partner) = self.conf.unlock() else { return Ok(false) };
                tried.unlock = true;
                let password = self.session.password(self.conf);
                let done = unlock::unlock(self.cx, self.at, partner, password).await;
                done.map_err(|e| unsent("the unit refused the command and could not be unlocked", e))?;
                self.receipt.requests.push(unlock::SHOWN.to_owned());
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Uploads the part of an image that is for the unit.
    async fn flash(&mut self, image: &FirmwareImage, look: &Look) -> Result<()> {
        let part = firmware::part(&image.bytes, look.platform().as_deref())?;
        let bytes = image.bytes.slice(part);
        let request = firmware::request();
        let ready = self.step(&request, ReplyRule::Expected).await;
        let ready = ready.map_err(|e| unsent("no byte of the image was sent", e).with("address", look.at))?;
        let Some((mut link, verdict)) = ready else {
            return Err(Error::new(ErrorKind::BadReply, OP, "the unit did not answer"));
        };
        firmware::ready(&verdict)?;
        let Some(token) = self.session.token.as_ref() else {
            return Err(Error::new(ErrorKind::Internal, OP, "the token is gone"));
        };
        let verdict = firmware::upload(self.cx, &mut link, &bytes, token).await?;
        self.receipt.requests.push(format!("{} + {} bytes of {}", request.shown(), bytes.len(), image.name));
        self.receipt.reply = Some(request.scrub(&verdict.text));
        Ok(())
    }

    /// Remembers what the command changed of what the next one needs.
    fn settle(&mut self, command: &Command, failure: Option<&Error>) {
        match (command, failure.map(Error::sent)) {
            (Command::UpdateAdminPassword(new), None) => {
                self.session.password = Some(new.clone());
                self.session.other = None;
                self.session.drop_token();
            }
            (Command::UpdateAdminPassword(new), Some(Sent::Maybe)) => {
                self.session.other = Some(new.clone());
                self.session.drop_token();
            }
            (Command::FactoryReset, None) => self.session.drop_token(),
            _ => {}
        }
    }
}
