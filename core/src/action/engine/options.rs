use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::AuditOptions;
use crate::{
    Error, Result,
    action::{ActionArchive, Policy, RightsSource},
};

const ARCHIVE_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// How an engine works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineOptions {
    /// What is asked before an action may be done; until the action `setPolicy` sets other rules, which are stored.
    pub policy: Arc<dyn Policy>,
    /// Whose rights count.
    pub rights: RightsSource,
    /// Calls under way at the same time; 1 to 10,000.
    pub in_flight: usize,
    /// The same, to one rack.
    pub in_flight_per_rack: usize,
    /// Calls that shed load at the same time, to one rack, beside all others; 1 to 1,000.
    pub shed_in_flight: usize,
    /// How long what sheds load waits for the store before it is sent all the same. With half a second the first command
    /// goes within a second, recorded or not; a store that is slower may not know of it after a crash.
    pub shed_journal_within: Duration,
    /// How fast load is shed at most, kW in each second, as the grid's operator allows it; until the action `setLimits`
    /// sets another.
    pub emergency_ramp_kw_per_s: f64,
    /// How long an action may run; calls that have not begun by then fail with `ERR_ACTION_DEADLINE`.
    pub run_within: Duration,
    /// How long one call may take to be sent and answered; longer than any driver takes by its own rules.
    pub call_within: Duration,
    /// How long the effect of one call may be looked for; longer than any driver does by its own rules.
    pub confirm_within: Duration,
    /// How long one look at a target may take before it is written to.
    pub look_within: Duration,
    /// How long a rack may take to say what an action would touch.
    pub select_within: Duration,
    /// How often a call may be tried whose every attempt was certainly not sent; 1 to 10.
    pub attempts: u16,
    /// Whether approved actions begin by themselves; otherwise [`Engine::begin_ready`](super::Engine::begin_ready) begins
    /// them.
    pub begin_by_itself: bool,
    /// Changes that a slow [`Watch`](crate::action::Watch) is kept.
    pub watchers: usize,
    /// Who signs the audit log, and who is told of it.
    pub audit: Option<AuditOptions>,
    /// Where actions go that ended long ago; without it they stay in the control store. A [`Site`](crate::site::Site) that
    /// keeps a history brings one.
    pub archive: Option<Arc<dyn ActionArchive>>,
    /// How long after its end an action goes there; at least 30 days, which rules may look back for sums.
    pub archive_after: Duration,
    /// Told of the places where a program can die, for tests.
    pub points: Option<Arc<dyn Points>>,
}

impl EngineOptions {
    /// The usual ones, with this policy and these rights.
    pub fn new(policy: Arc<dyn Policy>, rights: RightsSource) -> Self {
        Self {
            policy,
            rights,
            in_flight: 512,
            in_flight_per_rack: 256,
            shed_in_flight: 128,
            shed_journal_within: Duration::from_millis(500),
            emergency_ramp_kw_per_s: 2_000.0,
            run_within: Duration::from_secs(6 * 3_600),
            call_within: Duration::from_secs(20 * 60),
            confirm_within: Duration::from_secs(3_600),
            look_within: Duration::from_secs(20),
            select_within: Duration::from_secs(30),
            attempts: 2,
            begin_by_itself: true,
            watchers: 1_024,
            audit: None,
            archive: None,
            archive_after: ARCHIVE_AFTER,
            points: None,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |field, why: &str| Err(Error::invalid("engine.open", field, why));
        if !(1..=10_000).contains(&self.in_flight) {
            return wrong("in_flight", "1 to 10,000 calls");
        }
        if !(1..=10_000).contains(&self.in_flight_per_rack) {
            return wrong("in_flight_per_rack", "1 to 10,000 calls");
        }
        if !(1..=1_000).contains(&self.shed_in_flight) {
            return wrong("shed_in_flight", "1 to 1,000 calls");
        }
        if !(self.emergency_ramp_kw_per_s.is_finite() && self.emergency_ramp_kw_per_s > 0.0) {
            return wrong("emergency_ramp_kw_per_s", "a number above 0");
        }
        if !(1..=10).contains(&self.attempts) {
            return wrong("attempts", "1 to 10 attempts");
        }
        if self.archive_after < ARCHIVE_AFTER {
            return wrong("archive_after", "at least 30 days");
        }
        if !(1..=1_000_000).contains(&self.watchers) {
            return wrong("watchers", "1 to 1,000,000 changes");
        }
        Ok(())
    }
}

/// Told when the engine comes past a place where it can be killed with something half done.
///
/// | point | there |
/// |---|---|
/// | `before_select`, `before_push`, `after_push` | racks are asked what a push would touch; it is judged; it is durable and not answered |
/// | `before_vote`, `after_vote` | a vote is judged; it is durable and not answered |
/// | `before_withdraw`, `after_withdraw`, `before_cancel`, `after_cancel` | the same, of a vote taken back and of an action cancelled |
/// | `before_pause`, `after_pause`, `before_resume`, `after_resume`, `before_stop`, `after_stop` | the same, of an action held, let go on, ended early |
/// | `before_settle`, `after_settle` | the same, of a person's word on a call |
/// | `before_stopping`, `after_stopping`, `before_lift`, `after_lift` | the same, of a stop; a halt holds in memory already |
/// | `before_shed`, `after_shed` | load is to be shed; that is durable and nothing was sent |
/// | `before_expire`, `after_expire` | an action ran out; that is durable |
/// | `before_forget`, `after_forget` | client keys are old; they are gone |
/// | `before_archive`, `after_keep`, `after_archive` | actions that ended long ago are packed; they are in the archive; they are there only |
/// | `before_begin`, `after_begin`, `before_run` | an action may begin; it has; its calls are about to be queued |
/// | `before_look`, `before_journal` | a target is about to be looked at; it was, and the intent is about to be journalled |
/// | `after_journal_before_send` | the intent is durable, nothing was sent |
/// | `after_send_before_reply` | something came back, or the time is over; it was not read |
/// | `before_confirm`, `after_confirm` | the effect is about to be looked for; it was |
/// | `after_reply_before_outcome`, `after_outcome` | the outcome is known; it is durable |
/// | `before_again` | an attempt was certainly not sent, and that is durable |
/// | `before_fold`, `before_commit`, `after_commit`, `after_publish` | requests are staged; their batch is made; it is durable; it can be seen, and nobody was answered |
/// | `before_restarted`, `before_reconcile` | an action was under way when the engine ended; that is durable |
/// | `before_look_back`, `after_look_back` | a call that may have been sent is about to be looked at; it was |
/// | `after_reconcile`, `after_reconciled` | every such call has its outcome; the action goes on, or has ended |
#[async_trait]
pub trait Points: fmt::Debug + Send + Sync + 'static {
    /// It is at the place called `name`. It goes on when this returns.
    async fn at(&self, name: &'static str);
}
