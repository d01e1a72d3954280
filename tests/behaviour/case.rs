//! Cases as they are written, and whether they are well formed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::pattern;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub devices: Option<Value>,
    #[serde(default)]
    pub site: Option<Value>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    #[serde(rename = "do")]
    pub verb: String,
    #[serde(default)]
    pub with: Map<String, Value>,
    #[serde(default, rename = "as")]
    pub saved: Option<String>,
    /// Null is a pattern, too.
    #[serde(default, deserialize_with = "there")]
    pub expect: Option<Value>,
    #[serde(default, deserialize_with = "there")]
    pub error: Option<Value>,
}

fn there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// What `vocabulary.json` says.
#[derive(Debug)]
pub struct Vocabulary {
    /// What each verb takes, and whether it has to be there.
    verbs: BTreeMap<String, BTreeMap<String, bool>>,
    needs: BTreeSet<String>,
}

impl Vocabulary {
    /// Reads it; it has the verbs of this runner and no others.
    pub fn new(told: &Value, known: &[&str]) -> Result<Self, String> {
        let object = |name: &str| told[name].as_object().ok_or(format!("the vocabulary has no {name}"));
        let takes = |verb: &Value| -> BTreeMap<String, bool> {
            let names = verb["takes"].as_array().into_iter().flatten().filter_map(Value::as_str);
            names.map(|name| (name.trim_end_matches('?').to_owned(), !name.ends_with('?'))).collect()
        };
        let verbs: BTreeMap<_, _> =
            object("verbs")?.iter().map(|(verb, told)| (verb.clone(), takes(told))).collect();
        let mut known = known.to_vec();
        known.sort_unstable();
        if !verbs.keys().map(String::as_str).eq(known.iter().copied()) {
            return Err("the vocabulary's verbs are not those of this runner".into());
        }
        Ok(Self { verbs, needs: object("needs")?.keys().cloned().collect() })
    }
}

impl Case {
    /// Whether a runner could take it at its word.
    pub fn check(&self, vocabulary: &Vocabulary) -> Result<(), String> {
        if let Some(need) = self.needs.iter().find(|need| !vocabulary.needs.contains(*need)) {
            return Err(format!("nobody knows what it needs: {need}"));
        }
        if self.steps.is_empty() {
            return Err("it has no steps".into());
        }
        for (at, step) in self.steps.iter().enumerate() {
            step.check(vocabulary).map_err(|why| format!("step {} ({}): {why}", at + 1, step.verb))?;
        }
        Ok(())
    }
}

impl Step {
    fn check(&self, vocabulary: &Vocabulary) -> Result<(), String> {
        let takes = vocabulary.verbs.get(&self.verb).ok_or("there is no such verb")?;
        if let Some(name) = self.with.keys().find(|name| !takes.contains_key(*name)) {
            return Err(format!("the verb does not take {name}"));
        }
        if let Some((name, _)) = takes.iter().find(|(name, must)| **must && !self.with.contains_key(*name)) {
            return Err(format!("the verb needs {name}"));
        }
        if self.error.is_some() && (self.expect.is_some() || self.saved.is_some()) {
            return Err("an error is neither an answer nor saved".into());
        }
        [&self.expect, &self.error].into_iter().flatten().try_for_each(pattern::check)
    }
}
