//! What proves to a device that a write comes from who knows the password of its account `super`.

use aes::{
    Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// The account of every write.
pub(super) const ACCOUNT: &str = "super";
/// The password of [`ACCOUNT`] as delivered.
pub(super) const DEFAULT_PASSWORD: &str = "super";

const BLOCK: usize = 16;
const TOKEN: usize = 8;

/// The proof for one command at one second.
pub(super) struct Proof([u8; 32]);

impl Proof {
    /// SHA-256 of command, password, the device's salt and Unix seconds in decimal digits, one behind the other.
    pub fn new(command: &str, password: &str, salt: &str, ts: i64) -> Self {
        let hash = Sha256::new()
            .chain_update(command)
            .chain_update(password)
            .chain_update(salt)
            .chain_update(ts.to_string());
        Self(hash.finalize().into())
    }

    /// The token: the first eight characters of the hash in base64.
    pub fn token(&self) -> String {
        let mut text = STANDARD.encode(self.0);
        text.truncate(TOKEN);
        text
    }

    /// `json` as an encrypted parameter: AES-256-ECB with the hash as key, filled up with zero bytes, in base64.
    pub fn seal(&self, json: &str) -> String {
        let mut bytes = json.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        let cipher = Aes256::new(&self.0.into());
        for chunk in bytes.chunks_exact_mut(BLOCK) {
            if let Ok(block) = chunk.try_into() {
                cipher.encrypt_block(block);
            }
        }
        STANDARD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The writes of the reference, computed by its own tool.
    const VECTORS: &str = include_str!("../../../tests/fixtures/whatsminer/v3_vectors.json");

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn tokens_and_sealed_parameters_are_the_references() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let writes = vectors["writes"].as_array().unwrap();
        assert_eq!(writes.len(), 6);
        let mut sealed = 0;
        for v in writes {
            let text = |key: &str| v[key].as_str().unwrap();
            let proof = Proof::new(text("cmd"), text("password"), text("salt"), v["ts"].as_i64().unwrap());
            assert_eq!(hex(&proof.0), text("sha256_hex"));
            assert_eq!(STANDARD.encode(proof.0), text("sha256_base64"));
            assert_eq!(proof.token(), text("token"));
            if let Some(plain) = v["param_plaintext"].as_str() {
                let param = proof.seal(plain);
                assert_eq!(param, text("param"));
                assert_eq!(hex(&STANDARD.decode(param).unwrap()), text("param_ciphertext_hex"));
                sealed += 1;
            }
        }
        assert_eq!(sealed, 2);
    }

    #[test]
    fn a_parameter_that_fills_its_blocks_gets_no_more() {
        let proof = Proof::new("set.miner.pools", "p", "s", 1);
        let size = |n: usize| STANDARD.decode(proof.seal(&"x".repeat(n))).unwrap().len();
        assert_eq!([size(0), size(1), size(16), size(17)], [0, 16, 16, 32]);
    }
}
