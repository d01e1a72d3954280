//! Simulated devices, for the tests of those who use the package.

use headframe::{Error, io::Ctx};
use headframe_binding::{asked::read, held::Held};
use headframe_sim::{Device, Fault, Fleet, FleetConf};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;

use crate::told::{Ours, promise, tell, write};

/// Simulated devices on real sockets.
#[napi]
pub struct NativeSimulator(Held<Fleet>);

#[napi]
impl NativeSimulator {
    /// All devices, JSON.
    #[napi]
    pub fn devices(&self) -> Result<String> {
        tell(|| {
            self.0.now(|fleet| write(&fleet.devices().iter().map(Device::describe).collect::<Vec<_>>()))?
        })
    }

    /// What is really so with a device, and what it was told, JSON.
    #[napi]
    pub fn truth(&self, index: u32) -> Result<String> {
        tell(|| self.device(index, |device| write(&device.describe_truth())))
    }

    /// Lets a device do something wrong, JSON.
    #[napi]
    pub fn fault(&self, index: u32, fault: String) -> Result<()> {
        tell(|| {
            let fault: Fault = read("fault", &fault)?;
            self.device(index, |device| {
                device.fault(fault);
                Ok(())
            })
        })
    }

    /// Ends what a device does wrong.
    #[napi]
    pub fn clear(&self, index: u32) -> Result<()> {
        tell(|| {
            self.device(index, |device| {
                device.clear();
                Ok(())
            })
        })
    }

    /// Closes all ports.
    #[napi]
    pub fn close(&self, env: &Env) -> Result<AsyncBlock<()>> {
        let taken = self.0.take();
        let done = async move {
            if let Some(fleet) = taken.await {
                fleet.stop().await;
            }
            Ok(())
        };
        promise(env, done)
    }
}

impl NativeSimulator {
    fn device<T>(&self, index: u32, look: impl FnOnce(&Device) -> Ours<T>) -> Ours<T> {
        self.0.now(|fleet| {
            let found = fleet.devices().get(index as usize);
            look(found.ok_or_else(|| Error::invalid("simulator", "index", "there is no such device"))?)
        })?
    }
}

/// Starts devices, as JSON says.
#[napi]
pub fn start_simulator(env: &Env, conf: String) -> Result<AsyncBlock<NativeSimulator>> {
    promise(env, async move { start(&conf).await })
}

async fn start(conf: &str) -> Ours<NativeSimulator> {
    let conf: FleetConf = read("conf", conf)?;
    Ok(NativeSimulator(Held::new(conf.builder()?.start(&Ctx::system()).await?)))
}
