//! The recipe of API v2: key and token from the password, packets in AES-256-ECB.

use std::fmt::Write as _;

use aes::{
    Aes256,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use sha2::Sha256;

const BLOCK: usize = 16;
/// The order in which crypt(3) writes six bits each.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The bytes of the last digest in the order of its text, three by three; the last stands alone.
const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
const ROUNDS: u32 = 1_000;
const SALT_MAX: usize = 8;

/// The hash in `$1$<salt>$<hash>`: crypt(3)'s scheme 1.
pub(super) fn md5crypt(password: &[u8], salt: &str) -> String {
    let salt = salt.as_bytes();
    let salt = salt.get(..SALT_MAX).unwrap_or(salt);
    let inner: [u8; BLOCK] =
        Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut outer = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    for piece in password.chunks(BLOCK) {
        outer.update(inner.get(..piece.len()).unwrap_or(&inner));
    }
    let mut bits = password.len();
    while bits > 0 {
        // A one takes a zero byte, a zero the first of the password: so it was written once, and so it stayed.
        outer.update(if bits & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        bits >>= 1;
    }
    let mut digest: [u8; BLOCK] = outer.finalize().into();
    for round in 0..ROUNDS {
        digest = one_round(round, &digest, password, salt);
    }
    text(&digest)
}

fn one_round(round: u32, digest: &[u8], password: &[u8], salt: &[u8]) -> [u8; BLOCK] {
    let (first, last) = if round.is_multiple_of(2) { (digest, password) } else { (password, digest) };
    let mut next = Md5::new().chain_update(first);
    if !round.is_multiple_of(3) {
        next.update(salt);
    }
    if !round.is_multiple_of(7) {
        next.update(password);
    }
    next.chain_update(last).finalize().into()
}

fn text(digest: &[u8; BLOCK]) -> String {
    let byte = |at: usize| digest.get(at).copied().map_or(0, u32::from);
    let mut out = String::with_capacity(22);
    let mut put = |mut value: u32, chars: usize| {
        for _ in 0..chars {
            out.push(ALPHABET.get((value & 63) as usize).copied().map_or('.', char::from));
            value >>= 6;
        }
    };
    for [a, b, c] in ORDER {
        put(byte(a) << 16 | byte(b) << 8 | byte(c), 4);
    }
    put(byte(11), 2);
    out
}

/// MD5 as lower-case hexadecimal digits.
pub(super) fn md5_hex(parts: &[&str]) -> String {
    let digest = parts.iter().fold(Md5::new(), |md5, part| md5.chain_update(part)).finalize();
    hex(&digest)
}

/// SHA-256 as lower-case hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}

/// The token that belongs to a key, a time and a new salt.
pub(super) fn sign(key: &str, time: &str, newsalt: &str) -> String {
    md5crypt([key, time].concat().as_bytes(), newsalt)
}

/// The key of packets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Key {
    /// From the hash of the password.
    pub fn of(hash: &str) -> Self {
        Self(Sha256::digest(hash.as_bytes()).into())
    }

    /// Encrypts text, filled up with zero bytes, and gives it as base64.
    pub fn seal(&self, plain: &str) -> String {
        let mut bytes = plain.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        let cipher = Aes256::new(&self.0.into());
        for chunk in bytes.chunks_exact_mut(BLOCK) {
            if let Ok(block) = chunk.try_into() {
                cipher.encrypt_block(block);
            }
        }
        STANDARD.encode(bytes)
    }

    /// Decrypts base64 to the text of one JSON object, whatever filled its last block. `None` for what is no base64,
    /// not whole, or was encrypted with another key.
    pub fn open(&self, data: &str) -> Option<String> {
        let mut bytes = STANDARD.decode(data.trim()).ok()?;
        if bytes.is_empty() || !bytes.len().is_multiple_of(BLOCK) {
            return None;
        }
        let cipher = Aes256::new(&self.0.into());
        for chunk in bytes.chunks_exact_mut(BLOCK) {
            cipher.decrypt_block(chunk.try_into().ok()?);
        }
        let end = bytes.iter().rposition(|b| *b == b'}')?;
        bytes.truncate(end + 1);
        String::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/fixtures/whatsminer/write_vectors.json")).unwrap()
    }

    #[test]
    fn every_step_of_every_vector() {
        for v in vectors()["crypto"].as_array().unwrap() {
            let of = |name: &str| v[name].as_str().unwrap();
            let hash = md5crypt(of("password").as_bytes(), of("salt"));
            assert_eq!(format!("$1${}${hash}", of("salt")), of("step1_md5crypt"));
            assert_eq!(hash, of("key"));
            assert_eq!(sign(&hash, of("time"), of("newsalt")), of("sign"));
            let key = Key::of(&hash);
            assert_eq!(hex(&key.0), of("aes_key_hex"));
            for command in v["commands"].as_array().unwrap() {
                let plain = command["plaintext"].as_str().unwrap();
                let packet =
                    |name: &str| -> Value { serde_json::from_str(command[name].as_str().unwrap()).unwrap() };
                let zero = packet("packet");
                assert_eq!(key.seal(plain), zero["data"].as_str().unwrap());
                for packet in [zero, packet("packet_with_pkcs7_padding")] {
                    assert_eq!(key.open(packet["data"].as_str().unwrap()).as_deref(), Some(plain));
                }
            }
        }
    }

    #[test]
    fn any_length_of_password_is_hashed() {
        // From `openssl passwd -1 -salt`.
        for (password, salt, hash) in [
            ("", "abcdefgh", "M55TzYaaccxVGbptZWaxX/"),
            ("0123456789abcdef0123", "abcdefghij", "umIDyqALOWDLyjz1kefBb0"),
        ] {
            assert_eq!(md5crypt(password.as_bytes(), salt), hash, "{password}");
        }
    }

    #[test]
    fn what_cannot_be_opened() {
        let key = Key::of("x5JSSQzqF0lEACIGSL0Ld1");
        let other = Key::of("another").seal("{\"cmd\":\"reboot\"}");
        for data in ["", "no base64!", "AAAA", &other[..20]] {
            assert_eq!(key.open(data), None, "{data}");
        }
        assert_eq!(format!("{key:?}"), "***");
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(text in "[ -~é]{0,80}") {
            let text = format!("{{{text}}}");
            let key = Key::of("k");
            prop_assert_eq!(key.open(&key.seal(&text)), Some(text));
        }

        #[test]
        fn no_data_makes_it_panic(data in "[A-Za-z0-9+/=]{0,120}") {
            let _any = Key::of("k").open(&data);
        }
    }
}
