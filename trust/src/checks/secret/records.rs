use headframe_core::{
    Secret,
    io::Ctx,
    store::{
        Batch, ControlStore, CrashBackend, CrashPlan, Expect, Key, Place, Revision, SealKey, Sealed, Sealer,
        Space,
    },
};
use serde_json::{Value, json};

use super::{Kept, THINGS, canaries::Canaries};
use crate::{rig::needed, run::Case};

/// Writes things with secrets, and asks for them again.
pub struct Writer<'a> {
    pub store: &'a ControlStore,
    pub cx: &'a Ctx,
    pub canaries: &'a Canaries,
}

impl Writer<'_> {
    pub async fn operation(&self, case: &mut Case, kept: &mut Kept, i: u64) -> Result<(), String> {
        let id = format!("wm{}", case.rng.usize(0..THINGS));
        let known = kept.contains_key(&id);
        match case.rng.u32(0..10) {
            0 if known => {
                self.commit(Batch::new().delete(Space::Things, id.as_str())).await?;
                kept.remove(&id);
                case.hit("forgotten");
            }
            1 | 2 if known => {
                self.read_back(&id, kept)?;
                case.hit("read back");
            }
            3 => {
                let text = json!({"text": format!("replaced the fan, {i}"), "by": "ops@example.com"});
                self.commit(Batch::new().put(Space::Comments, format!("{id}/{i}"), &text)).await?;
            }
            4 => self.guarded(case, &id).await?,
            _ => {
                let secret = self.canaries.any(&mut case.rng).to_owned();
                self.put(&id, &secret, i).await?;
                case.hit(if known { "rotated" } else { "registered" });
                kept.insert(id, secret);
            }
        }
        Ok(())
    }

    async fn put(&self, id: &str, secret: &str, i: u64) -> Result<(), String> {
        let key = Key::from(id);
        let Value::Object(mut opts) = json!({
            "address": "10.0.0.7",
            "username": "admin",
            "password": secret,
            "pools": i,
            "apiToken": {"value": secret, "n": i},
        }) else {
            return Err("no object".into());
        };
        let sealed = self.store.sealer().seal_map(&*self.cx.rng, (Space::Things, &key), "opts", &mut opts);
        needed("seal", sealed)?;
        let field = Place { space: Space::Things, key: &key, field: "pool" };
        let sealed = needed("seal", self.store.sealer().seal(&*self.cx.rng, &field, &Secret::new(secret)))?;
        self.canaries.absent("Debug of a sealed secret", format!("{sealed:?}").as_bytes())?;
        self.commit(Batch::new().put(Space::Things, &key, &json!({"opts": opts, "pool": sealed}))).await
    }

    /// A write that the disk does not take: the error and the logs say nothing.
    pub async fn failing(&self, case: &mut Case, disk: &CrashBackend) -> Result<(), String> {
        let secret = self.canaries.any(&mut case.rng).to_owned();
        let fail_at = Some(case.rng.u64(0..6));
        disk.plan(CrashPlan { fail_at, fail_for: 200, ..CrashPlan::default() });
        let told = self.put("failing", &secret, 0).await;
        disk.plan(CrashPlan::default());
        let Err(text) = told else { return Err("a disk that fails took a write".into()) };
        self.canaries.absent("an error of the disk", text.as_bytes())?;
        case.hit("a failing disk");
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<(), String> {
        self.canaries.absent("Debug of a batch", format!("{batch:?}").as_bytes())?;
        needed("commit", self.store.commit(batch).await.map(drop))
    }

    /// The secret opens where it belongs and nowhere else.
    fn read_back(&self, id: &str, kept: &Kept) -> Result<(), String> {
        let key = Key::from(id);
        let record = self.store.get_record(Space::Things, &key).ok_or("an acknowledged record is lost")?;
        self.canaries.absent("Debug of a record", format!("{record:?}").as_bytes())?;
        let value: Value = needed("parse", record.parse())?;
        let sealed: Sealed =
            serde_json::from_value(value["pool"].clone()).map_err(|_| "the secret is not sealed")?;
        let place = Place { space: Space::Things, key: &key, field: "pool" };
        let secret = needed("unseal", self.store.sealer().open(&place, &sealed))?;
        if kept.get(id).map(String::as_str) != Some(secret.expose()) {
            return Err("another secret came back".into());
        }
        let shown = format!("{secret} {secret:?} {} {:?}", json!(secret), self.store);
        self.canaries.absent("Debug of a secret or a store", shown.as_bytes())
    }

    async fn guarded(&self, case: &mut Case, id: &str) -> Result<(), String> {
        let never = Expect::Revision(Revision(u64::MAX));
        let secret = Secret::new(self.canaries.any(&mut case.rng));
        let batch = Batch::new().require(Space::Things, id, never).put(Space::Things, id, &secret);
        match self.store.commit(batch).await {
            Ok(_) => return Err("a guard that cannot hold let a batch pass".into()),
            Err(e) => self.canaries.not_told("guard", &e)?,
        }
        case.hit("guard refused");
        Ok(())
    }

    /// Everything that must be refused without a word of what it was about.
    pub async fn wrongs(&self, case: &mut Case) -> Result<(), String> {
        let secret = self.canaries.any(&mut case.rng).to_owned();
        self.put("wrong", &secret, 0).await?;
        let record = self.store.get_record(Space::Things, "wrong").ok_or("lost")?;
        let value: Value = needed("parse", record.parse())?;
        let sealed: Sealed = serde_json::from_value(value["pool"].clone()).map_err(|_| "not sealed")?;
        let key = Key::from("another");
        let moved = Place { space: Space::Things, key: &key, field: "pool" };
        let Err(e) = self.store.sealer().open(&moved, &sealed) else {
            return Err("a secret opened at another place".into());
        };
        self.canaries.not_told("moved secret", &e)?;
        case.hit("moved secret refused");
        let Err(e) = self.store.get::<u64>(Space::Things, "wrong") else {
            return Err("a record of another shape was read".into());
        };
        self.canaries.not_told("wrong shape", &e)?;
        case.hit("wrong shape refused");
        let sealer = Sealer::new(&SealKey::random(&*self.cx.rng));
        let own = Key::from("wrong");
        let place = Place { space: Space::Things, key: &own, field: "pool" };
        let Err(e) = sealer.open(&place, &sealed) else {
            return Err("a secret opened with another key".into());
        };
        self.canaries.not_told("another key", &e)
    }
}
