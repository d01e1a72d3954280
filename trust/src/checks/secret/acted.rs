use std::sync::Arc;

use headframe_core::{
    Error,
    action::{
        ActionId, ActionQuery, AuditOptions, Ballot, Bucket, Draft, Engine, RightsSource, Status,
        policy::{Row, Rule, Rules},
    },
    audit::{self, AuditKey},
    query::Filter,
    store::{ControlStore, CrashBackend, CrashPlan},
};
use serde_json::{Value, json};

use super::canaries::Canaries;
use crate::{
    rig::needed,
    run::Case,
    site::{Site, thing},
    workload::actions::{RACKS, THINGS, by},
};

/// How long anything may take until devices have it, ms.
const SOON: u64 = 20;
const LOOKS: u32 = 100;

/// Pushes actions with secrets in their parameters through an engine, and looks at all that it shows of them.
pub struct Acted<'a> {
    site: Site,
    engine: Engine,
    canaries: &'a Canaries,
}

impl<'a> Acted<'a> {
    /// An engine over `store`. What waits there for its second vote gets it, and has to reach its device.
    pub async fn new(case: &mut Case, store: &ControlStore, canaries: &'a Canaries) -> Result<Self, String> {
        let mut rules = Rules::mos();
        let rule = Rule { votes_for: 2, own_vote: true, ..Rule::default() };
        let actions = ["registerThing".into()].into();
        rules.rows.push(Row { actions, classes: Default::default(), rule });
        let racks = RACKS.map(|rack| (rack, THINGS));
        let mut site = Site::new(case, &racks, rules, RightsSource::Claims).await?;
        let key = needed("no key", AuditKey::from_bytes("headframe/secret", *canaries.key()))?;
        site.options.audit = Some(AuditOptions::new(key, Vec::new()));
        let shown = format!("{:?} {:#?}", site.options, site.options.audit);
        canaries.absent("Debug of the engine's options", shown.as_bytes())?;
        canaries.no_key("Debug of the engine's options", &shown)?;
        let engine = needed("no engine", site.run(store.clone()))?;
        let acted = Self { site, engine, canaries };
        acted.approve_all(case).await?;
        Ok(acted)
    }

    /// Waits until every call that began is journalled.
    pub async fn rests(&self) {
        self.site.pass(1_000).await;
    }

    /// Ends the engine, and with it its store.
    pub async fn end(self) -> Result<(), String> {
        self.site.kill(self.engine).await?;
        self.site.pass(300).await;
        Ok(())
    }

    pub async fn operation(&self, case: &mut Case, i: u64) -> Result<(), String> {
        match case.rng.u32(0..12) {
            0..5 => self.pools(case, i).await,
            5 | 6 => self.register(case, i).await,
            7 => self.password(case, i).await,
            8 => self.refused(case, i).await,
            9 => self.audited(case),
            _ => self.read_back(case),
        }
    }

    fn secret(&self, case: &mut Case) -> (usize, String) {
        let at = case.rng.usize(..super::canaries::CANARIES);
        (at, self.canaries.at(at).to_owned())
    }

    fn one_thing(case: &mut Case) -> Value {
        json!({"id": thing(RACKS[case.rng.usize(..2)], case.rng.u32(..THINGS))})
    }

    async fn push(&self, action: &str, param: Vec<Value>, query: Value, i: u64) -> Result<ActionId, String> {
        let mut draft = needed("no draft", Draft::new(action, param, query))?;
        (draft.client_key, draft.why) = (Some(format!("{action}-{i}").as_str().into()), Some("moved".into()));
        let pushed = needed("not pushed", self.engine.push(draft, &by("ann")?).await)?;
        self.canaries.absent("what is told of a push", format!("{pushed:?}").as_bytes())?;
        needed("not pushed", pushed.into_id())
    }

    /// Pools with a password, for one thing: it gets the password, and nobody else does.
    async fn pools(&self, case: &mut Case, i: u64) -> Result<(), String> {
        let (_, secret) = self.secret(case);
        let pool = json!({"url": "stratum+tcp://pool.example.com:3333", "workerName": "w", "workerPassword": secret});
        let param = json!({"config": {"id": i, "poolUrls": [pool]}});
        let id = self.push("setupPools", vec![param], Self::one_thing(case), i).await?;
        self.reaches(case, id, &secret).await
    }

