//! What tests of whole sites have in common.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]
#![allow(dead_code, reason = "each test of a site needs some of it")]

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use headframe::{
    io::Ctx,
    rack::{Caller, CollectorOptions, RackOptions},
    site::{Site, SiteBuilder},
};
use headframe_sim::{Fleet, FleetBuilder};

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("headframe-{name}-{}", std::process::id()));
        // Left over from a run that was broken off.
        let _none = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

pub async fn fleet(cx: &Ctx, octet: u8, whatsminers: usize, antminers: usize) -> Fleet {
    let base = Ipv4Addr::new(127, octet, 0, 1);
    FleetBuilder::new()
        .seed(u64::from(octet))
        .base(base)
        .whatsminers(whatsminers)
        .antminers(antminers)
        .start(cx)
        .await
        .unwrap()
}

pub fn builder() -> SiteBuilder {
    let options = |driver| {
        let mut options = RackOptions::new(driver);
        options.collector = CollectorOptions::every(Duration::from_millis(500));
        // A busy machine is not what these try.
        options.collector.deadline = Some(Duration::from_secs(5));
        options
    };
    Site::builder(headframe::registry()).rack("miner-wm-m50s", "hall-1", options("whatsminer")).rack(
        "miner-am-s21",
        "hall-1",
        options("antminer"),
    )
}

pub fn me() -> Caller {
    Caller::new("tester")
}

pub async fn until(cx: &Ctx, what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(50)).await;
    }
    panic!("not so after 10 s: {what}");
}

pub async fn until_online(cx: &Ctx, site: &Site, n: usize) {
    for _ in 0..200 {
        if site.counts().online == n {
            return;
        }
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(50)).await;
    }
    panic!("not all things were read: {:?}", site.counts());
}
