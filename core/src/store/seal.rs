use std::{collections::BTreeMap, fmt, fs, io::Write, path::Path};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    fault::code,
    planted::{Bug, planted},
    space::{Key, Space},
};
use crate::{Error, ErrorKind, Result, Secret, io::Rng};

const OP: &str = "store.seal";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The key that seals a site's secrets. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; KEY_BYTES]);

impl SealKey {
    /// A random key.
    pub fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; KEY_BYTES];
        rng.fill(&mut bytes);
        Self(bytes)
    }

    /// The key whose bytes are given, from a key store of the operating system for example.
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads a key file: 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) with the code `STORE_KEY` when the file is missing, others
    /// than its owner may read it, or it holds no key.
    pub fn load(path: &Path) -> Result<Self> {
        let wrong = |text: String| key_error(text).with("path", path.display());
        let text = fs::read_to_string(path).map_err(|e| {
            wrong(format!(
                "the key file cannot be read ({e}): restore it beside the store, a backup is made without it and \
                 secrets are lost without it"
            ))
        })?;
        if !owner_only(path) {
            return Err(wrong("others than its owner may read the key file: chmod 600 it".into()));
        }
        let bytes = from_hex(text.trim()).and_then(|b| b.try_into().ok());
        Ok(Self(bytes.ok_or_else(|| wrong("the key file does not hold 64 hexadecimal digits".into()))?))
    }

    /// Writes a new key file that only its owner may read.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when there is a file already.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(path).and_then(|mut file| {
            file.write_all(format!("{}\n", to_hex(&self.0)).as_bytes())?;
            file.sync_all()
        });
        written.map_err(|e| {
            let exists = e.kind() == std::io::ErrorKind::AlreadyExists;
            let kind = if exists { ErrorKind::Conflict } else { ErrorKind::Unreachable };
            let error = Error::new(kind, OP, format!("the key file cannot be written: {e}"));
            error.code_as(if exists { code::EXISTS } else { code::IO }).with("path", path.display())
        })
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(***)")
    }
}

#[cfg(unix)]
fn owner_only(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn owner_only(_: &Path) -> bool {
    true
}

/// Where a secret stands. A sealed secret opens at its own place only, so nobody can move one to where it is shown
/// or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// The record's space.
    pub space: Space,
    /// The record's key.
    pub key: &'a Key,
    /// The member of the record, such as `opts.password`.
    pub field: &'a str,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        // Keys have no control characters, so the parts cannot run into each other.
        format!("headframe-seal-1\0{}\0{}\0{}", self.space, self.key, self.field).into_bytes()
    }
}

/// A secret as it stands in a record: `{"$sealed": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Sealed {
    #[serde(rename = "$sealed")]
    text: String,
}

impl TryFrom<BTreeMap<String, String>> for Sealed {
    type Error = &'static str;

    /// Only the object is a sealed secret: a list of one text is what somebody wrote.
    fn try_from(mut members: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        let text = members.remove("$sealed").filter(|_| members.is_empty());
        text.map(|text| Self { text }).ok_or("a sealed secret has one member, $sealed")
    }
}

impl Sealed {
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// Seals and unseals a site's secrets with XChaCha20-Poly1305. `Debug` does not show the key.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305);

impl Sealer {
    /// A sealer with `key`.
    pub fn new(key: &SealKey) -> Self {
        Self(XChaCha20Poly1305::new(&key.0.into()))
    }

    /// Seals `secret` for `place`.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) when it is too large for the cipher.
    pub fn seal(&self, rng: &dyn Rng, place: &Place<'_>, secret: &Secret) -> Result<Sealed> {
        if planted(Bug::PlainSecret) {
            return Ok(Sealed { text: secret.expose().into() });
        }
        let mut out = [0; NONCE_BYTES].to_vec();
        rng.fill(&mut out);
        let nonce = nonce_of(&out).ok_or_else(|| Error::new(ErrorKind::Internal, OP, "no nonce"))?;
        let payload = Payload { msg: secret.expose().as_bytes(), aad: &place.bytes() };
        let sealed = self.0.encrypt(&nonce, payload);
        out.extend(sealed.map_err(|_| Error::new(ErrorKind::Internal, OP, "the secret cannot be sealed"))?);
        Ok(Sealed { text: to_hex(&out) })
    }

