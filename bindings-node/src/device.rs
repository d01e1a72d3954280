//! One device, outside any site.

use std::time::Duration;

use headframe::{driver::Direct, io::Ctx};
use headframe_binding::{asked::read, held::Held};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;

use crate::told::{promise, tell, write};

/// An opened device.
#[napi]
pub struct NativeDevice(Held<Direct>);

impl NativeDevice {
    pub fn new(device: Direct) -> Self {
        Self(Held::new(device))
    }
}

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

fn within(ms: u32) -> Ctx {
    Ctx::system().deadline_in(Duration::from_millis(ms.into()))
}
