//! Looking for devices.

use std::sync::Arc;

use headframe::driver::Registry;
use headframe_binding::{asked::read, scan::UnderWay};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;

use crate::told::{Ours, promise, write};

/// A scan under way.
#[napi]
pub struct NativeScan(Arc<UnderWay>);

#[napi]
impl NativeScan {
    /// The next event as JSON: a device, an unknown host, or at last the report; `null` after that.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn next(&self, env: &Env) -> Result<AsyncBlock<Option<String>>> {
        let scan = Arc::clone(&self.0);
        promise(env, async move { scan.next().await.map(|told| write(&told)).transpose() })
    }

    /// Ends it early: the report comes next.
    #[napi]
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Drop for NativeScan {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl NativeScan {
    /// Begins to look at a range of addresses.
    pub fn start(drivers: Registry, range: &str, options: &str) -> Ours<Self> {
        Ok(Self(Arc::new(UnderWay::start(drivers, range, &read("options", options)?)?)))
    }
}
