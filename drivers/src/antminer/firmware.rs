//! Firmware files: the check of their hash, the choice of an image in a bundle, and the upload's body.
//!
//! A bundle is a header, a list of images for different machines, and the images; numbers are little-endian. Every
//! number in it is taken for hostile.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use headframe_core::{Error, ErrorKind, Result, model::FirmwareImage};
use sha2::{Digest, Sha256};

const OP: &str = "antminer.firmware";
const CODE: &str = "ERR_INVALID_FIRMWARE";
/// Far above any file that is in use; the whole file and its upload stand in memory.
const MAX: usize = 256 * 1024 * 1024;
const MAGIC: [u8; 4] = [0xab; 4];
const HEADER: usize = 36;
/// The least that an entry of the list has.
const ITEM: usize = 172;
const ITEMS: usize = 1_024;
/// Where the checksum stands; it counts as zeros.
const CHECKSUM: Range<usize> = 24..28;
/// An image can be a bundle again.
const LEVELS: u8 = 8;
/// How much is hashed at a time, so that other work goes on.
const PIECE: usize = 1 << 20;

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, OP, format!("{text}: nothing was sent")).code_as(CODE)
}

/// Refuses a file that is too long or not the one that was ordered.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) with the code `ERR_INVALID_FIRMWARE`.
pub(super) async fn check(image: &FirmwareImage) -> Result<()> {
    if image.bytes.len() > MAX {
        return Err(invalid("the file is too long").with("max", MAX));
    }
    let mut hash = Sha256::new();
    for piece in image.bytes.chunks(PIECE) {
        hash.update(piece);
        give_way().await;
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found.eq_ignore_ascii_case(&image.sha256) {
        return Ok(());
    }
    Err(invalid("the file is not the one that was ordered").with("field", "sha256").with("found", found))
}

/// Lets other tasks run.
async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|cx| {
        if given {
            return std::task::Poll::Ready(());
        }
        given = true;
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Whether it holds images to choose from. Any other file goes to the machine as it is.
pub(super) fn is_bundle(file: &[u8]) -> bool {
    file.starts_with(&MAGIC)
}

/// The image in a bundle for the machine of this type and these boards, with its name.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) with the code `ERR_INVALID_FIRMWARE` for a damaged bundle and for one that has no
/// image for the machine.
pub(super) fn choose(file: &Bytes, model: &str, subtype: &str) -> Result<(String, Bytes)> {
    let (mut name, mut image) = (String::new(), file.clone());
    for _ in 0..LEVELS {
        if !is_bundle(&image) {
            return Ok((name, image));
        }
        (name, image) = pick(&image, model, subtype)?;
    }
    if is_bundle(&image) { Err(invalid("the bundle is nested too deep")) } else { Ok((name, image)) }
}

fn pick(file: &Bytes, model: &str, subtype: &str) -> Result<(String, Bytes)> {
    let damaged = || invalid("the bundle is damaged");
    let number = |at: usize| number(file, at).ok_or_else(damaged);
    let (header, count, size) = (number(8)?, number(12)?, number(16)?);
    if header < HEADER || size < ITEM || count > ITEMS {
        return Err(damaged());
    }
    let list = count.checked_mul(size).and_then(|n| n.checked_add(header)).ok_or_else(damaged)?;
    let list = file.get(header..list).ok_or_else(damaged)?;
    let stored = file.get(CHECKSUM).ok_or_else(damaged)?;
    if stored != checksum(file).to_le_bytes() {
        return Err(invalid("the bundle's checksum is wrong"));
    }
    for entry in list.chunks_exact(size) {
        let item = Item::of(entry).ok_or_else(damaged)?;
        if item.is_for(model, subtype) {
            let end = item.offset.checked_add(item.size).ok_or_else(damaged)?;
            let range = item.offset..end;
            if range.is_empty() || file.get(range.clone()).is_none() {
                return Err(damaged());
            }
            return Ok((item.name(), file.slice(range)));
        }
    }
    Err(invalid("the bundle has no image for this machine").with("model", model).with("subtype", subtype))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
}

/// CRC-32 over all but the checksum itself.
fn checksum(file: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(file.get(..CHECKSUM.start).unwrap_or_default());
    crc.update(&[0; 4]);
    crc.update(file.get(CHECKSUM.end..).unwrap_or_default());
    crc.finalize()
}

/// One entry of the list.
struct Item<'a> {
    file: &'a [u8],
    chip: &'a [u8],
    hardware: &'a [u8],
    model: &'a [u8],
    offset: usize,
    size: usize,
}

impl<'a> Item<'a> {
    fn of(entry: &'a [u8]) -> Option<Self> {
        let text = |length: usize, at: usize, room: usize| {
            let length = usize::from(*entry.get(length)?);
            entry.get(at..at + room)?.get(..length)
        };
        Some(Self {
            file: text(0, 4, 64)?,
            chip: text(1, 68, 32)?,
            hardware: text(2, 100, 32)?,
            model: text(3, 132, 32)?,
            offset: number(entry, 164)?,
            size: number(entry, 168)?,
        })
    }

    fn is_for(&self, model: &str, subtype: &str) -> bool {
        let board = matches(self.hardware, subtype) || matches(self.chip, subtype);
        board && self.model == model.as_bytes()
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(self.file).into_owned()
    }
}

/// Whether two names are the same; an `x` in either stands for one character, as in `zynq7007_HHB56XXX`.
fn matches(pattern: &[u8], name: &str) -> bool {
    let same =
        |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || [a, b].iter().any(|c| matches!(c, b'x' | b'X'));
    !pattern.is_empty() && pattern.len() == name.len() && pattern.iter().zip(name.as_bytes()).all(same)
}

/// The media type and the body of an upload. `salt` makes the boundary, which no image holds by chance.
pub(super) fn upload(name: &str, image: &[u8], salt: u128) -> (String, Bytes) {
    let boundary = format!("headframe{salt:032x}");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().filter(|c| plain(*c)).take(100).collect();
    let name = if name.is_empty() { "firmware.bin" } else { &name };
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"firmware\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let mut body = BytesMut::with_capacity(head.len() + image.len() + tail.len());
    body.put_slice(head.as_bytes());
    body.put_slice(image);
    body.put_slice(tail.as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body.freeze())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MODEL: &str = "Antminer S21";
    const SUBTYPE: &str = "AMLCtrl_BHB68601";

    struct Image<'a> {
        model: &'a str,
        hardware: &'a str,
        chip: &'a str,
        bytes: &'a [u8],
    }

    fn sealed(mut file: Vec<u8>) -> Bytes {
        let crc = checksum(&file);
        file[CHECKSUM].copy_from_slice(&crc.to_le_bytes());
        file.into()
    }

    fn bundle(images: &[Image<'_>]) -> Bytes {
        let mut file = vec![0; HEADER];
        file[..4].copy_from_slice(&MAGIC);
        for (at, number) in [(8, HEADER), (12, images.len()), (16, ITEM)] {
            file[at..at + 4].copy_from_slice(&(number as u32).to_le_bytes());
        }
        let mut offset = HEADER + images.len() * ITEM;
        for image in images {
            let mut entry = [0; ITEM];
            let texts = [("a.bin", 4), (image.chip, 68), (image.hardware, 100), (image.model, 132)];
            for (i, (text, at)) in texts.iter().enumerate() {
                entry[i] = text.len() as u8;
                entry[*at..at + text.len()].copy_from_slice(text.as_bytes());
            }
            entry[164..168].copy_from_slice(&(offset as u32).to_le_bytes());
            entry[168..172].copy_from_slice(&(image.bytes.len() as u32).to_le_bytes());
            offset += image.bytes.len();
            file.extend_from_slice(&entry);
        }
        images.iter().for_each(|image| file.extend_from_slice(image.bytes));
        sealed(file)
    }

    fn image<'a>(model: &'a str, hardware: &'a str, bytes: &'a [u8]) -> Image<'a> {
        Image { model, hardware, chip: "", bytes }
    }

    fn chosen(file: &Bytes) -> Result<Bytes, &'static str> {
        choose(file, MODEL, SUBTYPE).map(|(_, bytes)| bytes).map_err(|e| e.code())
    }

    #[test]
    fn the_image_is_chosen_by_model_and_board() {
        let other = image("Antminer S19", SUBTYPE, b"other");
        let file =
            bundle(&[other, image(MODEL, "AMLCtrl_BHB68XXX", b"ours"), image(MODEL, SUBTYPE, b"later")]);
        assert_eq!(choose(&file, MODEL, SUBTYPE).unwrap(), ("a.bin".into(), Bytes::from_static(b"ours")));
        let by_chip = Image { model: MODEL, hardware: "zynq", chip: SUBTYPE, bytes: b"chip" };
        assert_eq!(chosen(&bundle(&[by_chip])).unwrap(), "chip");
        let nested = bundle(&[image(MODEL, SUBTYPE, &file)]);
        assert_eq!(chosen(&nested).unwrap(), "ours");
        assert_eq!(chosen(&Bytes::from_static(b"no bundle")).unwrap(), "no bundle");
        for none in [
            bundle(&[image("Antminer S21 Pro", SUBTYPE, b"x")]),
            bundle(&[image(MODEL, "AMLCtrl_BHB70601", b"x")]),
            bundle(&[image(MODEL, "", b"x")]),
            bundle(&[]),
            bundle(&[image(MODEL, SUBTYPE, b"")]),
        ] {
            assert_eq!(chosen(&none), Err(CODE));
        }
        assert_eq!(choose(&file, MODEL, "").unwrap_err().code(), CODE);
    }

    #[test]
    fn nesting_ends() {
        let deep = |levels| {
            (0..levels)
                .fold(Bytes::from_static(b"ours"), |inside, _| bundle(&[image(MODEL, SUBTYPE, &inside)]))
        };
        assert_eq!(chosen(&deep(8)).unwrap(), "ours");
        assert_eq!(chosen(&deep(9)), Err(CODE));
    }

    #[test]
    fn numbers_that_lie_are_found_out() {
        let good = bundle(&[image(MODEL, SUBTYPE, b"ours")]);
        for (at, number) in [
            (8, 35),
            (8, u32::MAX),
            (12, 1_025),
            (12, 2),
            (16, 171),
            (16, u32::MAX),
            (HEADER + 164, u32::MAX),
            (HEADER + 168, u32::MAX),
            (HEADER + 168, 5),
            (HEADER, u32::MAX),
        ] {
            let mut bad = good.to_vec();
            bad[at..at + 4].copy_from_slice(&number.to_le_bytes());
            assert_eq!(chosen(&sealed(bad)), Err(CODE), "{at}: {number}");
        }
        let mut flipped = good.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(chosen(&flipped.into()), Err(CODE));
        for length in 4..good.len() {
            assert_eq!(chosen(&good.slice(..length)), Err(CODE), "{length}");
        }
    }

    #[test]
    fn an_upload_is_one_part() {
        let (kind, body) = upload("a\"b/ü.bmu", b"\x00image", 7);
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(
            text.starts_with(&format!("--{boundary}\r\n")) && text.ends_with(&format!("--{boundary}--\r\n"))
        );
        assert!(text.contains("name=\"firmware\"; filename=\"ab.bmu\"\r\n"), "{text}");
        assert!(text.contains("\r\n\r\n\0image\r\n--"));
    }

    proptest! {
        #[test]
        fn hostile_bundles_never_panic(at in 0usize..208, number in any::<u32>(), seal in any::<bool>()) {
            let mut file = bundle(&[image(MODEL, SUBTYPE, b"ours")]).to_vec();
            file[at..at + 4].copy_from_slice(&number.to_le_bytes());
            let file = if seal && is_bundle(&file) { sealed(file) } else { file.into() };
            let _ = chosen(&file);
        }
    }
}
