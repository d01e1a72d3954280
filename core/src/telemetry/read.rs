//! Rows and readings, as they are asked for.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use serde_json::{Value, json};

use super::{
    Inner, OP, Telemetry,
    kept::{Kept, REV, columns},
    name,
    owners::Owner,
    rack::RackStats,
    texts::TextsOf,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    history::{History, MAX_TS, RowsQuery},
    io::Timestamp,
    model::{RackId, flat::unflatten},
    rack::TailQuery,
    stats::{Cell, Kind, Member, Merge, Named, Plan, Row, fold::Span, live::Window},
};

/// By the ends of windows.
type ByTime<T> = BTreeMap<Timestamp, T>;
type Groups = Vec<Named<Kept>>;

/// Which rows are asked for.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    rack: &'a RackId,
    window: Window,
    query: &'a TailQuery,
}

/// The sets of things of which a row is made.
struct Sets {
    plan: Arc<Plan>,
    whole: Owner,
    groups: Vec<Owner>,
}

impl Telemetry {
    /// Rows without what single things say, oldest first. Of a row that was made anew only the newest counts. Empty for a tag
    /// that nobody has.
    pub(super) fn totals(&self, rack: &RackId, window: Window, query: &TailQuery) -> Result<Vec<Row>> {
        let sets = {
            let racks = self.0.racks();
            let stats = racks.get(rack).ok_or_else(|| unknown(rack))?;
            sets(stats, &query.tag, |name| query.wants(name))
        };
        match sets {
            Some(sets) => self.0.read(&sets, Asked { rack, window, query }),
            None => Ok(Vec::new()),
        }
    }

    /// What the things of a rack say now, without what single ones say; `None` for a tag that nobody has.
    pub(super) fn totals_now(
        &self,
        rack: &RackId,
        tag: &str,
        wants: impl Fn(&str) -> bool,
    ) -> Result<Option<Row>> {
        let at = self.0.cx.clock.wall();
        let racks = self.0.racks();
        let stats = racks.get(rack).ok_or_else(|| unknown(rack))?;
        let Some(sets) = sets(stats, tag, &wants) else { return Ok(None) };
        let kept = stats.now(at);
        let of = |owner: &Owner| stats.owners.find(owner).and_then(|number| kept.get(number));
        let Some(all) = of(&sets.whole) else { return Ok(None) };
        let named = |owner: &Owner| {
            let (group, name) = owner.group.clone()?;
            Some(Named { group, name, totals: of(owner)? })
        };
        let groups: Vec<_> = sets.groups.iter().filter_map(named).collect();
        Ok(Some(finish(&stats.plan, stats.plan.row(None, &all, &groups, &wants), &wants)))
    }

    /// The readings of a thing in MiningOS's form, `{ts, err, snap}`, oldest first.
    ///
    /// # Errors
    /// Those of the history.
    pub fn snapshots(&self, thing: &ThingId, range: Range<Timestamp>) -> Result<Vec<Value>> {
        self.0.snapshots_of(thing, range)
    }
}

impl Inner {
    pub(super) fn snapshots_of(&self, thing: &ThingId, range: Range<Timestamp>) -> Result<Vec<Value>> {
        let rows = self.raw.rows(thing.as_str(), range.clone(), RowsQuery::default())?;
        let texts = TextsOf::read(&self.raw, thing.as_str(), range, &rows.rows)?;
        let mut out = Vec::with_capacity(rows.rows.len());
        for row in rows.rows {
            let said = texts.of(&row).map_or("{}", |text| &**text);
            let mut snap = unflatten(&rows.members, &row.values, said)?;
            let err = snap.as_object_mut().and_then(|members| members.remove("err")).unwrap_or(Value::Null);
            out.push(json!({"ts": row.ts, "err": err, "snap": snap}));
        }
        Ok(out)
    }
}

pub(super) fn unknown(rack: &RackId) -> Error {
    let e = Error::new(ErrorKind::NotFound, OP, "no statistics are kept of this rack");
    e.code_as("ERR_RACK_NOT_FOUND").with("rack", rack)
}

