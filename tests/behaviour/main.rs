//! The behaviour suite, `behaviour/` at the root, over the public API.

#![cfg(all(feature = "antminer", feature = "history", feature = "whatsminer"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod case;
mod device;
mod pattern;
mod references;
mod site;
mod told;
mod world;

use std::{fs, path::PathBuf};

use case::{Case, Vocabulary};
use serde_json::Value;
use support::Folder;
use world::World;

/// What a case may need and this runner has not.
const LACKS: &[&str] = &[];
/// The case with number `n` has the addresses `127.101.n.0/24`.
const BLOCK: &str = "127.101";

fn read(name: &str) -> Value {
    let path = folder().join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("behaviour")
}

/// The names of the files with cases, in their order.
fn files() -> Vec<String> {
    let entries = fs::read_dir(folder().join("cases")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn cases(file: &str) -> Vec<Value> {
    let Value::Array(cases) = read(file) else { panic!("{file} is no list of cases") };
    cases
}

/// Runs a case; gives what is wrong, or that it was left out.
async fn run(told: &Value, number: usize) -> Result<Option<String>, String> {
    let vocabulary = Vocabulary::new(&read("vocabulary.json"), world::VERBS)?;
    let case: Case = serde_json::from_value(told.clone()).map_err(|e| e.to_string())?;
    case.check(&vocabulary)?;
    if let Some(lacks) = case.needs.iter().find(|need| LACKS.contains(&need.as_str())) {
        return Ok(Some(lacks.clone()));
    }
    let place = Folder::new(&format!("behaviour-{number}"));
    fs::create_dir_all(place.path()).map_err(|e| e.to_string())?;
    let mut world = World::new(place.path(), &format!("{BLOCK}.{number}"), &read("common.json"));
    let done = world.play(&case).await;
    let ended = world.end().await;
    done.and(ended).map(|()| None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_holds() {
    let only = std::env::var("HEADFRAME_CASE").unwrap_or_default();
    let (mut number, mut held, mut faults) = (0, 0, Vec::new());
    for file in files() {
        for told in cases(&format!("cases/{file}")) {
            number += 1;
            let name = format!("{file}: {}", told["name"].as_str().unwrap_or("a case without a name"));
            if !name.contains(&only) {
                continue;
            }
            match run(&told, number).await {
                Ok(None) => held += 1,
                Ok(Some(lacks)) => println!("left out, needs {lacks}: {name}"),
                Err(fault) => faults.push(format!("{name}: {fault}")),
            }
        }
    }
    assert!(faults.is_empty(), "{} of {number} cases:\n{}", faults.len(), faults.join("\n"));
    assert!(held > 0, "no case ran");
    println!("{held} cases held");
}

/// A runner that lets everything pass would be no test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_case_is_reported() {
    let wrong = cases("wrong.json");
    assert!(!wrong.is_empty());
    for (at, mut told) in wrong.into_iter().enumerate() {
        let name = told["name"].as_str().unwrap().to_owned();
        let reported = told.as_object_mut().unwrap().remove("reported").unwrap();
        let fault = run(&told, 200 + at).await.expect_err(&name);
        assert!(fault.contains(reported.as_str().unwrap()), "{name}: {fault}");
    }
}
