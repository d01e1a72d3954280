//! Firmware files: combined images of Whatsminers and bundles of Antminers, on their way to a simulated device.

use std::time::Duration;

use headframe_core::{
    ThingId,
    driver::{Direct, Driver},
    model::{Command, FirmwareImage, ThingConf},
};
use headframe_drivers::{antminer::Antminer, whatsminer::Whatsminer};
use headframe_sim::{AntminerOptions, FleetBuilder, WhatsminerOptions};
use sha2::{Digest, Sha256};

use crate::{
    codec::shown,
    serve::{LONGEST, run},
};

/// Enough for the upload; the restart is not waited for.
const WRITE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_secs(20);

/// The first byte chooses the device; its lowest bit but one leaves the checksum of a bundle as it is.
pub fn firmware(data: &[u8]) {
    let Some((&first, file)) = data.get(..LONGEST).unwrap_or(data).split_first() else { return };
    let mut file = file.to_vec();
    if first & 2 == 0 {
        checked(&mut file);
    }
    let size = file.len();
    let sent = upload(first & 1 == 0, file).unwrap_or(0);
    assert!(sent <= size, "{sent} bytes of {size} were sent");
}

/// Updates a simulated Antminer or Whatsminer; how many bytes reached it as a firmware.
fn upload(bitmain: bool, file: Vec<u8>) -> Option<usize> {
    let sum: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    let command = Command::UpdateFirmware(FirmwareImage::new("fuzz.bin", sum, file));
    let (told, sent) = std::sync::mpsc::channel();
    run(|cx, _net| async move {
        let fleet = FleetBuilder::new().seed(7);
        let fleet = if bitmain {
            fleet.antminer(AntminerOptions::default())
        } else {
            fleet.whatsminer(WhatsminerOptions::default())
        };
        let Ok(fleet) = fleet.start(&cx).await else { return };
        let Some(device) = fleet.devices().first() else { return };
        let (driver, id): (&dyn Driver, _) =
            if bitmain { (&Antminer::new(), "antminer") } else { (&Whatsminer::new(), "whatsminer") };
        let Ok(thing) = ThingId::new("m1") else { return };
        let conf = ThingConf::new(thing, id).opt("address", device.ip().to_string());
        let conf = if bitmain {
            conf.opt("port", 14_080).opt("rpc_port", 14_028).opt("side_port", 16_060)
        } else {
            conf.opt("port", 14_028).opt("api", "v2").opt("password", "admin")
        };
        let Ok(direct) = Direct::open(driver, &cx, &conf).await else { return };
        // What it can do is known after the first reading.
        if let Err(e) = direct.snapshot(&cx.deadline_in(POLL)).await {
            return shown(&e);
        }
        if let Err(e) = direct.execute(&cx.deadline_in(WRITE), &command).await {
            shown(&e);
        }
        let bytes = device.truth().settings.get("firmware_bytes").and_then(|bytes| bytes.parse().ok());
        let _read = bytes.map(|bytes: usize| told.send(bytes));
    });
    sent.try_recv().ok()
}

/// Puts the right checksum into a bundle, so that changes of its numbers are read.
fn checked(file: &mut [u8]) {
    if file.starts_with(&[0xab; 4]) && file.len() >= 28 {
        file[24..28].fill(0);
        let sum = crc32fast::hash(file).to_le_bytes();
        file[24..28].copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this a target would only seem to reach the parsers.
    #[test]
    fn the_corpus_reaches_both_devices() {
        let file = |name: &str| {
            let files = crate::corpus("firmware").unwrap_or_default();
            files
                .into_iter()
                .find(|(n, _)| n == name)
                .map(|(_, bytes)| bytes[1..].to_vec())
                .unwrap_or_default()
        };
        assert_eq!(upload(true, file("s21_bmu")), Some(20));
        assert_eq!(upload(true, file("nested_bmu")), Some(20));
        assert_eq!(upload(true, file("plain_bin")), Some(18));
        assert_eq!(upload(true, file("damaged_bmu")), Some(0));
        assert_eq!(upload(false, file("wm_combined")), Some(400));
        assert_eq!(upload(false, file("wm_plain")), Some(11));
    }
}