/// The sets that the wanted results need; `None` when no thing has the tag.
fn sets(stats: &RackStats, tag: &str, wants: impl Fn(&str) -> bool) -> Option<Sets> {
    let plan = &stats.plan;
    let needed = plan.groups_of(&wants);
    let is_needed = |owner: &Owner| owner.group.as_ref().is_some_and(|(group, _)| needed.contains(group));
    let all = |tag: Option<Arc<str>>| Owner { tag, group: None };
    let container = name::container(plan).zip(tag.strip_prefix("container-"));
    let (whole, groups) = if stats.sorting.is_common(tag) {
        let groups = stats.owners.of_tag(None).map(|(owner, _)| owner).filter(|owner| is_needed(owner));
        (all(None), groups.cloned().collect())
    } else if let Some((group, of)) = container {
        let inside = |owner: &&Owner| is_needed(owner) && name::is_inside(plan, owner, group, of);
        let groups = stats.owners.of_tag(None).map(|(owner, _)| owner).filter(inside);
        (Owner { tag: None, group: Some((group, of.into())) }, groups.cloned().collect())
    } else {
        let tag = Some(Arc::from(tag));
        let groups =
            stats.owners.of_tag(tag.as_ref()).map(|(owner, _)| owner).filter(|owner| is_needed(owner));
        let groups = groups.cloned().collect();
        (all(tag), groups)
    };
    stats.owners.find(&whole)?;
    Some(Sets { plan: Arc::clone(plan), whole, groups })
}

/// Results that no row has yet: nobody raises alerts.
fn finish(plan: &Plan, mut row: Row, wants: impl Fn(&str) -> bool) -> Row {
    for (name, op) in plan.rest().ops() {
        if op.kind == Kind::AlertsGroupCnt && !row.is_empty() && wants(name) {
            row.set(Arc::clone(name), Cell::Groups(Merge::Sum, BTreeMap::new()));
        }
    }
    row
}

impl Inner {
    fn read(&self, sets: &Sets, of: Asked<'_>) -> Result<Vec<Row>> {
        let whole = self.newest(sets, of)?;
        let (Some(first), Some(last)) = (whole.keys().next(), whole.keys().next_back()) else {
            return Ok(Vec::new());
        };
        let range = *first..Timestamp(last.0.saturating_add(1));
        let mut groups: ByTime<Groups> = BTreeMap::new();
        for owner in &sets.groups {
            let Some((group, name)) = &owner.group else { continue };
            for (ts, totals) in self.kept(sets, owner, of, range.clone())? {
                groups.entry(ts).or_default().push(Named { group: *group, name: Arc::clone(name), totals });
            }
        }
        let (whole, groups) = match &of.query.spans {
            Some(spans) => self.joined(sets, of, spans, &whole, &groups),
            None => (whole, groups),
        };
        let wants = |name: &str| of.query.wants(name);
        let row = |(ts, all): (Timestamp, Kept)| {
            let groups = groups.get(&ts).map_or(&[][..], Vec::as_slice);
            let mut row = finish(&sets.plan, sets.plan.row(Some(ts), &all, groups, wants), wants);
            row.rev = groups.iter().map(|group| group.totals.rev).fold(all.rev, u32::max);
            row
        };
        Ok(whole.into_iter().map(row).collect())
    }

    /// Totals over spans, of those of the windows in them. A span that is not over is as long as it was until now.
    fn joined(
        &self,
        sets: &Sets,
        of: Asked<'_>,
        spans: &[Span],
        whole: &ByTime<Kept>,
        groups: &ByTime<Groups>,
    ) -> (ByTime<Kept>, ByTime<Groups>) {
        let now = self.cx.clock.wall();
        let (mut all, mut by_group) = (BTreeMap::new(), BTreeMap::new());
        for span in spans {
            let until = span.end.min(of.window.start_of(now)).max(Timestamp(span.start.0 + 1));
            let share = of.window.length_ms() as f64 / (until.0 - span.start.0) as f64;
            let range = Timestamp(span.start.0.saturating_add(1))..Timestamp(span.end.0.saturating_add(1));
            let mut kept = Kept::new(sets.plan.layout());
            for (_, part) in whole.range(range.clone()) {
                kept.add(part, share);
                kept.rev = kept.rev.max(part.rev);
            }
            if kept.held() == 0.0 {
                continue;
            }
            let mut named: BTreeMap<(usize, Arc<str>), Kept> = BTreeMap::new();
            for part in groups.range(range).flat_map(|(_, parts)| parts) {
                let key = (part.group, Arc::clone(&part.name));
                named.entry(key).or_insert_with(|| Kept::new(sets.plan.layout())).add(&part.totals, share);
            }
            let groups = named.into_iter().map(|((group, name), totals)| Named { group, name, totals });
            by_group.insert(span.end, groups.collect());
            all.insert(span.end, kept);
        }
        (all, by_group)
    }

