//! A whole site.

mod actions;
mod readings;

use std::{path::Path, time::Duration};

use headframe::{
    Error, ErrorKind,
    auth::{Permissions, Principal},
    discover::AddressRange,
    driver::{Ports, Registry},
    io::Ctx,
    query::{Cursor, Query, Row},
    rack::{Caller, Partial, RackId, ThingDraft},
    site::{FindReport, Login, Site, SiteConf},
    telemetry::SeriesQuery,
};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    held::Held,
    told::{Ours, as_json, promise, read, tell, write},
};
use readings::NativeReadings;

/// A site.
#[napi]
pub struct NativeSite(Held<Site>);

/// Who calls a method, and with which rights.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Who {
    user: String,
    permissions: Vec<String>,
    #[serde(default)]
    gateway: bool,
}

/// Things of one page. Their documents are written as they are: a copy of ten thousand costs more than all else.
#[derive(Serialize)]
struct Page<'a> {
    items: Vec<&'a Row>,
    matched: u64,
    next: Option<&'a Cursor>,
    failed: Vec<Value>,
}

#[napi]
impl NativeSite {
    /// Calls one of MiningOS's methods; parameters and result are JSON.
    #[napi]
    pub fn call(&self, env: &Env, who: String, method: String, params: String) -> Result<AsyncBlock<String>> {
        let done = self.0.with(|site| async move {
            let who = principal(read("who", &who)?)?;
            write(&site.orchestrator().call(&who, &method, &params).await?)
        });
        promise(env, done)
    }

    /// Registers things in a rack, JSON; gives for each its record or the error.
    #[napi]
    pub fn register(
        &self,
        env: &Env,
        rack: String,
        drafts: String,
        user: String,
    ) -> Result<AsyncBlock<String>> {
        let done = self.0.with(|site| async move {
            let drafts: Vec<ThingDraft> = read("things", &drafts)?;
            let made = site.register_many(&RackId::new(&rack)?, drafts, &Caller::new(&user)).await?;
            let told = |made: Ours<_>| match made {
                Ok(record) => json!({"thing": record}),
                Err(e) => json!({"error": as_json(&e)}),
            };
            write(&made.into_iter().map(told).collect::<Vec<_>>())
        });
        promise(env, done)
    }

    /// Looks at a range of addresses and registers what is there; gives a report.
    #[napi]
    pub fn find(
        &self,
        env: &Env,
        range: String,
        options: String,
        user: String,
    ) -> Result<AsyncBlock<String>> {
        let done = self.0.with(|site| async move {
            let options: FindOptions = read("options", &options)?;
            let range: AddressRange = range.parse()?;
            let logins: Vec<Login> = options.logins.iter().map(LoginConf::login).collect();
            let by = Caller::new(&user);
            write(&report(&site.find_and_register(range, options.ports, &logins, &by).await?))
        });
        promise(env, done)
    }

    /// Lists things by a query, JSON.
    #[napi]
    pub fn list(&self, env: &Env, query: String) -> Result<AsyncBlock<String>> {
        let done = self.0.with(|site| async move {
            let Partial { items: page, failed, .. } = site.list(&Query::parse_str(&query)?).await?;
            write(&Page {
                items: page.items.iter().map(|item| &item.value).collect(),
                matched: page.matched,
                next: page.next.as_ref(),
                failed: failed.iter().map(|(rack, e)| json!({"rack": rack, "error": as_json(e)})).collect(),
            })
        });
        promise(env, done)
    }

    /// All readings from now on; a reader that is slower is told how many it missed.
    #[napi]
    pub fn subscribe(&self, capacity: u32) -> Result<NativeReadings> {
        tell(|| self.0.now(|site| NativeReadings::new(site.subscribe(capacity as usize))))
    }

