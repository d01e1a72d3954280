//! Secrets that are easy to find again.

use std::{collections::HashMap, path::Path, sync::Arc};

use headframe_core::{Error, store::KEY_FILE};

use crate::rig::files;

/// How many secrets people have.
pub const CANARIES: usize = 50;
/// Any so long piece of a secret counts as found.
const PIECE: usize = 8;

/// The secrets, and pieces of them to look for.
pub struct Canaries {
    secrets: Vec<String>,
    pieces: HashMap<[u8; PIECE], usize>,
    key: Arc<[u8; 32]>,
}

impl Canaries {
    pub fn new(rng: &mut fastrand::Rng) -> Self {
        let secret = |rng: &mut fastrand::Rng| (0..28).map(|_| rng.alphanumeric()).collect::<String>();
        let key = super::acted::audit_key(rng);
        let mut canaries = Self { secrets: Vec::new(), pieces: HashMap::new(), key: Arc::clone(&key) };
        (0..CANARIES).for_each(|_| canaries.add(&secret(rng)));
        canaries.add(&String::from_utf8_lossy(&*key));
        canaries
    }

    /// One more secret: a key.
    pub fn add(&mut self, secret: &str) {
        let number = self.secrets.len();
        for piece in secret.as_bytes().windows(PIECE) {
            if let Some(piece) = piece.first_chunk::<PIECE>() {
                self.pieces.insert(*piece, number);
            }
        }
        self.secrets.push(secret.to_owned());
    }

    /// The secret of the key that signs audit logs.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// An error when that key is in `text` as its bytes are printed. Eight characters of that are in many a text, so the whole
    /// of it is looked for.
    pub fn no_key(&self, place: &str, text: &str) -> Result<(), String> {
        let hex: String = self.key.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{:?}", &self.key[..8]);
        if text.to_ascii_lowercase().contains(&hex) || text.contains(list.trim_matches(['[', ']'])) {
            return Err(format!("{place}: the key of the audit log is readable"));
        }
        Ok(())
    }

    /// The secret of this number.
    pub fn at(&self, number: usize) -> &str {
        &self.secrets[number % CANARIES]
    }

    pub fn any(&self, rng: &mut fastrand::Rng) -> &str {
        &self.secrets[rng.usize(0..CANARIES)]
    }

    /// An error when a piece of a secret is in `bytes`.
    pub fn absent(&self, place: &str, bytes: &[u8]) -> Result<(), String> {
        let found = bytes
            .windows(PIECE)
            .enumerate()
            .find_map(|(at, window)| Some((at, self.pieces.get(window.first_chunk::<PIECE>()?)?)));
        match found {
            Some((at, number)) => Err(format!("{place}: secret {number} is readable at byte {at}")),
            None => Ok(()),
        }
    }

    /// An error when a piece of a secret is in a file of `dir` that is not for keys.
    pub fn not_in_files(&self, dir: &Path) -> Result<(), String> {
        for (path, bytes) in files(dir)? {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if !name.starts_with(KEY_FILE) {
                self.absent(&name, &bytes)?;
            }
        }
        Ok(())
    }

    pub fn not_told(&self, what: &str, e: &Error) -> Result<(), String> {
        let context: Vec<_> = e.context().collect();
        self.absent(what, format!("{e} {e:?} {e:#?} {context:?} {}", e.message()).as_bytes())
    }
}