    /// Totals of the whole, the newest as far as asked for.
    fn newest(&self, sets: &Sets, of: Asked<'_>) -> Result<BTreeMap<Timestamp, Kept>> {
        let end = Timestamp(of.query.to.0.saturating_add(1));
        let Some(newest) = of.query.newest else {
            return self.kept(sets, &sets.whole, of, of.query.from..end);
        };
        let mut back = of.window.length_ms().saturating_mul(i64::try_from(newest).unwrap_or(i64::MAX));
        loop {
            back = back.saturating_mul(4);
            let from = Timestamp(of.query.to.0.saturating_sub(back).max(of.query.from.0));
            let mut kept = self.kept(sets, &sets.whole, of, from..end)?;
            if kept.len() >= newest || from == of.query.from {
                while kept.len() > newest {
                    kept.pop_first();
                }
                return Ok(kept);
            }
        }
    }

    fn kept(
        &self,
        sets: &Sets,
        owner: &Owner,
        of: Asked<'_>,
        range: Range<Timestamp>,
    ) -> Result<BTreeMap<Timestamp, Kept>> {
        // Of a container's rows both are asked: what a group needs, and what the whole needs.
        let whole = *owner == sets.whole;
        let group = owner.group.as_ref().filter(|_| !whole).map(|(group, _)| *group);
        let members = sets.plan.members_for(group, |name| of.query.wants(name));
        let name = name::name(of.window, of.rack, &sets.plan, owner);
        let mut kept = read(&self.rows, &name, &sets.plan, &members, range)?;
        // It was made anew, and nothing was left of it.
        kept.retain(|_, kept| kept.held() > 0.0);
        Ok(kept)
    }

    /// Begins what is open of a rack's windows with what was kept of them, and finds the sets that it had.
    pub(super) fn seed(&self, rack: &RackId, stats: &mut RackStats) -> Result<()> {
        let names = self.rows.owners(Timestamp(0)..Timestamp(MAX_TS + 1))?;
        for window in Window::ALL {
            let prefix = name::prefix(window, rack);
            for name in names.iter().filter_map(|name| name.strip_prefix(prefix.as_str())) {
                if let Some(owner) = name::owner(name, &stats.plan) {
                    stats.owners.number(owner);
                }
            }
        }
        // Minutes from there on are still to be counted, whatever the time is now.
        let from = stats.open_from();
        let plan = Arc::clone(&stats.plan);
        for (finer, window) in Window::ALL.into_iter().zip(Window::ALL.into_iter().skip(1)) {
            let start = window.start_of(from);
            let ended = Timestamp(start.0.saturating_add(1))..Timestamp(from.0.saturating_add(1));
            let Some(open) = stats.filling.open(window, start) else { continue };
            for number in 0..u32::try_from(stats.owners.len()).unwrap_or(u32::MAX) {
                let Some(owner) = stats.owners.get(number) else { continue };
                let group = owner.group.as_ref().map(|(group, _)| *group);
                let name = name::name(finer, rack, &plan, owner);
                if !names.contains(name.as_str()) {
                    continue;
                }
                let rows = read(&self.rows, &name, &plan, &columns(&plan, group), ended.clone())?;
                if !rows.is_empty() {
                    open.set(number, &Kept::joined(&plan, rows.values(), finer, window));
                }
            }
        }
        Ok(())
    }
}

/// Rows that were kept, by the ends of their windows: of several of one window that which was made anew most often, and
/// among those the last.
pub(super) fn read(
    history: &History,
    name: &str,
    plan: &Plan,
    members: &[(String, Member)],
    range: Range<Timestamp>,
) -> Result<BTreeMap<Timestamp, Kept>> {
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).chain([REV]).collect();
    let query = RowsQuery { members: Some(&names), latest_per_ts: false };
    let rows = history.rows(name, range, query)?;
    let mut out: BTreeMap<Timestamp, Kept> = BTreeMap::new();
    for row in rows.rows {
        // No number is 0, as in rows of releases that had none.
        let rev = row.values.get(members.len()).map_or(0, |rev| *rev as u32);
        if out.get(&row.ts).is_some_and(|known| known.rev > rev) {
            continue;
        }
        let mut kept = Kept::new(plan.layout());
        for ((_, member), value) in members.iter().zip(&row.values) {
            kept.set(*member, *value);
        }
        kept.settle(plan);
        kept.rev = rev;
        out.insert(row.ts, kept);
    }
    Ok(out)
}