    /// A thing with credentials, registered as an action that takes two people. Often the second comes only after a
    /// restart, when the site may have another key.
    async fn register(&self, case: &mut Case, i: u64) -> Result<(), String> {
        let (at, secret) = self.secret(case);
        let rack = RACKS[case.rng.usize(..2)];
        let param = json!({
            "rackId": rack, "id": thing(rack, case.rng.u32(..THINGS)), "info": {"canary": at},
            "opts": {"address": "10.0.0.9", "password": secret, "login": {"apiKey": secret}},
        });
        let id = self.push("registerThing", vec![param], json!({}), i).await?;
        if case.rng.bool() {
            return Ok(());
        }
        self.approve(id).await?;
        self.reaches(case, id, &secret).await
    }

    async fn approve(&self, id: ActionId) -> Result<(), String> {
        let mut ballot = Ballot::new(true);
        ballot.why = Some("checked".into());
        let now = needed("no vote", self.engine.vote(id, ballot, &by("bob")?).await)?;
        self.canaries.absent("Debug of an action", format!("{now:?} {}", json!(*now)).as_bytes())
    }

    /// Approves whatever waits since before the site's key was changed. Another key is another text of the sealed secret, for which
    /// nobody voted: the engine may hold such an action as changed, but sends nothing else than what was given.
    async fn approve_all(&self, case: &mut Case) -> Result<(), String> {
        let waiting = needed("no list", self.engine.query(&ActionQuery::new(Bucket::Voting)))?;
        for listed in waiting {
            let header = self.engine.header(listed.id).ok_or("an action is gone")?;
            let at = header.order.params.first().and_then(|param| param["info"]["canary"].as_u64());
            let at = at.and_then(|at| usize::try_from(at).ok()).ok_or("an action lost its parameters")?;
            self.approve(listed.id).await?;
            self.site.pass(SOON * 5).await;
            let now = self.engine.header(listed.id).ok_or("an action is gone")?;
            case.hit("waited over a change of the key");
            let Some(hold) = &now.hold else {
                self.reaches(case, listed.id, self.canaries.at(at)).await?;
                continue;
            };
            if hold.why.as_deref() != Some("ERR_ACTION_CHANGED")
                || !self.site.plant.received(listed.id).is_empty()
            {
                return Err(format!("an action is held after a change of the key: {hold:?}"));
            }
            needed("not cancelled", self.engine.cancel(listed.id, &by("ann")?).await)?;
        }
        Ok(())
    }

    /// Secrets that stand by their position alone.
    async fn password(&self, case: &mut Case, i: u64) -> Result<(), String> {
        let (_, secret) = self.secret(case);
        let params = vec![json!(secret), json!(secret)];
        let id = self.push("updateAdminPassword", params, Self::one_thing(case), i).await?;
        self.reaches(case, id, &secret).await
    }

    /// The secret comes to its device as it was given.
    async fn reaches(&self, case: &mut Case, id: ActionId, secret: &str) -> Result<(), String> {
        for _ in 0..LOOKS {
            let log = self.site.plant.log();
            let sent = log.iter().find(|sent| sent.id == id);
            if let Some(sent) = sent {
                if !sent.what.to_string().contains(secret) {
                    return Err("a device got another secret than was given".into());
                }
                case.hit("a device got its secret");
                return self.shown(id);
            }
            self.site.pass(SOON).await;
        }
        Err(format!("nothing reached the devices of {id}: {:?}", self.engine.header(id).map(|h| h.status)))
    }

    /// Nothing that is shown of an action has a secret in it.
    fn shown(&self, id: ActionId) -> Result<(), String> {
        let view = needed("no view", self.engine.get(id))?.ok_or("an action is gone")?;
        let header = self.engine.header(id).ok_or("an action is gone")?;
        let shown = format!("{view:?} {} {header:?} {} {:?}", view.0, json!(*header), self.engine);
        self.canaries.no_key("what is shown of an action", &shown)?;
        self.canaries.absent("what is shown of an action", shown.as_bytes())
    }

    fn read_back(&self, case: &mut Case) -> Result<(), String> {
        for bucket in Bucket::ALL {
            let mut query = ActionQuery::new(bucket);
            (query.reverse, query.limit) = (true, Some(20));
            let listed = needed("no list", self.engine.query(&query))?;
            self.canaries.absent("a list of actions", format!("{listed:?}").as_bytes())?;
            query.limit = Some(5);
            let groups = needed("no list", self.engine.query_groups(&query))?;
            self.canaries.absent("a list of batches", format!("{groups:?}").as_bytes())?;
        }
        case.hit("actions listed");
        Ok(())
    }

