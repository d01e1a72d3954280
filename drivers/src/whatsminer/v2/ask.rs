//! Asks one unit: joined where its firmware takes that, one by one where it does not, and remembers which.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use headframe_core::{
    Error, ErrorKind, Result,
    codec::cgminer,
    io::{Ctx, Mono},
    model::Text,
};

use super::{
    rest::Rest,
    wire::{Ask, Failure, READ, Replies},
};

/// A joined request that fails without being refused so often in a row is given up for [`PAUSE`].
const STRIKES: u8 = 2;
/// How long joining rests after failures that are no refusal.
const PAUSE: Duration = Duration::from_secs(1800);
/// Upper bound of one command, also where the caller sets no deadline.
const LIMIT: Duration = Duration::from_secs(30);

/// Whether the firmware joins commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Join {
    #[default]
    Untried,
    Yes,
    /// Until the firmware changes, or until then.
    No(Option<Mono>),
}

/// How one live command is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Way {
    #[default]
    Joined,
    Single,
    /// The firmware does not have it.
    Never,
}

/// What is known about how to ask one unit.
#[derive(Debug, Default)]
pub(super) struct Asker {
    join: Join,
    strikes: u8,
    ways: [Way; 6],
    /// The joined request, as long as its commands stay the same.
    request: Option<Text>,
    /// Only of a unit that is asked singly for what it holds.
    rest: Option<Box<Rest>>,
}

/// The commands of a poll. `devs` takes the place of `edevs` where that is unknown.
const LIVE: [Ask; 6] = [Ask::Summary, Ask::Edevs, Ask::Devs, Ask::Pools, Ask::Status, Ask::Errors];

impl Asker {
    /// Forgets everything, as the firmware has changed.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Has everything asked in the next poll: a write may have changed what rests.
    pub fn expire(&mut self) {
        self.rest = None;
    }

    /// The ages of what is not asked in every poll.
    pub fn ages(&self, now: Mono) -> impl Iterator<Item = (&'static str, Option<Duration>)> {
        self.rest.iter().flat_map(move |rest| rest.ages(now))
    }

    fn way(&mut self, ask: Ask) -> Option<&mut Way> {
        LIVE.iter().position(|a| *a == ask).and_then(|i| self.ways.get_mut(i))
    }

    fn wanted(&self, way: Way) -> impl Iterator<Item = Ask> {
        let edevs = self.ways[1] != Way::Never;
        let asks = LIVE
            .into_iter()
            .zip(self.ways)
            .filter(move |(ask, w)| *w == way && !(*ask == Ask::Devs && edevs));
        asks.map(|(ask, _)| ask)
    }

    /// Asks what changes from poll to poll.
    ///
    /// # Errors
    /// Those of the connection, when nothing came that says how the unit does.
    pub async fn live(&mut self, cx: &Ctx, at: SocketAddr) -> Result<Replies> {
        let mut replies = Replies::default();
        let mut first = self.joined(cx, at, &mut replies).await?;
        let joining_failed = first.is_some();
        for ask in LIVE {
            if self.way(ask).is_some_and(|way| *way == Way::Never) {
                replies.fail(ask, Failure::Unknown);
            }
        }
        let error = self.singly(cx, at, &mut replies).await;
        // What single commands meet is newer and more telling than how joining failed.
        first = error.or(first);
        self.settle(cx, joining_failed, &mut replies);
        if replies.says_something() {
            return Ok(replies);
        }
        self.rest = None;
        Err(first.unwrap_or_else(|| {
            Error::new(ErrorKind::BadReply, "whatsminer.snapshot", "it refuses every command")
                .with("address", at)
        }))
    }

