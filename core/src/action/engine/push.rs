use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    BatchOptions, By, Draft, Engine, Inner, draft,
    pushed::{EMPTY, Pushed},
    shed::Chosen,
};
use crate::{
    Error, ErrorKind, Result,
    action::{
        Ask, Claims, Excluded, FleetRack, Hands, Policy, Proposal, Rights, RightsSource, Selection, Voter,
        catalogue::{self, RackAction},
        desk::Desk,
        keys::{self, Answer},
        note::{Note, by},
        policy::{ActionClass, Sums, Terms},
        record::{self, TargetCall, TargetRow},
        state::{self, Fixed, Header, Order, RackCalls, Ramp, Vote},
    },
    auth::Permissions,
    io::Timestamp,
    model::{RackId, Text},
};

const OP: &str = "action.push";
/// Most calls of one action.
const MOST: usize = 100_000;
/// Most bytes of target rows: they share one commit with the header.
const MOST_BYTES: usize = 24 << 20;
/// Things of one rack that are named one by one in the answer.
const NAMED: usize = 100;
/// What an action would touch, all racks together.
#[derive(Debug, Default)]
pub(super) struct Targets {
    racks: Vec<RackCalls>,
    pub rows: Vec<TargetRow>,
    families: Vec<Text>,
    errors: Vec<String>,
    pub calls: u32,
    votes: u32,
    size: Sums,
    known: bool,
}

/// A push that was judged and can be stored.
pub(super) struct Ready {
    draft: Draft,
    by: By,
    voter: Voter,
    policy: Arc<dyn Policy>,
    targets: Targets,
    rows: Vec<record::Json>,
    fingerprint: Text,
}

impl Engine {
    /// Pushes an action: chooses its targets, freezes them, and stores it with its creator's vote. With enough votes it
    /// is approved by that.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a draft that is wrong in itself, [`Conflict`](ErrorKind::Conflict) with
    /// `ERR_CLIENT_KEY_CONFLICT` for a client key that came with another body, those of the store. A push that stores
    /// nothing for want of targets is no error: [`Pushed::id`] is `None`.
    pub async fn push(&self, draft: Draft, by: &By) -> Result<Pushed> {
        let mut all = self.push_all(vec![draft], &BatchOptions::default(), by, None).await?;
        all.pop().ok_or_else(|| Error::new(ErrorKind::Internal, OP, "a push without an answer"))
    }

    /// Pushes several, each an action of its own with its own votes, under one name. With `all_or_nothing` one that
    /// would store nothing, or of which anything falls out, keeps all from being stored.
    ///
    /// # Errors
    /// As [`push`](Self::push), of the first that is wrong; nothing is stored then.
    pub async fn push_batch(&self, drafts: Vec<Draft>, batch: &BatchOptions, by: &By) -> Result<Vec<Pushed>> {
        let name = self.0.batch_name(batch);
        self.push_all(drafts, batch, by, name).await
    }

    async fn push_all(
        &self,
        drafts: Vec<Draft>,
        options: &BatchOptions,
        by: &By,
        name: Option<Text>,
    ) -> Result<Vec<Pushed>> {
        let inner = &self.0;
        for draft in &drafts {
            draft::label("clientKey", draft.client_key.as_ref())?;
            draft::reason(draft.why.as_deref())?;
        }
        draft::label("batchActionUID", options.uid.as_ref())?;
        draft::label("suffix", options.suffix.as_ref())?;
        let voter = inner.voter(by).await?;
        inner.shared.stops().admit(&voter.person)?;
        inner.point("before_select").await;
        let mut judged = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let again = match &draft.client_key {
                Some(key) => keys::find(&inner.shared.store, &voter.person, key, &keys::push_body(&draft))?,
                None => None,
            };
            judged.push(match again {
                Some(Answer::Pushed(id, errors)) => Err(Pushed { id, errors }),
                _ => inner.judge(draft, by, &voter).await?,
            });
        }
        let nothing = |e: &Pushed| e.id.is_none();
        let short = |r: &Ready| !r.targets.errors.is_empty();
        if options.all_or_nothing && judged.iter().any(|j| j.as_ref().map_or_else(nothing, |r| short(r))) {
            return Ok(judged.into_iter().map(Inner::not_stored).collect());
        }
        let all = move |desk: &mut Desk| {
            let mark = desk.mark();
            let stored: Result<_> = judged.into_iter().map(|j| store(desk, j, name.as_ref())).collect();
            // One that is refused keeps all from being stored.
            stored.inspect_err(|_| desk.back_to(&mark))
        };
        inner.point("before_push").await;
        let stored = inner.ask(all).await?;
        inner.point("after_push").await;
        Ok(stored)
    }
}

