//! What a language's package costs: `cargo run --release -p headframe-benches --bin bindings -- --lang node`.
//!
//! Builds the package in release, and runs the program in `benches/<language>` on it, which prints one JSON line.

use std::{
    io::BufReader,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use clap::{Parser, ValueEnum};
use headframe::{
    Error, ErrorKind, Result as Ours,
    io::Ctx,
    rack::{Caller, RackId, ThingDraft},
    site::{Site, SiteConf},
    telemetry::ImportOptions,
};
use headframe_benches::place::Folder;
use serde_json::json;

/// A site with samples that were there before.
const THINGS: usize = 100;
const SAMPLES: usize = 10_000;
const RACKS: &str = r#"{"racks": [{"type": "inventory-spare", "name": "listed"}]}"#;
/// A Monday, 0:00 UTC.
const START: i64 = 1_764_547_200_000;

/// Measures a package in another language.
#[derive(Debug, Parser)]
struct Args {
    /// Which.
    #[arg(long, value_enum)]
    lang: Language,
}

/// Languages that have a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// The npm package.
    Node,
    /// The Python package.
    Python,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let measured = match Args::parse().lang {
        Language::Node => node(&root),
        Language::Python => python(&root),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bindings: {why}");
            ExitCode::FAILURE
        }
    }
}

fn node(root: &Path) -> Result<(), String> {
    ran(Command::new("cargo").args(["xtask", "node", "release"]).current_dir(root))?;
    let package = root.join("target/node/release");
    ran(Command::new("node").arg("benches/node/bindings.mjs").arg(package).current_dir(root))
}

fn python(root: &Path) -> Result<(), String> {
    ran(Command::new("cargo").args(["xtask", "wheel", "installed"]).current_dir(root))?;
    let place = Folder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(fill(place.path())).map_err(|e| e.to_string())?;
    let python = root.join("target/python/release/bin/python");
    let mut program = Command::new(python);
    program.arg("benches/python/bindings.py").arg(place.path()).arg((THINGS * SAMPLES).to_string());
    ran(program.current_dir(root))
}

/// Makes a site whose things have said something in the past.
async fn fill(folder: &Path) -> Ours<()> {
    let conf = SiteConf::from_json(RACKS)?;
    let site = Site::builder(headframe::registry()).conf(&conf)?.create(&Ctx::system(), folder).await?;
    let id = |n: usize| format!("spare-{n}");
    let draft = |n: usize| json!({"id": id(n), "info": {"serialNum": id(n)}, "opts": {}});
    let drafts: Vec<ThingDraft> = (0..THINGS)
        .map(|n| {
            serde_json::from_value(draft(n)).map_err(|e| Error::invalid("bench", "draft", e.to_string()))
        })
        .collect::<Ours<_>>()?;
    let rack = RackId::new("inventory-spare-listed")?;
    for made in site.register_many(&rack, drafts, &Caller::new("bench")).await? {
        made?;
    }
    let row = |thing: usize, at: usize| {
        let ts = START + (at as i64) * 10_000;
        json!({"ts": ts, "err": null, "snap": {"stats": {"power_w": 3_000 + (thing * 7 + at * 31) % 400}}})
    };
    let mut lines = String::new();
    for thing in 0..THINGS {
        let rows: Vec<_> = (0..SAMPLES).map(|at| row(thing, at)).collect();
        lines.push_str(&json!({"thing": id(thing), "rows": rows}).to_string());
        lines.push('\n');
    }
    let none = || Error::new(ErrorKind::NotFound, "bench", "the site keeps no history");
    let telemetry = site.telemetry().cloned().ok_or_else(none)?;
    let done = telemetry.import(&mut BufReader::new(lines.as_bytes()), &ImportOptions::default())?;
    if done.readings as usize != THINGS * SAMPLES {
        return Err(Error::invalid("bench", "rows", format!("{done:?}")));
    }
    site.shutdown(Duration::from_secs(60)).await.map(drop)
}

fn ran(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", command.get_program().display()))
    }
}
