use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    codec::http::HttpClient,
    driver::{Observed, Permit, ShareMeter, Thing},
    io::{Ctx, Mono},
    model::{
        Capability, Command, CommandName, MinerSnapshot, MissingReason, Path, PowerMode, Receipt, Snapshot,
    },
};

use super::{
    config::AntminerConf,
    fetch::{self, Form, reason},
    identity::Known,
    judge,
    map::{self, Around, Live, Via},
    rows::Features,
    slow::{Pages, Side, millis},
    writer::Writer,
};

const OP: &str = "antminer.snapshot";
/// Longest duration of a snapshot whose caller set no deadline.
const LONGEST: Duration = Duration::from_secs(120);
/// How long port 4028 is used before the web interface is tried again.
const RETRY: Duration = Duration::from_secs(300);
/// Time-outs in a row after which port 4028 is asked first.
const PATIENCE: u8 = 2;
/// A reply with three boards has 10 KiB.
pub(super) const MAX_PAGE: usize = 256 * 1024;

/// The connections to one machine.
struct Links {
    web: HttpClient,
    side: HttpClient,
    rpc: SocketAddr,
}

/// One Antminer.
pub(super) struct Machine {
    pub(super) conf: AntminerConf,
    pub(super) features: Features,
    /// Apart from the state, because they are closed while a snapshot may run.
    links: Mutex<Option<Arc<Links>>>,
    pub(super) writer: OnceLock<Box<Writer>>,
    state: tokio::sync::Mutex<State>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("conf", &self.conf).finish_non_exhaustive()
    }
}

/// What is remembered between polls.
#[derive(Default)]
struct State {
    /// Whose memory it is.
    ip: Option<IpAddr>,
    route: Route,
    /// Polls in a row in which the web interface gave no answer.
    unanswered: u8,
    form: Option<Form>,
    pages: Pages,
    side: Side,
    meter: ShareMeter,
    known: Option<Known>,
    /// Since when replies hold no values.
    silent_since: Option<Mono>,
}

/// Which transport is asked first.
#[derive(Default)]
enum Route {
    #[default]
    Web,
    /// Port 4028, because the web interface failed with this.
    Rpc { until: Mono, why: Arc<Error> },
}

impl Route {
    /// Whether our account was refused. Some builds lock the account after a few attempts, so it is offered once
    /// in five minutes, whatever else happens.
    fn is_refused(&self) -> bool {
        matches!(self, Self::Rpc { why, .. } if refused(why))
    }
}

fn refused(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden)
}

impl Machine {
    pub fn new(conf: AntminerConf) -> Self {
        Self {
            conf,
            features: Features::default(),
            links: Mutex::new(None),
            writer: OnceLock::new(),
            state: tokio::sync::Mutex::default(),
        }
    }

    fn links_now(&self) -> Option<Arc<Links>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next poll makes its connections anew.
    pub(super) fn forget_links(&self) {
        self.set_links(None);
    }

    fn set_links(&self, links: Option<Arc<Links>>) {
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = links;
    }

    async fn connect(&self, cx: &Ctx) -> Result<Arc<Links>> {
        if let Some(links) = self.links_now() {
            return Ok(links);
        }
        let conf = &self.conf;
        let ip = self.ip(cx).await?;
        let client = |port| self.client_on(ip, port, MAX_PAGE, self.password());
        let links = Arc::new(Links {
            web: client(conf.port),
            side: client(conf.side_port),
            rpc: SocketAddr::new(ip, conf.rpc_port),
        });
        self.set_links(Some(links.clone()));
        Ok(links)
    }

