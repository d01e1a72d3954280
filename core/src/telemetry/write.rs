//! How totals of sets become rows.

use std::{collections::HashMap, sync::Arc};

use super::{
    Inner,
    kept::{Kept, REV, columns},
    name,
    owners::Owner,
};
use crate::{
    Result,
    history::{Sample, Shape},
    io::Timestamp,
    model::RackId,
    stats::{Member, Plan, live::Window},
};

/// Of what a row is.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowOf<'a> {
    pub rack: &'a RackId,
    pub window: Window,
    pub end: Timestamp,
    pub owner: &'a Owner,
}

impl Inner {
    /// Appends a row.
    ///
    /// # Errors
    /// Those of the history.
    pub fn put_row<N: AsRef<[f64]>>(
        &self,
        of: RowOf<'_>,
        plan: &Arc<Plan>,
        kept: &Kept<N>,
        shapes: &mut Shapes,
    ) -> Result<()> {
        let (shape, members) = shapes.of(plan, of.owner)?;
        // Most rows are given out once: they have no such number.
        let rev = if kept.rev == 0 { f64::NAN } else { f64::from(kept.rev) };
        let values: Vec<f64> = members.iter().map(|(_, member)| member.of(kept)).chain([rev]).collect();
        let name = name::name(of.window, of.rack, plan, of.owner);
        let sample = Sample { owner: &name, ts: of.end, shape: &shape, values: &values, texts: None };
        self.rows.append(&[sample]).map(drop)
    }
}

/// Columns as they are kept, and which they are; after them comes [`REV`].
pub(super) type Columns = (Arc<Shape>, Arc<[(String, Member)]>);

/// The columns of sets, by plan and group.
#[derive(Debug, Default)]
pub(super) struct Shapes(HashMap<(usize, Option<usize>), Columns>);

impl Shapes {
    pub fn of(&mut self, plan: &Arc<Plan>, owner: &Owner) -> Result<Columns> {
        let group = owner.group.as_ref().map(|(group, _)| *group);
        let key = (Arc::as_ptr(plan) as usize, group);
        if let Some((shape, members)) = self.0.get(&key) {
            return Ok((Arc::clone(shape), Arc::clone(members)));
        }
        let members = columns(plan, group);
        let names = members.iter().map(|(name, _)| name.as_str()).chain([REV]);
        let (shape, members) = (Shape::new(names)?, Arc::from(members));
        self.0.insert(key, (Arc::clone(&shape), Arc::clone(&members)));
        Ok((shape, members))
    }
}
