use std::{fmt, net::Ipv4Addr, time::Duration};

use serde::Serialize;

use super::AddressRange;
use crate::driver::{Match, PortRole, Ports, ProbeReply, ProbeRequest, ProbeSpec};
use crate::units::as_millis;

/// How much of a reply an [`Answer`] repeats.
const SHOWN_CHARS: usize = 80;

/// What is at an address.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// A device that a driver knows.
    Device(Match),
    /// Something listens, but no driver knows it.
    Unknown(UnknownHost),
    /// Nothing listens.
    Silent {
        /// A host is there: it refused at least one connection rather than letting it time out.
        refused: bool,
    },
}

/// A host that no driver recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct UnknownHost {
    /// What its open ports answered, one entry per question.
    pub answers: Vec<Answer>,
    /// Why it may be unknown although its driver is there, for example a driver that failed.
    pub reason: Option<String>,
}

impl UnknownHost {
    /// Its open ports.
    pub fn open_ports(&self) -> Vec<(PortRole, u16)> {
        let mut ports: Vec<_> = self.answers.iter().map(|a| (a.role, a.port)).collect();
        ports.dedup();
        ports
    }
}

/// What one open port said to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// The service that was expected there.
    pub role: PortRole,
    /// The port.
    pub port: u16,
    /// Question and reply in short, printable text for people.
    pub said: String,
}

impl Answer {
    pub(super) fn new(ports: &Ports, spec: &ProbeSpec, reply: &ProbeReply) -> Self {
        let asked = match spec.request {
            ProbeRequest::Cgminer(command) | ProbeRequest::Framed(command) => command.to_owned(),
            ProbeRequest::HttpGet(path) => format!("GET {path}"),
        };
        let said = match reply {
            ProbeReply::Refused => "nothing behind the open port".to_owned(),
            ProbeReply::Silent => "no reply in time".to_owned(),
            ProbeReply::Broken => "no usable reply".to_owned(),
            ProbeReply::Cgminer(bytes) | ProbeReply::Framed(bytes) => printable(bytes),
            ProbeReply::Http { status, challenge, location, body } => {
                http_words(*status, challenge, location, body)
            }
        };
        Self { role: spec.role, port: ports.of(spec.role), said: format!("{asked}: {said}") }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}: {}", self.port, self.said)
    }
}

fn http_words(status: u16, challenge: &str, location: &str, body: &[u8]) -> String {
    let mut words = format!("HTTP {status}");
    for (label, value) in [("asks for", challenge), ("points to", location)] {
        if !value.is_empty() {
            words.push_str(&format!(", {label} {}", printable(value.as_bytes())));
        }
    }
    let text = String::from_utf8_lossy(body);
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    if let Some((title, _)) = title {
        words.push_str(&format!(", title '{}'", printable(title.trim().as_bytes())));
    }
    words
}

/// The beginning of a reply without anything that could steer a terminal.
fn printable(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(SHOWN_CHARS * 4)];
    let text = String::from_utf8_lossy(head);
    let mut shown: String =
        text.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { '.' } else { c }).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// How far a scan is. `done = devices + unknown + silent` at all times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Addresses of the range.
    pub total: u64,
    /// Addresses that have their outcome.
    pub done: u64,
    /// Addresses that gave no answer in time and wait for a second, slower look.
    pub waiting: u64,
    /// Recognised devices.
    pub devices: u64,
    /// Hosts that answered but are unknown.
    pub unknown: u64,
    /// Addresses where nothing listens.
    pub silent: u64,
    /// Those of the silent ones where a host is there and refused.
    pub refused: u64,
}

impl Progress {
    /// The part of the work that is done, from 0 to 1: an address that waits for its second look counts as a
    /// third, so that a mostly empty network advances evenly.
    pub fn fraction(&self) -> f64 {
        if self.total == 0 {
            return 1.0;
        }
        #[allow(clippy::cast_precision_loss, reason = "a range has fewer than 2^33 addresses")]
        let (done, total) = ((self.done * 3 + self.waiting) as f64, (self.total * 3) as f64);
        done / total
    }

    pub(super) fn count(&mut self, outcome: &Outcome) {
        self.done += 1;
        match outcome {
            Outcome::Device(_) => self.devices += 1,
            Outcome::Unknown(_) => self.unknown += 1,
            Outcome::Silent { refused } => {
                self.silent += 1;
                self.refused += u64::from(*refused);
            }
        }
    }
}

/// One outcome of a scan, as it comes. Its JSON says `event`: `device`, `unknown` or `silent`, and the `address`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum ScanEvent {
    /// A device was recognised.
    #[serde(rename = "device")]
    Found(FoundDevice),
    /// A host answered, but no driver knows it.
    Unknown {
        /// Its address.
        #[serde(rename = "address")]
        host: Ipv4Addr,
        /// What answered.
        #[serde(flatten)]
        unknown: UnknownHost,
        /// How far the scan was then.
        #[serde(skip)]
        progress: Progress,
    },
    /// Nothing listens there. Streamed on request only, see [`Scan::silent_events`](super::Scan::silent_events).
    Silent {
        /// The address.
        #[serde(rename = "address")]
        host: Ipv4Addr,
        /// A host is there and refused.
        refused: bool,
        /// How far the scan was then.
        #[serde(skip)]
        progress: Progress,
    },
}

