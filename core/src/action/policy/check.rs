//! What is wrong with rules.

use std::{collections::BTreeSet, fmt};

use super::{
    ActionClass,
    rules::{Freeze, Rule, Rules, Size},
    window::Window,
};
use crate::{Error, Result};

/// The code of everything that is wrong with rules.
pub(super) const CODE: &str = "ERR_POLICY_INVALID";

const DAY_S: u32 = 24 * 3_600;
const MAX_S: u32 = 30 * DAY_S;
const MAX_ROWS: usize = 1_000;
const MAX_NAMES: usize = 100;
const MAX_STEPS: usize = 32;
const MAX_FACTORS: usize = 8;
const MAX_WINDOWS: usize = 64;
const MAX_VOTES: u32 = 64;
const MAX_TEXT: usize = 256;

/// Where in the rules something is.
struct At<'a>(Option<&'a Self>, &'a dyn fmt::Display);

impl At<'_> {
    fn wrong<T>(&self, member: impl fmt::Display, why: &str) -> Result<T> {
        let field = At(Some(self), &member).to_string();
        Err(Error::invalid("action.policy", &field, why).code_as(CODE))
    }

    fn within(&self, member: &str, value: u32, from: u32, to: u32) -> Result<()> {
        if (from..=to).contains(&value) {
            return Ok(());
        }
        self.wrong(member, &format!("is {value}; it has to be {from} to {to}"))
    }

    fn at_most(&self, member: &str, len: usize, most: usize) -> Result<()> {
        if len <= most {
            Ok(())
        } else {
            self.wrong(member, &format!("has {len} entries; at most {most} are allowed"))
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(ToString::to_string).filter(|outer| !outer.is_empty()) {
            Some(outer) => write!(f, "{outer}.{}", self.1),
            None => self.1.fmt(f),
        }
    }
}

/// Refuses what nobody can mean.
pub(super) fn rules(rules: &Rules) -> Result<()> {
    let root = At(None, &"");
    root.at_most("rows", rules.rows.len(), MAX_ROWS)?;
    root.at_most("freezes", rules.freezes.len(), MAX_ROWS)?;
    rule(&At(Some(&root), &"default"), &rules.default)?;
    let (mut actions, mut classes) = (BTreeSet::new(), BTreeSet::new());
    for (i, row) in rules.rows.iter().enumerate() {
        let name = format!("rows[{i}]");
        let at = At(Some(&root), &name);
        if row.actions.is_empty() && row.classes.is_empty() {
            return at.wrong("actions", "names nothing, and neither does classes: the row is for no action");
        }
        at.at_most("actions", row.actions.len(), MAX_NAMES)?;
        for action in &row.actions {
            if action.trim().is_empty() || action.chars().count() > MAX_TEXT {
                return at.wrong("actions", "holds a name that is empty or too long");
            }
            if !actions.insert(action) {
                return at.wrong("actions", &format!("'{action}' stands in another row too"));
            }
        }
        if let Some(class) = row.classes.iter().find(|class| !classes.insert(**class)) {
            return at.wrong("classes", &format!("{class:?} stands in another row too"));
        }
        rule(&At(Some(&at), &"rule"), &row.rule)?;
    }
    let frozen = |(i, one)| freeze(&At(Some(&root), &format!("freezes[{i}]")), one);
    rules.freezes.iter().enumerate().try_for_each(frozen)
}

fn rule(at: &At<'_>, rule: &Rule) -> Result<()> {
    at.within("votes_for", rule.votes_for, 1, MAX_VOTES)?;
    at.within("votes_against", rule.votes_against, 1, MAX_VOTES)?;
    at.within("expires_s", rule.expires_s, 1, MAX_S)?;
    at.within("begin_within_s", rule.begin_within_s, 1, MAX_S)?;
    at.within("wait_s", rule.wait_s, 0, MAX_S)?;
    at.within("max_in_flight", rule.max_in_flight.unwrap_or(1), 1, u32::MAX)?;
    at.at_most("factors", rule.factors.len(), MAX_FACTORS)?;
    let mut rights = BTreeSet::new();
    let mut together = 0;
    for (i, factor) in rule.factors.iter().enumerate() {
        let name = format!("factors[{i}]");
        let at = At(Some(at), &name);
        at.within("votes", factor.votes, 1, MAX_VOTES)?;
        if !rights.insert(factor.right.to_string()) {
            return at.wrong("right", "stands in another factor too");
        }
        together += factor.votes;
    }
    if together > MAX_VOTES {
        return at.wrong("factors", &format!("ask for {together} people; at most {MAX_VOTES} are allowed"));
    }
    at.at_most("windows", rule.windows.len(), MAX_WINDOWS)?;
    for (i, one) in rule.windows.iter().enumerate() {
        window(&At(Some(at), &format!("windows[{i}]")), one)?;
    }
    size(&At(Some(at), &"size"), &rule.size)
}