impl Ready {
    /// What is asked before it may be done.
    pub(super) fn terms(&self, desk: &Desk, now: i64) -> Result<(ActionClass, Terms)> {
        let Self { draft, voter, policy, targets, .. } = self;
        let class = ActionClass::of(&draft.action, &draft.params);
        let terms = policy.terms(&Proposal {
            action: &draft.action,
            class,
            creator: &voter.person,
            families: &targets.families,
            size: targets.size,
            rack_votes: targets.votes,
            now: Timestamp(now),
            recent: desk.recent(class, policy.looks_back_s(&draft.action, class), &voter.person),
        })?;
        Ok((class, terms))
    }

    /// What it would touch, and why the rest fell out.
    pub(super) fn targets(&self) -> (&[RackCalls], Sums, &[String]) {
        (&self.targets.racks, self.targets.size, &self.targets.errors)
    }

    /// The calls of the draft.
    pub(super) fn chosen(&self) -> Vec<Chosen> {
        let mut all = Vec::new();
        for row in &self.targets.rows {
            let Some(rack) = &row.rack else { continue };
            all.extend(row.calls.iter().map(|call| Chosen {
                rack: rack.clone(),
                target: call.id.clone(),
                power_w: call.power_w,
            }));
        }
        all
    }
}

impl Inner {
    fn batch_name(&self, batch: &BatchOptions) -> Option<Text> {
        let parts: Vec<&str> = [&batch.uid, &batch.suffix].into_iter().flatten().map(Text::as_str).collect();
        (!parts.is_empty()).then(|| format!("{}-{}", self.cx.clock.wall().0, parts.join("-")).into())
    }

    fn not_stored(judged: Result<Box<Ready>, Pushed>) -> Pushed {
        match judged {
            Err(pushed) => pushed,
            Ok(ready) => {
                let mut errors = ready.targets.errors;
                if errors.is_empty() {
                    errors.push("ERR_BATCH_NOT_STORED".into());
                }
                errors.push(EMPTY.into());
                Pushed { id: None, errors }
            }
        }
    }

    /// What a draft would do; `Err` is the answer when nothing is to be stored.
    pub(super) async fn judge(
        &self,
        draft: Draft,
        by: &By,
        voter: &Voter,
    ) -> Result<Result<Box<Ready>, Pushed>> {
        let mut targets = self.choose(&draft, voter).await?;
        if targets.calls == 0 {
            if !targets.known {
                targets.errors.push("ERR_ACTION_UNKOWN".into());
            }
            targets.errors.push(EMPTY.into());
            return Ok(Err(Pushed { id: None, errors: targets.errors }));
        }
        let (rows, fingerprint) = record::pack(&targets.rows)?;
        if targets.calls as usize > MOST || rows.iter().map(|row| row.len()).sum::<usize>() > MOST_BYTES {
            let e =
                Error::invalid(OP, "query", format!("an action has at most {MOST} targets: ask for fewer"));
            return Err(e.code_as("ERR_TOO_MANY_TARGETS").with("targets", targets.calls));
        }
        let (by, voter, policy) = (by.clone(), voter.clone(), Arc::clone(&self.policy));
        let ready = Ready { draft, by, voter, policy, targets, rows, fingerprint };
        Ok(Ok(Box::new(ready)))
    }

