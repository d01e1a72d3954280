//! The pages about actions name what there is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The sources below a folder, with those of tests or without.
fn sources(dir: &Path, tests: bool) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if !tests && path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            all.push_str(&sources(&path, tests));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    all
}

fn found(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_code_of_actions_is_on_their_page() {
    let page = page("actions.md");
    let codes = found(r#""(ERR_[A-Z_]+)""#, &sources(&root().join("core/src/action"), false));
    assert!(codes.len() > 50, "{codes:?}");
    for code in codes {
        let kinds = ["ERR_SET", "ERR_SWITCH"];
        let kind = kinds
            .into_iter()
            .find(|kind| code.starts_with(&format!("{kind}_")) && code.ends_with("_INVALID"));
        let named = kind.map_or_else(|| format!("`{code}`"), |kind| format!("`{kind}_…_INVALID`"));
        assert!(page.contains(&named), "{code}");
    }
}

#[test]
fn every_test_that_the_page_of_past_faults_names_exists() {
    let core = root().join("core");
    let all = sources(&core.join("src"), true) + &sources(&core.join("tests"), true);
    let tests = found(r"fn ([a-z0-9_]+)\(", &all);
    let scenarios = found(r"(av[0-9]{2})[ \n]", &all);
    let named = found(r"`([a-z0-9]+_[a-z0-9_]+|av[0-9]{2})`", &page("past-bugs.md"));
    assert!(named.len() > 80, "{}", named.len());
    for name in named {
        assert!(tests.contains(&name) || scenarios.contains(&name), "{name}");
    }
}
