//! The corpus goes through its functions, with a compiler and a machine as users have them.

use std::{collections::BTreeSet, fs, panic, path::Path, sync::Once};

use headframe_fuzz::{TARGETS, Target, corpus, note, noted};

/// All corpora together: what was found is kept small.
const BYTES: usize = 200 * 1024;

fn replay(target: &Target) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note(info);
            before(info);
        }));
    });
    let files = corpus(target.name).unwrap_or_default();
    assert!(!files.is_empty(), "{} has no corpus", target.name);
    for (name, bytes) in files {
        // It is in the output of a test that fails.
        println!("{}/{name}", target.name);
        let panics = noted();
        (target.run)(&bytes);
        assert_eq!(noted(), panics, "{}/{name}: a task panicked", target.name);
    }
}

#[test]
fn every_file_of_the_corpus_keeps_the_promises() {
    TARGETS.iter().for_each(replay);
}

#[test]
fn nothing_and_next_to_nothing_does_too() {
    for target in TARGETS {
        for bytes in [&b""[..], b"\0", b"\0\0", b"\xff\xff\xff\xff\xff", b"a\x1e\x1e", b"{}{}{}"] {
            (target.run)(bytes);
        }
    }
}

#[test]
fn every_folder_is_of_a_target_and_all_are_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |at: &str| -> BTreeSet<String> {
        let stem = |e: fs::DirEntry| e.path().file_stem().unwrap().to_string_lossy().into_owned();
        fs::read_dir(root.join(at)).unwrap().map(|e| stem(e.unwrap())).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("libfuzzer/src/bin"), targets);
    let bytes = TARGETS.iter().flat_map(|target| corpus(target.name).unwrap()).map(|(_, b)| b.len());
    assert!(bytes.sum::<usize>() <= BYTES);
}