    async fn poll(&self, cx: &Ctx, state: &mut State) -> Result<Snapshot> {
        let started = cx.clock.mono();
        if let Some(writer) = self.writer() {
            state.after_writes(writer);
        }
        let links = self.connect(cx).await?;
        let ip = Some(links.rpc.ip());
        if state.ip != ip {
            // Another address can be another machine.
            *state = State { ip, ..State::default() };
            self.features.forget();
        }
        let mut live = match state.live(cx, &links).await {
            Ok(live) => live,
            Err(e) => {
                // A name may point elsewhere by now.
                let named = self.conf.address.parse::<IpAddr>().is_err();
                if named && matches!(e.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) {
                    self.set_links(None);
                }
                let _moved = self.is_elsewhere(&e);
                self.judge_features(state, None);
                return Err(e);
            }
        };
        let mut mode_now = None;
        if live.via == Via::Http {
            if needs_mode(&live) {
                state.pages.expire_conf();
            }
            let changed = state.pages.refresh(&links.web, cx).await;
            state.forget_if(changed);
            mode_now = state.pages.mode_now();
        }
        self.judge_features(state, Some(&live));
        if state.route.is_refused() {
            (live.warning, live.power) = (Err(MissingReason::Refused), Err(MissingReason::Refused));
        } else {
            let ask_power = live.stats_row().is_none_or(|row| row.watts().is_none());
            (live.warning, live.power) = state.side.read(&links.side, cx, ask_power).await;
        }
        let mut out = state.mapped(cx, &live, mode_now, &self.conf);
        let now = cx.clock.mono();
        out.age_ms.extend(state.pages.ages(now));
        out.age_ms.insert(Path::from("live"), millis(now.since(started)));
        if let Route::Rpc { why, .. } = &state.route {
            out.extra.insert(Path::from("web_error"), why.code().into());
        }
        Ok(out.into())
    }

    /// What the machine's commands follow from, as this poll shows it.
    fn judge_features(&self, state: &State, live: Option<&Live>) {
        // After one page that could not be read nothing is known anew.
        if matches!(state.route, Route::Rpc { .. }) {
            self.features.shut();
        }
        let Some(live) = live.filter(|live| live.via == Via::Http) else { return };
        self.features.found(state.pages.found());
        let told = live.stats_row().and_then(|row| row.mode).or(state.pages.mode_now());
        told.into_iter().for_each(|mode| self.features.seen(mode));
    }

    async fn hang_up(&self) {
        if let Some(links) = self.links_now() {
            links.web.close().await;
            links.side.close().await;
        }
    }
}

/// Whether only the configuration can tell if the machine sleeps.
fn needs_mode(live: &Live) -> bool {
    let still = |rate: Option<f64>| rate.is_none_or(|rate| rate <= 0.0);
    match &live.stats {
        Ok(None) => true,
        Ok(Some(row)) => row.mode.is_none() && still(row.rate_5s),
        Err(_) => still(live.summary_row().and_then(|row| row.rate_5s)),
    }
}

impl State {
    /// Takes over what writes changed since the last poll.
    fn after_writes(&mut self, writer: &Writer) {
        if writer.take_touched() {
            self.pages.expire();
        }
        if writer.take_renewed() && self.route.is_refused() {
            self.route = Route::Web;
        }
    }

    fn forget_if(&mut self, changed: bool) {
        if changed {
            self.known = None;
        }
    }

    /// The live values over whichever transport works.
    async fn live(&mut self, cx: &Ctx, links: &Links) -> Result<Live> {
        let now = cx.clock.mono();
        let (mut failed, mut refused_now) = (None, false);
        if !matches!(&self.route, Route::Rpc { until, .. } if now < *until) {
            match self.over_web(cx, links).await {
                Ok(live) => return Ok(live),
                Err(e) if refused(&e) => {
                    // Noted before anything else is asked: this poll may be dropped.
                    self.stay_away(cx, e);
                    refused_now = true;
                }
                Err(e) => failed = Some(e),
            }
        }
        let rpc = match self.over_rpc(cx, links).await {
            Ok(live) => {
                if let Some(e) = failed {
                    self.leave_web(cx, e);
                }
                return Ok(live);
            }
            Err(e) => e,
        };
        if let Route::Rpc { why, .. } = &self.route
            && refused(why)
        {
            // A closed port means that the machine is there; anything else may mean that it is not.
            let there = refused_now || rpc.fact("refused").is_some();
            return Err(if there { refusal(why) } else { rpc });
        }
        self.route = Route::Web;
        let web = match failed {
            Some(web) => web,
            None => match self.over_web(cx, links).await {
                Ok(live) => return Ok(live),
                Err(web) => web,
            },
        };
        if refused(&web) {
            let why = Arc::new(web);
            self.route = Route::Rpc { until: cx.clock.mono() + RETRY, why: why.clone() };
            return Err(refusal(&why));
        }
        Err(if tells_more(&web, &rpc) { web } else { rpc })
    }

