//! Where firmware images come from. A vote is bound to an image's hash, never to a name or a place.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::args::{Args, OP};
use crate::{Error, ErrorKind, Result, model::FirmwareImage};

/// Code of the error for an image that is not there.
pub const FIRMWARE_NOT_FOUND: &str = "ERR_FIRMWARE_NOT_FOUND";
/// Code of the error for an image whose bytes have another hash than the approved one.
pub const FIRMWARE_CHANGED: &str = "ERR_FIRMWARE_CHANGED";
/// Largest image, bytes; the vendors' are below 100 MB.
const MOST_BYTES: usize = 256 << 20;

/// Keeps firmware images.
pub trait FirmwareStore: fmt::Debug + Send + Sync + 'static {
    /// The image with this SHA-256 (64 lower-case hexadecimal digits). It is hashed again by whoever asks.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with [`FIRMWARE_NOT_FOUND`] when there is none; whatever reading it gives.
    fn image(&self, sha256: &str) -> Result<Bytes>;

    /// What there is, for people who choose. A store that lists nothing still gives its images by their hashes.
    ///
    /// # Errors
    /// Whatever reading the list gives.
    fn list(&self) -> Result<Vec<FirmwareEntry>> {
        Ok(Vec::new())
    }
}

/// An image in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FirmwareEntry {
    /// The SHA-256 of its bytes (64 lower-case hexadecimal digits), by which actions name it.
    pub sha256: String,
    /// What people call it.
    pub name: String,
    /// The name of its file.
    pub file: String,
}

impl FirmwareEntry {
    /// The image with this hash, under one name for people and for its file.
    pub fn new(sha256: &str, name: &str) -> Self {
        Self { sha256: sha256.into(), name: name.into(), file: name.into() }
    }
}

/// Images in memory, by their hashes, and their names.
#[derive(Default)]
pub struct FirmwareShelf(Mutex<BTreeMap<String, (Bytes, String)>>);

impl FirmwareShelf {
    /// Keeps an image, and gives its SHA-256, which is its name, too.
    pub fn add(&self, image: impl Into<Bytes>) -> String {
        let image = image.into();
        let hash = sha256(&image);
        self.lock().insert(hash.clone(), (image, hash.clone()));
        hash
    }

    /// Keeps an image under a name, and gives its SHA-256.
    pub fn add_named(&self, name: &str, image: impl Into<Bytes>) -> String {
        let image = image.into();
        let hash = sha256(&image);
        self.lock().insert(hash.clone(), (image, name.into()));
        hash
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Bytes, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FirmwareStore for FirmwareShelf {
    fn image(&self, sha256: &str) -> Result<Bytes> {
        let found = self.lock().get(sha256).map(|(image, _)| image.clone());
        found.ok_or_else(|| missing(sha256))
    }

    fn list(&self) -> Result<Vec<FirmwareEntry>> {
        Ok(self.lock().iter().map(|(hash, (_, name))| FirmwareEntry::new(hash, name)).collect())
    }
}

impl fmt::Debug for FirmwareShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

/// Images whose hash was checked. The last one is kept, so that an update of many things reads and hashes it once.
pub struct Images {
    store: Option<Arc<dyn FirmwareStore>>,
    last: Mutex<Option<(String, Bytes)>>,
}

impl Images {
    /// Images of `store`; without one there are none.
    pub fn new(store: Option<Arc<dyn FirmwareStore>>) -> Self {
        Self { store, last: Mutex::default() }
    }

    /// The image with this SHA-256.
    ///
    /// # Errors
    /// As [`FirmwareStore::image`]; [`Conflict`](ErrorKind::Conflict) with [`FIRMWARE_CHANGED`] when its bytes have
    /// another hash; [`Invalid`](ErrorKind::Invalid) when it is larger than 256 MiB.
    pub fn get(&self, wanted: &str) -> Result<Bytes> {
        let wanted = wanted.to_ascii_lowercase();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, image)) = last.as_ref().filter(|(hash, _)| *hash == wanted) {
            return Ok(image.clone());
        }
        let image = self.store.as_ref().ok_or_else(|| missing(&wanted))?.image(&wanted)?;
        if image.len() > MOST_BYTES {
            let why = format!("the image is larger than {MOST_BYTES} bytes");
            return Err(Error::invalid(OP, "firmware", why).with("sha256", wanted));
        }
        let found = sha256(&image);
        if found != wanted {
            let text = "the image has another hash than the one that was approved: nothing is sent";
            let e = Error::new(ErrorKind::Conflict, OP, text).code_as(FIRMWARE_CHANGED);
            return Err(e.with("sha256", wanted).with("found", found));
        }
        *last = Some((wanted, image.clone()));
        Ok(image)
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images").field("store", &self.store).finish_non_exhaustive()
    }
}

fn missing(sha256: &str) -> Error {
    let e = Error::new(ErrorKind::NotFound, OP, "no firmware image has this hash");
    e.code_as(FIRMWARE_NOT_FOUND).with("sha256", sha256)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `updateFirmware` takes. A member that nobody reads would be voted on for nothing, so there is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    sha256: String,
    #[serde(default)]
    version: Option<String>,
}

pub(super) fn parse(args: &Args<'_>, images: &Images) -> Result<FirmwareImage> {
    let Wanted { name, sha256, version } = args.typed("firmware")?;
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(args.wrong("firmware.sha256", "is 64 hexadecimal digits"));
    }
    let bytes = images.get(&sha256)?;
    Ok(FirmwareImage { version, ..FirmwareImage::new(name, sha256, bytes) })
}
