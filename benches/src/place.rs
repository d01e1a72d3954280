//! Sites for measuring, in a folder that goes away.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use headframe::{
    Error, ErrorKind, Result,
    io::Ctx,
    model::Members,
    rack::{CollectorOptions, RackId, RackOptions, ThingDraft},
    site::Site,
};

/// Type of the things of the one rack.
const TYPE: &str = "miner-wm-m50s";
/// Name of the one rack.
const NAME: &str = "bench";

/// A new site with one rack of Whatsminers, and its folder.
#[derive(Debug)]
pub struct Place {
    /// The site; taken out to be shut down.
    pub site: Site,
    folder: Folder,
}

/// A folder for this program, which goes away with it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Its place; it is made by who writes there.
    pub fn new() -> Self {
        Self(std::env::temp_dir().join(format!("headframe-bench-{}", std::process::id())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {e}", self.0.display());
        }
    }
}

impl Place {
    /// Makes it; things are polled once per `interval`.
    ///
    /// # Errors
    /// When the folder or the stores cannot be made.
    pub async fn new(cx: &Ctx, interval: Duration) -> Result<Self> {
        let folder = Folder::new();
        let mut options = RackOptions::new("whatsminer");
        options.collector = CollectorOptions::every(interval);
        let site =
            Site::builder(headframe::registry()).rack(TYPE, NAME, options).create(cx, folder.path()).await?;
        Ok(Self { site, folder })
    }

    /// The rack.
    ///
    /// # Errors
    /// None in practice.
    pub fn rack(&self) -> Result<RackId> {
        RackId::new(&format!("{TYPE}-{NAME}"))
    }

    /// Shuts the site down and removes the folder.
    ///
    /// # Errors
    /// When the stores could not be written to the end.
    pub async fn end(self) -> Result<()> {
        let Self { site, folder } = self;
        site.shutdown(Duration::from_secs(10)).await?;
        drop(folder);
        Ok(())
    }
}

/// A thing at `address` with the facts that a site usually keeps. One in maintenance is not polled.
///
/// # Errors
/// When its address cannot be written as options.
pub fn draft(n: usize, address: &str, maintenance: bool) -> Result<ThingDraft> {
    let bytes = (n as u32).to_be_bytes();
    let [_, a, b, c] = bytes;
    let container = if maintenance { "maintenance".to_owned() } else { format!("container-{}", n / 500) };
    let facts = serde_json::json!({
        "macAddress": format!("CA:7A:0A:{a:02X}:{b:02X}:{c:02X}"),
        "serialNum": format!("HHM38S{n:08}"),
        "container": container,
        "pos": format!("{}_{}_{}", n / 100, n / 10 % 10, n % 10),
        "site": "bench",
        "nominalHashrateMhs": 126_000_000,
        "status": "in service",
    });
    let mut draft = ThingDraft::default();
    let mut opts = Members::new();
    opts.insert("address", address.into());
    opts.insert("port", 14_028.into());
    opts.insert("password", "admin".into());
    draft.opts = Some(opts);
    draft.info = match facts {
        serde_json::Value::Object(facts) => facts,
        _ => return Err(Error::new(ErrorKind::Internal, "bench.draft", "facts are no object")),
    };
    Ok(draft)
}
