//! One device, outside any site.

use std::{sync::Arc, time::Duration};

use headframe::{
    ThingId,
    driver::{Direct, Registry},
    io::Ctx,
    model::{Members, ThingConf},
};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;
use serde_json::Value;

use crate::{
    held::Held,
    told::{Ours, promise, read, tell, write},
};

/// An opened device.
#[napi]
pub struct NativeDevice(Held<Direct>);

#[napi]
impl NativeDevice {
    /// What it says now, JSON.
    #[napi]
    pub fn snapshot(&self, env: &Env, within_ms: u32) -> Result<AsyncBlock<String>> {
        let cx = within(within_ms);
        let done = self.0.with(|device| async move { write(&device.snapshot(&cx).await?) });
        promise(env, done)
    }

    /// What it can do, JSON.
    #[napi]
    pub fn capability(&self) -> Result<String> {
        tell(|| self.0.now(|device| write(&*device.capability()))?)
    }

    /// Carries out a write, JSON `{name, args}`, and gives what is known of it.
    #[napi]
    pub fn execute(&self, env: &Env, command: String, within_ms: u32) -> Result<AsyncBlock<String>> {
        let cx = within(within_ms);
        let done = self.0.with(|device| async move {
            let command = read("command", &command)?;
            write(&device.execute(&cx, &command).await?)
        });
        promise(env, done)
    }

    /// Ends its connections.
    #[napi]
    pub fn close(&self, env: &Env) -> Result<AsyncBlock<()>> {
        let taken = self.0.take();
        let done = async move {
            if let Some(device) = taken.await {
                device.close().await;
            }
            Ok(())
        };
        promise(env, done)
    }
}

pub async fn open(drivers: &Registry, driver: &str, opts: &str) -> Ours<NativeDevice> {
    let mut conf = ThingConf::new(ThingId::new("direct")?, driver);
    conf.opts = read::<Members<Value>>("opts", opts)?;
    let driver = Arc::clone(drivers.driver(driver)?);
    Ok(NativeDevice(Held::new(Direct::open(&*driver, &Ctx::system(), &conf).await?)))
}

fn within(ms: u32) -> Ctx {
    Ctx::system().deadline_in(Duration::from_millis(ms.into()))
}
