use std::{
    fmt,
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    str::FromStr,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use super::{
    Checkpoint, Hash, Log, code,
    hash::{from_hex, to_hex},
    note::{KeyId, Note, Signature, is_name},
};
use crate::{Error, ErrorKind, Result, io::Rng};

const OP: &str = "audit.key";
const SEED_BYTES: usize = 32;
/// The type of an Ed25519 signature in a note.
const ED25519: u8 = 1;
/// A key file has 65 bytes; whatever is longer is none.
const MAX_FILE_BYTES: u64 = 1_024;

/// The key that signs a log's checkpoints, and the log's name, `headframe/<site>` for example. `Debug` does not show
/// the key.
#[derive(Clone)]
pub struct AuditKey {
    name: String,
    key: SigningKey,
}

impl AuditKey {
    /// A random key. `name` is the origin of its checkpoints: text without spaces and `+`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a name that a key cannot have.
    pub fn random(name: &str, rng: &dyn Rng) -> Result<Self> {
        let mut bytes = [0; SEED_BYTES];
        rng.fill(&mut bytes);
        Self::from_bytes(name, bytes)
    }

    /// The key whose bytes are given, from a key store of the operating system for example.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a name that a key cannot have.
    pub fn from_bytes(name: &str, bytes: [u8; SEED_BYTES]) -> Result<Self> {
        if !is_name(name) {
            let why = "the name of an audit key has 1 to 255 bytes, no spaces and no '+'";
            return Err(Error::invalid(OP, "name", why));
        }
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&bytes) })
    }

    /// Reads a key file: 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) with the code `AUDIT_KEY` when the file is missing, others than
    /// its owner may read it, or it holds no key.
    pub fn load(path: &Path, name: &str) -> Result<Self> {
        let wrong = |text: String| key_error(text).with("path", path.display());
        let mut text = Vec::new();
        let file = File::open(path).and_then(|file| {
            (&file).take(MAX_FILE_BYTES).read_to_end(&mut text)?;
            Ok(file)
        });
        let file = file.map_err(|e| {
            wrong(format!(
                "the audit key cannot be read ({e}): restore it, or make a new one and give its public key to all who \
                 verify"
            ))
        })?;
        if !owner_only(&file) {
            return Err(wrong("others than its owner may read the audit key: chmod 600 it".into()));
        }
        let bytes = from_hex(text.trim_ascii()).and_then(|bytes| bytes.try_into().ok());
        let bytes =
            bytes.ok_or_else(|| wrong("the audit key's file does not hold 64 hexadecimal digits".into()))?;
        Self::from_bytes(name, bytes)
    }

    /// Writes a new key file that only its owner may read. Keep it apart from the store: whoever has both can make
    /// another log that only witnesses tell from this one.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when there is a file already.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(path).and_then(|mut file| {
            file.write_all(format!("{}\n", to_hex(self.key.as_bytes())).as_bytes())?;
            file.sync_all()
        });
        written.map_err(|e| {
            let exists = e.kind() == std::io::ErrorKind::AlreadyExists;
            let kind = if exists { ErrorKind::Conflict } else { ErrorKind::Unreachable };
            let error = Error::new(kind, OP, format!("the audit key cannot be written: {e}"));
            error.code_as(if exists { code::KEY } else { code::IO }).with("path", path.display()).caused_by(e)
        })
    }

    /// What others need to verify its checkpoints.
    pub fn verifier(&self) -> VerifierKey {
        let key = self.key.verifying_key();
        VerifierKey { name: self.name.clone(), id: key_id(&self.name, &key), key }
    }

    /// Signs size and root of a log: a note that [`VerifierKey::open`] reads. Its origin is the key's name.
    ///
    /// Sign what is durable only: a head whose commit fails is not the log's.
    pub fn checkpoint(&self, log: &Log) -> String {
        let text = Checkpoint::text(&self.name, log);
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        let line = Signature::line(&self.name, self.verifier().id, &signature);
        format!("{text}\n{line}")
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({}, ***)", self.name)
    }
}

/// The public part of an [`AuditKey`]. As text `<name>+<key id>+<key>`, the verifier key of C2SP's signed notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: KeyId,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Its name, and the origin of its checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a signed checkpoint, and checks the signature. Signatures of other keys, of witnesses for example, are let
    /// pass unread.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with `AUDIT_NOTE` for what is not a checkpoint;
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) with `AUDIT_SIGNATURE` when this key did not sign it, or it is
    /// about another log.
    pub fn open(&self, note: &[u8]) -> Result<Checkpoint> {
        let unsigned = |why: &str| {
            let error = Error::new(ErrorKind::Unauthenticated, "audit.note", why);
            error.code_as(code::SIGNATURE).with("key", &self.name)
        };
        let note = Note::parse(note)?;
        let own = note.signatures.iter().find(|s| s.name == self.name && s.id == self.id);
        let own = own.ok_or_else(|| unsigned("the checkpoint has no signature of this key"))?;
        let signature = ed25519_dalek::Signature::from_slice(&own.bytes);
        signature.and_then(|signature| self.key.verify_strict(note.text.as_bytes(), &signature)).map_err(
            |_| unsigned("the checkpoint's signature is wrong: it was changed, or made by somebody else"),
        )?;
        let checkpoint = Checkpoint::parse(note.text)?;
        if checkpoint.origin() != self.name {
            return Err(unsigned("the checkpoint is about another log"));
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519], self.key.as_bytes().as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, to_hex(&self.id))
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    /// Reads `<name>+<key id>+<key>`.
    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (name, rest) = text.split_once('+')?;
            let (id, key) = rest.split_once('+')?;
            let id: KeyId = from_hex(id.as_bytes())?.try_into().ok()?;
            let key = STANDARD.decode(key).ok()?;
            let key: [u8; 32] = key.strip_prefix(&[ED25519])?.try_into().ok()?;
            let key = VerifyingKey::from_bytes(&key).ok().filter(|key| !key.is_weak())?;
            (is_name(name) && id == key_id(name, &key)).then(|| Self { name: name.to_owned(), id, key })
        };
        read().ok_or_else(|| {
            let why = "a verifier key reads <name>+<key id>+<key>, and its id belongs to the two others";
            Error::invalid(OP, "key", why).code_as(code::KEY)
        })
    }
}

fn key_id(name: &str, key: &VerifyingKey) -> KeyId {
    let named = [name.as_bytes(), b"\n", &[ED25519], key.as_bytes()].concat();
    let hash = Hash::plain(&named);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

fn key_error(text: String) -> Error {
    Error::new(ErrorKind::Unauthenticated, OP, text).code_as(code::KEY)
}

#[cfg(unix)]
fn owner_only(file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|m| m.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn owner_only(_: &File) -> bool {
    true
}
