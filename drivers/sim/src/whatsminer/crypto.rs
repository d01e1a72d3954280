//! The token and packet recipe of API v2, from the device's side.

use aes::{
    Aes256,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use md5::Md5;
use sha2::{Digest, Sha256};

const BLOCK: usize = 16;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How a device fills the last block of its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// With zero bytes, none when the length fits.
    #[default]
    Zero,
    /// As PKCS#7.
    Pkcs7,
}

/// Why a packet could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealed {
    /// The data is not base64.
    Base64,
    /// Decrypted, it is no JSON: another key, most likely.
    Key,
}

/// The hash part of `$1$<salt>$<hash>`: the 1000-round MD5 scheme, salt at most eight characters.
pub(super) fn md5crypt(password: &[u8], salt: &str) -> String {
    let salt = &salt.as_bytes()[..salt.len().min(8)];
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    for at in (0..password.len()).step_by(BLOCK) {
        first.update(&inner[..(password.len() - at).min(BLOCK)]);
    }
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..1_000 {
        let odd = round & 1 == 1;
        let mut next = Md5::new();
        next.update(if odd { password } else { &digest[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &digest[..] } else { password });
        digest = next.finalize();
    }
    let mut text = String::with_capacity(22);
    let mut put = |value: u32, chars: usize| {
        for i in 0..chars {
            text.push(char::from(ALPHABET[(value >> (6 * i)) as usize & 63]));
        }
    };
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        put(u32::from(digest[a]) << 16 | u32::from(digest[b]) << 8 | u32::from(digest[c]), 4);
    }
    put(u32::from(digest[11]), 2);
    text
}

/// The token that belongs to a key, a time and a new salt.
pub(super) fn sign(key: &str, time: &str, newsalt: &str) -> String {
    md5crypt(format!("{key}{time}").as_bytes(), newsalt)
}

fn cipher(key: &str) -> Aes256 {
    Aes256::new(&Sha256::digest(key.as_bytes()))
}

/// Encrypts `plain` and gives it as base64.
pub(super) fn seal(key: &str, plain: &str, padding: Padding) -> String {
    let mut bytes = plain.as_bytes().to_vec();
    let missing = BLOCK - bytes.len() % BLOCK;
    match padding {
        Padding::Pkcs7 => bytes.resize(bytes.len() + missing, missing as u8),
        Padding::Zero if missing < BLOCK => bytes.resize(bytes.len() + missing, 0),
        Padding::Zero => {}
    }
    let cipher = cipher(key);
    for chunk in bytes.chunks_exact_mut(BLOCK) {
        if let Ok(block) = chunk.try_into() {
            cipher.encrypt_block(block);
        }
    }
    STANDARD.encode(bytes)
}

/// The bytes in base64 data of whole blocks, with their padding.
pub(super) fn decrypt(cipher: &Aes256, data: &str) -> Result<Vec<u8>, Sealed> {
    let mut bytes = STANDARD.decode(data).map_err(|_| Sealed::Base64)?;
    if bytes.is_empty() || bytes.len() % BLOCK != 0 {
        return Err(Sealed::Key);
    }
    for chunk in bytes.chunks_exact_mut(BLOCK) {
        if let Ok(block) = chunk.try_into() {
            cipher.decrypt_block(block);
        }
    }
    Ok(bytes)
}

/// Decrypts base64 data that was filled with zeros or as PKCS#7, and parses it.
pub(super) fn open(key: &str, data: &str) -> Result<serde_json::Map<String, serde_json::Value>, Sealed> {
    let bytes = decrypt(&cipher(key), data)?;
    let fill = bytes[bytes.len() - 1];
    let end = match usize::from(fill) {
        0 => bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1),
        n @ 1..=BLOCK if bytes[bytes.len() - n..].iter().all(|b| *b == fill) => bytes.len() - n,
        _ => bytes.len(),
    };
    serde_json::from_slice(&bytes[..end]).map_err(|_| Sealed::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_vector() {
        let key = md5crypt(b"admin", "5QAHiKMb");
        assert_eq!(key, "x5JSSQzqF0lEACIGSL0Ld1");
        assert_eq!(sign(&key, "0000", "kowEj187"), "FuAsr25h02Hee7J8zszS71");
        let plain = r#"{"cmd":"power_on","token":"FuAsr25h02Hee7J8zszS71"}"#;
        let data = "aELwg5+iYcXf5Q3bJO25jCCydl4aK/Ls/0xqpi0d0D4k95iZ8T2e1aEZZK1aP5CZ2vooJvKMMHlIZcGVGmcKzA==";
        assert_eq!(seal(&key, plain, Padding::Zero), data);
        assert_eq!(open(&key, data).unwrap()["cmd"], "power_on");
        let pkcs7 =
            "aELwg5+iYcXf5Q3bJO25jCCydl4aK/Ls/0xqpi0d0D4k95iZ8T2e1aEZZK1aP5CZBhj6aRiFhZStm89w7vBNAQ==";
        assert_eq!(seal(&key, plain, Padding::Pkcs7), pkcs7);
        assert_eq!(open(&key, pkcs7).unwrap()["token"], "FuAsr25h02Hee7J8zszS71");
    }

    #[test]
    fn second_vector() {
        let key = md5crypt(b"Rack_07x", "BQ5hoXV9");
        assert_eq!(key, "G3.HEHMSQiDRHwO68JcVx.");
        assert_eq!(sign(&key, "1764000000", "jbzkfQls"), "Qtz1Eo3ka51SdXGosN.4a/");
        let reply = r#"{"STATUS":"S","When":1764000001,"Code":131,"Msg":"API command OK","Description":""}"#;
        let data = concat!(
            "C9mS6qYwNHMSeuO8tqyo9f6syB19GTo6BTS830Tojq//YB7oFzGDDpgK7/UV+irI0QTby3R+iK9mjfUz",
            "h5eDzhuXOy6/Wa5xvvpIcKF9Tb5bdlZqJWkB7SwE6ArJhiWK"
        );
        assert_eq!(seal(&key, reply, Padding::Zero), data);
        let request = concat!(
            "LPbPvndAOz7a/phmd/wFjywqycw8EoQ7qXK5xcONxSLjV1WvTzLtqooYnkwZsknW5PjGrrWUCEXAk66y",
            "irDxB6yK2d/XwyHvdxfBQz2JQzI="
        );
        assert_eq!(open(&key, request).unwrap()["respbefore"], "true");
    }

    #[test]
    fn what_cannot_be_opened() {
        let key = md5crypt(b"admin", "5QAHiKMb");
        assert_eq!(open(&key, "no base64!").unwrap_err(), Sealed::Base64);
        assert_eq!(open(&key, "AAAA").unwrap_err(), Sealed::Key);
        let other = seal("another key", r#"{"cmd":"reboot"}"#, Padding::Zero);
        assert_eq!(open(&key, &other).unwrap_err(), Sealed::Key);
    }
}
