use headframe::{rack::Event, site::Readings};
use headframe_binding::{held::Held, readings};
use napi::{
    Env, Result,
    bindgen_prelude::{AsyncBlock, within_runtime_if_available},
};
use napi_derive::napi;
use serde_json::json;
use tokio::{runtime::Handle, sync::Mutex};

use crate::{
    form::parted,
    told::{promise, tell, write},
};

/// So few readings are freed in less time than it takes to wake a thread for them.
const FEW: usize = 16;

/// A reader of readings.
#[napi]
pub struct NativeReadings {
    held: Held<Mutex<Readings>>,
    runtime: Option<Handle>,
}

/// Readings that came together.
#[napi]
pub struct NativeBatch {
    events: Vec<Event>,
    runtime: Option<Handle>,
}

impl NativeReadings {
    pub fn new(readings: Readings) -> Self {
        let runtime = within_runtime_if_available(|| Handle::try_current().ok());
        Self { held: Held::new(Mutex::new(readings)), runtime }
    }
}

impl Drop for NativeBatch {
    /// Gives memory back on another thread: these may be the last of thousands of pieces each, and that of JavaScript has
    /// calls to answer.
    fn drop(&mut self) {
        let events = std::mem::take(&mut self.events);
        if let Some(runtime) = self.runtime.as_ref().filter(|_| events.len() > FEW) {
            runtime.spawn_blocking(move || drop(events));
        }
    }
}

#[napi]
impl NativeReadings {
    /// Waits for a reading, and gives it with all that are there already; `null` at the end.
    #[napi(ts_return_type = "Promise<NativeBatch | null>")]
    pub fn next(&self, env: &Env, most: u32) -> Result<AsyncBlock<Option<NativeBatch>>> {
        let most = most.max(1) as usize;
        let next = self
            .held
            .with(move |reader| async move { Ok(readings::next(&mut *reader.lock().await, most).await) });
        let runtime = self.runtime.clone();
        // An error says that it was closed.
        promise(
            env,
            async move { Ok(next.await.ok().flatten().map(|events| NativeBatch { events, runtime })) },
        )
    }

    /// All readings that are there already; `null` when there is none, or somebody waits for one, or it was closed.
    #[napi]
    pub fn ready(&self, most: u32) -> Result<Option<NativeBatch>> {
        let ready = |reader: &Mutex<Readings>| readings::ready(&mut *reader.try_lock().ok()?, most as usize);
        let batch = |events| NativeBatch { events, runtime: self.runtime.clone() };
        tell(|| Ok(self.held.now(ready).ok().flatten().map(batch)))
    }

    /// Ends it; whoever waits for the next gets `null`.
    #[napi]
    pub fn close(&self, env: &Env) -> Result<AsyncBlock<()>> {
        let taken = self.held.take();
        promise(env, async move {
            drop(taken.await);
            Ok(())
        })
    }
}

#[napi]
impl NativeBatch {
    /// How many they are.
    #[napi(getter)]
    pub fn length(&self) -> u32 {
        u32::try_from(self.events.len()).unwrap_or(u32::MAX)
    }

    /// Whose a reading is.
    #[napi]
    pub fn thing(&self, at: u32) -> Option<&str> {
        self.events.get(at as usize).map(|event| event.reading.thing.as_str())
    }

    /// When its poll ended, ms since 1970.
    #[napi]
    pub fn ts(&self, at: u32) -> Option<i64> {
        self.events.get(at as usize).map(|event| event.reading.ts.0)
    }

    /// How many readings were missed right before it.
    #[napi]
    pub fn missed(&self, at: u32) -> u32 {
        self.events.get(at as usize).map_or(0, |event| u32::try_from(event.missed).unwrap_or(u32::MAX))
    }

    /// The snapshot, JSON: a list of the number of its form and its values, or of null and all of it.
    #[napi]
    pub fn snapshot(&self, at: u32) -> Result<Option<String>> {
        let snapshot = |event: &Event| parted(&*event.reading.snapshot());
        tell(|| self.events.get(at as usize).map(snapshot).transpose())
    }

    /// Number, link, how long the poll took, and the error, JSON.
    #[napi]
    pub fn about(&self, at: u32) -> Result<Option<String>> {
        let about = |Event { reading, .. }: &Event| {
            let error = reading.outcome.as_ref().err();
            let took = u64::try_from(reading.took.as_millis()).unwrap_or(u64::MAX);
            write(&json!({"seq": reading.seq, "link": reading.link, "tookMs": took, "error": error}))
        };
        tell(|| self.events.get(at as usize).map(about).transpose())
    }
}
