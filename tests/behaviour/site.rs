//! A whole site.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use headframe::{
    Error, ErrorKind, ThingId,
    auth::{Permissions, Principal},
    discover::AddressRange,
    driver::Ports,
    ork::Orchestrator,
    query::Query,
    rack::{Caller, RackId, ThingDraft},
    site::{Login, Site, SiteConf},
    telemetry::SeriesQuery,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    pattern, told,
    world::{Done, Failure, Handle, With, World, closed, nobody},
};

/// How long a site may take to end that a case left open.
pub const BOUND: Duration = Duration::from_secs(5);

/// Who calls a method, and with which rights.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    user: String,
    permissions: Vec<String>,
    #[serde(default)]
    gateway: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginConf {
    driver: String,
    #[serde(default)]
    opts: BTreeMap<String, String>,
}

pub async fn answer(world: &mut World, verb: &str, with: &With) -> Done {
    if verb == "open" {
        return open(world, with).await;
    }
    if verb == "restore" {
        let [from, to] = [with.get::<String>("from")?, with.get("to")?];
        return Ok(told::plain(&Site::restore(Path::new(&from), Path::new(&to)).await?));
    }
    if verb == "close" {
        return close(world.site.take()?, Duration::from_millis(with.some("withinMs")?.unwrap_or(10_000)))
            .await;
    }
    let site = world.site.get()?;
    match verb {
        "register" => register(site, with).await,
        "find" => find(site, with).await,
        "list" => Ok(told::plain(&site.list(&Query::parse_str(&with.json("query", "{}"))?).await?)),
        "series" => series(site, with),
        "readings" => readings(site, with).await,
        "call" => call(site.orchestrator(), with).await,
        "counts" => Ok(told::plain(&site.counts())),
        "backup" => Ok(told::plain(&site.backup(Path::new(&with.get::<String>("folder")?)).await?)),
        _ => nobody(),
    }
}

async fn open(world: &mut World, with: &With) -> Done {
    let (folder, how) = (with.get::<String>("folder")?, with.some::<String>("how")?);
    let folder = Path::new(&folder);
    let builder =
        Site::builder(headframe::registry()).conf(&SiteConf::from_json(&with.json("conf", "{}"))?)?;
    let site = match how.as_deref() {
        None | Some("open") => builder.open(&world.cx, folder).await?,
        Some("create") => builder.create(&world.cx, folder).await?,
        Some("openOrCreate") => builder.open_or_create(&world.cx, folder).await?,
        Some(_) => return Err(Error::invalid("case", "how", "takes open, create or openOrCreate").into()),
    };
    let id = json!({"id": site.id()});
    if let Handle::Open(before) = std::mem::replace(&mut world.site, Handle::Open(site)) {
        close(Some(before), BOUND).await?;
    }
    Ok(id)
}

pub async fn close(site: Option<Site>, within: Duration) -> Done {
    let Some(site) = site else { return Ok(Value::Null) };
    Ok(told::plain(&site.shutdown(within).await?))
}

async fn register(site: &Site, with: &With) -> Done {
    let things: Vec<ThingDraft> = with.read("things")?;
    let rack = RackId::new(&with.get::<String>("rack")?)?;
    let made = site.register_many(&rack, things, &Caller::new(&with.get::<String>("by")?)).await?;
    Ok(made
        .into_iter()
        .map(|made| made.map_or_else(|e| json!({"error": e}), |record| json!({"thing": record})))
        .collect())
}

async fn find(site: &Site, with: &With) -> Done {
    let range: AddressRange = with.get::<String>("range")?.parse()?;
    let ports = with.some::<Ports>("ports")?.unwrap_or_default();
    let logins = with.some::<Vec<LoginConf>>("logins")?.unwrap_or_default();
    let login = |conf: &LoginConf| {
        conf.opts.iter().fold(Login::new(&conf.driver), |login, (name, value)| login.with(name, value))
    };
    let logins: Vec<Login> = logins.iter().map(login).collect();
    let by = Caller::new(&with.get::<String>("by")?);
    let mut report = site.find_and_register(range, ports, &logins, &by).await?;
    report.known.sort_unstable();
    report.refused.sort_by_key(|(host, _)| *host);
    Ok(told::plain(&report))
}

async fn call(orchestrator: &Orchestrator, with: &With) -> Done {
    let Who { user, permissions, gateway } = with.read("who")?;
    let permissions = Permissions::parse(&permissions)?;
    let who =
        if gateway { Principal::gateway(&user, permissions) } else { Principal::new(&user, permissions) };
    Ok(orchestrator.call(&who, &with.get::<String>("method")?, &with.json("params", "{}")).await?)
}

fn series(site: &Site, with: &With) -> Done {
    let query = SeriesQuery::from_json(&with.json("query", "{}"))?;
    let none = || {
        let e = Error::new(ErrorKind::NotFound, "case", "the site keeps no history");
        e.code_as("ERR_NOT_CONFIGURED")
    };
    Ok(site.telemetry().ok_or_else(none)?.series(&query)?.to_json())
}

async fn readings(site: &Site, with: &With) -> Done {
    let (things, each) = (with.some("things")?.unwrap_or(1_usize), with.some("each")?.unwrap_or(1_usize));
    let wanted = with.some::<Value>("match")?.unwrap_or_else(|| json!({}));
    pattern::check(&wanted).map_err(Failure::Case)?;
    let mut reader = site.subscribe(65_536);
    let (mut got, mut whose) = (Vec::new(), BTreeMap::<ThingId, usize>::new());
    let mut enough = BTreeSet::new();
    while enough.len() < things {
        let event = reader.next().await.ok_or_else(closed)?;
        let told = told::plain(&event);
        if pattern::differences(&wanted, &told).is_empty() {
            got.push(told);
            let thing = event.reading.thing.clone();
            let n = whose.entry(thing.clone()).or_default();
            *n += 1;
            if *n >= each {
                enough.insert(thing);
            }
        }
    }
    Ok(got.into())
}