fn window(at: &At<'_>, window: &Window) -> Result<()> {
    if window.days.is_empty() {
        return at.wrong("days", "names no day: it would never open");
    }
    if window.from >= window.to || window.from.is_end_of_day() {
        return at.wrong("to", "is not after from; a window over midnight is two windows");
    }
    if window.zone().is_err() {
        return at
            .wrong("zone", "is no time zone that is known here; take an IANA name such as Europe/Berlin");
    }
    Ok(())
}

fn size(at: &At<'_>, size: &Size) -> Result<()> {
    at.at_most("by_targets", size.by_targets.len(), MAX_STEPS)?;
    at.at_most("by_kw", size.by_kw.len(), MAX_STEPS)?;
    if !(size.kw_of_unknown.is_finite() && size.kw_of_unknown >= 0.0) {
        return at.wrong("kw_of_unknown", "has to be 0 or more");
    }
    for (i, step) in size.by_targets.iter().enumerate() {
        let name = format!("by_targets[{i}]");
        let at = At(Some(at), &name);
        at.within("votes", step.votes, 1, MAX_VOTES)?;
        if step.from_targets == 0 {
            return at.wrong("from_targets", "is 0; votes_for is the number for every size");
        }
    }
    for (i, step) in size.by_kw.iter().enumerate() {
        let name = format!("by_kw[{i}]");
        let at = At(Some(at), &name);
        at.within("votes", step.votes, 1, MAX_VOTES)?;
        if !(step.from_kw.is_finite() && step.from_kw > 0.0) {
            return at.wrong("from_kw", "has to be above 0; votes_for is the number for every size");
        }
    }
    let rising = |from: bool, votes: bool| from && votes;
    let targets = |pair: &[super::TargetStep]| match pair {
        [a, b] => rising(a.from_targets < b.from_targets, a.votes < b.votes),
        _ => true,
    };
    if !size.by_targets.windows(2).all(targets) {
        return at.wrong("by_targets", "does not rise from step to step");
    }
    let kw = |pair: &[super::KwStep]| match pair {
        [a, b] => rising(a.from_kw < b.from_kw, a.votes < b.votes),
        _ => true,
    };
    if !size.by_kw.windows(2).all(kw) {
        return at.wrong("by_kw", "does not rise from step to step");
    }
    if !size.by_kw.is_empty() && size.kw_of_unknown == 0.0 {
        return at.wrong(
            "kw_of_unknown",
            "is 0: a target whose power nobody can say would count nothing in by_kw",
        );
    }
    let Some(rolling) = size.rolling else { return Ok(()) };
    let at = At(Some(at), &"rolling");
    at.within("window_s", rolling.window_s, 1, MAX_S)?;
    if !(rolling.per_creator || rolling.per_site) {
        return at.wrong("per_creator", "is false, and so is per_site: nothing would count");
    }
    Ok(())
}

