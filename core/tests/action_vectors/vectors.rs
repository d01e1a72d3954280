//! The file, and what it expects of us.

use std::{collections::BTreeMap, path::Path, sync::OnceLock};

use serde::Deserialize;
use serde_json::{Map, Value};

/// One scenario, as far as it concerns us.
#[derive(Debug, Deserialize)]
pub struct Scenario {
    pub id: String,
    pub racks: Vec<Value>,
    pub steps: Vec<Value>,
    #[serde(rename = "final")]
    end: Value,
    device_calls: Value,
    headframe_expect: Ours,
}

/// What our engine must do, where it is not the same.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ours {
    #[serde(rename = "same")]
    _same: bool,
    steps: BTreeMap<String, Value>,
    #[serde(rename = "final")]
    end: Option<Value>,
    device_calls: Option<Value>,
    one_of: Vec<Alternative>,
    crash: Option<CrashRow>,
    inject: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alternative {
    when: String,
    steps: BTreeMap<String, Value>,
    #[serde(rename = "final")]
    end: Value,
    device_calls: Value,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CrashRow {
    step: usize,
    point: String,
    readback: String,
    other: BTreeMap<String, BTreeMap<String, EndRow>>,
    #[serde(default)]
    then: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndRow {
    #[serde(rename = "final")]
    end: Value,
    device_calls: Value,
}

/// All that has to hold of a run.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Which alternative of a race it is.
    pub when: String,
    pub steps: Vec<Value>,
    pub end: Value,
    pub device_calls: Value,
}

/// Where a run is killed, and what it must come to.
#[derive(Debug, Clone)]
pub struct Crash {
    pub step: usize,
    pub point: String,
    /// `none`, `applied`, `not_applied` or `any`.
    pub readback: String,
    pub contract: Contract,
    /// Whether the file says how it goes on with the vote.
    pub then: bool,
}

impl Scenario {
    /// The contract of a run that is not killed; of a race several, of which one holds.
    pub fn contracts(&self) -> Vec<Contract> {
        let ours = &self.headframe_expect;
        let base = self.laid_over(&ours.steps, ours.end.as_ref(), ours.device_calls.as_ref());
        if ours.one_of.is_empty() {
            return vec![base];
        }
        let alternatives = ours.one_of.iter().map(|one| {
            let mut contract = Contract { when: one.when.clone(), ..base.clone() };
            put_steps(&mut contract.steps, &one.steps);
            (contract.end, contract.device_calls) = (one.end.clone(), one.device_calls.clone());
            contract
        });
        alternatives.collect()
    }

    /// Every kill that the file tells of.
    pub fn crashes(&self) -> Vec<Crash> {
        let Some(row) = &self.headframe_expect.crash else { return Vec::new() };
        let base = self.contracts().remove(0);
        let crash = |point: &str, readback: &str, contract: Contract| Crash {
            step: row.step,
            point: point.to_owned(),
            readback: readback.to_owned(),
            contract,
            then: row.then.contains_key(point),
        };
        let mut all = vec![crash(&row.point, &row.readback, base.clone())];
        for (point, by_readback) in &row.other {
            for (readback, end) in by_readback {
                let contract =
                    Contract { end: end.end.clone(), device_calls: end.device_calls.clone(), ..base.clone() };
                all.push(crash(point, readback, contract));
            }
        }
        all
    }

    /// Whether the second vote of a race is to be held.
    pub fn holds_a_vote(&self) -> bool {
        self.headframe_expect.inject.is_some()
    }

    pub fn is_race(&self) -> bool {
        !self.headframe_expect.one_of.is_empty()
    }

    fn laid_over(
        &self,
        steps: &BTreeMap<String, Value>,
        end: Option<&Value>,
        calls: Option<&Value>,
    ) -> Contract {
        let mut all: Vec<Value> = self.steps.iter().map(|step| step["expect"].clone()).collect();
        put_steps(&mut all, steps);
        Contract {
            when: String::new(),
            steps: all,
            end: end.unwrap_or(&self.end).clone(),
            device_calls: calls.unwrap_or(&self.device_calls).clone(),
        }
    }
}

fn put_steps(all: &mut [Value], steps: &BTreeMap<String, Value>) {
    for (at, expect) in steps {
        all[at.parse::<usize>().unwrap()] = expect.clone();
    }
}

/// All scenarios; `None` when the variable that names their folder is not set.
///
/// # Panics
/// When it is set and the file is not there, or is not what it says it is.
pub fn all() -> Option<&'static [Scenario]> {
    static ALL: OnceLock<Option<Vec<Scenario>>> = OnceLock::new();
    let read = || {
        let shared = std::env::var_os("HEADFRAME_SHARED")?;
        let path = Path::new(&shared).join("reference/action-vectors.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&file["format"], &file["version"]), (&"headframe-action-vectors".into(), &1.into()));
        Some(serde_json::from_value(file["scenarios"].clone()).unwrap())
    };
    ALL.get_or_init(read).as_deref()
}