impl ScanEvent {
    pub(super) fn new(host: Ipv4Addr, ports: Ports, outcome: Outcome, progress: Progress) -> Self {
        match outcome {
            Outcome::Device(device) => Self::Found(FoundDevice { host, ports, device, progress }),
            Outcome::Unknown(unknown) => Self::Unknown { host, unknown, progress },
            Outcome::Silent { refused } => Self::Silent { host, refused, progress },
        }
    }

    /// The address.
    pub fn host(&self) -> Ipv4Addr {
        match self {
            Self::Found(FoundDevice { host, .. })
            | Self::Unknown { host, .. }
            | Self::Silent { host, .. } => *host,
        }
    }

    /// How far the scan was with this outcome.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Found(FoundDevice { progress, .. })
            | Self::Unknown { progress, .. }
            | Self::Silent { progress, .. } => *progress,
        }
    }
}

/// A device found by a scan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FoundDevice {
    /// Its address.
    #[serde(rename = "address")]
    pub host: Ipv4Addr,
    /// The ports it was asked on.
    #[serde(skip)]
    pub ports: Ports,
    /// What it is.
    #[serde(flatten)]
    pub device: Match,
    /// How far the scan was then.
    #[serde(skip)]
    pub progress: Progress,
}

/// What a scan has done when it ended. `total = devices + unknown + silent + not_reached.len()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScanReport {
    /// Addresses of the range.
    pub total: u64,
    /// Recognised devices.
    pub devices: u64,
    /// Hosts that answered but are unknown.
    pub unknown: u64,
    /// Addresses where nothing listens.
    pub silent: u64,
    /// Those of the silent ones where a host is there and refused.
    pub refused: u64,
    /// The addresses without an outcome, because the scan was ended by its deadline or stopped. A new scan can
    /// take them up.
    pub not_reached: AddressRange,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "as_millis")]
    pub took: Duration,
}

impl ScanReport {
    pub(super) fn new(progress: Progress, not_reached: AddressRange, took: Duration) -> Self {
        let Progress { total, devices, unknown, silent, refused, .. } = progress;
        Self { total, devices, unknown, silent, refused, not_reached, took }
    }

    /// Whether every address has its outcome.
    pub fn complete(&self) -> bool {
        self.not_reached.is_empty()
    }
}

impl fmt::Display for ScanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |n: u64, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        write!(
            f,
            "{} in {:.1} s: {}, {} unknown, {} silent",
            counted(self.total, "address", "addresses"),
            self.took.as_secs_f64(),
            counted(self.devices, "device", "devices"),
            self.unknown,
            self.silent
        )?;
        if !self.complete() {
            write!(f, ", {} not reached", self.not_reached.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn answers_are_short_printable_and_name_the_question() {
        let ports = Ports::default();
        let version = ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer("version") };
        let reply = ProbeReply::Cgminer(Bytes::from_static(b"Foo\x1b[2J\xff\0"));
        let answer = Answer::new(&ports, &version, &reply);
        assert_eq!(answer.to_string(), "port 4028: version: Foo.[2J\u{fffd}.");
        let long = ProbeReply::Cgminer(Bytes::from(vec![b'x'; 5000]));
        assert!(Answer::new(&ports, &version, &long).said.chars().count() < 100);
        let root = ProbeSpec { role: PortRole::Web, request: ProbeRequest::HttpGet("/") };
        let reply = ProbeReply::Http {
            status: 401,
            challenge: "Basic realm=\"x\"".into(),
            location: "/login".into(),
            body: Bytes::from_static(b"<html><title> Printer </title>"),
        };
        let said = Answer::new(&ports, &root, &reply).said;
        assert_eq!(said, "GET /: HTTP 401, asks for Basic realm=\"x\", points to /login, title 'Printer'");
    }

    #[test]
    fn a_report_says_what_was_left_out() {
        let progress = Progress { total: 5, done: 2, devices: 1, silent: 1, ..Progress::default() };
        let left: AddressRange = "10.0.0.1-3".parse().unwrap();
        let report = ScanReport::new(progress, left, Duration::from_millis(5120));
        assert_eq!(report.to_string(), "5 addresses in 5.1 s: 1 device, 0 unknown, 1 silent, 3 not reached");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["took_ms"], &json["not_reached"]), (&5120.into(), &"10.0.0.1-10.0.0.3".into()));
        assert!(!report.complete());
    }

    #[test]
    fn progress_of_waiting_addresses_is_a_third() {
        let progress = Progress { total: 10, done: 1, waiting: 6, ..Progress::default() };
        assert!((progress.fraction() - 0.3).abs() < 1e-9);
        assert!((Progress::default().fraction() - 1.0).abs() < 1e-9);
    }
}
