//! Of which sets of things rows are kept: of a rack, of each group in it, and the same for each tag that people gave.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use crate::stats::{Group, Json, Plan, Semantics, families};

/// A set of things of one rack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Owner {
    /// Those with this tag; all without.
    pub tag: Option<Arc<str>>,
    /// Those in this group: which of the plan's groups, and its name.
    pub group: Option<(usize, Arc<str>)>,
}

/// The sets that there are, each with a number; and the cells, each of which lies in some of them.
#[derive(Debug, Default)]
pub(super) struct Owners {
    list: Vec<Owner>,
    numbers: BTreeMap<Owner, u32>,
    /// The sets of all cells, one cell after the other: each minute runs through all of them.
    of_cells: Vec<u32>,
    /// Where those of each cell end.
    ends: Vec<usize>,
    known: HashMap<Box<[u32]>, u32>,
}

/// Cells and sets of one rack: more than that many things have cells of their own.
const MOST_OWNERS: usize = 1 << 18;

impl Owners {
    /// The number of a set, which is new if it was not there.
    pub fn number(&mut self, owner: Owner) -> u32 {
        if let Some(number) = self.numbers.get(&owner) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(owner.clone());
        self.numbers.insert(owner, number);
        number
    }

    /// The number of a set that there is.
    pub fn find(&self, owner: &Owner) -> Option<u32> {
        self.numbers.get(owner).copied()
    }

    pub fn get(&self, number: u32) -> Option<&Owner> {
        self.list.get(usize::try_from(number).ok()?)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The sets of one tag, in the order of their groups.
    pub fn of_tag<'a>(&'a self, tag: Option<&'a Arc<str>>) -> impl Iterator<Item = (&'a Owner, u32)> {
        let from = Owner { tag: tag.cloned(), group: None };
        let same = move |(owner, _): &(&Owner, &u32)| owner.tag.as_ref() == tag;
        self.numbers.range(from..).take_while(same).map(|(owner, number)| (owner, *number))
    }

    /// The cell of a thing that lies in these sets.
    pub fn cell(&mut self, owners: Vec<Owner>) -> u32 {
        let full = self.list.len() + owners.len() > MOST_OWNERS;
        let numbers: Box<[u32]> = match full {
            // Groups that are as many as things are no groups; the rack's own row is always there.
            true => {
                owners.into_iter().filter(|owner| owner.group.is_none()).map(|o| self.number(o)).collect()
            }
            false => owners.into_iter().map(|owner| self.number(owner)).collect(),
        };
        if let Some(cell) = self.known.get(&numbers) {
            return *cell;
        }
        let cell = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.of_cells.extend_from_slice(&numbers);
        self.ends.push(self.of_cells.len());
        self.known.insert(numbers, cell);
        cell
    }

    /// The sets in which a cell lies.
    pub fn of_cell(&self, cell: u32) -> &[u32] {
        let cell = usize::try_from(cell).unwrap_or(usize::MAX);
        let Some(end) = self.ends.get(cell) else { return &[] };
        let start = cell.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.of_cells.get(start..*end).unwrap_or_default()
    }
}

/// In which sets things lie, by their records.
#[derive(Debug)]
pub(super) struct Sorting {
    groups: Vec<Group>,
    /// Tags that are no set of their own: those of the type and of the rack, which all things have.
    common: HashSet<String>,
    skipped: Vec<String>,
}

impl Sorting {
    pub fn new(plan: &Plan, thing_type: &str, rack_tags: &[String]) -> Self {
        let mut common: HashSet<String> = rack_tags.iter().cloned().collect();
        let mut rest = Some(thing_type);
        while let Some(prefix) = rest {
            common.insert(format!("t-{prefix}"));
            rest = prefix.rsplit_once('-').map(|(shorter, _)| shorter);
        }
        let family = thing_type.split('-').next().unwrap_or_default();
        Self { groups: plan.groups().to_vec(), common, skipped: families::skip_tags(family).to_vec() }
    }

    /// Whether all things of the rack have this tag.
    pub fn is_common(&self, tag: &str) -> bool {
        self.common.contains(tag)
    }

    fn has_rows(&self, tag: &str) -> bool {
        !self.is_common(tag) && !self.skipped.iter().any(|prefix| tag.starts_with(prefix.as_str()))
    }

    /// The sets of a thing with this document and these tags.
    pub fn owners<'t>(&self, document: &Value, tags: impl Iterator<Item = &'t str>) -> Vec<Owner> {
        let source = Json { entry: document, ext: Some(document) };
        let group = |(at, group): (usize, &Group)| {
            Some((at, Arc::from(&*group.name(&source, Semantics::Corrected)?)))
        };
        let groups: Vec<(usize, Arc<str>)> = self.groups.iter().enumerate().filter_map(group).collect();
        let tags = tags.filter(|tag| self.has_rows(tag)).map(|tag| Some(Arc::from(tag)));
        let mut owners = Vec::new();
        for tag in std::iter::once(None).chain(tags) {
            owners.push(Owner { tag: tag.clone(), group: None });
            let of_group = |group: &(usize, Arc<str>)| Owner { tag: tag.clone(), group: Some(group.clone()) };
            owners.extend(groups.iter().map(of_group));
        }
        owners
    }
}
