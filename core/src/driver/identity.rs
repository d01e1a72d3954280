use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result, model::Text};

/// Code of the error that a write gets when another device answers than the one it is meant for.
pub const IDENTITY_MISMATCH: &str = "ERR_IDENTITY_MISMATCH";

/// Which device this is: what it says of itself that no other device says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// MAC address, upper case with colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Text>,
    /// Serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Text>,
}

impl Identity {
    /// What is known of a device.
    pub const fn new(mac: Option<Text>, serial: Option<Text>) -> Self {
        Self { mac, serial }
    }

    /// Whether nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.mac.is_none() && self.serial.is_none()
    }

    /// Proves that the device that says `shown` is this one: whatever both know is equal, and they know one thing
    /// at least.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with the code [`IDENTITY_MISMATCH`].
    pub fn prove(&self, shown: &Self) -> Result<()> {
        let pairs = [("mac", &self.mac, &shown.mac), ("serial", &self.serial, &shown.serial)];
        let mut proofs = 0;
        for (fact, wanted, found) in pairs {
            match (wanted, found) {
                (Some(wanted), Some(found)) if wanted.eq_ignore_ascii_case(found) => proofs += 1,
                (Some(wanted), Some(found)) => {
                    let text = "another device answers at this address: nothing was sent to it";
                    return Err(mismatch(text)
                        .with("fact", fact)
                        .with("expected", wanted)
                        .with("found", found));
                }
                _ => {}
            }
        }
        if proofs > 0 {
            return Ok(());
        }
        Err(mismatch(
            "the device shows neither its MAC nor its serial number, so it cannot be told from others",
        ))
    }
}

fn mismatch(text: &str) -> Error {
    Error::new(ErrorKind::Conflict, "identity.prove", text).code_as(IDENTITY_MISMATCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sent;

    fn identity(mac: Option<&str>, serial: Option<&str>) -> Identity {
        Identity::new(mac.map(Into::into), serial.map(Into::into))
    }

    #[test]
    fn one_common_fact_proves_and_one_contrary_refuses() {
        let known = identity(Some("C4:11:04:00:00:01"), Some("HTM1"));
        known.prove(&known).unwrap();
        known.prove(&identity(Some("c4:11:04:00:00:01"), None)).unwrap();
        for other in [
            identity(Some("C4:11:04:00:00:02"), Some("HTM1")),
            identity(None, Some("HTM2")),
            identity(None, None),
        ] {
            let e = known.prove(&other).unwrap_err();
            assert_eq!((e.kind(), e.code(), e.sent()), (ErrorKind::Conflict, IDENTITY_MISMATCH, Sent::No));
        }
        assert!(Identity::default().prove(&known).is_err(), "who is not known cannot be proven");
    }
}
