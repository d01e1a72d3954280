use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream as _;
use headframe::{rack::Event, site::Readings};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    held::Held,
    told::{promise, tell, write},
};

/// A reader of readings.
#[napi]
pub struct NativeReadings(Held<Mutex<Readings>>);

/// Readings that came together.
#[napi]
pub struct NativeBatch(Vec<Event>);

impl NativeReadings {
    pub fn new(readings: Readings) -> Self {
        Self(Held::new(Mutex::new(readings)))
    }
}

#[napi]
impl NativeReadings {
    /// Waits for a reading, and gives it with all that are there already; `null` at the end.
    #[napi(ts_return_type = "Promise<NativeBatch | null>")]
    pub fn next(&self, env: &Env, most: u32) -> Result<AsyncBlock<Option<NativeBatch>>> {
        let most = most.max(1) as usize;
        let next =
            self.0.with(move |readings| async move { Ok(batch(&mut *readings.lock().await, most).await) });
        // An error says that it was closed.
        promise(env, async move { Ok(next.await.ok().flatten().map(NativeBatch)) })
    }

    /// Ends it; whoever waits for the next gets `null`.
    #[napi]
    pub fn close(&self, env: &Env) -> Result<AsyncBlock<()>> {
        let taken = self.0.take();
        promise(env, async move {
            drop(taken.await);
            Ok(())
        })
    }
}

async fn batch(readings: &mut Readings, most: usize) -> Option<Vec<Event>> {
    let mut batch = vec![readings.next().await?];
    let more = |cx: &mut Context<'_>| {
        while batch.len() < most
            && let Poll::Ready(Some(event)) = Pin::new(&mut *readings).poll_next(cx)
        {
            batch.push(event);
        }
        Poll::Ready(())
    };
    poll_fn(more).await;
    Some(batch)
}

#[napi]
impl NativeBatch {
    /// How many they are.
    #[napi(getter)]
    pub fn length(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whose a reading is.
    #[napi]
    pub fn thing(&self, at: u32) -> Option<&str> {
        self.0.get(at as usize).map(|event| event.reading.thing.as_str())
    }

    /// When its poll ended, ms since 1970.
    #[napi]
    pub fn ts(&self, at: u32) -> Option<i64> {
        self.0.get(at as usize).map(|event| event.reading.ts.0)
    }

    /// How many readings were missed right before it.
    #[napi]
    pub fn missed(&self, at: u32) -> u32 {
        self.0.get(at as usize).map_or(0, |event| u32::try_from(event.missed).unwrap_or(u32::MAX))
    }

    /// The snapshot, JSON.
    #[napi]
    pub fn snapshot(&self, at: u32) -> Result<Option<String>> {
        tell(|| self.0.get(at as usize).map(|event| write(&*event.reading.snapshot())).transpose())
    }

    /// Number, link, how long the poll took, and the error, JSON.
    #[napi]
    pub fn about(&self, at: u32) -> Result<Option<String>> {
        let about = |Event { reading, .. }: &Event| {
            let error = reading.outcome.as_ref().err().map(|e| crate::told::as_json(e));
            let took = u64::try_from(reading.took.as_millis()).unwrap_or(u64::MAX);
            write(&json!({"seq": reading.seq, "link": reading.link, "tookMs": took, "error": error}))
        };
        tell(|| self.0.get(at as usize).map(about).transpose())
    }
}