    /// Asks every rack what the draft would touch there.
    async fn choose(&self, draft: &Draft, voter: &Voter) -> Result<Targets> {
        let mut targets = Targets::default();
        let racks = self.fleet.racks()?;
        let every = matches!(self.rights, RightsSource::Claims);
        let named = match RackAction::parse(&draft.action, &draft.params, &draft.query, every) {
            Ok(named) => named,
            Err(e) => {
                targets.known = true;
                let rack = e.fact("rack").map(|rack| format!("{rack}: ")).unwrap_or_default();
                targets.errors.push(format!("{rack}{}", e.code()));
                return Ok(targets);
            }
        };
        let mut asked = Vec::new();
        for rack in racks.into_iter().filter(|rack| of_type(rack, draft.rack_type.as_deref())) {
            let call = match &named {
                Some(named) if named.is_for(&rack.id) => Some(named.call_id(&rack.id)),
                Some(_) => continue,
                None => None,
            };
            let answer = rack.hands.clone().map(|hands| self.ask_rack(hands, draft, call));
            asked.push((rack, answer.map(tokio::spawn)));
        }
        for (rack, answer) in asked {
            let answer = match answer {
                Some(task) => task.await.unwrap_or_else(|_| Err(gone())),
                None => Err(gone()),
            };
            targets.add(&rack, answer, voter.rights.allows_write(rack.family()));
        }
        targets.families.sort_unstable();
        targets.families.dedup();
        Ok(targets)
    }

    fn ask_rack(
        &self,
        hands: Arc<dyn Hands>,
        draft: &Draft,
        rack_call: Option<Text>,
    ) -> impl Future<Output = Result<Option<Selection>>> + Send + 'static {
        let ask = Ask {
            action: draft.action.clone(),
            params: Arc::clone(&draft.params),
            query: draft.query.clone(),
            rack_call,
        };
        let cx = self.cx.deadline_in(self.options.select_within);
        async move { cx.within(OP, hands.select(&cx, &ask)).await }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Unreachable, OP, "there is no connection to the rack")
}

fn of_type(rack: &FleetRack, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| {
        rack.thing_type == *wanted
            || rack.thing_type.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('-'))
    })
}

impl Targets {
    fn add(&mut self, rack: &FleetRack, answer: Result<Option<Selection>>, allowed: bool) {
        let unreachable = |e: &Error| {
            matches!(
                e.kind(),
                ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Closed | ErrorKind::Internal
            )
        };
        let selection = match answer {
            Ok(None) => return,
            Ok(Some(selection)) => selection,
            // Of a rack that cannot be asked the match counts as given.
            Err(e) => {
                self.known = true;
                let code = match (allowed, unreachable(&e)) {
                    (false, _) => "ERR_ACTION_DENIED",
                    (true, true) => "ERR_RACK_UNREACHABLE",
                    (true, false) => e.code(),
                };
                return self.fell_out(&rack.id, code);
            }
        };
        self.known = true;
        if selection.picks.is_empty() && selection.excluded.is_empty() {
            return;
        }
        if !allowed {
            return self.fell_out(&rack.id, "ERR_ACTION_DENIED");
        }
        self.name(&rack.id, &selection.excluded);
        let Ok(calls) = u32::try_from(selection.picks.len()) else { return };
        let excluded = u32::try_from(selection.excluded.len()).unwrap_or(u32::MAX);
        let error =
            if calls == 0 { selection.excluded.first().map(|first| first.error.clone()) } else { None };
        if calls > 0 {
            self.families.push(rack.family().into());
            self.votes = self.votes.max(selection.votes);
        }
        self.size = self.size.and(Sums::of(selection.picks.iter().map(|pick| pick.power_w)));
        let chosen = selection.picks.into_iter().map(TargetCall::from).collect();
        self.rows.extend(record::rows(&rack.id, self.calls, chosen, selection.excluded));
        self.racks.push(RackCalls { id: rack.id.clone(), calls, excluded, error });
        self.calls = self.calls.saturating_add(calls);
    }

    fn fell_out(&mut self, rack: &RackId, code: &str) {
        self.errors.push(format!("{rack}: {code}"));
        let error = Some(code.into());
        self.racks.push(RackCalls { id: rack.clone(), calls: 0, excluded: 0, error });
    }

    fn name(&mut self, rack: &RackId, excluded: &[Excluded]) {
        self.errors.extend(excluded.iter().take(NAMED).map(|e| format!("{rack}: {}: {}", e.error, e.id)));
        let more = excluded.len().saturating_sub(NAMED);
        if more > 0 {
            self.errors.push(format!("{rack}: and {more} more"));
        }
    }
}

impl Inner {
    /// The person behind a caller, where only people count.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) with `ERR_VOTER_NOT_A_PERSON` for an agent or a service.
    pub(super) async fn person(&self, by: &By) -> Result<Voter> {
        let voter = self.voter(by).await?;
        let known = matches!(&voter.rights, Rights::Current(rights) if *rights == Permissions::NONE);
        if voter.counts || known {
            return Ok(voter);
        }
        let e = Error::new(ErrorKind::Forbidden, OP, "only people vote: this name is a program's");
        Err(e.code_as("ERR_VOTER_NOT_A_PERSON"))
    }

