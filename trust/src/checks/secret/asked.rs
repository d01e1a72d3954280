use headframe_core::{
    Error, ThingId,
    query::{Filter, Query},
    rack::{Caller, Rack, ThingChange, ThingDraft, Which},
    store::{CrashBackend, CrashPlan},
};
use serde_json::{Value, json};

use super::{Kept, THINGS, all_open, canaries::Canaries};
use crate::{
    rig::needed,
    run::Case,
    workload::{Opened, Registry},
};

/// Registers things with secrets through the registry, and looks at all that it shows of them.
pub struct Asked<'a> {
    pub opened: Opened,
    pub canaries: &'a Canaries,
}

impl Asked<'_> {
    pub async fn operation(&self, case: &mut Case, kept: &mut Kept, i: u64) -> Result<(), String> {
        let id = format!("wm{}", case.rng.usize(0..THINGS));
        let known = kept.contains_key(&id);
        match case.rng.u32(0..10) {
            0 if known => {
                let which = Which::Matching(needed("filter", Filter::parse(&json!({ "id": id })))?);
                needed("forget", self.opened.rack().forget(&which, &by()).await)?;
                kept.remove(&id);
                case.hit("forgotten");
            }
            1 | 2 if known => {
                self.read_back(&id, kept).await?;
                case.hit("read back");
            }
            3 if known => {
                let id = needed("id", ThingId::new(&id))?;
                let comment = self.opened.rack().save_comment(&id, &format!("fan {i}"), None, &by()).await;
                self.canaries.absent("a comment", format!("{:?}", needed("comment", comment)?).as_bytes())?;
            }
            4 => self.refused(case, &id, kept).await?,
            _ => {
                let secret = self.canaries.any(&mut case.rng).to_owned();
                needed("write", self.write(&id, known, &secret, i).await)?;
                case.hit(if known { "rotated" } else { "registered" });
                kept.insert(id, secret);
            }
        }
        Ok(())
    }

    async fn write(&self, id: &str, known: bool, secret: &str, i: u64) -> headframe_core::Result<()> {
        let opts = json!({
            "address": format!("10.1.{}.{}", id.len(), id.trim_start_matches("wm")),
            "username": "admin",
            "password": secret,
            "login": {"user": "root", "more": [{"apiKey": secret, "n": i}]},
        });
        let info = json!({"n": i, "poolToken": {"value": secret}});
        if !known {
            let draft: ThingDraft = read(json!({"id": id, "opts": opts, "info": info}))?;
            let record = self.opened.rack().register(draft, &by()).await?;
            return self
                .clean("a registered record", format!("{record:?} {} {}", json!(*record), record.listing()));
        }
        let change: ThingChange = read(json!({"opts": opts, "info": info}))?;
        let record = self.opened.rack().update(&ThingId::new(id)?, change, &by()).await?;
        self.clean("a changed record", format!("{record:?} {} {}", json!(*record), record.listing()))
    }

    fn clean(&self, what: &str, shown: String) -> headframe_core::Result<()> {
        let told = self.canaries.absent(what, shown.as_bytes());
        told.map_err(|text| Error::new(headframe_core::ErrorKind::Internal, "trust.secret", text))
    }

    /// Nothing that can be asked of a thing shows its secret, and its driver gets it.
    async fn read_back(&self, id: &str, kept: &Kept) -> Result<(), String> {
        let one: Kept =
            kept.get_key_value(id).map(|(id, secret)| (id.clone(), secret.clone())).into_iter().collect();
        all_open(self.opened.store(), &one, self.canaries)?;
        let thing = needed("id", ThingId::new(id))?;
        let text = json!({"query": {"id": id}, "status": 1}).to_string();
        let page = self.opened.rack().list(&needed("query", Query::parse_str(&text))?).await;
        let page = needed("list", page)?;
        let history = needed("history", self.opened.things().history(&thing))?;
        let record = self.opened.things().get(&thing).ok_or("an acknowledged thing is lost")?;
        let shown = format!(
            "{:?} {:?} {} {record:?} {:?} {:?}",
            page,
            history,
            json!(history),
            self.opened.things(),
            self.opened.rack()
        );
        self.canaries.absent("what a caller sees", shown.as_bytes())
    }

    /// A draft that is refused: neither the error nor the logs tell what was in it.
    async fn refused(&self, case: &mut Case, id: &str, kept: &Kept) -> Result<(), String> {
        let secret = self.canaries.any(&mut case.rng).to_owned();
        let mut opts = json!({"address": 7, "password": secret});
        if kept.contains_key(id) {
            // The id is taken.
            opts["address"] = json!("10.2.0.1");
        }
        let draft: ThingDraft = needed("draft", read(json!({"id": id, "opts": opts})))?;
        match self.opened.rack().register(draft, &by()).await {
            Ok(_) => return Err("a draft that is wrong was registered".into()),
            Err(e) => self.canaries.not_told("a refused draft", &e)?,
        }
        case.hit("guard refused");
        Ok(())
    }

    /// A write that the disk does not take: the error and the logs say nothing.
    pub async fn failing(&self, case: &mut Case, disk: &CrashBackend) -> Result<(), String> {
        let secret = self.canaries.any(&mut case.rng).to_owned();
        let fail_at = Some(case.rng.u64(0..6));
        disk.plan(CrashPlan { fail_at, fail_for: 200, ..CrashPlan::default() });
        let told = self.write("wm-failing", false, &secret, 0).await;
        disk.plan(CrashPlan::default());
        let Err(e) = told else { return Err("a disk that fails took a write".into()) };
        self.canaries.not_told("an error of the disk", &e)?;
        case.hit("a failing disk");
        Ok(())
    }

    /// Secrets cannot be asked for.
    pub async fn wrongs(&self, case: &mut Case) -> Result<(), String> {
        let secret = self.canaries.any(&mut case.rng).to_owned();
        for query in [json!({"opts.password": secret}), json!({"info.poolToken.value": secret})] {
            let found = match Filter::parse(&query) {
                Ok(filter) => self.opened.rack().count(&filter).await,
                Err(e) => Err(e),
            };
            match found {
                Ok(0) => {}
                Ok(_) => return Err("a secret can be guessed by asking".into()),
                Err(e) => self.canaries.not_told("a query for a secret", &e)?,
            }
        }
        Ok(())
    }
}

fn by() -> Caller {
    Caller::new("ops@example.com")
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> headframe_core::Result<T> {
    serde_json::from_value(value).map_err(|_| Error::invalid("trust.read", "value", "it cannot be read"))
}
