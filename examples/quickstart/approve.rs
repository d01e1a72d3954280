//! A write that two people approve: some simulated miners are put to sleep, and the audit log says who wanted it.

use std::sync::Arc;

use headframe::{
    Result,
    action::{
        ActionId, Ballot, By, Draft, Person, RightsSource, StaticPrincipals,
        policy::{ActionClass, Rules},
    },
    audit::{self, AuditKey, Checkpoint, Log},
    auth::Permissions,
    io::Ctx,
    site::{Site, SiteBuilder},
};
use serde_json::{Value, json};

/// Who proposes, and who approves.
const PEOPLE: [&str; 2] = ["ann@quickstart", "bob@quickstart"];
const SHOWN_ENTRIES: usize = 8;

/// Lets both write to miners, and asks for both of them whenever power changes.
pub fn two_people(builder: SiteBuilder) -> Result<SiteBuilder> {
    let people = StaticPrincipals::new();
    for name in PEOPLE {
        people.set(&Person::from_text(name)?, Permissions::parse(["miner:rw", "actions:rw"])?)?;
    }
    let mut rules = Rules::safe();
    for row in rules.rows.iter_mut().filter(|row| row.classes.contains(&ActionClass::Power)) {
        row.rule.votes_for = 2;
    }
    Ok(builder.policy(Arc::new(rules)).rights(RightsSource::Current(Arc::new(people))))
}

/// An action on its way, and a witness of the audit log.
pub struct Approval {
    key: AuditKey,
    /// What was witnessed.
    checkpoints: Vec<Checkpoint>,
    /// Addresses of the miners that are put to sleep; none of real ones.
    sleepers: Vec<String>,
    action: Option<ActionId>,
}

/// What became of the audit log.
pub struct Audited {
    /// How many entries it has.
    pub entries: u64,
    /// Whether it is the one that was witnessed.
    pub verified: bool,
    /// What people see of it.
    pub lines: Vec<String>,
}

/// Neighbouring entries of one kind.
struct Shown {
    from: u64,
    to: u64,
    by: String,
    what: String,
    why: Option<String>,
}

impl Shown {
    fn line(&self) -> String {
        let Self { from, to, by, what, why } = self;
        let number = if from == to { format!("#{from}") } else { format!("#{from}-{to}") };
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("  {number:<8} {by:<16} {what}{why}")
    }
}

impl Approval {
    /// Nothing is proposed yet.
    pub fn new(cx: &Ctx, sleepers: Vec<String>) -> Result<Self> {
        let key = AuditKey::random("headframe/quickstart", &*cx.rng)?;
        Ok(Self { key, checkpoints: Vec::new(), sleepers, action: None })
    }

    /// Does what is due in this second: one proposes after a seventh of the time, the other approves after a third.
    pub async fn play(&mut self, site: &Site, second: u64, seconds: u64) -> Result<()> {
        if self.sleepers.is_empty() {
            return Ok(());
        }
        if second == (seconds / 7).max(1) {
            self.propose(site).await?;
        }
        if second == (seconds / 3).max(1)
            && let Some(id) = self.action
        {
            let bob = By::new(Person::from_text(PEOPLE[1])?);
            site.actions().vote(id, Ballot::new(true), &bob).await?;
        }
        Ok(())
    }

    async fn propose(&mut self, site: &Site) -> Result<()> {
        let known = site.things().ids().into_iter().filter(|id| {
            let record = site.things().get(id);
            let address = record.as_ref().and_then(|record| record.address());
            address.is_some_and(|address| self.sleepers.iter().any(|one| one == address))
        });
        let things: Vec<String> = known.map(|id| id.to_string()).collect();
        // A folder from another run holds other miners.
        if things.is_empty() {
            return Ok(());
        }
        let query = json!({"id": {"$in": things}});
        let mut sleep = Draft::new("setPowerMode", vec!["sleep".into()], query)?;
        sleep.why = Some("the price of energy".into());
        let ann = By::new(Person::from_text(PEOPLE[0])?);
        self.action = Some(site.actions().push(sleep, &ann).await?.into_id()?);
        self.witness(site)
    }

    /// Signs the log as it is now, and keeps what was signed: off the machine, if this were a real site.
    fn witness(&mut self, site: &Site) -> Result<()> {
        let note = self.key.checkpoint(&Log::open(site.actions().store())?);
        self.checkpoints.push(self.key.verifier().open(note.as_bytes())?);
        Ok(())
    }

    /// The action in one line, for people.
    pub fn line(&self, site: &Site) -> Option<String> {
        let header = site.actions().header(self.action?)?;
        let (votes, counts) = (header.votes.len(), header.counts);
        let votes = format!("{votes} of {} votes", header.order.terms.votes_for);
        let calls = format!("{} of {} asleep, {} failed", counts.ok, counts.total, counts.failed);
        Some(format!(
            "action {}  {} sleep: {}, {votes}, {calls}",
            header.id,
            header.order.action,
            header.status.as_str()
        ))
    }

    /// The same for programs.
    pub fn json(&self, site: &Site) -> Vec<Value> {
        let header = self.action.and_then(|id| site.actions().header(id));
        let shown = header.map(|header| {
            json!({
                "id": header.id, "action": header.order.action, "status": header.status,
                "targets": header.counts.total, "done": header.counts.ok,
                "failed": header.counts.failed + header.counts.unknown,
            })
        });
        shown.into_iter().collect()
    }

    /// Verifies the log against what was witnessed on the way.
    pub fn audit(&mut self, site: &Site) -> Result<Audited> {
        self.witness(site)?;
        let mut export = Vec::new();
        let entries = audit::export(site.actions().store(), &mut export)?;
        let mut shown: Vec<Shown> = Vec::new();
        for line in audit::lines(&export) {
            let entry = audit::Entry::parse(line)?;
            if entry.action.is_none() || entry.action != self.action.map(ActionId::get) {
                continue;
            }
            match shown.last_mut().filter(|last| (&last.by, &last.what) == (&entry.by, &entry.what)) {
                Some(last) => last.to = entry.seq,
                None => {
                    let (by, what, why) = (entry.by, entry.what, entry.why);
                    shown.push(Shown { from: entry.seq, to: entry.seq, by, what, why });
                }
            }
        }
        let checked = audit::verify(audit::lines(&export), &self.checkpoints);
        let said = match &checked {
            Ok(of) => format!("verified, {} of them witnessed", of.witnessed),
            Err(fault) => format!("NOT what was witnessed: {fault}"),
        };
        let mut lines = vec![format!("Audit log: {entries} entries, {said}")];
        lines.extend(shown.iter().take(SHOWN_ENTRIES).map(Shown::line));
        Ok(Audited { entries, verified: checked.is_ok(), lines })
    }
}