fn freeze(at: &At<'_>, freeze: &Freeze) -> Result<()> {
    if freeze.from >= freeze.to {
        return at.wrong("to", "is not after from");
    }
    if freeze.classes.contains(&ActionClass::Policy) {
        return at.wrong("classes", "policy cannot be frozen: nobody could end the freeze");
    }
    if freeze.reason.chars().count() > MAX_TEXT {
        return at.wrong("reason", "is longer than 256 characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Rules with one member set.
    fn with(path: &str, value: Value) -> Value {
        let mut rules = json!({"profile": "safe", "default": {"size": {}}, "rows": [], "freezes": []});
        let (parent, member) = path.rsplit_once('/').unwrap();
        rules.pointer_mut(parent).unwrap()[member] = value;
        rules
    }

    fn refuses<const N: usize>(cases: [(&str, Value, &str); N]) {
        for (path, value, field) in cases {
            let e = Rules::parse(&with(path, value)).expect_err(path);
            assert_eq!((e.code(), e.fact("field")), ("ERR_POLICY_INVALID", Some(field)), "{path} {e}");
        }
    }

    #[test]
    fn a_rule_that_nobody_can_mean_is_refused_by_field() {
        let factor = |right: &str, votes: u32| json!({"right": right, "votes": votes});
        let window = |from: &str, to: &str, days: Value, zone: &str| json!([{"from": from, "to": to, "days": days, "zone": zone}]);
        refuses([
            ("/default/votes_for", json!(0), "default.votes_for"),
            ("/default/votes_for", json!(65), "default.votes_for"),
            ("/default/votes_against", json!(0), "default.votes_against"),
            ("/default/votes_for", json!("2"), "default.votes_for"),
            ("/default/expires_s", json!(0), "default.expires_s"),
            ("/default/expires_s", json!(30 * 86_400 + 1), "default.expires_s"),
            ("/default/begin_within_s", json!(0), "default.begin_within_s"),
            ("/default/wait_s", json!(30 * 86_400 + 1), "default.wait_s"),
            ("/default/max_in_flight", json!(0), "default.max_in_flight"),
            ("/default/vote_for", json!(1), "default.vote_for"),
            ("/default/voters", json!("miner"), "default.voters"),
            ("/default/voters", json!("miner:rw"), "default.voters"),
            ("/default/voters", json!("*:w"), "default.voters"),
            ("/default/factors", json!([factor("miner:w", 0)]), "default.factors[0].votes"),
            (
                "/default/factors",
                json!([factor("miner:w", 1), factor("miner:w", 1)]),
                "default.factors[1].right",
            ),
            ("/default/factors", json!([factor("miner:w", 60), factor("temp:w", 5)]), "default.factors"),
            ("/default/windows", window("10:00", "09:00", json!(["mon"]), "UTC"), "default.windows[0].to"),
            ("/default/windows", window("10:00", "10:00", json!(["mon"]), "UTC"), "default.windows[0].to"),
            ("/default/windows", window("10:00", "11:00", json!([]), "UTC"), "default.windows[0].days"),
            (
                "/default/windows",
                window("10:00", "11:00", json!(["mon"]), "CEST+5"),
                "default.windows[0].zone",
            ),
            ("/default/windows", window("10h", "11:00", json!(["mon"]), "UTC"), "default.windows[0].from"),
        ]);
    }

    #[test]
    fn steps_of_size_rise_and_count_something() {
        refuses([
            ("/default/size/kw_of_unknown", json!(-1.0), "default.size.kw_of_unknown"),
            ("/default/size/by_kw", json!([{"from_kw": 5.0, "votes": 2}]), "default.size.kw_of_unknown"),
            (
                "/default/size/by_targets",
                json!([{"from_targets": 0, "votes": 2}]),
                "default.size.by_targets[0].from_targets",
            ),
            ("/default/size/by_kw", json!([{"from_kw": 0.0, "votes": 2}]), "default.size.by_kw[0].from_kw"),
            ("/default/size/by_kw", json!([{"from_kw": 1.0, "votes": 0}]), "default.size.by_kw[0].votes"),
            (
                "/default/size/by_targets",
                json!([{"from_targets": 5, "votes": 3}, {"from_targets": 9, "votes": 2}]),
                "default.size.by_targets",
            ),
            (
                "/default/size/by_kw",
                json!([{"from_kw": 9.0, "votes": 2}, {"from_kw": 5.0, "votes": 3}]),
                "default.size.by_kw",
            ),
            (
                "/default/size/rolling",
                json!({"window_s": 0, "per_creator": true, "per_site": true}),
                "default.size.rolling.window_s",
            ),
            (
                "/default/size/rolling",
                json!({"window_s": 60, "per_creator": false, "per_site": false}),
                "default.size.rolling.per_creator",
            ),
        ]);
    }

    #[test]
    fn rows_and_freezes_are_for_something() {
        let row = |names: Value| json!([{"actions": names, "rule": {}}]);
        let freeze =
            |from: &str, to: &str, classes: Value| json!([{"from": from, "to": to, "classes": classes}]);
        refuses([
            ("/freezes", freeze("2026-12-24T00:00:00Z", "2026-12-24T00:00:00Z", json!([])), "freezes[0].to"),
            ("/freezes", freeze("2026-12-24", "2026-12-25", json!([])), "freezes[0].from"),
            (
                "/freezes",
                freeze("2026-12-24T00:00:00Z", "2026-12-25T00:00:00Z", json!(["policy"])),
                "freezes[0].classes",
            ),
            (
                "/freezes",
                freeze("2026-12-24T00:00:00Z", "2026-12-25T00:00:00Z", json!(["tea"])),
                "freezes[0].classes[0]",
            ),
            ("/rows", row(json!([])), "rows[0].actions"),
            ("/rows", row(json!([" "])), "rows[0].actions"),
            (
                "/rows",
                json!([{"actions": ["a"], "rule": {}}, {"actions": ["a"], "rule": {}}]),
                "rows[1].actions",
            ),
            (
                "/rows",
                json!([{"classes": ["logs"], "rule": {}}, {"classes": ["logs"], "rule": {}}]),
                "rows[1].classes",
            ),
            ("/rows", json!([{"actions": ["a"], "rule": {"votes_for": 0}}]), "rows[0].rule.votes_for"),
            ("/rows", json!([{"actions": ["a"]}]), "rows[0]"),
            ("/rows", json!(vec![json!({"actions": ["a"], "rule": {}}); 1_001]), "rows"),
            ("/profile", json!("open"), "profile"),
            ("/extra", json!(1), "extra"),
        ]);
        assert!(Rules::parse(&with("/freezes", json!([]))).is_ok());
        assert_eq!(Rules::parse(&json!(null)).unwrap_err().code(), "ERR_POLICY_INVALID");
    }
}
