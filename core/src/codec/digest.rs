//! Digest authentication (RFC 7616 and 2617) as devices use it: MD5, with `qop=auth` or without.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

/// A digest challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
    /// Whether `qop=auth` is offered; else the older form without counter is used.
    pub(super) auth: bool,
    /// Whether the algorithm was named: then the answer names it too.
    pub(super) names_md5: bool,
    pub(super) stale: bool,
}

/// What one `WWW-Authenticate` field held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    /// The first realm of any scheme.
    pub(super) realm: Option<String>,
    /// The first challenge that can be answered.
    pub(super) digest: Option<Challenge>,
}

/// The parameters of one scheme while it is read.
#[derive(Default)]
struct Draft {
    digest: bool,
    realm: Option<String>,
    nonce: Option<String>,
    opaque: Option<String>,
    qop: Option<String>,
    algorithm: Option<String>,
    stale: bool,
}

impl Draft {
    fn set(&mut self, name: &str, value: String) {
        let member = match name {
            n if n.eq_ignore_ascii_case("realm") => &mut self.realm,
            n if n.eq_ignore_ascii_case("nonce") => &mut self.nonce,
            n if n.eq_ignore_ascii_case("opaque") => &mut self.opaque,
            n if n.eq_ignore_ascii_case("qop") => &mut self.qop,
            n if n.eq_ignore_ascii_case("algorithm") => &mut self.algorithm,
            n if n.eq_ignore_ascii_case("stale") => {
                self.stale = value.eq_ignore_ascii_case("true");
                return;
            }
            _ => return,
        };
        // The first of a repeated parameter counts.
        member.get_or_insert(value);
    }

    fn finish(self, offered: &mut Offered) {
        if offered.realm.is_none() {
            offered.realm.clone_from(&self.realm);
        }
        let md5 = self.algorithm.as_deref().is_none_or(|a| a.trim().eq_ignore_ascii_case("md5"));
        let auth =
            self.qop.as_deref().is_some_and(|q| q.split(',').any(|o| o.trim().eq_ignore_ascii_case("auth")));
        let known_qop = auth || self.qop.as_deref().is_none_or(|q| q.trim().is_empty());
        if !self.digest || !md5 || !known_qop || offered.digest.is_some() {
            return;
        }
        if let (Some(realm), Some(nonce)) = (self.realm, self.nonce) {
            let names_md5 = self.algorithm.is_some();
            offered.digest =
                Some(Challenge { realm, nonce, opaque: self.opaque, auth, names_md5, stale: self.stale });
        }
    }
}

/// Reads the challenges of one `WWW-Authenticate` field. Devices write odd ones: whatever is not understood is
/// skipped.
pub(super) fn challenges(field: &str) -> Offered {
    let mut offered = Offered::default();
    let mut draft = Draft::default();
    let mut rest = field;
    loop {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        if rest.is_empty() {
            break;
        }
        let (word, after) = rest.split_at(rest.find(|c: char| !is_token(c)).unwrap_or(rest.len()));
        if word.is_empty() {
            // Not where a word may begin: skip to the next separator.
            let skip = rest.find([',', ' ']).unwrap_or(rest.len());
            rest = rest.strip_prefix('"').map_or(&rest[skip..], |inner| quoted(inner).1);
            continue;
        }
        match after.trim_start().strip_prefix('=') {
            Some(value) => {
                let value = value.trim_start();
                let (text, after) = match value.strip_prefix('"') {
                    Some(inner) => quoted(inner),
                    None => {
                        let end = value.find([',', ' ', '\t']).unwrap_or(value.len());
                        (value[..end].to_owned(), &value[end..])
                    }
                };
                draft.set(word, text);
                rest = after;
            }
            None => {
                std::mem::take(&mut draft).finish(&mut offered);
                draft.digest = word.eq_ignore_ascii_case("digest");
                rest = after;
            }
        }
    }
    draft.finish(&mut offered);
    offered
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// The content of a quoted string, from behind its opening quote, and what follows it.
fn quoted(inner: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = inner.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return (text, &inner[i + 1..]),
            '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
            c => text.push(c),
        }
    }
    (text, "")
}