    async fn over_web(&mut self, cx: &Ctx, links: &Links) -> Result<Live> {
        // Counted before the answer: a poll that is dropped meanwhile counts too.
        self.unanswered = self.unanswered.saturating_add(1);
        let out = fetch::web(&links.web, cx).await;
        match &out {
            Ok(_) => {
                self.unanswered = 0;
                self.route = Route::Web;
            }
            Err(e) if e.kind() != ErrorKind::Timeout => self.unanswered = 0,
            Err(_) => {}
        }
        out
    }

    async fn over_rpc(&mut self, cx: &Ctx, links: &Links) -> Result<Live> {
        let out = fetch::rpc(cx, links.rpc, &mut self.form).await;
        match out {
            Ok((live, identity)) => {
                if live.via == Via::RpcLegacy {
                    self.pages.refresh_version(cx, links.rpc).await;
                }
                let changed = self.pages.told(identity);
                self.forget_if(changed);
                Ok(live)
            }
            Err(e) => {
                self.form = None;
                Err(e)
            }
        }
    }

    /// Port 4028 answered and the web interface did not: remembered, unless it may be one slow answer.
    fn leave_web(&mut self, cx: &Ctx, e: Error) {
        let once = e.kind() == ErrorKind::Timeout && self.unanswered < PATIENCE;
        // A page that could not be read this once is no reason to leave.
        if once || e.kind() == ErrorKind::BadReply {
            let changed = self.pages.shut(reason(&e));
            self.forget_if(changed);
        } else {
            self.stay_away(cx, e);
        }
    }

    /// Leaves the web interface alone for a while.
    fn stay_away(&mut self, cx: &Ctx, e: Error) {
        tracing::debug!(error = %e, "the web interface does not serve us");
        let changed = self.pages.shut(reason(&e));
        self.forget_if(changed);
        self.route = Route::Rpc { until: cx.clock.mono() + RETRY, why: Arc::new(e) };
    }

    fn mapped(&mut self, cx: &Ctx, live: &Live, mode_now: Option<i64>, conf: &AntminerConf) -> MinerSnapshot {
        let now = cx.clock.mono();
        let ordered = mode_now.and_then(judge::power_mode) == Some(PowerMode::Sleep);
        self.silent_since = match (live.is_silent() && !ordered, self.silent_since) {
            (true, since) => since.or(Some(now)),
            (false, _) => None,
        };
        let slow = self.pages.slow();
        let known = self.known.get_or_insert_with(|| slow.known(conf.layout));
        let around = Around {
            slow,
            known,
            nominal: conf.nominal_efficiency_w_ths,
            mode_now,
            silent: self.silent_since.map(|since| now.since(since)),
            at: cx.clock.wall(),
        };
        map::snapshot(live, &around, &mut self.meter)
    }
}

/// The error for an account that was refused, now or a few minutes ago.
fn refusal(why: &Arc<Error>) -> Error {
    let message = "the web account was refused and port 4028 does not answer";
    Error::new(why.kind(), OP, message).caused_by(Cause(why.clone()))
}

/// Whether the web interface's error says more than port 4028's.
fn tells_more(web: &Error, rpc: &Error) -> bool {
    web.kind() != ErrorKind::Unreachable || rpc.kind() == ErrorKind::Unreachable
}

/// An error as the cause of another.
#[derive(Debug)]
struct Cause(Arc<Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Cause {}

#[async_trait]
impl Thing for Machine {
    fn capability(&self) -> Arc<Capability> {
        self.features.capability()
    }

    async fn observe(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        self.observed(cx, name).await
    }

    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        self.carry_out(cx, command, permit).await
    }

    async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        let cx = &cx.deadline_in(LONGEST);
        let mut state = cx.within(OP, async { Ok(self.state.lock().await) }).await?;
        let out = self.poll(cx, &mut state).await;
        if !cx.keep_connections {
            self.hang_up().await;
        }
        out.map_err(|e| match e.kind() {
            // Neither the pages nor the port are those of an Antminer.
            ErrorKind::Unsupported | ErrorKind::Rejected => {
                Error::new(ErrorKind::BadReply, OP, "nothing there answers as an Antminer does").caused_by(e)
            }
            _ => e,
        })
    }

    async fn close(&self) {
        self.hang_up().await;
    }
}
