//! What a set of things over one length of window is called in the history of rows.

use std::sync::Arc;

use super::owners::Owner;
use crate::{
    model::RackId,
    stats::{Group, Plan, live::Window},
};

/// No name that people give holds it.
const BETWEEN: char = '\u{1f}';

/// The name of a set's rows.
pub(super) fn name(window: Window, rack: &RackId, plan: &Plan, owner: &Owner) -> String {
    let mut name = prefix(window, rack);
    name.push_str(owner.tag.as_deref().unwrap_or_default());
    if let Some((group, of)) = &owner.group {
        name.push(BETWEEN);
        name.push_str(&plan.groups().get(*group).map(group_name).unwrap_or_default());
        name.push(BETWEEN);
        name.push_str(of);
    }
    name
}

/// The name of rows that another system computed; no window is called as they begin.
pub(super) fn imported(key: &str, thing_type: &str, tag: &str) -> String {
    format!("mos{BETWEEN}{key}{BETWEEN}{thing_type}{BETWEEN}{tag}")
}

/// The name of rows that are stored as MiningOS does; no window is called as they begin.
pub(super) fn mos(window: Window, rack: &RackId, tag: &str) -> String {
    format!("mos-row{BETWEEN}{window}{BETWEEN}{rack}{BETWEEN}{tag}")
}

/// The name of what says which minutes of a rack are to be made anew; no window is called as it begins.
pub(super) fn pending(rack: &RackId) -> String {
    format!("anew{BETWEEN}{rack}")
}

/// What the names of a rack's rows begin with.
pub(super) fn prefix(window: Window, rack: &RackId) -> String {
    format!("{window}{BETWEEN}{rack}{BETWEEN}")
}

/// The set that a name stands for, without its prefix; `None` for a group that operations do not know.
pub(super) fn owner(rest: &str, plan: &Plan) -> Option<Owner> {
    let mut parts = rest.split(BETWEEN);
    let tag = parts.next().filter(|tag| !tag.is_empty()).map(Arc::from);
    let group = match (parts.next(), parts.next()) {
        (None, None) => None,
        (Some(group), Some(of)) => {
            Some((plan.groups().iter().position(|known| group_name(known) == group)?, Arc::from(of)))
        }
        _ => return None,
    };
    parts.next().is_none().then_some(Owner { tag, group })
}

fn group_name(group: &Group) -> String {
    let paths: Vec<&str> = group.paths().into_iter().map(|(_, path)| path.text()).collect();
    paths.join("+")
}

/// Which of the plan's groups is that of containers.
pub(super) fn container(plan: &Plan) -> Option<usize> {
    plan.groups().iter().position(|group| group_name(group) == "info.container")
}

/// Whether a group lies in the container called `of`: it is that, or a PDU rack of it.
pub(super) fn is_inside(plan: &Plan, owner: &Owner, container: usize, of: &str) -> bool {
    let Some((group, name)) = &owner.group else { return false };
    let is_rack = matches!(plan.groups().get(*group), Some(Group::ContainerRack(_)));
    let rack = || name.strip_prefix(of).is_some_and(|rest| rest.starts_with('_'));
    (*group == container && **name == *of) || (is_rack && rack())
}
