//! Firmware bundles: a header, a list of images for different machines, the images. Numbers are little-endian.

const MAGIC: [u8; 4] = [0xab; 4];
const HEADER: usize = 36;
/// The least that an entry of the list has.
const ITEM: usize = 172;
/// Where the checksum stands; it counts as zeros.
const CHECKSUM: std::ops::Range<usize> = 24..28;
/// An image can be a bundle again; deeper ones are refused.
const LEVELS: u8 = 8;
const ITEMS: u32 = 1_024;

/// What one entry of the list is for.
struct Item<'a> {
    chip: &'a [u8],
    hardware: &'a [u8],
    model: &'a [u8],
    image: &'a [u8],
}

/// Whether a machine takes this file: it is no bundle, or a whole one with an image for it.
pub(super) fn fits(file: &[u8], model: &str, subtype: &str) -> bool {
    fits_within(file, model, subtype, LEVELS)
}

fn fits_within(file: &[u8], model: &str, subtype: &str, levels: u8) -> bool {
    if !file.starts_with(&MAGIC) {
        return true;
    }
    let Some(items) = items(file).filter(|_| levels > 0) else { return false };
    let ours = |item: &Item<'_>| {
        let board = matches(item.hardware, subtype) || matches(item.chip, subtype);
        board && item.model == model.as_bytes()
    };
    items.iter().any(|item| ours(item) && fits_within(item.image, model, subtype, levels - 1))
}

/// The list of a bundle; `None` when the file is damaged.
fn items(file: &[u8]) -> Option<Vec<Item<'_>>> {
    let number = |at: usize| file.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (header, count, size) = (number(8)? as usize, number(12)?, number(16)? as usize);
    if header < HEADER || size < ITEM || count > ITEMS || number(CHECKSUM.start)? != checksum(file) {
        return None;
    }
    (0..count as usize).map(|n| item(file, file.get(header + n * size..)?.get(..size)?)).collect()
}

fn item<'a>(file: &'a [u8], entry: &'a [u8]) -> Option<Item<'a>> {
    let text =
        |length: usize, at: usize, most: usize| entry.get(at..at + usize::from(entry[length]).min(most));
    let number = |at: usize| entry.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (offset, size) = (number(164)? as usize, number(168)? as usize);
    Some(Item {
        chip: text(1, 68, 32)?,
        hardware: text(2, 100, 32)?,
        model: text(3, 132, 32)?,
        image: file.get(offset..offset.checked_add(size)?)?,
    })
}

/// Whether two names are the same; an `x` in either stands for one character.
fn matches(pattern: &[u8], name: &str) -> bool {
    let same =
        |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || [a, b].iter().any(|c| matches!(c, b'x' | b'X'));
    pattern.len() == name.len() && pattern.iter().zip(name.as_bytes()).all(same)
}

/// CRC-32 as in Ethernet.
fn checksum(file: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for (at, byte) in file.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { 0 } else { *byte };
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bundle with one image.
    fn bundle(model: &str, hardware: &str, image: &[u8]) -> Vec<u8> {
        let mut file = vec![0; HEADER + ITEM];
        file[..4].copy_from_slice(&MAGIC);
        file[8..12].copy_from_slice(&(HEADER as u32).to_le_bytes());
        file[12..16].copy_from_slice(&1u32.to_le_bytes());
        file[16..20].copy_from_slice(&(ITEM as u32).to_le_bytes());
        let entry = &mut file[HEADER..];
        (entry[2], entry[3]) = (hardware.len() as u8, model.len() as u8);
        entry[100..100 + hardware.len()].copy_from_slice(hardware.as_bytes());
        entry[132..132 + model.len()].copy_from_slice(model.as_bytes());
        entry[164..168].copy_from_slice(&((HEADER + ITEM) as u32).to_le_bytes());
        entry[168..172].copy_from_slice(&(image.len() as u32).to_le_bytes());
        file.extend_from_slice(image);
        let crc = checksum(&file);
        file[CHECKSUM].copy_from_slice(&crc.to_le_bytes());
        file
    }

    #[test]
    fn checksums_as_everybody_computes_them() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_bundle_fits_its_machine_only() {
        let (model, subtype) = ("Antminer S21", "AMLCtrl_BHB68601");
        let good = bundle(model, "AMLCtrl_BHB686xx", b"image");
        assert!(fits(&good, model, subtype));
        assert!(!fits(&good, "Antminer S19", subtype));
        assert!(!fits(&good, model, "AMLCtrl_BHB70601"));
        assert!(fits(&bundle(model, subtype, &good), model, subtype));
        assert!(!fits(&bundle(model, subtype, &bundle("Antminer S19", subtype, b"x")), model, subtype));
        let deep = (0..9).fold(b"image".to_vec(), |inside, _| bundle(model, subtype, &inside));
        assert!(!fits(&deep, model, subtype));
        assert!(fits(b"no bundle", model, subtype));
    }

    #[test]
    fn a_damaged_bundle_does_not_fit() {
        let good = bundle("Antminer S21", "AMLCtrl_BHB68601", b"image");
        for at in [0, 9, 24, 40, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            // Without the magic it is another kind of file.
            assert_eq!(fits(&bad, "Antminer S21", "AMLCtrl_BHB68601"), at == 0, "{at}");
        }
        assert!(!fits(&good[..good.len() - 1], "Antminer S21", "AMLCtrl_BHB68601"));
        assert!(!fits(&MAGIC, "Antminer S21", "AMLCtrl_BHB68601"));
    }
}
