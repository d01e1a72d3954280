//! Keys and signed notes.

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::{super::*, Folder, NAME, cx, key, made, write};
use crate::ErrorKind;

/// Example of the package `golang.org/x/mod/sumdb/note`, which defined the format.
const GO_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_SIGNATURE: &str =
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

#[test]
fn keys_and_signatures_are_those_of_other_software() {
    let seed: [u8; 33] = STANDARD.decode(GO_SEED).unwrap().try_into().unwrap();
    let key = AuditKey::from_bytes("PeterNeumann", *seed.last_chunk().unwrap()).unwrap();
    assert_eq!(key.verifier().to_string(), GO_KEY);
    let note = format!(
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
         — PeterNeumann {GO_SIGNATURE}\n"
    );
    // The signature is right; the text is no checkpoint.
    let e = key.verifier().open(note.as_bytes()).unwrap_err();
    assert_eq!(e.code(), code::NOTE, "{e}");
    let changed = note.replace("your problem,", "our problem,");
    assert_eq!(key.verifier().open(changed.as_bytes()).unwrap_err().code(), code::SIGNATURE);
    let own: VerifierKey = GO_KEY.parse().unwrap();
    assert_eq!(own, key.verifier());
}

#[test]
fn a_checkpoint_reads_back() {
    let (_, heads) = made(5);
    let note = key().checkpoint(&heads[5]);
    let begin = format!("{NAME}\n5\n{}\n\n— {NAME} ", STANDARD.encode(heads[5].root().as_bytes()));
    assert!(note.starts_with(&begin) && note.ends_with("=\n") || note.ends_with('\n'), "{note}");
    let checkpoint = key().verifier().open(note.as_bytes()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size(), checkpoint.root()), (NAME, 5, heads[5].root()));
    let empty = key().verifier().open(key().checkpoint(&Log::new()).as_bytes()).unwrap();
    assert_eq!((empty.size(), empty.root()), (0, Hash::empty()));
}

/// A note with any text that is signed.
fn signed(text: &str) -> String {
    let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let signature = ed25519_dalek::Signer::sign(&key, text.as_bytes()).to_bytes();
    let id = hash::from_hex(key_id().as_bytes()).unwrap();
    format!("{text}\n— {NAME} {}\n", STANDARD.encode([id.as_slice(), &signature].concat()))
}

fn key_id() -> String {
    key().verifier().to_string().split('+').nth(1).unwrap().to_owned()
}

#[test]
fn other_signatures_and_extensions_are_let_pass() {
    let root = STANDARD.encode([9; 32]);
    let note = signed(&format!("{NAME}\n7\n{root}\nlater lines\nand more\n"));
    let other = format!("— witness.example {}\n", STANDARD.encode([1; 80]));
    let note = format!("{note}{other}");
    let checkpoint = key().verifier().open(note.as_bytes()).unwrap();
    assert_eq!(
        (checkpoint.size(), checkpoint.extensions()),
        (7, ["later lines".to_owned(), "and more".into()].as_slice())
    );
    // Of the same name, but another key.
    let same = format!("— {NAME} {}\n", STANDARD.encode([1; 68]));
    assert!(key().verifier().open(format!("{note}{same}").as_bytes()).is_ok());
}

