use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::trie::Trie;
use crate::model::recent::Recent;

/// Lists of paths of late, for all flatteners.
static SHAPES: Recent<[Arc<str>]> = Recent::new();

/// Shapes that one flattener finds by their nodes. Two with the same place push each other out.
const PLACES: usize = 256;

/// An ordered list of the paths of numbers. Things that say the same members have the same one; cheap to clone.
#[derive(Clone, Default)]
pub struct Shape(Arc<[Arc<str>]>);

impl Shape {
    /// The paths, in order.
    pub fn members(&self) -> &[Arc<str>] {
        &self.0
    }

    /// Whether both are one list in memory: equal ones nearly always are.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<P: AsRef<str>> FromIterator<P> for Shape {
    fn from_iter<I: IntoIterator<Item = P>>(paths: I) -> Self {
        let paths: Vec<Arc<str>> = paths.into_iter().map(|path| path.as_ref().into()).collect();
        Self(SHAPES.of(&paths))
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.0 == other.0
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

/// Shapes by the nodes of their members in one trie.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<Option<(Box<[u32]>, Shape)>>);

impl Shapes {
    /// Puts the shape of `nodes` in `shape`.
    pub fn find(&mut self, nodes: &[u32], trie: &Trie, shape: &mut Shape) {
        if self.0.is_empty() {
            self.0.resize_with(PLACES, || None);
        }
        let hash = nodes.iter().fold(0_u64, |hash, node| {
            (hash.rotate_left(5) ^ u64::from(*node)).wrapping_mul(0x517C_C1B7_2722_0A95)
        });
        let place = usize::try_from(hash >> 56).unwrap_or_default();
        let Some(place) = self.0.get_mut(place) else { return };
        match place {
            Some((known, found)) if **known == *nodes => {
                if !found.is(shape) {
                    *shape = found.clone();
                }
            }
            _ => {
                let paths = nodes.iter().filter_map(|node| trie.path(*node)).cloned();
                *shape = Shape(SHAPES.of(&paths.collect::<Vec<_>>()));
                *place = Some((nodes.into(), shape.clone()));
            }
        }
    }
}
