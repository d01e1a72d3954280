//! What the crates may depend on, and on how much.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{Workspace, capture};

/// How many crates the core's default features may bring. A new one is a decision, not an accident.
const CORE_LIMIT: usize = 46;

/// Never, on any platform: TLS is rustls.
const NOWHERE: &[&str] = &["native-tls", "openssl", "openssl-sys"];

/// HTTP clients beside hyper and what is built upon it.
const OTHER_HTTP: &[&str] = &["attohttpc", "awc", "curl", "isahc", "minreq", "ureq"];

/// The HTTP stack: one version of each, or two stacks are compiled.
const ONE_VERSION: &[&str] = &["h2", "http", "http-body", "hyper", "reqwest"];

/// Not in the core: servers, bindings, clients for cloud services.
const NOT_IN_CORE: &[&str] = &["axum", "napi", "pyo3", "reqwest", "uniffi"];

/// Checks `Cargo.lock` and the trees of the crates; says how many crates the core needs.
pub fn check(ws: &Workspace) -> Result<String, String> {
    let mut problems = in_lock(&ws.read("Cargo.lock")?);
    problems.extend(absent("headframe-core", NOT_IN_CORE, &tree(ws, "headframe-core", &["--all-features"])?));
    let above = ["headframe", "headframe-drivers"];
    problems.extend(absent("headframe-sim", &above, &tree(ws, "headframe-sim", &[])?));
    let above = ["headframe", "headframe-sim"];
    problems.extend(absent(
        "headframe-drivers",
        &above,
        &tree(ws, "headframe-drivers", &["--all-features"])?,
    ));

    // The crate itself does not count.
    let count = tree(ws, "headframe-core", &[])?.len().saturating_sub(1);
    if count > CORE_LIMIT {
        problems.push(format!("headframe-core needs {count} crates; the limit is {CORE_LIMIT}"));
    }
    if problems.is_empty() {
        Ok(format!("headframe-core needs {count} crates (at most {CORE_LIMIT})"))
    } else {
        Err(problems.join("\n"))
    }
}

type Package = (String, String);

fn tree(ws: &Workspace, package: &str, features: &[&str]) -> Result<BTreeSet<Package>, String> {
    let args = ["tree", "--package", package, "--edges", "normal", "--prefix", "none"];
    Ok(packages(&capture(ws.cargo(&args).args(features))?))
}

/// Names and versions in the output of `cargo tree --prefix none`.
fn packages(tree: &str) -> BTreeSet<Package> {
    let line = |l: &str| {
        let mut words = l.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    tree.lines().filter_map(line).collect()
}

fn absent(package: &str, banned: &[&str], tree: &BTreeSet<Package>) -> Vec<String> {
    let found = tree.iter().filter(|(name, _)| banned.contains(&name.as_str()));
    found.map(|(name, _)| format!("{package} may not depend on {name}")).collect()
}

/// What is wrong in the lock file, which covers every platform and feature.
fn in_lock(lock: &str) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(text) = quoted(line, "name = ") {
            name = text;
        } else if let Some(version) = quoted(line, "version = ") {
            versions.entry(name).or_default().push(version);
        }
    }
    let mut out = Vec::new();
    for name in NOWHERE.iter().filter(|n| versions.contains_key(**n)) {
        out.push(format!("Cargo.lock: {name} is not allowed, use rustls"));
    }
    for name in OTHER_HTTP.iter().filter(|n| versions.contains_key(**n)) {
        out.push(format!("Cargo.lock: {name} is a second HTTP client"));
    }
    for name in ONE_VERSION {
        if let Some(several) = versions.get(name).filter(|v| v.len() > 1) {
            out.push(format!("Cargo.lock: {name} in several versions: {}", several.join(", ")));
        }
    }
    out
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "version = 4\n\n[[package]]\nname = \"http\"\nversion = \"1.5.0\"\n\n\
                        [[package]]\nname = \"hyper\"\nversion = \"1.12.0\"\n";

    #[test]
    fn a_clean_lock_passes() {
        assert_eq!(in_lock(GOOD), Vec::<String>::new());
    }

    #[test]
    fn banned_and_doubled_crates_are_found() {
        let more = "[[package]]\nname = \"http\"\nversion = \"0.2.12\"\n[[package]]\nname = \"openssl-sys\"\n\
                    version = \"0.9.1\"\n[[package]]\nname = \"ureq\"\nversion = \"3.0.0\"\n";
        let expected = [
            "Cargo.lock: openssl-sys is not allowed, use rustls",
            "Cargo.lock: ureq is a second HTTP client",
            "Cargo.lock: http in several versions: 1.5.0, 0.2.12",
        ];
        assert_eq!(in_lock(&format!("{GOOD}{more}")), expected);
    }

    #[test]
    fn a_tree_is_counted_without_repeats() {
        let tree =
            "headframe-core v0.1.0 (/x)\nhttp v1.5.0\nserde v1.0.229\nhttp v1.5.0 (*)\n\npyo3 v0.30.1\n";
        let packages = packages(tree);
        assert_eq!(packages.len(), 4);
        assert_eq!(
            absent("headframe-core", NOT_IN_CORE, &packages),
            ["headframe-core may not depend on pyo3"]
        );
        assert_eq!(absent("headframe-core", &["axum"], &packages), Vec::<String>::new());
    }
}
