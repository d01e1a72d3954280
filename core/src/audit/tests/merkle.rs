//! Trees and proofs, against the vectors of Certificate Transparency and a tree written as the RFC defines it.

use proptest::prelude::*;

use super::{super::*, grow, made, naive, store};
use crate::audit::frontier::Frontier;

const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn leaves() -> Vec<Hash> {
    LEAVES.iter().map(|hex| Hash::leaf(&hash::from_hex(hex.as_bytes()).unwrap())).collect()
}

#[test]
fn the_tree_is_that_of_rfc_6962() {
    let leaves = leaves();
    let mut tree = Frontier::default();
    for size in 0..=leaves.len() {
        assert_eq!(tree.root().to_string(), ROOTS[size], "{size}");
        assert_eq!(naive(&leaves[..size]).to_string(), ROOTS[size], "{size}");
        if let Some(leaf) = leaves.get(size) {
            assert_eq!(tree.root_with(*leaf).to_string(), ROOTS[size + 1]);
            tree.push(*leaf);
        }
    }
}

#[test]
fn known_proofs_are_taken_and_no_other() {
    // Of the same vectors: entry 5 of 8 (counted from 0), and the step from 6 to 8.
    let hash = |hex: &str| Hash::from_hex(hex.as_bytes()).unwrap();
    let root = hash(ROOTS[8]);
    let path = [
        hash("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
        hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
        hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ];
    assert!(verify_inclusion(&leaves()[5], 5, 8, &root, &path));
    assert!(!verify_inclusion(&leaves()[4], 5, 8, &root, &path));
    let step = [
        hash("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
        hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
        hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ];
    assert!(verify_consistency((6, &hash(ROOTS[6])), (8, &root), &step));
    assert!(!verify_consistency((5, &hash(ROOTS[5])), (8, &root), &step));
}

/// Sizes around the places where the tree keeps its nodes.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![1..40_u64, 250..262_u64, 510..515_u64, 700..1_100_u64]
}

#[test]
fn every_proof_is_taken_and_no_changed_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (store, log) = runtime.block_on(async {
        let store = store().await;
        let log = grow(&store, &Log::new(), 1_100).await;
        (store, log)
    });
    let (lines, heads) = made(1_100);
    let hashes: Vec<Hash> = lines.iter().map(|line| Hash::leaf(line)).collect();
    assert_eq!(log, heads[1_100]);
    assert!((0..=1_100).step_by(50).all(|n| heads[n].root() == naive(&hashes[..n])));
    let tree = std::cell::RefCell::new(Tree::new());
    proptest!(ProptestConfig::with_cases(64), |(a in size(), b in size(), at in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>())| {
        let (old, new) = (a.min(b), a.max(b));
        let (old_root, new_root) = (heads[old as usize].root(), heads[new as usize].root());
        let seq = at.index(new as usize);
        let leaf = hashes[seq];
        let proof = tree.borrow_mut().inclusion(&store, &log, seq as u64, new).unwrap();
        prop_assert!(verify_inclusion(&leaf, seq as u64, new, &new_root, &proof));
        let step = tree.borrow_mut().consistency(&store, &log, old, new).unwrap();
        prop_assert!(verify_consistency((old, &old_root), (new, &new_root), &step));
        // Anything else is refused.
        let other = hashes[(seq + 1) % new as usize];
        prop_assert!(new == 1 || !verify_inclusion(&other, seq as u64, new, &new_root, &proof));
        prop_assert!(!verify_inclusion(&leaf, seq as u64, new, &old_root, &proof) || old == new);
        prop_assert!(!verify_inclusion(&leaf, new, new, &new_root, &proof));
        let mut longer = proof.clone();
        longer.push(leaf);
        prop_assert!(!verify_inclusion(&leaf, seq as u64, new, &new_root, &longer));
        longer = step.clone();
        longer.push(leaf);
        prop_assert!(!verify_consistency((old, &old_root), (new, &new_root), &longer));
        prop_assert!(old == new || !verify_consistency((new, &new_root), (old, &old_root), &step));
        for (proof, is_step) in [(&proof, false), (&step, true)] {
            if proof.is_empty() { continue; }
            let mut bad = proof.clone();
            let place = flip.index(bad.len());
            bad[place] = Hash::leaf(b"another");
            for proof in [&bad[..], &proof[1..]] {
                let taken = if is_step {
                    verify_consistency((old, &old_root), (new, &new_root), proof)
                } else {
                    verify_inclusion(&leaf, seq as u64, new, &new_root, proof)
                };
                prop_assert!(!taken);
            }
        }
    });
}

#[tokio::test]
async fn what_cannot_be_proved_is_an_error() {
    let store = store().await;
    let log = grow(&store, &Log::new(), 300).await;
    let mut tree = Tree::new();
    assert!(tree.inclusion(&store, &log, 5, 5).is_err());
    assert!(tree.inclusion(&store, &log, 5, 301).is_err());
    assert!(tree.consistency(&store, &log, 6, 5).is_err());
    assert!(tree.consistency(&store, &log, 6, 301).is_err());
    assert!(tree.consistency(&store, &log, 0, 300).unwrap().is_empty());
    assert!(verify_consistency((0, &Hash::empty()), (300, &log.root()), &[]));
    // A head that the store does not have.
    let (_, heads) = made(600);
    let e = tree.inclusion(&store, &heads[600], 5, 600).unwrap_err();
    assert_eq!(e.code(), code::CORRUPT);
}
