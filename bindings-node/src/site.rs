//! A whole site.

mod actions;
mod listing;
mod readings;

use std::{path::Path, time::Duration};

use headframe::site::Site;
use headframe_binding::{
    asked::{Who, read},
    held::Held,
    site as asks,
};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;

use crate::told::{promise, tell, write};
use listing::NativeListing;
use readings::NativeReadings;

/// A site.
#[napi]
pub struct NativeSite(Held<Site>);

#[napi]
impl NativeSite {
    /// Calls one of MiningOS's methods; parameters and result are JSON.
    #[napi]
    pub fn call(&self, env: &Env, who: String, method: String, params: String) -> Result<AsyncBlock<String>> {
        let done = self.0.with(|site| async move {
            let who = read::<Who>("who", &who)?.principal()?;
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
            write(&asks::register(&site, &rack, read("things", &drafts)?, &user).await?)
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
            write(&asks::find(&site, &range, &read("options", &options)?, &user).await?)
        });
        promise(env, done)
    }

    /// Lists things by a query, JSON.
    #[napi]
    pub fn list(&self, env: &Env, query: String) -> Result<AsyncBlock<NativeListing>> {
        promise(env, self.0.with(|site| async move { NativeListing::of(&site, &query).await }))
    }

    /// All readings from now on; a reader that is slower is told how many it missed.
    #[napi]
    pub fn subscribe(&self, capacity: u32) -> Result<NativeReadings> {
        tell(|| self.0.now(|site| NativeReadings::new(site.subscribe(capacity as usize))))
    }

    /// One number of things over time, by a question in JSON; the answer is JSON.
    #[napi]
    pub fn series(&self, env: &Env, query: String) -> Result<AsyncBlock<String>> {
        let done = self.0.with(|site| async move { write(&asks::series(&site, &query).await?) });
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
        tell(|| self.0.now(|site| write(&site.counts()))?)
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

impl NativeSite {
    pub fn new(site: Site) -> Self {
        Self(Held::new(site))
    }
}
