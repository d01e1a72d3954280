use std::sync::Arc;

use headframe::{
    query::{Query, QueryPage, Row},
    rack::Partial,
    site::Site,
};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;

use crate::told::{Ours, promise, write};

/// Things of one part of a page: JavaScript reads it in some milliseconds.
const PART: usize = 1_000;

/// A page of things in parts: JavaScript reads one while the next is written, and does other things between them.
#[napi]
pub struct NativeListing {
    head: String,
    rest: Arc<[Row]>,
}

#[napi]
impl NativeListing {
    /// All that was asked for, JSON, but with the first things alone.
    #[napi(getter)]
    pub fn head(&self) -> &str {
        &self.head
    }

    /// How many parts follow.
    #[napi(getter)]
    pub fn parts(&self) -> u32 {
        u32::try_from(self.rest.len().div_ceil(PART)).unwrap_or(u32::MAX)
    }

    /// The things of one of them, JSON.
    #[napi]
    pub fn part(&self, env: &Env, number: u32) -> Result<AsyncBlock<String>> {
        let rest = Arc::clone(&self.rest);
        promise(env, async move { write(&rest.chunks(PART).nth(number as usize).unwrap_or_default()) })
    }
}

impl NativeListing {
    pub async fn of(site: &Site, query: &str) -> Ours<Self> {
        let mut page: Partial<QueryPage> = site.list(&Query::parse_str(query)?).await?;
        let items = &mut page.items.items;
        let rest = items.split_off(items.len().min(PART)).into_iter().map(|item| item.value).collect();
        Ok(Self { head: write(&page)?, rest })
    }
}