    /// The audit log as it leaves the site.
    fn audited(&self, case: &mut Case) -> Result<(), String> {
        let mut lines = Vec::new();
        needed("not exported", audit::export(self.engine.store(), &mut lines))?;
        self.canaries.absent("the exported audit log", &lines)?;
        self.canaries.no_key("the exported audit log", &String::from_utf8_lossy(&lines))?;
        let note = needed("no checkpoint", self.engine.checkpoint())?;
        self.canaries.absent("a checkpoint", note.as_bytes())?;
        case.hit("audit log exported");
        Ok(())
    }

    /// Pushes that are refused: neither answers nor errors tell what was in them.
    async fn refused(&self, case: &mut Case, i: u64) -> Result<(), String> {
        let (_, secret) = self.secret(case);
        let key = Some(format!("refused-{i}").as_str().into());
        let config = |value: Value| json!({"config": {"poolUrls": [{"url": "u", "workerPassword": value}]}});
        let mut draft = |param: Value| -> Result<Draft, String> {
            let draft = Draft::new("setupPools", vec![param], Self::one_thing(case));
            let mut draft = needed("no draft", draft)?;
            draft.client_key.clone_from(&key);
            Ok(draft)
        };
        let (sealed, first) = (draft(config(json!({"$sealed": secret})))?, draft(config(json!(secret)))?);
        let mut other = first.clone();
        other.query = json!({});
        let ann = by("ann")?;
        self.error("a sealed secret", self.engine.push(sealed, &ann).await)?;
        needed("not pushed", self.engine.push(first, &ann).await)?;
        self.error("a key with another body", self.engine.push(other, &ann).await)?;
        let no_rack = needed(
            "no draft",
            Draft::new("registerThing", vec![json!({"opts": {"password": secret}})], json!({})),
        )?;
        let told = needed("a push without a rack", self.engine.push(no_rack, &ann).await)?;
        self.canaries.absent("a push that stored nothing", format!("{told:?}").as_bytes())?;
        if let Ok(stored) = told.into_id() {
            return Err(format!("a thing of no rack was registered: {stored}"));
        }
        let many = vec![json!(secret); 40];
        self.error("too many parameters", Draft::new("updateAdminPassword", many, json!({})))?;
        case.hit("guard refused");
        Ok(())
    }

    fn error<T>(&self, what: &str, told: Result<T, Error>) -> Result<(), String> {
        match told {
            Ok(_) => Err(format!("{what} was not refused")),
            Err(e) => self.canaries.not_told(what, &e),
        }
    }

    /// A push that the disk does not take: the error and the logs say nothing.
    pub async fn failing(&self, case: &mut Case, disk: &CrashBackend) -> Result<(), String> {
        let (_, secret) = self.secret(case);
        let fail_at = Some(case.rng.u64(0..6));
        // So short that the store can say for certain what became of it.
        disk.plan(CrashPlan { fail_at, fail_for: 1, ..CrashPlan::default() });
        let draft = needed("no draft", Draft::new("updateAdminPassword", vec![json!(secret); 2], json!({})))?;
        let told = self.engine.push(draft, &by("ann")?).await;
        disk.plan(CrashPlan::default());
        if let Err(e) = told {
            self.canaries.not_told("an error of the disk", &e)?;
            case.hit("a failing disk");
        }
        Ok(())
    }

    /// Secrets cannot be asked for.
    pub fn wrongs(&self, case: &mut Case) -> Result<(), String> {
        let (_, secret) = self.secret(case);
        let name = "params.config.poolUrls.workerPassword";
        for query in [json!({name: secret}), json!({name: {"$regex": format!("^{}", &secret[..3])}})] {
            let filter = match Filter::parse(&query) {
                Ok(filter) => filter,
                Err(e) => {
                    self.canaries.not_told("a query for a secret", &e)?;
                    continue;
                }
            };
            for bucket in Bucket::ALL {
                let mut query = ActionQuery::new(bucket);
                query.filter = Some(filter.clone());
                if !needed("no list", self.engine.query(&query))?.is_empty() {
                    return Err("a secret in an action can be guessed by asking".into());
                }
            }
        }
        let done = needed("no list", self.engine.query(&ActionQuery::new(Bucket::Done)))?;
        let ended = |id| self.engine.header(id).is_some_and(|h| h.status == Status::Completed);
        case.hit_if(done.iter().any(|listed| ended(listed.id)), "a secret cannot be asked for");
        Ok(())
    }
}

/// Shares a key with the site whose secret it is.
pub fn audit_key(rng: &mut fastrand::Rng) -> Arc<[u8; 32]> {
    // Letters and digits, so that it is found in whatever shows its bytes.
    Arc::new(std::array::from_fn(|_| u8::try_from(rng.alphanumeric()).unwrap_or(b'k')))
}
