//! The manifest of a backup: lines of text, the last of which is the checksum of all before.

use std::{collections::BTreeSet, fmt::Write as _};

use sha2::{Digest, Sha256};

use crate::history::name;

/// The first line.
const TITLE: &str = "headframe history backup 1";

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupFile {
    /// Its name, which is that in the history.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
}

/// What a manifest says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// When the backup was begun, ms.
    pub taken: i64,
    /// By their names.
    pub files: Vec<BackupFile>,
    /// Names of damaged files that are not in it.
    pub left_out: Vec<String>,
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(digest.len() * 2), |mut out, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

impl Manifest {
    pub fn to_text(&self) -> String {
        let mut out = format!("{TITLE}\ntaken {}\n", self.taken);
        for file in &self.files {
            let _ = writeln!(out, "file {} {} {}", file.sha256, file.bytes, file.name);
        }
        for name in &self.left_out {
            let _ = writeln!(out, "left-out {name}");
        }
        let sum = hex(&Sha256::digest(out.as_bytes()));
        let _ = writeln!(out, "sha256 {sum}");
        out
    }

    /// Reads a manifest; `None` for anything that [`to_text`](Self::to_text) does not write.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        if lines.next()? != TITLE {
            return None;
        }
        let mut out = Self { taken: lines.next()?.strip_prefix("taken ")?.parse().ok()?, ..Self::default() };
        for line in lines {
            let (what, rest) = line.split_once(' ')?;
            match what {
                "file" => out.files.push(file(rest)?),
                "left-out" => out.left_out.push(rest.to_owned()),
                "sha256" => break,
                _ => return None,
            }
        }
        let mut names = BTreeSet::new();
        let sound = |name: &str| {
            let kind = name::parse(name);
            kind.is_some_and(|(kind, _)| kind != name::Kind::Unfinished)
        };
        let known =
            out.files.iter().map(|file| file.name.as_str()).chain(out.left_out.iter().map(String::as_str));
        let once = known.into_iter().all(|name| sound(name) && names.insert(name.to_owned()));
        // Written again it has to be what was read, with its checksum: no second form of it is taken.
        (once && out.to_text().as_bytes() == bytes).then_some(out)
    }
}

fn file(rest: &str) -> Option<BackupFile> {
    let mut words = rest.splitn(3, ' ');
    let (sha256, bytes, name) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    Some(BackupFile { name: name.to_owned(), bytes, sha256: sha256.to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Manifest {
        let file = |name: &str, bytes| BackupFile { name: name.into(), bytes, sha256: hex(&[0xab; 32]) };
        let files = vec![file("3.log", 36), file("2025-11-26.2.day", 1_000)];
        Manifest { taken: 1_764_158_400_000, files, left_out: vec!["2025-11-25.1.day".into()] }
    }

    #[test]
    fn a_manifest_comes_back_and_no_flipped_or_cut_one_does() {
        let text = sample().to_text();
        assert_eq!(Manifest::parse(text.as_bytes()), Some(sample()));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Manifest::parse(&bytes), None, "bit {bit}");
        }
        for len in 0..text.len() {
            assert_eq!(Manifest::parse(&text.as_bytes()[..len]), None);
        }
        assert_eq!(Manifest::parse(format!("{text}\n").as_bytes()), None);
    }

    #[test]
    fn names_that_are_no_files_of_a_history_are_refused() {
        for name in ["../1.log", "1.tmp", "/etc/passwd", "01.log", "", "history.lock"] {
            let mut bad = sample();
            bad.files[0].name = name.into();
            assert_eq!(Manifest::parse(bad.to_text().as_bytes()), None, "{name}");
        }
        let mut twice = sample();
        twice.left_out.push("3.log".into());
        assert_eq!(Manifest::parse(twice.to_text().as_bytes()), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_without_a_panic(bytes: Vec<u8>, lines in "(file|left-out|sha256|taken)[ -~]{0,40}") {
            prop_assert_eq!(Manifest::parse(&bytes), None);
            let text = format!("{TITLE}\ntaken 5\n{lines}\n");
            let _ = Manifest::parse(text.as_bytes());
        }
    }
}