/// A session under one nonce: answers requests with a rising counter.
#[derive(Clone)]
pub(super) struct Session {
    challenge: Challenge,
    /// MD5 of user, realm and password: as good as the password for this realm, so never shown.
    ha1: Hex,
    /// Everything of the header that stays the same.
    start: String,
    end: String,
    nc: u32,
}

impl Session {
    pub(super) fn new(challenge: Challenge, user: &str, password: &str) -> Self {
        let ha1 = hash(&[user, ":", &challenge.realm, ":", password]);
        Self::with_ha1(challenge, user, ha1)
    }

    /// The next session of the same account; the same realm needs no new hash.
    pub(super) fn renewed(&self, challenge: Challenge, user: &str, password: &str) -> Self {
        if challenge.realm == self.challenge.realm {
            Self::with_ha1(challenge, user, self.ha1)
        } else {
            Self::new(challenge, user, password)
        }
    }

    fn with_ha1(challenge: Challenge, user: &str, ha1: Hex) -> Self {
        let start = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"",
            escaped(user),
            escaped(&challenge.realm),
            escaped(&challenge.nonce)
        );
        let mut end = String::from("\"");
        if let Some(opaque) = &challenge.opaque {
            let _infallible = write!(end, ", opaque=\"{}\"", escaped(opaque));
        }
        if challenge.names_md5 {
            end.push_str(", algorithm=MD5");
        }
        Self { challenge, ha1, start, end, nc: 0 }
    }

    pub(super) fn nonce(&self) -> &str {
        &self.challenge.nonce
    }

    /// The `Authorization` value of the next request; `uri` is exactly what its request line says.
    pub(super) fn authorization(&mut self, method: &str, uri: &str, cnonce: &str) -> String {
        let ha2 = hash(&[method, ":", uri]);
        let mut header = String::with_capacity(self.start.len() + uri.len() + self.end.len() + 120);
        header.push_str(&self.start);
        header.push_str(uri);
        header.push('"');
        let (ha1, nonce) = (text(&self.ha1), self.challenge.nonce.as_str());
        let response = if self.challenge.auth {
            self.nc = self.nc.saturating_add(1);
            let nc = format!("{:08x}", self.nc);
            for part in [", qop=auth, nc=", &nc, ", cnonce=\"", cnonce, "\""] {
                header.push_str(part);
            }
            hash(&[ha1, ":", nonce, ":", &nc, ":", cnonce, ":auth:", text(&ha2)])
        } else {
            hash(&[ha1, ":", nonce, ":", text(&ha2)])
        };
        for part in [", response=\"", text(&response), &self.end] {
            header.push_str(part);
        }
        header
    }
}

type Hex = [u8; 32];

fn text(hex: &Hex) -> &str {
    // Hexadecimal digits are always text.
    std::str::from_utf8(hex).unwrap_or_default()
}

