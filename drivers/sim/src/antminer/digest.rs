//! HTTP digest access authentication (MD5) as the device's web server checks it.

use std::{collections::BTreeMap, time::Duration};

use md5::{Digest as _, Md5};

use crate::physics::mix;

/// The realm of every stock Antminer; its first word tells the vendor.
pub(super) const REALM: &str = "antMiner Configuration";

/// More nonces than this are not remembered; the oldest goes first.
const MAX_NONCES: usize = 256;
/// Keeps nonces apart from what else follows from a device's seed.
const NONCE_SALT: u64 = 0x6e6f_6e63_6573_2e2e;

fn md5_hex(parts: &[&str]) -> String {
    let mut hasher = Md5::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hasher.update(b":");
        }
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The response value that a client with this password must send.
pub(super) fn expected_response(password: &str, method: &str, claim: &Claim) -> String {
    let ha1 = md5_hex(&[&claim.username, REALM, password]);
    let ha2 = md5_hex(&[method, &claim.uri]);
    match &claim.counted {
        Some(c) => md5_hex(&[&ha1, &claim.nonce, &c.nc, &c.cnonce, "auth", &ha2]),
        None => md5_hex(&[&ha1, &claim.nonce, &ha2]),
    }
}

/// What an `Authorization: Digest` header claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub username: String,
    pub realm: String,
    pub nonce: String,
    pub uri: String,
    pub response: String,
    /// Present with `qop=auth`.
    pub counted: Option<Counted>,
}

/// The members that exist only with `qop=auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    /// Eight hex digits as sent; the response covers the text, not the number.
    pub nc: String,
    pub cnonce: String,
}

impl Claim {
    /// Reads the header; `None` when it is no digest, lacks a member or has one in a form a server refuses.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut members = parse_members(rest)?;
        let counted = match members.remove("qop").as_deref() {
            None => None,
            Some("auth") => {
                let nc = members.remove("nc")?;
                if nc.len() != 8 || !nc.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                Some(Counted { nc, cnonce: members.remove("cnonce").filter(|c| !c.is_empty())? })
            }
            Some(_) => return None,
        };
        if members.remove("algorithm").is_some_and(|a| !a.eq_ignore_ascii_case("md5")) {
            return None;
        }
        let mut take = |name: &str| members.remove(name);
        Some(Self {
            username: take("username")?,
            realm: take("realm")?,
            nonce: take("nonce")?,
            uri: take("uri")?,
            response: take("response")?,
            counted,
        })
    }
}

/// `key=value` and `key="value"` pairs between commas; a key given twice is refused.
fn parse_members(mut rest: &str) -> Option<BTreeMap<String, String>> {
    let mut members = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(members);
        }
        let (key, after) = rest.split_once('=')?;
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        rest = left;
        if members.insert(key.trim().to_ascii_lowercase(), value).is_some() {
            return None;
        }
    }
}

fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

/// What the web server decides about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Let in.
    Granted,
    /// No credentials, or in a form that cannot be checked.
    Missing,
    /// The password was right but the nonce is unknown, expired, or its counter did not rise.
    Stale,
    /// A wrong user or password.
    Wrong,
    /// Too many wrong passwords before this one; nobody gets in for a while.
    Locked,
}

/// The rules of one device; times are in seconds of its clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Seconds for which a nonce is good.
    pub ttl: f64,
    /// Whether the challenge offers `qop="auth"`.
    pub qop: bool,
    /// Wrong passwords in a row after which the web user is locked, and for how long.
    pub lockout: Option<(u32, Duration)>,
}

#[derive(Debug, Clone, Copy)]
struct Issued {
    at: f64,
    order: u64,
    last_nc: u32,
}

/// The nonces that were given out, and the wrong passwords that came back.
#[derive(Debug, Default)]
pub(super) struct Guard {
    nonces: BTreeMap<String, Issued>,
    issued: u64,
    wrong_in_a_row: u32,
    locked_until: Option<f64>,
}

impl Guard {
    /// Forgets every nonce, as a reboot does.
    pub fn forget(&mut self) {
        self.nonces.clear();
    }