    /// Asks one by one for what is still open and does not rest, and gives the first error of a connection.
    async fn singly(&mut self, cx: &Ctx, at: SocketAddr, replies: &mut Replies) -> Option<Error> {
        let (mut first, mut asked) = (None, Vec::new());
        let mut rests = self.resting(cx.clock.mono());
        // The second round is for `devs`, when `edevs` turned out to be unknown in the first, and for what should not
        // have rested.
        for round in 0..2 {
            let known = round > 0 || replies.summary().is_some();
            if known && !self.rest.as_ref().is_some_and(|rest| rest.holds(replies.summary())) {
                rests.clear();
            }
            let mut singles: Vec<Ask> = self.wanted(Way::Single).chain(self.wanted(Way::Joined)).collect();
            singles.retain(|ask| !replies.settled(*ask) && !asked.contains(ask) && !rests.contains(ask));
            if singles.is_empty() {
                continue;
            }
            let error = singles_into(&portion(cx, 1, 1), at, &singles, replies).await;
            let gone = error.as_ref().is_some_and(|e| e.kind() == ErrorKind::Unreachable);
            first = error.or(first);
            self.drop_unknown(&singles, replies);
            asked.append(&mut singles);
            if gone {
                rests.clear();
                break;
            }
        }
        self.remember(&asked, &rests, replies, cx.clock.mono());
        first
    }

    /// What would be asked singly and rests, if the machine goes on as before.
    fn resting(&self, now: Mono) -> Vec<Ask> {
        let Some(rest) = &self.rest else { return Vec::new() };
        let singly = self.wanted(Way::Single);
        let joined = self.wanted(Way::Joined).filter(|_| matches!(self.join, Join::No(_)));
        singly.chain(joined).filter(|ask| rest.has(*ask, now)).collect()
    }

    /// Fills in what `rests`, and keeps what was `asked` and may rest in the next poll.
    fn remember(&mut self, asked: &[Ask], rests: &[Ask], replies: &mut Replies, now: Mono) {
        if !asked.iter().chain(rests).any(|ask| Rest::may(*ask)) {
            self.rest = None;
            return;
        }
        let rest = self.rest.get_or_insert_default();
        rest.take(asked, rests, replies, now);
        rests.iter().for_each(|ask| rest.give(*ask, replies));
    }

    /// Stops asking for what single requests have shown to be unknown.
    fn drop_unknown(&mut self, asked: &[Ask], replies: &mut Replies) {
        for ask in asked {
            // Without a summary nothing else is worth much, so that one is asked for ever.
            if *ask != Ask::Summary
                && replies.failure(*ask) == Some(Failure::Unknown)
                && let Some(way) = self.way(*ask)
            {
                *way = Way::Never;
                self.request = None;
            }
        }
    }

    /// Sends the joined request, if the unit may take it. Gives the error after which single commands are worth a
    /// try.
    async fn joined(&mut self, cx: &Ctx, at: SocketAddr, replies: &mut Replies) -> Result<Option<Error>> {
        if let Join::No(Some(until)) = self.join
            && cx.clock.mono() >= until
        {
            (self.join, self.strikes) = (Join::Untried, 0);
        }
        if matches!(self.join, Join::No(_)) || self.strikes >= STRIKES || self.wanted(Way::Joined).count() < 2
        {
            return Ok(None);
        }
        let asks: Vec<Ask> = self.wanted(Way::Joined).collect();
        let request = self.request.take().unwrap_or_else(|| join(&asks).into());
        // Some firmware may hang on what it does not know: leave time for single commands while that is open.
        let share = if self.join == Join::Untried { 2 } else { 1 };
        let reply = cgminer::call(&portion(cx, 1, share), at, request.as_bytes()).await;
        let read = reply.and_then(|reply| Replies::joined(&reply));
        let known = self.join;
        match read {
            Ok(joined) if joined.summary.is_some() => {
                (self.join, self.strikes) = (Join::Yes, 0);
                *replies = joined;
                self.learn(&asks, replies);
            }
            Ok(refusal) if refusal.ordinary => self.join = Join::No(None),
            Ok(_) => {
                self.strikes = self.strikes.saturating_add(1);
                return Ok(Some(Error::new(ErrorKind::BadReply, READ, "the joined reply has no known part")));
            }
            Err(e) if e.kind() == ErrorKind::Unreachable => {
                self.request = Some(request);
                return Err(e);
            }
            Err(e) => {
                self.strikes = self.strikes.saturating_add(1);
                self.request = Some(request);
                let late = e.kind() == ErrorKind::Timeout;
                return if late && known == Join::Yes { Err(e) } else { Ok(Some(e)) };
            }
        }
        if self.join == Join::Yes && self.wanted(Way::Joined).eq(asks.iter().copied()) {
            self.request = Some(request);
        }
        Ok(None)
    }

