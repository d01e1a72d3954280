//! A firmware image on the connection of its command: `ready`, its length and its bytes, the result.

use std::{io, time::Duration};

use headframe_core::io::BoxStream;
use tokio::io::AsyncReadExt;

use super::{
    Upgrade, Whatsminer, WhatsminerOptions,
    packet::{Write, closed},
};
use crate::{conn, device::DeviceCore, rpc};

/// The largest firmware image that is taken, in bytes.
const IMAGE_BYTES: u32 = 64 * 1_024 * 1_024;
/// A client that sends nothing for so long has given up.
const IDLE: Duration = Duration::from_secs(60);
/// What comes within this time after the image shows that its length was wrong.
const QUIET: Duration = Duration::from_millis(200);

/// The firmware that runs, and the one that the next boot starts.
#[derive(Debug)]
pub(super) struct Flash {
    pub installed: Upgrade,
    /// Bytes of the last image.
    pub image_bytes: u64,
    /// With the number of boots before it was written.
    next: Option<(u64, Upgrade)>,
}

impl Flash {
    pub fn new(options: &WhatsminerOptions) -> Self {
        let (firmware, generation) = (options.firmware.clone(), options.generation);
        let installed = Upgrade { firmware, generation, locks_writes: false };
        Self { installed, image_bytes: 0, next: None }
    }

    fn write(&mut self, size: u32, boots: u64, upgrade: Upgrade) {
        self.image_bytes = u64::from(size);
        self.next = Some((boots, upgrade));
    }

    /// After so many boots: whether another firmware has started.
    pub fn boot(&mut self, boots: u64) -> bool {
        let Some((_, upgrade)) = self.next.take_if(|(before, _)| boots > *before) else { return false };
        self.installed = upgrade;
        true
    }
}

impl Whatsminer {
    /// Takes an image. One that is cut short, or longer than announced, changes nothing.
    pub(super) async fn take_image(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        write: &Write,
    ) -> io::Result<()> {
        let ready = self.sealed_ok(core, write, "ready".into());
        self.send(core, stream, &write.command, ready).await?;
        let Some(size) = receive(core, stream).await? else {
            let text = rpc::status(core, "E", 132, "image size error", "").to_string();
            return self.send(core, stream, &write.command, self.refusal(&write.key, text)).await;
        };
        let done = self.sealed_ok(core, write, "API command OK".into());
        let installs = !conn::ignores_writes(core, &write.command);
        if installs {
            core.executed(&write.command);
            let boots = core.boots();
            self.state().flash.write(size, boots, self.options.upgrade.clone());
        }
        let sent = match conn::is_mute(core, &write.command) {
            true => Err(closed()),
            false => self.send(core, stream, &write.command, done).await,
        };
        if installs {
            core.act(|physics, now| physics.reboot(now, physics.boot_s()));
        }
        sent
    }
}

/// The size of an image that arrived whole; `None` when its length is wrong.
async fn receive(core: &DeviceCore, stream: &mut BoxStream) -> io::Result<Option<u32>> {
    let mut size = [0; 4];
    whole(core, stream, &mut size).await?;
    let size = u32::from_le_bytes(size);
    if size == 0 || size > IMAGE_BYTES {
        return Ok(None);
    }
    let mut left = u64::from(size);
    let mut chunk = vec![0; 16 * 1_024];
    while left > 0 {
        let want = left.min(chunk.len() as u64) as usize;
        whole(core, stream, &mut chunk[..want]).await?;
        left -= want as u64;
    }
    let more = tokio::select! {
        biased;
        more = stream.read(&mut chunk) => more?,
        () = core.pause(QUIET) => 0,
    };
    Ok((more == 0).then_some(size))
}

async fn whole(core: &DeviceCore, stream: &mut BoxStream, bytes: &mut [u8]) -> io::Result<()> {
    tokio::select! {
        biased;
        read = stream.read_exact(bytes) => read.map(|_| ()),
        () = core.pause(IDLE) => Err(io::ErrorKind::TimedOut.into()),
    }
}
