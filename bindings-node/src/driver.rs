//! Drivers that are written in JavaScript: their own thread is asked for everything.

use std::{
    fmt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use headframe::driver::Registry;
use headframe_binding::{
    driver::{self, Foreign},
    site,
};
use napi::{
    Env, Result, Status,
    bindgen_prelude::{AsyncBlock, FnArgs, Function, Promise},
    threadsafe_function::ThreadsafeFunction,
};
use napi_derive::napi;

use crate::{
    device::NativeDevice,
    scan::NativeScan,
    site::NativeSite,
    told::{promise, tell},
};

/// What is asked, of which thing, and JSON beside it.
type Asked = FnArgs<(String, u32, String)>;
/// It does not keep the process.
type Call = ThreadsafeFunction<Asked, Promise<String>, Asked, Status, false, true>;

/// The drivers of a program: those of the library, and its own.
#[napi]
pub struct NativeDrivers(Mutex<Registry>);

#[napi]
impl NativeDrivers {
    /// Those of the library.
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript has no defaults")]
    pub fn new() -> Result<Self> {
        tell(|| Ok(Self(Mutex::new(headframe::registry()))))
    }

    /// Adds one, which is JSON `{id, kind, make, docs, probes}`: `call` is asked `open`, `snapshot`, `observe`, `execute` and
    /// `close`, and promises JSON.
    #[napi(
        ts_args_type = "about: string, call: (op: string, thing: number, json: string) => Promise<string>"
    )]
    pub fn add(&self, about: String, call: Function<'_, Asked, Promise<String>>) -> Result<()> {
        let call: Call = call.build_threadsafe_function().weak::<true>().build()?;
        tell(|| {
            let mut drivers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            driver::add(&mut drivers, &about, Js(call))
        })
    }

    /// Opens the site in a folder, makes one, or does whichever is needed: `how` is `open`, `create` or `openOrCreate`.
    #[napi]
    pub fn open_site(
        &self,
        env: &Env,
        folder: String,
        conf: String,
        how: String,
    ) -> Result<AsyncBlock<NativeSite>> {
        let drivers = self.registry();
        promise(env, async move {
            let site = site::open(drivers, Path::new(&folder), &conf, &how).await?;
            Ok(NativeSite::new(site))
        })
    }

    /// Begins to look at a range of addresses for the devices of these drivers.
    #[napi]
    pub fn start_scan(&self, env: &Env, range: String, options: String) -> Result<AsyncBlock<NativeScan>> {
        let drivers = self.registry();
        promise(env, async move { NativeScan::start(drivers, &range, &options) })
    }

    /// Opens a device with a driver and its options, JSON.
    #[napi]
    pub fn open_device(&self, env: &Env, driver: String, opts: String) -> Result<AsyncBlock<NativeDevice>> {
        let drivers = self.registry();
        promise(env, async move { Ok(NativeDevice::new(driver::open(&drivers, &driver, &opts).await?)) })
    }
}

impl NativeDrivers {
    fn registry(&self) -> Registry {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The thread that a driver lives on.
struct Js(Call);

impl fmt::Debug for Js {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Js").finish_non_exhaustive()
    }
}

#[async_trait]
impl Foreign for Js {
    async fn ask(&self, op: &'static str, thing: u32, with: String) -> std::result::Result<String, String> {
        let gone = |e: napi::Error| format!("the driver's thread does not answer: {e}");
        let promised = self.0.call_async(FnArgs::from((op.to_owned(), thing, with))).await.map_err(gone)?;
        promised.await.map_err(gone)
    }
}
