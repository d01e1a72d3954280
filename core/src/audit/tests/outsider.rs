//! `docs/audit-verify.py` says the same as this module does: the two share nothing but `docs/audit.md`.

use std::process::Command;

use super::{super::*, Folder, key, made, write};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/audit-verify.py");
const SIZE: usize = 300;

/// Something that is done to the lines of a log.
type Change<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);

/// What the script prints, and whether it ended well; `None` without Python.
fn run(folder: &Folder, lines: &[Vec<u8>], notes: &str, verifier: &str) -> Option<(String, bool)> {
    let (log, marks) = (folder.file("log.jsonl"), folder.file("notes.txt"));
    let export: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect();
    write(&log, export);
    write(&marks, notes);
    match Command::new("python3").arg(SCRIPT).args([&log, &marks]).arg(verifier).output() {
        Ok(out) => {
            let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).trim().to_owned();
            Some((text, out.status.success()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => panic!("python3: {e}"),
    }
}

fn rebuilt(at: usize) -> Vec<Vec<u8>> {
    let mut log = Log::new();
    (0..SIZE)
        .map(|n| {
            let draft = if n == at { Draft::new(1, "eve", "push") } else { super::draft(n as u64) };
            log.append(draft).unwrap().to_vec()
        })
        .collect()
}

#[test]
fn a_program_of_its_own_finds_the_same() {
    let folder = Folder::new("outsider");
    let (lines, heads) = made(SIZE as u64);
    let (early, full) = (key().checkpoint(&heads[128]), key().checkpoint(&heads[SIZE]));
    let verifier = key().verifier().to_string();
    let both = format!("{early}{full}");
    let Some((text, well)) = run(&folder, &lines, &both, &verifier) else {
        println!("skipped: there is no python3");
        return;
    };
    let root = heads[SIZE].root().to_base64();
    assert_eq!((text, well), (format!("OK: 300 entries, the first 300 as witnessed, root {root}"), true));
    let wrong = |lines: &[Vec<u8>], notes: &str, verifier: &str, said: &str| {
        let (text, well) = run(&folder, lines, notes, verifier).unwrap();
        assert!(
            !well && text.starts_with("FAULT: ") && text.contains(said) && text.lines().count() == 1,
            "{said}: {text}"
        );
    };
    let changes: [Change<'_>; 8] = [
        &|l| l[77] = String::from_utf8(l[77].clone()).unwrap().replacen("person", "nobody", 1).into_bytes(),
        &|l| drop(l.remove(200)),
        &|l| l.insert(50, lines[51].clone()),
        &|l| {
            l.insert(
                60,
                String::from_utf8(lines[60].clone()).unwrap().replacen("vote", "push", 1).into_bytes(),
            )
        },
        &|l| l.swap(3, 290),
        &|l| l[9].truncate(30),
        &|l| {
            let end = l[128].len() - 3;
            l[128][end] ^= 1;
        },
        &|l| l.truncate(255),
    ];
    for change in changes {
        let mut bad = lines.clone();
        change(&mut bad);
        let marks: Vec<_> =
            [&early, &full].iter().map(|note| key().verifier().open(note.as_bytes()).unwrap()).collect();
        let fault = verify(&bad, &marks).unwrap_err();
        wrong(&bad, &both, &verifier, &format!("entry {} is wrong", fault.entry));
    }
    wrong(&rebuilt(200), &both, &verifier, "entries from 128 on do not match the checkpoint of 300 entries");
    wrong(&rebuilt(5), &both, &verifier, "entries from 0 on do not match the checkpoint of 128 entries");
    let forged = full.replace("\n300\n", "\n299\n");
    wrong(&lines, &forged, &verifier, "signature is wrong");
    wrong(&lines, "", &verifier, "no checkpoint");
    wrong(&lines, &both, &verifier.replace("/test", "/toast"), "not a verifier key");
    let stranger = AuditKey::from_bytes(super::NAME, [4; 32]).unwrap();
    wrong(&lines, &stranger.checkpoint(&heads[SIZE]), &verifier, "no checkpoint");
}
