//! What a language's package costs: `cargo run --release -p headframe-benches --bin bindings -- --lang node`.
//!
//! Builds the package in release, and runs the program in `benches/<language>` on it, which prints one JSON line.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use clap::{Parser, ValueEnum};

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
}

fn main() -> ExitCode {
    let Args { lang: Language::Node } = Args::parse();
    match node(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")) {
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

fn ran(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", command.get_program().display()))
    }
}
