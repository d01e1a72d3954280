//! `docs/supported-devices.md` is what the code says. `cargo xtask docs` writes it anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

use std::{fmt::Write as _, fs, path::PathBuf};

use headframe_core::{
    driver::{Driver, DriverInfo, Generation, ModelInfo, Registry},
    model::{CommandRow, ReadBack, ReplyRule, Restart, Undo},
};

const HEAD: &str = "# Supported devices

Made from the drivers' own tables by `cargo xtask docs`; do not edit. A model that is not listed is read all the same,
generically, with `info.model_known` false. What one device can do, with its limits, its `Capability` tells.

";

fn page() -> String {
    let mut registry = Registry::new();
    headframe_drivers::register_all(&mut registry);
    let mut out = String::from(HEAD);
    for driver in registry.iter() {
        let info = driver.info();
        writeln!(out, "## {} (`{}`)\n", info.make, info.id).unwrap();
        generations(&mut out, info);
        models(&mut out, &**driver);
    }
    format!("{}\n", out.trim_end())
}

fn generations(out: &mut String, info: &DriverInfo) {
    out.push_str("| interface | firmware | transport |\n|---|---|---|\n");
    for generation in info.generations {
        writeln!(out, "| {} | {} | {} |", generation.name, generation.firmware, generation.transport)
            .unwrap();
    }
    out.push('\n');
    info.generations.iter().for_each(|generation| commands(out, generation));
}

fn commands(out: &mut String, generation: &Generation) {
    writeln!(out, "### Commands of {}\n", generation.name).unwrap();
    if generation.commands.is_empty() {
        out.push_str("None: it is only read.\n\n");
    } else {
        out.push_str("| command | reply | read back | undone by | restarts |\n|---|---|---|---|---|\n");
        let mut rows: Vec<&CommandRow> = generation.commands.iter().copied().flatten().collect();
        rows.sort_by_key(|row| row.name.as_str());
        rows.iter().for_each(|row| command(out, row));
        out.push('\n');
    }
    if !generation.undescribed.is_empty() {
        let names: Vec<String> = generation.undescribed.iter().map(|name| format!("`{name}`")).collect();
        let text =
            "Its firmware has these too, but no source describes their parameters, so they are `Unsupported`";
        writeln!(out, "{text}: {}.\n", names.join(", ")).unwrap();
    }
}

fn command(out: &mut String, row: &CommandRow) {
    let reply = match row.reply {
        ReplyRule::Expected => "always",
        ReplyRule::SilenceMeansSent => "may be none",
    };
    let seen = match &row.read_back {
        ReadBack::Value { field, within_s } => format!("`{field}` within {within_s} s"),
        ReadBack::Restarted { within_s } => format!("the restart, within {within_s} s"),
        ReadBack::None => "nowhere".to_owned(),
    };
    let undo = match row.undo {
        Undo::Before => "the values before",
        Undo::PowerModeBefore => "the power mode before",
        Undo::None => "nothing",
    };
    let restart = match row.restart {
        Restart::None => "nothing",
        Restart::Mining => "mining",
        Restart::Machine => "the machine",
    };
    writeln!(out, "| `{}` | {reply} | {seen} | {undo} | {restart} |", row.name).unwrap();
}

fn models(out: &mut String, driver: &dyn Driver) {
    let models = driver.models();
    writeln!(out, "### {} models\n", models.len()).unwrap();
    out.push_str("| model | boards | chips per board | fans | also called |\n|---|---|---|---|---|\n");
    let number = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    for ModelInfo { name, aliases, boards, chips, fans } in &models {
        let (boards, chips) = (number(*boards), number(*chips));
        writeln!(out, "| {name} | {boards} | {chips} | {} | {} |", number(*fans), aliases.join(", "))
            .unwrap();
    }
    out.push('\n');
}

#[test]
fn the_page_is_what_the_code_says() {
    let at = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/supported-devices.md");
    let page = page();
    if std::env::var_os("HEADFRAME_WRITE_DOCS").is_some() {
        fs::write(&at, &page).unwrap();
    }
    let written = fs::read_to_string(&at).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).position(|(new, old)| new != old);
    assert!(page == written, "line {:?} differs: run `cargo xtask docs`", differs.map(|line| line + 1));
}

/// Every command of every driver has an undo that its read-back can serve, and a deadline that ends.
#[test]
fn rows_are_sound() {
    let mut registry = Registry::new();
    headframe_drivers::register_all(&mut registry);
    for generation in registry.iter().flat_map(|driver| driver.info().generations) {
        let rows = || generation.commands.iter().copied().flatten();
        let mut names: Vec<_> = rows().map(|row| row.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "{}: a command has two rows", generation.name);
        for row in rows() {
            let readable = matches!(row.read_back, ReadBack::Value { .. });
            assert!(readable || row.undo == Undo::None, "{}: what was before is not known", row.name);
            if let Some(within) = row.read_back.within() {
                assert!((1..=1800).contains(&within.as_secs()), "{}: {within:?}", row.name);
            }
        }
    }
}
