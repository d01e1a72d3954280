//! What a device's no means, and what to do about it.

use headframe_core::{Error, ErrorKind};

use super::{look::Look, wire::Refusal, writes::OP};

/// Clocks that differ by more than this can be why a token is refused, s.
const SKEW_S: i64 = 60;
/// Unix seconds before this are uptimes of devices that do not know the time.
const EPOCH_S: i64 = 1_000_000_000;
/// Words by which a refusal is one of the token.
const AUTH: [&str; 9] =
    ["token", "auth", "salt", "permission", "account", "password", "passwd", "denied", "timestamp"];
/// Words by which a refusal is one of the command's name.
const UNKNOWN: [&str; 6] =
    ["unknown", "invalid cmd", "invalid command", "not support", "unsupported", "not implemented"];
/// API v2's code for a command that it does not know.
const INVALID_COMMAND: i64 = 14;

/// A write that the device refused.
pub(super) struct Refused<'a> {
    pub refusal: Refusal,
    pub cmd: &'static str,
    /// The time that the token was made with, Unix seconds.
    pub ts: i64,
    /// The device's clock, Unix seconds.
    pub when: Option<i64>,
    pub look: &'a Look,
}

impl Refused<'_> {
    /// The error for the caller; `secrets` do not show in it.
    pub fn error(&self, secrets: &[&str]) -> Error {
        let words = plain(&self.refusal.text, secrets);
        let said = words.to_ascii_lowercase();
        let any = |list: &[&str]| list.iter().any(|word| said.contains(word));
        let mut text = format!("the device refuses: {words}");
        let mut hint = |more: &str| {
            text += "; ";
            text += more;
        };
        let no_such = any(&UNKNOWN) || self.refusal.code == INVALID_COMMAND;
        let kind = if self.cmd == "set.miner.mode" && no_such {
            hint(
                "this firmware has no set.miner.mode: API v2's set_low_power, set_normal_power and set_high_power on port 4028 may do it",
            );
            ErrorKind::Unsupported
        } else if any(&AUTH) {
            hint("check super_password, the password of the account super");
            ErrorKind::Unauthenticated
        } else {
            ErrorKind::Rejected
        };
        if self.look.writes_are_off() {
            hint("its write API is switched off (apiswitch is 0): switch it on with the vendor's tool");
        }
        let skew = self.skew();
        if skew.is_some() {
            hint("its clock and ours differ, and a token holds for a short time: set the clocks");
        }
        let error =
            Error::new(kind, OP, text).with("command", self.cmd).with("device_code", self.refusal.code);
        match skew {
            Some(seconds) => error.with("clock_skew_s", seconds),
            None => error,
        }
    }

    /// By how much the device's clock is ahead of ours, s, when that matters.
    fn skew(&self) -> Option<i64> {
        let when = self.when.filter(|when| *when > EPOCH_S)?;
        let ahead = when.saturating_sub(self.ts);
        (ahead.saturating_abs() > SKEW_S).then_some(ahead)
    }
}

/// A device's text without what it may repeat of ours.
pub(super) fn plain(text: &str, secrets: &[&str]) -> String {
    let hide = |text: String, secret: &&str| match secret.is_empty() {
        true => text,
        false => text.replace(secret, "***"),
    };
    secrets.iter().fold(text.to_owned(), hide)
}

#[cfg(test)]
mod tests {
    use headframe_core::Sent;

    use super::*;

    fn error(code: i64, text: &str, cmd: &'static str, when: Option<i64>, switch: &str) -> Error {
        let json = format!(r#"{{"code":0,"msg":{{"system":{{"apiswitch":"{switch}"}}}}}}"#);
        let look = Look::of(json.as_bytes()).unwrap();
        let refusal = Refusal { code, text: text.into() };
        Refused { refusal, cmd, ts: 1_764_000_000, when, look: &look }.error(&["Rack_07x", ""])
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let (led, mode) = ("set.system.led", "set.miner.mode");
        for (code, text, cmd, kind) in [
            (-1, "token error", led, ErrorKind::Unauthenticated),
            (-4, "Permission denied", led, ErrorKind::Unauthenticated),
            (-2, "param out of range", led, ErrorKind::Rejected),
            (-1, "unknown cmd", mode, ErrorKind::Unsupported),
            (14, "it gives no reason", mode, ErrorKind::Unsupported),
            (-1, "unknown cmd", led, ErrorKind::Rejected),
        ] {
            let e = error(code, text, cmd, Some(1_764_000_002), "1");
            assert_eq!((e.kind(), e.sent()), (kind, Sent::No), "{text}");
            assert!(e.message().contains(text) && e.fact("clock_skew_s").is_none(), "{e}");
        }
        let e = error(-1, "unknown cmd", mode, None, "1");
        assert!(e.message().contains("set_normal_power") && e.message().contains("port 4028"), "{e}");
    }

    #[test]
    fn clocks_and_the_switch_are_named() {
        let e = error(-1, "token error", "set.system.led", Some(1_764_000_600), "0");
        assert_eq!(e.fact("clock_skew_s"), Some("600"));
        assert!(e.message().contains("apiswitch is 0") && e.message().contains("set the clocks"), "{e}");
        let e = error(-1, "token error", "set.system.led", Some(24_701), "1");
        assert_eq!(e.fact("clock_skew_s"), None, "an uptime is no clock");
    }

    #[test]
    fn what_the_device_repeats_of_secrets_is_hidden() {
        let e = error(-1, "bad password Rack_07x", "set.system.led", None, "1");
        assert!(!e.to_string().contains("Rack_07x") && e.message().contains("***"), "{e}");
    }
}