    /// The value of `WWW-Authenticate` with a fresh nonce.
    pub fn challenge(&mut self, rules: Rules, seed: u64, now: f64, stale: bool) -> String {
        self.issued += 1;
        let half = |n: u64| mix(seed ^ NONCE_SALT, 2 * self.issued + n);
        let nonce = format!("{:016x}{:016x}", half(0), half(1));
        self.nonces.retain(|_, n| now - n.at < rules.ttl);
        if self.nonces.len() >= MAX_NONCES {
            let oldest = self.nonces.iter().min_by_key(|(_, n)| n.order).map(|(k, _)| k.clone());
            if let Some(oldest) = oldest {
                self.nonces.remove(&oldest);
            }
        }
        self.nonces.insert(nonce.clone(), Issued { at: now, order: self.issued, last_nc: 0 });
        let qop = if rules.qop { ", qop=\"auth\"" } else { "" };
        let stale = if stale { ", stale=true" } else { "" };
        format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\"{qop}{stale}")
    }

    /// Checks one request, and counts it against the nonce and the lock.
    pub fn check(&mut self, rules: Rules, account: (&str, &str), request: Asked<'_>, now: f64) -> Verdict {
        if self.locked_until.is_some_and(|until| now < until) {
            return Verdict::Locked;
        }
        let Some(header) = request.authorization else { return Verdict::Missing };
        let Some(claim) = Claim::parse(header) else { return Verdict::Missing };
        if claim.realm != REALM || claim.uri != request.target || claim.counted.is_some() != rules.qop {
            return Verdict::Missing;
        }
        let (user, password) = account;
        if claim.username != user || claim.response != expected_response(password, request.method, &claim) {
            return self.wrong(rules, now);
        }
        self.wrong_in_a_row = 0;
        let Some(nonce) = self.nonces.get_mut(&claim.nonce) else { return Verdict::Stale };
        if now - nonce.at >= rules.ttl {
            self.nonces.remove(&claim.nonce);
            return Verdict::Stale;
        }
        if let Some(counted) = &claim.counted {
            let Ok(nc) = u32::from_str_radix(&counted.nc, 16) else { return Verdict::Missing };
            if nc <= nonce.last_nc {
                return Verdict::Stale;
            }
            nonce.last_nc = nc;
        }
        Verdict::Granted
    }

    fn wrong(&mut self, rules: Rules, now: f64) -> Verdict {
        self.wrong_in_a_row += 1;
        if let Some((limit, pause)) = rules.lockout
            && self.wrong_in_a_row >= limit
        {
            self.wrong_in_a_row = 0;
            self.locked_until = Some(now + pause.as_secs_f64());
        }
        Verdict::Wrong
    }
}

