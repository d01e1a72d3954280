//! Firmware images: which part of a combined one is for a unit, and the upload.

use std::{ops::Range, time::Duration};

use headframe_core::{Error, ErrorKind, Result, io::Ctx, model::FirmwareImage};

use super::{
    crypto,
    link::{Link, Progress, after},
    packet::{OP, Request, Verdict},
    token::Token,
};

/// Bytes before the packages of a combined image.
const HEADER: usize = 6_812;
const SLOTS_AT: usize = 24;
const SLOT: usize = 104;
const SLOTS_MAX: u32 = 64;
/// The unit checks and writes the image before it answers.
const WRITTEN: Duration = Duration::from_secs(300);
/// For a refusal that came while the image was being sent.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Refuses an image that is not the one that was meant.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid).
pub(super) fn check(image: &FirmwareImage) -> Result<()> {
    if crypto::sha256_hex(&image.bytes).eq_ignore_ascii_case(&image.sha256) {
        return Ok(());
    }
    Err(Error::invalid(OP, "sha256", "the image's bytes have another SHA-256 than was said")
        .code_as("ERR_INVALID_FIRMWARE"))
}

/// The part of `image` that is for units with this control board; all of it when it is no combined image.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) with the code `ERR_INVALID_FIRMWARE` when it holds packages, but none for this
/// board, or one that is not inside the file.
pub(super) fn part(image: &[u8], platform: Option<&str>) -> Result<Range<usize>> {
    let whole = 0..image.len();
    let Some(slots) = slots(image) else { return Ok(whole) };
    let invalid = |text: &str| Error::invalid(OP, "bytes", text).code_as("ERR_INVALID_FIRMWARE");
    let Some(platform) = platform else {
        return Err(invalid(
            "it holds images for several control boards, and the unit does not tell its own",
        ));
    };
    let Some(slot) = slots.iter().find(|slot| slot.chip == platform) else {
        let known: Vec<&str> = slots.iter().map(|slot| slot.chip.as_str()).collect();
        return Err(invalid("it holds no image for the control board of the unit")
            .with("platform", platform)
            .with("image_for", known.join(",")));
    };
    // Nothing is written down of what offsets count from. One inside the header can only count from its end.
    let from = if slots.iter().any(|slot| slot.offset < HEADER) { HEADER } else { 0 };
    let start = from.checked_add(slot.offset);
    let end = start.and_then(|start| start.checked_add(slot.size));
    match (start, end) {
        (Some(start), Some(end)) if start < end && end <= image.len() => Ok(start..end),
        _ => Err(invalid("its table of contents points outside the file")),
    }
}

struct Slot {
    chip: String,
    offset: usize,
    size: usize,
}

/// The table of a combined image; `None` for any other file.
fn slots(image: &[u8]) -> Option<Vec<Slot>> {
    let data = usize::try_from(number(image, 16)?).ok()?;
    let count = number(image, 20)?;
    let fits = data.checked_add(HEADER)? <= image.len();
    if count == 0 || count > SLOTS_MAX || !fits {
        return None;
    }
    (0..usize::try_from(count).ok()?).map(|i| slot(image.get(SLOTS_AT + i * SLOT..)?)).collect()
}