fn hash(parts: &[&str]) -> Hex {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.as_bytes());
    }
    let mut hex = [0; 32];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(md5.finalize()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: &str = "6c2f0d1e5b7a49388f01c2d3e4b5a697";
    const CNONCE: &str = "0a4f113b";

    fn session(challenge: &str) -> Session {
        Session::new(challenges(challenge).digest.unwrap(), "root", "root")
    }

    #[test]
    fn antminer_vectors() {
        let mut s =
            session(&format!("Digest realm=\"antMiner Configuration\", nonce=\"{NONCE}\", qop=\"auth\""));
        assert_eq!(text(&s.ha1), "23c2a2d78c0d20ec069097d7d20c4392");
        assert_eq!(text(&hash(&["GET:/cgi-bin/summary.cgi"])), "384b8fe0f481e72c739a579833383339");
        assert_eq!(text(&hash(&["POST:/cgi-bin/set_miner_conf.cgi"])), "80551dcf035dfe91bf3b26f4e8950ff7");
        assert_eq!(
            s.authorization("GET", "/cgi-bin/summary.cgi", CNONCE),
            "Digest username=\"root\", realm=\"antMiner Configuration\", \
             nonce=\"6c2f0d1e5b7a49388f01c2d3e4b5a697\", uri=\"/cgi-bin/summary.cgi\", qop=auth, nc=00000001, \
             cnonce=\"0a4f113b\", response=\"277d078ed4cc6e399361e4b273d1114d\""
        );
        assert_eq!(
            s.authorization("POST", "/cgi-bin/set_miner_conf.cgi", CNONCE),
            "Digest username=\"root\", realm=\"antMiner Configuration\", \
             nonce=\"6c2f0d1e5b7a49388f01c2d3e4b5a697\", uri=\"/cgi-bin/set_miner_conf.cgi\", qop=auth, \
             nc=00000002, cnonce=\"0a4f113b\", response=\"08b3d5545b733c6cf7c86e8e4fb681eb\""
        );
    }

    #[test]
    fn antminer_vector_without_qop() {
        let mut s = session(&format!("digest nonce={NONCE},Realm=\"antMiner Configuration\""));
        assert_eq!(
            s.authorization("GET", "/cgi-bin/summary.cgi", CNONCE),
            "Digest username=\"root\", realm=\"antMiner Configuration\", \
             nonce=\"6c2f0d1e5b7a49388f01c2d3e4b5a697\", uri=\"/cgi-bin/summary.cgi\", \
             response=\"a3ed10abaf68a835c132057af66b024f\""
        );
    }

    #[test]
    fn opaque_and_algorithm_are_echoed() {
        let mut s = session(
            "Digest realm=\"a \\\"b\\\"\", nonce=n, qop=\"auth-int, AUTH\", opaque=\"o,\\\\p\", algorithm=md5",
        );
        let header = s.authorization("GET", "/", "c");
        assert!(header.contains("realm=\"a \\\"b\\\"\""), "{header}");
        assert!(header.ends_with("\", opaque=\"o,\\\\p\", algorithm=MD5"), "{header}");
    }

    #[test]
    fn the_digest_that_can_be_answered_is_found_among_several() {
        let offered = challenges(
            "Basic realm=\"web, admin\", Digest realm=\"r\", nonce=\"x\", algorithm=SHA-256, qop=\"auth\", \
             Digest realm=\"antMiner, \\\"C\\\"\", nonce=\"y=,\", qop=\"auth,auth-int\" , stale=TRUE",
        );
        assert_eq!(offered.realm.as_deref(), Some("web, admin"));
        let want = Challenge {
            realm: "antMiner, \"C\"".into(),
            nonce: "y=,".into(),
            opaque: None,
            auth: true,
            names_md5: false,
            stale: true,
        };
        assert_eq!(offered.digest, Some(want));
    }

    #[test]
    fn what_cannot_be_answered_is_left() {
        for field in [
            "",
            "Basic realm=\"x\"",
            "Digest",
            "Digest realm=\"x\"",
            "Digest nonce=\"x\"",
            "Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"",
            "Digest realm=\"x\", nonce=\"y\", algorithm=MD5-sess",
            "Negotiate abc==, NTLM",
            "realm=\"x\", nonce=\"y\"",
        ] {
            assert_eq!(challenges(field).digest, None, "{field}");
        }
    }

    #[test]
    fn a_new_nonce_starts_the_counter_again() {
        let mut s = session("Digest realm=\"r\", nonce=\"1\", qop=\"auth\"");
        s.authorization("GET", "/", "c");
        let next = challenges("Digest realm=\"r\", nonce=\"2\", qop=\"auth\"").digest.unwrap();
        let mut s = s.renewed(next, "root", "root");
        assert!(s.authorization("GET", "/", "c").contains("nc=00000001"));
    }

    proptest! {
        #[test]
        fn challenges_never_panic(
            field in prop_oneof![".{0,120}", "(Digest |Basic |realm=|nonce|=|,|\"|\\\\| |x|é){0,40}"]
        ) {
            challenges(&field);
        }

        #[test]
        fn any_realm_survives(realm in "[ -~]{0,30}", nonce in "[ -~]{1,30}") {
            let field = format!("Digest realm=\"{}\", nonce=\"{}\"", escaped(&realm), escaped(&nonce));
            let got = challenges(&field).digest.unwrap();
            prop_assert_eq!((got.realm, got.nonce), (realm, nonce));
        }
    }
}