/// The parts of a request that the check needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub authorization: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "6c2f0d1e5b7a49388f01c2d3e4b5a697";
    const RULES: Rules = Rules { ttl: 60.0, qop: true, lockout: None };

    fn claim(uri: &str, nc: Option<&str>) -> Claim {
        let counted = nc.map(|nc| Counted { nc: nc.into(), cnonce: "0a4f113b".into() });
        Claim {
            username: "root".into(),
            realm: REALM.into(),
            nonce: NONCE.into(),
            uri: uri.into(),
            response: String::new(),
            counted,
        }
    }

    #[test]
    fn agrees_with_the_published_vectors() {
        for (method, uri, nc, response) in [
            ("GET", "/cgi-bin/summary.cgi", Some("00000001"), "277d078ed4cc6e399361e4b273d1114d"),
            ("POST", "/cgi-bin/set_miner_conf.cgi", Some("00000002"), "08b3d5545b733c6cf7c86e8e4fb681eb"),
            ("GET", "/cgi-bin/summary.cgi", None, "a3ed10abaf68a835c132057af66b024f"),
        ] {
            assert_eq!(expected_response("root", method, &claim(uri, nc)), response);
        }
        assert_eq!(md5_hex(&["root", REALM, "root"]), "23c2a2d78c0d20ec069097d7d20c4392");
    }

    #[test]
    fn reads_quoted_and_bare_members() {
        let header = "Digest username=\"root\", realm=\"antMiner Configuration\", nonce=\"n\", \
                      uri=\"/a?b=1,2\", qop=auth, nc=0000000a, cnonce=\"c\\\"d\", response=\"r\"";
        let claim = Claim::parse(header).unwrap();
        assert_eq!(claim.uri, "/a?b=1,2");
        assert_eq!(claim.counted, Some(Counted { nc: "0000000a".into(), cnonce: "c\"d".into() }));
        for bad in ["Basic cm9vdDpyb290", "Digest username=\"root", "Digest username=\"a\", username=\"b\""] {
            assert_eq!(Claim::parse(bad), None);
        }
    }

    fn authorization(challenge: &str, nc: u32, password: &str) -> String {
        let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
        let nc = format!("{nc:08x}");
        let mut claim = claim("/x", Some(&nc));
        claim.nonce = nonce.into();
        let response = expected_response(password, "GET", &claim);
        format!(
            "Digest username=\"root\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"/x\", qop=auth, nc={nc}, \
             cnonce=\"0a4f113b\", response=\"{response}\""
        )
    }

    fn check(guard: &mut Guard, rules: Rules, header: &str, now: f64) -> Verdict {
        let asked = Asked { method: "GET", target: "/x", authorization: Some(header) };
        guard.check(rules, ("root", "root"), asked, now)
    }

    #[test]
    fn counters_rise_and_nonces_end() {
        let (mut guard, start) = (Guard::default(), 0.0);
        let challenge = guard.challenge(RULES, 1, start, false);
        assert_eq!(check(&mut guard, RULES, &authorization(&challenge, 1, "root"), start), Verdict::Granted);
        assert_eq!(check(&mut guard, RULES, &authorization(&challenge, 3, "root"), start), Verdict::Granted);
        assert_eq!(check(&mut guard, RULES, &authorization(&challenge, 3, "root"), start), Verdict::Stale);
        assert_eq!(check(&mut guard, RULES, &authorization(&challenge, 2, "root"), start), Verdict::Stale);
        let later = start + 60.0;
        assert_eq!(check(&mut guard, RULES, &authorization(&challenge, 4, "root"), later), Verdict::Stale);
        let fresh = guard.challenge(RULES, 1, later, true);
        assert!(fresh.ends_with(", stale=true") && fresh != challenge);
        assert_eq!(check(&mut guard, RULES, &authorization(&fresh, 1, "root"), later), Verdict::Granted);
    }

    #[test]
    fn a_method_or_path_other_than_the_hashed_one_is_wrong() {
        let (mut guard, start) = (Guard::default(), 0.0);
        let header = authorization(&guard.challenge(RULES, 1, start, false), 1, "root");
        let asked = Asked { method: "POST", target: "/x", authorization: Some(&header) };
        assert_eq!(guard.check(RULES, ("root", "root"), asked, start), Verdict::Wrong);
        let asked = Asked { method: "GET", target: "/y", authorization: Some(&header) };
        assert_eq!(guard.check(RULES, ("root", "root"), asked, start), Verdict::Missing);
    }

    #[test]
    fn wrong_passwords_lock_for_a_while() {
        let rules = Rules { lockout: Some((2, Duration::from_secs(30))), ..RULES };
        let (mut guard, start) = (Guard::default(), 0.0);
        let challenge = guard.challenge(rules, 1, start, false);
        for _ in 0..2 {
            assert_eq!(check(&mut guard, rules, &authorization(&challenge, 1, "no"), start), Verdict::Wrong);
        }
        let right = authorization(&challenge, 1, "root");
        assert_eq!(check(&mut guard, rules, &right, start), Verdict::Locked);
        assert_eq!(check(&mut guard, rules, &right, start + 30.0), Verdict::Granted);
    }

    #[test]
    fn remembers_a_bounded_number_of_nonces() {
        let (mut guard, start) = (Guard::default(), 0.0);
        let first = guard.challenge(RULES, 1, start, false);
        for _ in 0..MAX_NONCES {
            guard.challenge(RULES, 1, start, false);
        }
        assert_eq!(guard.nonces.len(), MAX_NONCES);
        assert_eq!(check(&mut guard, RULES, &authorization(&first, 1, "root"), start), Verdict::Stale);
    }
}
