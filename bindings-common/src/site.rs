//! Questions to a site.

use std::{path::Path, sync::Arc};

use headframe::{
    Error, ErrorKind, Result,
    driver::Registry,
    io::Ctx,
    rack::{Caller, RackId, ThingDraft, ThingRecord},
    site::{FindReport, Site, SiteConf},
    telemetry::{SeriesQuery, Telemetry},
};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::asked::{FindOptions, LoginConf};

/// Opens the site in a folder, makes one, or does whichever is needed: `how` is `open`, `create` or `openOrCreate`. `conf` is
/// JSON.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for another `how`; those of the configuration and the builder.
pub async fn open(drivers: Registry, folder: &Path, conf: &str, how: &str) -> Result<Site> {
    let cx = Ctx::system();
    let builder = Site::builder(drivers).conf(&SiteConf::from_json(conf)?)?;
    match how {
        "open" => builder.open(&cx, folder).await,
        "create" => builder.create(&cx, folder).await,
        "openOrCreate" => builder.open_or_create(&cx, folder).await,
        _ => Err(Error::invalid("site.open", "how", "takes open, create or openOrCreate")),
    }
}

/// What became of a thing that was to be registered: `{thing}` or `{error}`.
#[derive(Debug)]
pub struct Registered(Result<Arc<ThingRecord>>);

impl Serialize for Registered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(record) => serializer.collect_map([("thing", record)]),
            Err(e) => serializer.collect_map([("error", e)]),
        }
    }
}

/// Registers things in a rack; gives for each its record or the error.
///
/// # Errors
/// Those of the rack's name and of [`Site::register_many`].
pub async fn register(site: &Site, rack: &str, drafts: Vec<ThingDraft>, by: &str) -> Result<Vec<Registered>> {
    let made = site.register_many(&RackId::new(rack)?, drafts, &Caller::new(by)).await?;
    Ok(made.into_iter().map(Registered).collect())
}

/// Looks at a range of addresses and registers what is there.
///
/// # Errors
/// Those of the range and of [`Site::find_and_register`].
pub async fn find(site: &Site, range: &str, options: &FindOptions, by: &str) -> Result<FindReport> {
    let logins: Vec<_> = options.logins.iter().map(LoginConf::login).collect();
    site.find_and_register(range.parse()?, options.ports, &logins, &Caller::new(by)).await
}

/// One number of things over time, by a question in JSON.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) with `ERR_NOT_CONFIGURED` for a site without history; those of the question.
pub async fn series(site: &Site, query: &str) -> Result<Value> {
    let query = SeriesQuery::from_json(query)?;
    with_history(site, move |telemetry| Ok(telemetry.series(&query)?.to_json())).await
}

/// Does work that reads files of a site's history.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) with `ERR_NOT_CONFIGURED` for a site without history; those of the work.
pub async fn with_history<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce(&Telemetry) -> Result<T> + Send + 'static,
) -> Result<T> {
    let none = || {
        let e = Error::new(ErrorKind::NotFound, "site.history", "the site keeps no history");
        e.code_as("ERR_NOT_CONFIGURED")
    };
    let telemetry = site.telemetry().cloned().ok_or_else(none)?;
    tokio::task::spawn_blocking(move || work(&telemetry)).await.map_err(|e| {
        Error::new(ErrorKind::Internal, "site.history", "reading came to a bad end").caused_by(e)
    })?
}