    /// Who stands behind a caller.
    pub(super) async fn voter(&self, by: &By) -> Result<Voter> {
        self.rights.of(&by.person, &by.claims).await
    }
}

/// Stores a push that was judged, unless its client key has its answer already.
fn store(desk: &mut Desk, judged: Result<Box<Ready>, Pushed>, batch: Option<&Text>) -> Result<Pushed> {
    let ready = match judged {
        Ok(ready) => *ready,
        Err(pushed) => return Ok(pushed),
    };
    desk.stops().admit(&ready.voter.person)?;
    let (person, body) = (ready.voter.person.clone(), keys::push_body(&ready.draft));
    let key = ready.draft.client_key.clone();
    if let Some(key) = &key
        && let Some(Answer::Pushed(id, errors)) = keys::staged(desk, &person, key, &body)?
    {
        return Ok(Pushed { id, errors });
    }
    let shown = by(&ready.by.person);
    let fell_out = ready.targets.errors.len();
    let pushed = store_as(desk, ready, batch, None, |header, why| {
        Note::new(&shown, "push").why(why).data(json!({
            "action": header.order.action,
            "targets": header.counts.total,
            "digest": header.digest,
            "fellOut": fell_out,
        }))
    })?;
    if let Some(key) = &key {
        keys::remember(desk, &person, key, &body, &Answer::Pushed(pushed.id, pushed.errors.clone()));
    }
    Ok(pushed)
}

/// That earlier actions make it take more votes.
pub(super) fn raised(terms: &Terms) -> Option<String> {
    let raised = terms.raised.as_ref()?;
    Some(format!("{}: {} votes instead of {}", raised.code, terms.votes_for, raised.votes_alone))
}

/// Stores a push; with a ramp it sheds load, and executes at once.
pub(super) fn store_as(
    desk: &mut Desk,
    ready: Ready,
    batch: Option<&Text>,
    shed: Option<Ramp>,
    note: impl FnOnce(&Header, Option<&str>) -> Note,
) -> Result<Pushed> {
    let (id, now) = (desk.next_id(), desk.now());
    let (class, terms) = ready.terms(desk, now)?;
    let Ready { draft, voter, targets, rows, fingerprint, .. } = ready;
    let mut errors = targets.errors;
    if shed.is_none() {
        errors.extend(raised(&terms));
    }
    let (sealer, rng) = (desk.shared.store.sealer(), &*desk.shared.cx.rng);
    let params = catalogue::seal(sealer, rng, &id.key(), &draft.action, &draft.params)?;
    let order = Order {
        action: draft.action,
        params,
        query: draft.query,
        creator: voter.person.clone(),
        claims: claims(&voter),
        families: targets.families,
        racks: targets.racks,
        targets: fingerprint,
        terms,
        shed,
        class,
        size: targets.size,
        pushed_ms: now,
    };
    let mut header = Header::new(id, Fixed::new(order)?, targets.calls);
    header.batch = batch.cloned();
    // A program proposes for its owner, who still votes.
    if voter.counts {
        header.votes.push(Vote {
            person: voter.person.clone(),
            approve: true,
            ts: now,
            why: draft.why.clone(),
            factors: header.order.terms.factors_of(&voter.rights),
            counts: true,
            claims: claims(&voter),
        });
    }
    let effects = state::first(&mut header, now);
    let note = note(&header, draft.why.as_deref());
    desk.insert(header, rows, effects, note);
    Ok(Pushed { id: Some(id), errors })
}

/// The rights that are kept with a push or a vote.
pub(super) fn claims(voter: &Voter) -> Option<Claims> {
    match &voter.rights {
        Rights::Claimed(claims) => Some(claims.clone()),
        Rights::Current(_) => None,
    }
}

/// The parameters of an action as they are sent.
pub(super) fn params(inner: &Inner, header: &Header) -> Result<Arc<[Value]>> {
    let order = &header.order;
    let opened =
        catalogue::open(inner.shared.store.sealer(), &header.id.key(), &order.action, &order.params)?;
    Ok(opened.into())
}