#[test]
fn hostile_notes_are_typed_errors() {
    let root = STANDARD.encode([9; 32]);
    let good = signed(&format!("{NAME}\n7\n{root}\n"));
    let line = good.lines().last().unwrap().to_owned();
    let many: String = (0..17).map(|n| format!("— w{n} {}\n", STANDARD.encode([n; 68]))).collect();
    let verifier = key().verifier();
    assert!(verifier.open(good.as_bytes()).is_ok());
    let long = signed(&format!("{NAME}\n7\n{root}\n{}\n", "x".repeat(16 << 10)));
    for bad in [
        String::new(),
        "\n\n".into(),
        good.trim_end().into(),
        good.replace("\n\n", "\n"),
        good.replace('\n', "\r\n"),
        format!("{good}\n"),
        format!("{good}{line}\n"),
        format!("{good}{many}"),
        format!("{good}— x %%%\n"),
        format!("{good}— x {}\n", STANDARD.encode([1; 4])),
        format!("{good}-- x {}\n", STANDARD.encode([1; 68])),
        format!("{good}— a+b {}\n", STANDARD.encode([1; 68])),
        format!("{good}—  {}\n", STANDARD.encode([1; 68])),
        format!("{good}\u{1}"),
        long,
        signed(&format!("{NAME}\n7\n")),
        signed(&format!("{NAME}\n07\n{root}\n")),
        signed(&format!("{NAME}\n+7\n{root}\n")),
        signed(&format!("{NAME}\n-7\n{root}\n")),
        signed(&format!("{NAME}\n99999999999999999999\n{root}\n")),
        signed(&format!("{NAME}\n7\n{}\n", &root[..40])),
        signed(&format!("{NAME}\n0\n{root}\n")),
        signed(&format!("{NAME}\n7\n{root}\n\nx\n")),
        signed(&format!("\n7\n{root}\n")),
    ] {
        let e = verifier.open(bad.as_bytes()).unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, code::NOTE), "{bad:?}: {e}");
    }
    assert_eq!(verifier.open(&[good.as_bytes(), b"\xff"].concat()).unwrap_err().code(), code::NOTE);
    for unsigned in [
        signed(&format!("headframe/other\n7\n{root}\n")),
        good.replace("\n7\n", "\n8\n"),
        good.replace(&format!("— {NAME}"), "— headframe/other"),
        good.replace(
            &line,
            &format!(
                "— {NAME} {}",
                STANDARD.encode([hash::from_hex(key_id().as_bytes()).unwrap(), vec![1; 9]].concat())
            ),
        ),
    ] {
        let e = verifier.open(unsigned.as_bytes()).unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Unauthenticated, code::SIGNATURE), "{unsigned:?}: {e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
        let verifier = key().verifier();
        prop_assert!(verifier.open(&bytes).is_err());
        let mut note = key().checkpoint(&made(3).1[3]).into_bytes();
        let place = at.index(note.len());
        let with = bytes.first().copied().unwrap_or(0);
        prop_assume!(note[place] != with);
        note[place] = with;
        prop_assert!(verifier.open(&note).is_err());
        prop_assert!(String::from_utf8_lossy(&bytes).parse::<VerifierKey>().is_err());
    }
}

#[test]
fn a_verifier_key_is_text_with_a_check() {
    let text = key().verifier().to_string();
    assert_eq!(text.parse::<VerifierKey>().unwrap(), key().verifier());
    let weak = format!("{NAME}+00000000+{}", STANDARD.encode([[1].as_slice(), &[0; 32]].concat()));
    for bad in
        [&text[1..], &text[..text.len() - 1], &text.replace('+', " "), &weak, "", "a+b", &format!("{text}x")]
    {
        let e = bad.parse::<VerifierKey>().unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, code::KEY), "{bad}");
    }
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", &"x".repeat(256)] {
        assert_eq!(AuditKey::from_bytes(name, [3; 32]).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_key_file_is_for_its_owner_and_shows_nowhere() {
    let folder = Folder::new("key");
    let path = folder.file("audit.key");
    let key = AuditKey::random(NAME, &*cx().rng).unwrap();
    key.save(&path).unwrap();
    let again = AuditKey::load(&path, NAME).unwrap();
    assert_eq!(again.verifier(), key.verifier());
    assert_eq!(format!("{key:?}"), "AuditKey(headframe/test, ***)");
    assert_eq!(key.save(&path).unwrap_err().kind(), ErrorKind::Conflict);
    let refused = |path: &std::path::Path| {
        let e = AuditKey::load(path, NAME).unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Unauthenticated, code::KEY), "{e}");
        e.to_string()
    };
    assert!(refused(&folder.file("none")).contains("cannot be read"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refused(&path).contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    for bad in ["", "00", &text[2..], &format!("{}zz", &text[..62]), &"0".repeat(5_000)] {
        write(&path, bad);
        assert!(!refused(&path).contains(text.trim()));
    }
}
