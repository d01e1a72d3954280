//! The witness that keeps notes in a file.

use super::{super::*, Folder, cx, grow, key, made, store, write};
use crate::{ErrorKind, Result, store::ControlStore};

async fn give(witness: &FileWitness, store: &ControlStore, log: &Log, tree: &mut Tree) -> Result<()> {
    let old = witness.size(&cx()).await?;
    let proof = if old <= log.size() { tree.consistency(store, log, old, log.size())? } else { Vec::new() };
    witness.receive(&cx(), &key().checkpoint(log), &proof).await
}

#[tokio::test]
async fn a_log_that_grows_is_witnessed_and_the_file_lasts() {
    let folder = Folder::new("witness");
    let path = folder.file("notes");
    let store = store().await;
    let (mut log, mut tree) = (Log::new(), Tree::new());
    let witness = FileWitness::create(&path, key().verifier()).unwrap();
    assert_eq!((witness.last(), witness.size(&cx()).await.unwrap()), (None, 0));
    let mut notes = String::new();
    for more in [0, 1, 5, 250, 1, 300] {
        log = grow(&store, &log, more).await;
        give(&witness, &store, &log, &mut tree).await.unwrap();
        notes += &key().checkpoint(&log);
        // Once more changes nothing.
        give(&witness, &store, &log, &mut tree).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
    drop(witness);
    let witness = FileWitness::open(&path, key().verifier()).unwrap();
    assert_eq!(witness.last(), Some(super::checkpoint(&log)));
    log = grow(&store, &log, 7).await;
    give(&witness, &store, &log, &mut tree).await.unwrap();
    assert_eq!(witness.size(&cx()).await.unwrap(), log.size());
    assert_eq!(FileWitness::create(&path, key().verifier()).unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn roll_backs_and_split_views_are_refused() {
    let folder = Folder::new("split");
    let path = folder.file("notes");
    let store = store().await;
    let log = grow(&store, &Log::new(), 40).await;
    let mut tree = Tree::new();
    let witness = FileWitness::create(&path, key().verifier()).unwrap();
    give(&witness, &store, &log, &mut tree).await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let (_, heads) = made(60);
    let mut other = heads[39].clone();
    other.append(Draft::new(1, "eve", "push")).unwrap();
    let mut longer = other.clone();
    longer.append(Draft::new(1, "eve", "push")).unwrap();
    let right = grow(&store, &log, 20).await;
    let proof = tree.consistency(&store, &right, 40, 60).unwrap();
    for (log, proof) in
        [(&heads[39], &[][..]), (&other, &[]), (&longer, &proof), (&right, &[]), (&right, &proof[1..])]
    {
        let e = witness.receive(&cx(), &key().checkpoint(log), proof).await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::SPLIT), "{e}");
        assert_eq!(e.fact("witnessed"), Some("40"));
    }
    let stranger = AuditKey::from_bytes(super::NAME, [4; 32]).unwrap();
    let e = witness.receive(&cx(), &stranger.checkpoint(&right), &proof).await.unwrap_err();
    assert_eq!(e.code(), code::SIGNATURE);
    assert_eq!(witness.receive(&cx(), "nothing", &[]).await.unwrap_err().code(), code::NOTE);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    witness.receive(&cx(), &key().checkpoint(&right), &proof).await.unwrap();
}

#[test]
fn a_note_that_was_cut_short_is_removed_and_nothing_else_is() {
    let folder = Folder::new("cut");
    let path = folder.file("notes");
    let (_, heads) = made(9);
    let open = || FileWitness::open(&path, key().verifier());
    assert_eq!(open().unwrap_err().code(), code::IO);
    let (one, two) = (key().checkpoint(&heads[5]), key().checkpoint(&heads[9]));
    for begin in ["", one.as_str()] {
        for cut in 0..two.len() {
            write(&path, [begin.as_bytes(), &two.as_bytes()[..cut]].concat());
            let witness = open().unwrap();
            assert_eq!(witness.last().map(|last| last.size()), (!begin.is_empty()).then_some(5), "{cut}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), begin);
        }
    }
    write(&path, [one.as_bytes(), &[0; 300]].concat());
    assert_eq!(open().unwrap().last().unwrap().size(), 5);
    let both = format!("{one}{two}");
    write(&path, &both);
    assert_eq!(open().unwrap().last().unwrap().size(), 9);
    // What is no witness's file stays as it is.
    let long = "x".repeat(40_000);
    let changed = both.replace("\n9\n", "\n8\n");
    for (bytes, code) in [
        ("[settings]\nvalue = 1\n", code::IO),
        (&format!("{one}more\n"), code::IO),
        (&long, code::IO),
        (&changed, code::SIGNATURE),
    ] {
        write(&path, bytes);
        assert_eq!(open().unwrap_err().code(), code);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), bytes);
    }
}
