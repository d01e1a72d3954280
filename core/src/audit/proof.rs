//! Proofs about the tree, as in RFC 9162 §2.1.3.2 and §2.1.4.2 (the trees are those of RFC 6962).

use super::Hash;

/// Whether `proof` shows that the entry with the hash `leaf` has the number `seq` in the tree of `size` entries that has
/// the root `root`.
pub fn verify_inclusion(leaf: &Hash, seq: u64, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if seq >= size {
        return false;
    }
    let (mut node, mut last) = (seq, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = Hash::node(sibling, &hash);
            // On the right border there may be levels without a sibling.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = Hash::node(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree `(size, root)` of `new` begins with the entries of that of `old`.
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == Hash::empty();
    }
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    let down = node.trailing_ones();
    (node, last) = (node >> down, last >> down);
    // A complete tree is its own first node, and the proof leaves it out.
    let mut rest = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut before, mut after) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            before = Hash::node(sibling, &before);
            after = Hash::node(sibling, &after);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            after = Hash::node(&after, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && before == *old_root && after == *new_root
}
