//! Firmware uploads.

use headframe_core::{
    ErrorKind, Sent,
    model::{Command, FirmwareImage, OutcomeState},
    testkit,
};
use headframe_sim::{Fault, WhatsminerOptions};

use crate::bench::Bench;

/// SHA-256 of [`combined`] for `chip`.
fn sum(chip: &str) -> &'static str {
    match chip {
        "H616" => "baf03d7c190f5dabf73d3a620aff7a336804d45e873542d5600f66dfa4c2a7a1",
        _ => "7a3efb3b06c8d960ef0929d5c5f7c1c9fc437a7257455549cc2aae5937957469",
    }
}

/// A combined image with one package of 4,000 bytes behind one of 1,000 for another board.
fn combined(chip: &str) -> Vec<u8> {
    let mut bytes = vec![0x5a_u8; 6_812 + 5_000];
    bytes[..6_812].fill(0);
    bytes[16..20].copy_from_slice(&5_000_u32.to_le_bytes());
    bytes[20..24].copy_from_slice(&2_u32.to_le_bytes());
    for (at, chip, offset, size) in [(24, "h6os", 0_u32, 1_000_u32), (128, chip, 1_000, 4_000)] {
        bytes[at..at + chip.len()].copy_from_slice(chip.as_bytes());
        bytes[at + 32..at + 36].copy_from_slice(&offset.to_le_bytes());
        bytes[at + 36..at + 40].copy_from_slice(&size.to_le_bytes());
    }
    bytes
}

fn image(chip: &str) -> Command {
    Command::UpdateFirmware(FirmwareImage::new("wm.bin", sum(chip), combined(chip)))
}

#[test]
fn the_package_for_the_board_is_uploaded_and_the_restart_seen() {
    testkit::run(|cx, _net| async move {
        let bench = Bench::start(cx, WhatsminerOptions::default()).await;
        let outcome = bench.write(&image("H616")).await.unwrap();
        assert_eq!(outcome.state, OutcomeState::Verified);
        assert_eq!((bench.setting("firmware_bytes").as_str(), bench.done("update_firmware")), ("4000", 1));
        let receipt = outcome.receipt.unwrap();
        assert!(receipt.requests[0].ends_with("4000 bytes of wm.bin"), "{receipt:?}");
    });
}

#[test]
fn images_that_are_wrong_are_not_announced() {
    testkit::run(|cx, _net| async move {
        let bench = Bench::start(cx, WhatsminerOptions::default()).await;
        let swapped = Command::UpdateFirmware(FirmwareImage::new("wm.bin", sum("H616"), combined("h3")));
        for (command, field) in [(image("h3"), "bytes"), (swapped, "sha256")] {
            let e = bench.write(&command).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::Invalid, Sent::No));
            assert_eq!((e.code(), e.fact("field")), ("ERR_INVALID_FIRMWARE", Some(field)));
        }
        assert_eq!(bench.got("update_firmware"), 0);
    });
}

#[test]
fn without_the_word_that_it_is_ready_no_byte_of_the_image_leaves() {
    for (fault, kind) in [
        (Fault::Hang, ErrorKind::Timeout),
        (Fault::Cut { after: 0 }, ErrorKind::BadReply),
        (Fault::Cut { after: 40 }, ErrorKind::BadReply),
        (Fault::Garbage, ErrorKind::BadReply),
    ] {
        testkit::run(|cx, _net| async move {
            let bench = Bench::start(cx, WhatsminerOptions::default()).await;
            bench.device.fault_on("update_firmware", fault.clone());
            let e = bench.write(&image("H616")).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (kind, Sent::No), "{fault:?}: {e:?}");
            assert_eq!((bench.got("update_firmware"), bench.done("update_firmware")), (1, 0));
        });
    }
}