    /// One number of things over time, by a question in JSON; the answer is JSON.
    #[napi]
    pub fn series(&self, env: &Env, query: String) -> Result<AsyncBlock<String>> {
        let done = self.0.with(|site| async move {
            let query = SeriesQuery::from_json(&query)?;
            let telemetry = site.telemetry().cloned().ok_or_else(no_history)?;
            // It reads files.
            let read = tokio::task::spawn_blocking(move || write(&telemetry.series(&query)?.to_json()));
            let ended =
                |e| Error::new(ErrorKind::Internal, "site.series", "reading came to a bad end").caused_by(e);
            read.await.map_err(ended)?
        });
        promise(env, done)
    }

    /// Copies the site into an empty folder while it runs; gives what was copied, JSON.
    #[napi]
    pub fn backup(&self, env: &Env, folder: String) -> Result<AsyncBlock<String>> {
        let done = self.0.with(|site| async move { write(&site.backup(Path::new(&folder)).await?) });
        promise(env, done)
    }

    /// How the collectors do, JSON.
    #[napi]
    pub fn counts(&self) -> Result<String> {
        tell(|| self.0.now(|site| write(&counts(site)))?)
    }

    /// Its id.
    #[napi]
    pub fn id(&self) -> Result<String> {
        tell(|| self.0.now(|site| site.id().to_owned()))
    }

    /// Ends it in order; gives what became of its work, JSON. `null` when that was done before.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn close(&self, env: &Env, within_ms: u32) -> Result<AsyncBlock<Option<String>>> {
        let taken = self.0.take();
        let done = async move {
            let Some(site) = taken.await else { return Ok(None) };
            write(&site.shutdown(Duration::from_millis(within_ms.into())).await?).map(Some)
        };
        promise(env, done)
    }
}

/// Writes a backup into an empty folder, after all of it was verified; gives what was written, JSON.
#[napi]
pub fn restore_site(env: &Env, from: String, to: String) -> Result<AsyncBlock<String>> {
    promise(env, async move { write(&Site::restore(Path::new(&from), Path::new(&to)).await?) })
}

fn no_history() -> Error {
    Error::new(ErrorKind::NotFound, "site.series", "the site keeps no history").code_as("ERR_NOT_CONFIGURED")
}

pub async fn open(drivers: Registry, folder: &str, conf: &str, how: &str) -> Ours<NativeSite> {
    let (cx, folder) = (Ctx::system(), Path::new(folder));
    let builder = Site::builder(drivers).conf(&SiteConf::from_json(conf)?)?;
    let site = match how {
        "open" => builder.open(&cx, folder).await?,
        "create" => builder.create(&cx, folder).await?,
        "openOrCreate" => builder.open_or_create(&cx, folder).await?,
        _ => return Err(Error::invalid("site.open", "how", "takes open, create or openOrCreate")),
    };
    Ok(NativeSite(Held::new(site)))
}

fn principal(who: Who) -> Ours<Principal> {
    let permissions = Permissions::parse(&who.permissions)?;
    Ok(if who.gateway {
        Principal::gateway(&who.user, permissions)
    } else {
        Principal::new(&who.user, permissions)
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct FindOptions {
    ports: Ports,
    logins: Vec<LoginConf>,
}

/// What the devices of a driver are opened with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginConf {
    driver: String,
    #[serde(default)]
    opts: std::collections::BTreeMap<String, String>,
}

impl std::fmt::Debug for LoginConf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginConf").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl LoginConf {
    fn login(&self) -> Login {
        self.opts.iter().fold(Login::new(&self.driver), |login, (name, value)| login.with(name, value))
    }
}

fn report(found: &FindReport) -> Value {
    let refused: Vec<Value> =
        found.refused.iter().map(|(address, e)| json!({"address": address, "error": as_json(e)})).collect();
    json!({
        "scan": found.scan, "registered": found.registered, "known": found.known, "moved": found.moved,
        "refused": refused,
    })
}

fn counts(site: &Site) -> Value {
    let counts = site.counts();
    json!({
        "things": site.things().len(), "online": counts.online, "pollsDone": counts.polls_done,
        "pollsFailed": counts.polls_failed, "sinkDropped": counts.sink_dropped,
    })
}
