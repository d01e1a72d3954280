//! `w-failpoint`: a process with the real engine is killed at each place that has a name, with something half done. The
//! verdict is that of `w-kill`.

use super::Check;
use crate::{
    life::{End, Everything, Kill, Life},
    run::{Case, Run},
};

/// When a place is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// From the start on, once or a few times in a life.
    Once,
    /// The same, for every call or commit.
    Often,
    /// After a kill while calls were under way.
    Again,
    /// After everything ended, so many days later.
    Late(i64),
}

use When::{Again, Late, Often, Once};

/// Answers to client keys are kept for a week, and actions that ended leave the control store after 30 days.
const FORGOTTEN: When = Late(8);
const ARCHIVED: When = Late(31);
const DAY_MS: i64 = 24 * 3_600_000;

/// The names in `EngineOptions::points`.
const POINTS: &[(&str, When)] = &[
    ("before_select", Once),
    ("before_push", Once),
    ("after_push", Once),
    ("before_vote", Once),
    ("after_vote", Once),
    ("before_withdraw", Once),
    ("after_withdraw", Once),
    ("before_cancel", Once),
    ("after_cancel", Once),
    ("before_pause", Once),
    ("after_pause", Once),
    ("before_resume", Once),
    ("after_resume", Once),
    ("before_stop", Once),
    ("after_stop", Once),
    ("before_settle", Once),
    ("after_settle", Once),
    ("before_stopping", Once),
    ("after_stopping", Once),
    ("before_lift", Once),
    ("after_lift", Once),
    ("before_shed", Once),
    ("after_shed", Once),
    ("before_expire", Once),
    ("after_expire", Once),
    ("before_forget", FORGOTTEN),
    ("after_forget", FORGOTTEN),
    ("before_archive", ARCHIVED),
    ("after_keep", ARCHIVED),
    ("after_archive", ARCHIVED),
    ("before_begin", Once),
    ("after_begin", Once),
    ("before_run", Once),
    ("before_look", Often),
    ("before_journal", Often),
    ("after_journal_before_send", Often),
    ("after_send_before_reply", Often),
    ("before_confirm", Often),
    ("after_confirm", Often),
    ("after_reply_before_outcome", Often),
    ("after_outcome", Often),
    ("before_again", Once),
    ("before_fold", Often),
    ("before_commit", Often),
    ("after_commit", Often),
    ("after_publish", Often),
    ("before_restarted", Again),
    ("before_reconcile", Again),
    ("before_look_back", Again),
    ("after_look_back", Again),
    ("after_reconcile", Again),
    ("after_reconciled", Again),
];

/// The names alone.
const NAMES: [&str; POINTS.len()] = {
    let mut names = [""; POINTS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = POINTS[i].0;
        i += 1;
    }
    names
};

pub const CHECK: Check = Check {
    name: "w-failpoint",
    bug: "outcome-before-reply",
    ci: 3 * POINTS.len() as u64,
    long: 50 * POINTS.len() as u64,
    probes: &NAMES,
    run,
};

/// Things in each of three racks.
const THINGS: u32 = 8;

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("process");
    let times = run.n().div_ceil(POINTS.len() as u64);
    run.each(times * POINTS.len() as u64, |i, case| {
        // Each place once, and then each once more.
        let (name, when) = POINTS[usize::try_from(i).unwrap_or(0) % POINTS.len()];
        // The first try waits until it was passed a few times.
        for skips in [true, false, false] {
            if life(case, name, when, skips)? {
                return Ok(());
            }
        }
        Err(format!("{name} was not reached"))
    });
    Ok(())
}

/// A site that is killed at one place; whether it came there.
fn life(case: &mut Case, name: &'static str, when: When, skips: bool) -> Result<bool, String> {
    let text = |e: String| format!("{name}: {e}");
    let long = name.ends_with("expire") || name.ends_with("withdraw");
    let everything = if long { Everything::Yes } else { Everything::Brief };
    let mut site = Life::new(&mut case.rng, THINGS, everything)?;
    if when == Again {
        site.process(Kill::Received(case.rng.u64(1..20)), None).map_err(text)?;
    }
    let skip = match when {
        _ if !skips => 0,
        Often => case.rng.u64(..40),
        // Most are passed once.
        Again | Once => case.rng.u64(..3) / 2,
        Late(_) => 0,
    };
    if let Late(days) = when {
        while site.client.works() {
            site.process(Kill::AtTheEnd, None).map_err(text)?;
        }
        site.jump += days * DAY_MS;
        site.client.looks_again();
    }
    let kill = if let Late(_) = when { Kill::Standing } else { Kill::AtTheEnd };
    let end = site.process(kill, Some((name, skip))).map_err(text)?;
    site.ends().map_err(text)?;
    case.hit_if(end == End::Stood, name);
    Ok(end == End::Stood)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::NAMES;

    fn points(dir: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                points(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("point(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }

    #[test]
    fn every_place_of_the_engine_is_tried_and_documented() {
        let action = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/action");
        let mut found = BTreeSet::new();
        points(&action, &mut found);
        assert_eq!(found, NAMES.iter().copied().map(str::to_owned).collect());
        let table = fs::read_to_string(action.join("engine/options.rs")).unwrap();
        assert!(NAMES.iter().all(|name| table.contains(&format!("`{name}`"))));
    }
}