    /// Remembers which parts a joined request does not give; they are asked singly from now on.
    fn learn(&mut self, asks: &[Ask], replies: &mut Replies) {
        for ask in asks {
            let way = match (ask, replies.failure(*ask)) {
                // Boards can be joined under one name or the other.
                (Ask::Edevs, Some(Failure::Unknown)) => Way::Never,
                (_, Some(Failure::Unknown | Failure::Denied)) => Way::Single,
                _ => continue,
            };
            if let Some(slot) = self.way(*ask) {
                *slot = way;
            }
            if way == Way::Single {
                replies.fail(*ask, Failure::Silent);
            }
        }
    }

    /// After joined requests failed in other ways than by a refusal, single commands got through: joining is what
    /// hurts if it failed again just now or if some command is never answered, else it was a passing fault.
    fn settle(&mut self, cx: &Ctx, joining_failed: bool, replies: &mut Replies) {
        if self.strikes < STRIKES || !replies.says_something() {
            return;
        }
        let silent = self.wanted(Way::Joined).chain(self.wanted(Way::Single)).collect::<Vec<_>>();
        let silent = silent.into_iter().any(|ask| replies.failure(ask) == Some(Failure::Silent));
        let rest = joining_failed || silent;
        self.join = if rest { Join::No(Some(cx.clock.mono() + PAUSE)) } else { Join::Untried };
        self.strikes = 0;
    }

    /// Asks what changes rarely: joined, where the unit joins commands of that kind.
    pub async fn slow(&mut self, cx: &Ctx, at: SocketAddr, asks: &[Ask]) -> Replies {
        let mut replies = Replies::default();
        let cx = portion(cx, 7, 8);
        let joins = self.join == Join::Yes && self.way(Ask::Errors).is_some_and(|way| *way == Way::Joined);
        if joins && asks.len() > 1 {
            let reply = cgminer::call(&portion(&cx, 1, 2), at, join(asks).as_bytes()).await;
            if let Ok(joined) = reply.and_then(|reply| Replies::joined(&reply)) {
                replies = joined;
            }
        }
        let open: Vec<Ask> = asks.iter().copied().filter(|ask| replies.failure(*ask).is_some()).collect();
        singles_into(&cx, at, &open, &mut replies).await;
        replies
    }
}

fn join(asks: &[Ask]) -> String {
    let names: Vec<&str> = asks.iter().map(|ask| ask.name()).collect();
    cgminer::request(&names.join("+"))
}

/// `cx` for a part of the work: it ends after this share of what is left, so that the rest can still be done.
pub(super) fn portion(cx: &Ctx, of: u32, parts: u32) -> Ctx {
    let left = cx.remaining().map_or(LIMIT, |left| left / parts * of);
    cx.deadline_in(left.min(LIMIT))
}

/// Asks one command after the other over at most three connections, and gives the first error of a connection.
/// Once the unit cannot be reached, the rest is left.
pub(super) async fn singles_into(
    cx: &Ctx,
    at: SocketAddr,
    asks: &[Ask],
    replies: &mut Replies,
) -> Option<Error> {
    let (next, gone) = (AtomicUsize::new(0), AtomicBool::new(false));
    let line = || async {
        let mut out = Vec::new();
        while let Some(ask) = asks.get(next.fetch_add(1, Ordering::Relaxed)) {
            if gone.load(Ordering::Relaxed) {
                break;
            }
            let reply = cgminer::call(cx, at, cgminer::request(ask.name()).as_bytes()).await;
            if reply.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unreachable) {
                gone.store(true, Ordering::Relaxed);
            }
            out.push((*ask, reply));
        }
        out
    };
    let (a, b, c) = tokio::join!(line(), line(), line());
    let mut first = None;
    for (ask, reply) in a.into_iter().chain(b).chain(c) {
        let read = reply.and_then(|reply| replies.read(ask, &reply));
        if let Err(e) = read {
            let garbled = e.kind() == ErrorKind::BadReply && e.fact("empty").is_none();
            replies.fail(ask, if garbled { Failure::Garbled } else { Failure::Silent });
            first.get_or_insert(e);
        } else if replies.failure(ask) == Some(Failure::Garbled) {
            let e = Error::new(ErrorKind::BadReply, READ, "the reply is cut or lacks its contents");
            first.get_or_insert(e.with("command", ask.name()).with("address", at));
        }
    }
    first
}
