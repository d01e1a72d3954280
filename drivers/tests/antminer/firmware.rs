//! Firmware updates against machines that look into what they get.

use headframe_core::{
    ErrorKind, Sent,
    driver::Direct,
    model::{Command, FirmwareImage, OutcomeState},
};
use headframe_drivers::antminer::Antminer;
use headframe_sim::{AntminerOptions, Fault, FleetBuilder};

use crate::rig::{conf, context, options};

/// Files and their SHA-256, computed by another program.
const FILES: &str = include_str!("../fixtures/antminer/firmware.json");

#[derive(serde::Deserialize)]
struct File {
    name: String,
    sha256: String,
    hex: String,
}

fn file(name: &str) -> FirmwareImage {
    let files: Vec<File> = serde_json::from_str(FILES).unwrap();
    let file = files.into_iter().find(|file| file.name == name).unwrap();
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    let bytes: Vec<u8> =
        file.hex.as_bytes().chunks_exact(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect();
    FirmwareImage::new(file.name, file.sha256, bytes)
}

async fn update(
    options: AntminerOptions,
    image: FirmwareImage,
    fault: Option<Fault>,
) -> (Result<OutcomeState, headframe_core::Error>, String, u64) {
    let cx = context();
    let fleet = FleetBuilder::new().seed(7).antminer(options).start(&cx).await.unwrap();
    let device = &fleet.devices()[0];
    let direct = Direct::open(&Antminer::new(), &cx, &conf(device)).await.unwrap();
    direct.snapshot(&cx).await.unwrap();
    fault.into_iter().for_each(|fault| device.fault_on("upgrade", fault));
    let outcome = direct.execute(&cx, &Command::UpdateFirmware(image)).await.map(|o| o.state);
    let size = device.truth().settings["firmware_bytes"].clone();
    (outcome, size, device.counts().get("upgrade").copied().unwrap_or(0))
}

fn checking() -> AntminerOptions {
    options(|o| o.checks_image = true)
}

#[tokio::test(start_paused = true)]
async fn the_image_for_this_machine_is_sent_alone() {
    for name in ["s21.bmu", "nested.bmu"] {
        let (outcome, size, _) = update(checking(), file(name), None).await;
        assert_eq!((outcome.unwrap(), size.as_str()), (OutcomeState::Verified, "20"), "{name}");
    }
    let (outcome, size, _) = update(checking(), file("plain.bin"), None).await;
    assert_eq!((outcome.unwrap(), size.as_str()), (OutcomeState::Verified, "18"), "no bundle goes as it is");
}

#[tokio::test(start_paused = true)]
async fn a_bundle_for_other_machines_is_not_sent() {
    for (name, options) in
        [("s19.bmu", checking()), ("s21.bmu", AntminerOptions::s19_2020()), ("damaged.bmu", checking())]
    {
        let (outcome, _, sent) = update(options, file(name), None).await;
        let e = outcome.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, "ERR_INVALID_FIRMWARE"), "{name}: {e:?}");
        assert_eq!((e.sent(), sent), (Sent::No, 0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_version_counts_when_it_is_given() {
    let built = "Mon Feb  2 10:20:30 CST 2026";
    let mut image = file("plain.bin");
    image.version = Some(built.into());
    let (outcome, ..) = update(checking(), image.clone(), None).await;
    assert_eq!(outcome.unwrap(), OutcomeState::Verified);
    image.version = Some("another".into());
    let (outcome, _, sent) = update(checking(), image, None).await;
    let e = outcome.unwrap_err();
    assert_eq!((e.code(), e.sent(), sent), ("ERR_NOT_CONFIRMED", Sent::Maybe, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_settled_by_the_restart() {
    for fault in [Fault::Mute, Fault::Cut { after: 20 }] {
        let (outcome, size, sent) = update(checking(), file("plain.bin"), Some(fault)).await;
        assert_eq!((outcome.unwrap(), size.as_str(), sent), (OutcomeState::Verified, "18", 1));
    }
    let (outcome, _, sent) = update(checking(), file("plain.bin"), Some(Fault::IgnoreWrites)).await;
    assert_eq!((outcome.unwrap_err().sent(), sent), (Sent::Maybe, 1));
}
