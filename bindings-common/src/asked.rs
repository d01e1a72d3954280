//! What callers ask, as JSON.

use std::{collections::BTreeMap, fmt};

use headframe::{
    Error, Result,
    auth::{Permissions, Principal},
    driver::Ports,
    site::Login,
};
use serde::{Deserialize, de::DeserializeOwned};

/// Reads what a caller gave for `what`.
///
/// # Errors
/// [`Invalid`](headframe::ErrorKind::Invalid), naming it.
pub fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::invalid("read", what, e.to_string()).caused_by(e))
}

/// Who calls a method, and with which rights.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Who {
    user: String,
    permissions: Vec<String>,
    #[serde(default)]
    gateway: bool,
}

impl Who {
    /// The caller.
    ///
    /// # Errors
    /// Those of [`Permissions::parse`].
    pub fn principal(&self) -> Result<Principal> {
        let permissions = Permissions::parse(&self.permissions)?;
        Ok(if self.gateway {
            Principal::gateway(&self.user, permissions)
        } else {
            Principal::new(&self.user, permissions)
        })
    }
}

/// How devices are looked for that are to be registered.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FindOptions {
    /// The ports that are asked.
    pub ports: Ports,
    /// What the devices of a driver are opened with.
    pub logins: Vec<LoginConf>,
}

/// What the devices of a driver are opened with: a [`Login`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConf {
    driver: String,
    #[serde(default)]
    opts: BTreeMap<String, String>,
}

impl fmt::Debug for LoginConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginConf").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl LoginConf {
    /// It.
    pub fn login(&self) -> Login {
        self.opts.iter().fold(Login::new(&self.driver), |login, (name, value)| login.with(name, value))
    }
}

/// How a range is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScanOptions {
    /// The ports that are asked.
    pub ports: Ports,
    /// After so long the scan ends with what it has.
    pub deadline_ms: Option<u64>,
    /// So many addresses at a time.
    pub concurrency: Option<usize>,
}