    /// The secret that was sealed for `place`.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) with the code `STORE_KEY` when the key is another one, or the
    /// secret was sealed for another place or changed.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Secret> {
        if planted(Bug::PlainSecret) {
            return Ok(Secret::new(sealed.text.clone()));
        }
        let wrong = || {
            key_error(
                "a secret does not open: the key is another one, or the secret was moved or changed".into(),
            )
            .with("space", place.space)
            .with("key", place.key)
            .with("field", place.field)
        };
        let bytes = from_hex(&sealed.text).ok_or_else(wrong)?;
        let nonce = nonce_of(&bytes).ok_or_else(wrong)?;
        let payload = Payload { msg: &bytes[NONCE_BYTES..], aad: &place.bytes() };
        let plain = self.0.decrypt(&nonce, payload).map_err(|_| wrong())?;
        Ok(Secret::new(String::from_utf8(plain).map_err(|_| wrong())?))
    }

    /// Seals a JSON value of any type: numbers and lists can be secrets too. A value that is sealed already stays.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_value(&self, rng: &dyn Rng, place: &Place<'_>, value: &Value) -> Result<Value> {
        if Sealed::deserialize(value).is_ok() {
            return Ok(value.clone());
        }
        let sealed = self.seal(rng, place, &Secret::new(value.to_string()))?;
        Ok(serde_json::json!({ "$sealed": sealed.text }))
    }

    /// Undoes [`seal_value`](Self::seal_value); a value that is not sealed stays.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_value(&self, place: &Place<'_>, value: &Value) -> Result<Value> {
        let Ok(sealed) = Sealed::deserialize(value) else { return Ok(value.clone()) };
        let plain = self.open(place, &sealed)?;
        serde_json::from_str(plain.expose()).map_err(|_| {
            Error::new(ErrorKind::Corrupt, OP, "a sealed value is not JSON").with("field", place.field)
        })
    }

    /// Seals the members of `map` whose names say that they hold a secret ([`is_secret`](Self::is_secret)). `prefix`
    /// is the path of `map` within the record, such as `opts`.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_map(
        &self,
        rng: &dyn Rng,
        (space, key): (Space, &Key),
        prefix: &str,
        map: &mut Map<String, Value>,
    ) -> Result<()> {
        for (name, value) in map.iter_mut().filter(|(name, _)| Self::is_secret(name)) {
            let field = format!("{prefix}.{name}");
            *value = self.seal_value(rng, &Place { space, key, field: &field }, value)?;
        }
        Ok(())
    }

    /// Undoes [`seal_map`](Self::seal_map).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_map(
        &self,
        (space, key): (Space, &Key),
        prefix: &str,
        map: &mut Map<String, Value>,
    ) -> Result<()> {
        for (name, value) in map.iter_mut().filter(|(name, _)| Self::is_secret(name)) {
            let field = format!("{prefix}.{name}");
            *value = self.open_value(&Place { space, key, field: &field }, value)?;
        }
        Ok(())
    }

    /// Whether an option of this name holds a secret.
    pub fn is_secret(name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let parts =
            ["password", "passwd", "secret", "token", "apikey", "api_key", "privatekey", "private_key"];
        name == "pass" || name == "pwd" || name == "pin" || parts.iter().any(|part| name.contains(part))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

fn key_error(text: String) -> Error {
    Error::new(ErrorKind::Unauthenticated, OP, text).code_as(code::KEY)
}

fn nonce_of(bytes: &[u8]) -> Option<XNonce> {
    let nonce: &[u8; NONCE_BYTES] = bytes.first_chunk()?;
    Some((*nonce).into())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|n| char::from_digit(n.into(), 16)).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| d.try_into().ok())).collect();
    let digits = digits.filter(|d| d.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
