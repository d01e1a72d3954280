//! How people speak to the site: MiningOS's methods in JSON.

use std::sync::{Arc, Mutex, PoisonError};

use headframe_core::{
    Error, ErrorKind,
    auth::{Permissions, Principal},
    ork::Orchestrator,
};
use serde_json::{Value, json};

/// Who may do things. The last one may only look.
pub const PEOPLE: [&str; 5] = ["ann", "bob", "cat", "dan", "eve"];
/// What they may do.
pub const RIGHTS: [&str; 2] = ["miner:rw", "actions:rw"];

/// The site as people see it, as long as it runs. Clones see the same.
#[derive(Debug, Clone)]
pub struct Desk {
    ork: Arc<Mutex<Option<Orchestrator>>>,
    /// Whether a gateway speaks for people, as MiningOS's does.
    pub gateway: bool,
}

impl Desk {
    /// The desk of a site.
    pub fn new(ork: Orchestrator, gateway: bool) -> Self {
        Self { ork: Arc::new(Mutex::new(Some(ork))), gateway }
    }

    /// Another process serves, or none.
    pub fn serve(&self, ork: Option<Orchestrator>) {
        *self.ork.lock().unwrap_or_else(PoisonError::into_inner) = ork;
    }

    /// One call.
    pub async fn call(&self, who: &str, method: &str, mut body: Value) -> Result<Value, Error> {
        let ork = self.ork.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let down = || Error::new(ErrorKind::Closed, "sim.call", "the site does not run");
        let ork = ork.ok_or_else(down)?;
        let rights = Permissions::parse(RIGHTS)?;
        let principal = if self.gateway {
            body["voter"] = json!(who);
            body["authPerms"] = json!(RIGHTS);
            Principal::gateway("app-node", rights)
        } else {
            Principal::new(who, rights)
        };
        ork.call(&principal, method, &body.to_string()).await
    }
}
