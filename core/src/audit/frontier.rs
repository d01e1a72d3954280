use super::Hash;

/// What is needed of a Merkle tree to append to it: the roots of the complete subtrees that it is made of, the largest
/// first; one for each bit that its size has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = Hash::node(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Hash::empty() };
        peaks.fold(*last, |right, left| Hash::node(left, &right))
    }

    /// The root that it would have with one more leaf.
    pub fn root_with(&self, leaf: Hash) -> Hash {
        let mut next = self.clone();
        next.push(leaf);
        next.root()
    }
}