fn slot(bytes: &[u8]) -> Option<Slot> {
    let chip = bytes.get(..16)?;
    let chip = chip.split(|b| *b == 0).next().unwrap_or_default();
    let shown = |b: &u8| if b.is_ascii_graphic() { char::from(b.to_ascii_lowercase()) } else { '?' };
    let place = |at| usize::try_from(number(bytes, at)?).ok();
    Some(Slot { chip: chip.iter().map(shown).collect(), offset: place(32)?, size: place(36)? })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

/// The command that announces an image.
pub(super) const fn request() -> Request {
    Request::new("update_firmware")
}

/// Sends the image over the connection on which the unit has said that it is ready, and gives its last word.
///
/// # Errors
/// Before the first byte of the image nothing can have been installed; after it everything is a maybe, except a
/// refusal that says so.
pub(super) async fn upload(cx: &Ctx, link: &mut Link, image: &[u8], token: &Token) -> Result<Verdict> {
    let size = u32::try_from(image.len()).map_err(|_| {
        Error::invalid(OP, "bytes", "an image is below 4 GiB").code_as("ERR_INVALID_FIRMWARE")
    })?;
    let mut progress = Progress::Nothing;
    let sent = link.stream(cx, &[&size.to_le_bytes(), image], &mut progress).await;
    if let Err(e) = sent {
        // A unit that does not want the image says so and closes, while it is still being sent.
        let last = link.wait(cx, LAST_WORD).await.and_then(|reply| Verdict::read(&reply, &token.key));
        return Err(match last {
            Ok(verdict) if !verdict.is_ok() => verdict.error(&request()),
            _ => after(e, progress).with("bytes", image.len()),
        });
    }
    let reply = link.wait(cx, WRITTEN).await.map_err(|e| after(e, progress))?;
    let verdict = Verdict::read(&reply, &token.key).map_err(|e| after(e, progress))?;
    if verdict.is_ok() {
        return Ok(verdict);
    }
    Err(verdict.error(&request()))
}

/// Refuses anything but the unit's `ready`.
///
/// # Errors
/// [`Rejected`](ErrorKind::Rejected) or [`BadReply`](ErrorKind::BadReply): no byte of the image has left.
pub(super) fn ready(verdict: &Verdict) -> Result<()> {
    if verdict.message.eq_ignore_ascii_case("ready") {
        return Ok(());
    }
    let text = format!("the unit does not say that it is ready: {}", request().scrub(&verdict.message));
    Err(Error::new(ErrorKind::Rejected, OP, text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A combined image: its packages are `(chip, offset, size)`.
    fn image(packages: &[(&str, u32, u32)], data: u32, file: usize) -> Vec<u8> {
        let mut bytes = vec![0; file.max(HEADER)];
        bytes[16..20].copy_from_slice(&data.to_le_bytes());
        bytes[20..24].copy_from_slice(&(packages.len() as u32).to_le_bytes());
        for (i, (chip, offset, size)) in packages.iter().enumerate() {
            let at = SLOTS_AT + i * SLOT;
            bytes[at..at + chip.len()].copy_from_slice(chip.as_bytes());
            bytes[at + 32..at + 36].copy_from_slice(&offset.to_le_bytes());
            bytes[at + 36..at + 40].copy_from_slice(&size.to_le_bytes());
        }
        bytes.truncate(file);
        bytes
    }

    const H: u32 = HEADER as u32;

    #[test]
    fn the_part_for_the_board_is_sent() {
        let relative = image(&[("h6", 0, 100), ("H616", 100, 50)], 150, HEADER + 150);
        assert_eq!(part(&relative, Some("h616")).unwrap(), HEADER + 100..HEADER + 150);
        let absolute = image(&[("h6", H, 100), ("h616", H + 100, 50)], 150, HEADER + 150);
        assert_eq!(part(&absolute, Some("h6")).unwrap(), HEADER..HEADER + 100);
        for (bytes, platform) in [
            (&relative, Some("h3")),
            (&relative, None),
            (&image(&[("h3", 0, 151)], 150, HEADER + 150), Some("h3")),
            (&image(&[("h3", u32::MAX, u32::MAX)], 150, HEADER + 150), Some("h3")),
            (&image(&[("h3", 0, 0)], 150, HEADER + 150), Some("h3")),
        ] {
            let e = part(bytes, platform).unwrap_err();
            assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, "ERR_INVALID_FIRMWARE"));
        }
    }

    #[test]
    fn other_files_are_sent_whole() {
        for bytes in [
            vec![],
            vec![1; 10],
            vec![0; 9_000],
            vec![0x5a; 9_000],
            image(&[("h3", 0, 10)], 151, HEADER + 150),
            image(&[("h3", 0, 10)], u32::MAX, HEADER + 150),
        ] {
            assert_eq!(part(&bytes, Some("h616")).unwrap(), 0..bytes.len());
        }
    }

    #[test]
    fn bytes_with_another_sum_are_refused() {
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(&FirmwareImage::new("a", sum.to_uppercase(), &b"abc"[..])).unwrap();
        let e = check(&FirmwareImage::new("a", sum, &b"abd"[..])).unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("sha256")));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(
            count in 0u32..70, data in any::<u32>(), noise in prop::collection::vec(any::<u8>(), 0..7_200),
        ) {
            let mut bytes = noise;
            if bytes.len() > 24 {
                bytes[16..20].copy_from_slice(&(data % 500).to_le_bytes());
                bytes[20..24].copy_from_slice(&count.to_le_bytes());
            }
            if let Ok(part) = part(&bytes, Some("h616")) {
                prop_assert!(part.end <= bytes.len() && part.start <= part.end);
            }
        }
    }
}
