//! The manifest of a site's backup: lines of text, the last of which is the checksum of all before.

use std::fmt::Write as _;

use super::files::{HISTORY, hash};
use crate::{
    audit::Hash,
    io::Timestamp,
    store::{CONTROL_FILE, LAST_FILE, Revision, SITE_FILE},
};

/// Begins the first line, before the version.
const TITLE: &str = "headframe site backup ";
/// The version that this release writes.
const VERSION: u32 = 1;
/// The files of every backup, in their order.
pub(super) const FILES: [&str; 3] = [CONTROL_FILE, LAST_FILE, SITE_FILE];
const LONGEST_FOLDER: usize = 64;

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub bytes: u64,
    pub sha256: Hash,
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub site: String,
    /// When the backup was begun.
    pub taken: Timestamp,
    /// The commit of the control store.
    pub revision: Revision,
    /// [`FILES`].
    pub files: Vec<Entry>,
    /// Folders of histories, each with the SHA-256 of the manifest that it has itself.
    pub histories: Vec<(String, Hash)>,
}

/// Why bytes are no manifest of this release.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// They are not what was written.
    Altered,
    /// A newer release wrote them, in this version.
    Newer(u32),
}

impl Manifest {
    pub fn to_text(&self) -> String {
        let mut out = format!("{TITLE}{VERSION}\n");
        // Writing to a `String` cannot fail.
        let _ = write!(out, "site {}\ntaken {}\nrevision {}\n", self.site, self.taken.0, self.revision.0);
        for file in &self.files {
            let _ = writeln!(out, "file {} {} {}", file.sha256, file.bytes, file.name);
        }
        for (folder, sha256) in &self.histories {
            let _ = writeln!(out, "history {sha256} {folder}");
        }
        let sum = hash(out.as_bytes());
        let _ = writeln!(out, "sha256 {sum}");
        out
    }

    /// Reads a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, Wrong> {
        let body = body(bytes).ok_or(Wrong::Altered)?;
        let version = body.lines().next().and_then(|line| line.strip_prefix(TITLE));
        match version.and_then(|version| version.parse().ok()) {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => return Err(Wrong::Newer(newer)),
            _ => return Err(Wrong::Altered),
        }
        // Written again it has to be what was read: no second form of it is taken.
        let manifest = lines(body).filter(|manifest| manifest.to_text().as_bytes() == bytes);
        manifest.ok_or(Wrong::Altered)
    }
}

/// All lines but the last, which is their checksum in every version.
fn body(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (before, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = &text[..=before.len()];
    let sum = last.strip_prefix("sha256 ")?;
    (sum == hash(body.as_bytes()).to_string()).then_some(body)
}

fn lines(body: &str) -> Option<Manifest> {
    let mut lines = body.lines().skip(1).peekable();
    let site = lines.next()?.strip_prefix("site ")?.to_owned();
    let taken = Timestamp(lines.next()?.strip_prefix("taken ")?.parse().ok()?);
    let revision = Revision(lines.next()?.strip_prefix("revision ")?.parse().ok()?);
    let mut out = Manifest { site, taken, revision, files: Vec::new(), histories: Vec::new() };
    for line in lines {
        let (what, rest) = line.split_once(' ')?;
        let (sum, rest) = rest.split_once(' ')?;
        let sha256 = Hash::from_hex(sum.as_bytes())?;
        match what {
            "file" => {
                let (bytes, name) = rest.split_once(' ')?;
                out.files.push(Entry { name: name.to_owned(), bytes: bytes.parse().ok()?, sha256 });
            }
            "history" => out.histories.push((rest.to_owned(), sha256)),
            _ => return None,
        }
    }
    let files = out.files.iter().map(|file| file.name.as_str()).eq(FILES);
    let ascending = out.histories.windows(2).all(|two| two[0].0 < two[1].0);
    let folders = out.histories.iter().all(|(folder, _)| is_folder(folder));
    (files && ascending && folders).then_some(out)
}

/// Whether a history's folder can have this name.
fn is_folder(folder: &str) -> bool {
    let name = folder.strip_prefix(HISTORY).and_then(|rest| rest.strip_prefix('/'));
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    folder.len() <= LONGEST_FOLDER && name.is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Manifest {
        let entry = |name: &str, bytes| Entry { name: name.into(), bytes, sha256: hash(name.as_bytes()) };
        Manifest {
            site: "0123456789abcdef0123456789abcdef".into(),
            taken: Timestamp(1_795_687_200_000),
            revision: Revision(42),
            files: vec![entry(CONTROL_FILE, 7), entry(LAST_FILE, 8), entry(SITE_FILE, 9)],
            histories: vec![
                ("history/readings".into(), hash(b"a")),
                ("history/statistics".into(), hash(b"b")),
            ],
        }
    }

    /// Lines with the checksum that belongs to them.
    fn summed(body: &str) -> Vec<u8> {
        format!("{body}sha256 {}\n", hash(body.as_bytes())).into_bytes()
    }

    #[test]
    fn a_manifest_comes_back_and_no_flipped_or_cut_one_does() {
        let text = sample().to_text();
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(sample()));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Manifest::parse(&bytes), Err(Wrong::Altered), "bit {bit}");
        }
        for len in 0..text.len() {
            assert_eq!(Manifest::parse(&text.as_bytes()[..len]), Err(Wrong::Altered));
        }
        assert_eq!(Manifest::parse(format!("{text}\n").as_bytes()), Err(Wrong::Altered));
    }

    #[test]
    fn a_newer_version_is_told_from_an_altered_one() {
        assert_eq!(Manifest::parse(&summed("headframe site backup 2\nwhatever\n")), Err(Wrong::Newer(2)));
        for title in ["headframe site backup 0", "headframe site backup x", "headframe history backup 1"] {
            assert_eq!(Manifest::parse(&summed(&format!("{title}\n"))), Err(Wrong::Altered), "{title}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for folder in ["history", "history/", "history/../x", "/history/a", "history/a/b", "histories/a", ""]
        {
            let mut bad = sample();
            bad.histories[1].0 = folder.into();
            assert_eq!(Manifest::parse(bad.to_text().as_bytes()), Err(Wrong::Altered), "{folder}");
        }
        for name in ["../control.redb", "control.redb", "site.key", ""] {
            let mut bad = sample();
            bad.files[1].name = name.into();
            assert_eq!(Manifest::parse(bad.to_text().as_bytes()), Err(Wrong::Altered), "{name}");
        }
        let mut twice = sample();
        twice.histories[1] = twice.histories[0].clone();
        assert_eq!(Manifest::parse(twice.to_text().as_bytes()), Err(Wrong::Altered));
        let mut none = sample();
        none.files.clear();
        assert_eq!(Manifest::parse(none.to_text().as_bytes()), Err(Wrong::Altered));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_without_a_panic(
            bytes: Vec<u8>,
            lines in "((site|taken|revision|file|history|sha256)[ -~]{0,40}\n){0,6}",
        ) {
            prop_assert_eq!(Manifest::parse(&bytes), Err(Wrong::Altered));
            let _ = Manifest::parse(&summed(&format!("{TITLE}1\n{lines}")));
        }
    }
}
