//! What a registry may hold after what its caller was told.

use std::{collections::BTreeMap, sync::Arc};

use headframe_core::{Error, ErrorKind, Sent};

use crate::workload::{Op, Rules};

/// The whole content of a registry: JSON text by space and key.
pub type Model = BTreeMap<String, Arc<str>>;

/// The contents that are possible: one, or more while an outcome is unknown.
#[derive(Debug, Clone)]
pub struct Oracle {
    possible: Vec<Model>,
}

impl Oracle {
    /// Of an empty registry.
    pub fn empty() -> Self {
        Self { possible: vec![Model::new()] }
    }

    /// From now on only `content` is possible.
    pub fn start(&mut self, content: &Model) {
        self.possible = vec![content.clone()];
    }

    /// One of the possible contents.
    pub fn model(&self) -> Model {
        self.possible.first().cloned().unwrap_or_default()
    }

    /// Whether an outcome is unknown.
    pub fn unsure(&self) -> bool {
        self.possible.len() > 1
    }

    /// Takes note of what the caller of `op` was told; the error says why that cannot be true.
    pub fn told(&mut self, rules: &dyn Rules, op: &Op, result: &Result<String, Error>) -> Result<(), String> {
        let effects = || self.possible.iter().map(|model| rules.effect(op, model));
        match result {
            Ok(answer) => {
                let agrees = |(after, told)| (told == *answer).then_some(after);
                let after: Vec<_> = effects().filter_map(|effect| effect.ok().and_then(agrees)).collect();
                if after.is_empty() {
                    let told = effects().map(|effect| effect.map(|(_, told)| told)).collect::<Vec<_>>();
                    return Err(format!("{op:?} was accepted as '{answer}' against {told:?}"));
                }
                self.possible = after;
            }
            Err(e) if is_refusal(e) => {
                let right = |effect| matches!(effect, Err(code) if ["", e.code()].contains(&code));
                let kept: Vec<_> =
                    self.possible.iter().filter(|m| right(rules.effect(op, m))).cloned().collect();
                // While an outcome is unknown the caller may know an older revision than the store, unless the
                // registry looks again before it judges.
                if kept.is_empty() && (rules.is_sure() || !self.unsure()) {
                    return Err(format!("{op:?} was refused although its guard holds: {e} [{}]", e.code()));
                }
                if rules.is_sure() {
                    self.possible = kept;
                }
            }
            Err(e) if !e.code().starts_with("STORE_") => {
                return Err(format!("{op:?}: no error of a store: {e:?}"));
            }
            Err(e) if e.sent() == Sent::Maybe => {
                let after: Vec<_> = effects().filter_map(|effect| Some(effect.ok()?.0)).collect();
                self.possible.extend(after);
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Takes note that `op` wrote nothing.
    pub fn idle(&mut self, rules: &dyn Rules, op: &Op, answer: &str) -> Result<(), String> {
        if self.unsure() && !rules.is_sure() {
            return Ok(());
        }
        let idle =
            |model: &&Model| rules.effect(op, model).is_ok_and(|(a, told)| a == **model && told == answer);
        self.possible = self.possible.iter().filter(idle).cloned().collect();
        if self.possible.is_empty() {
            return Err(format!("{op:?} was acknowledged with '{answer}' and wrote nothing"));
        }
        Ok(())
    }

    /// Compares what is there with what is possible; from then on only that is.
    pub fn found(&mut self, found: &Model) -> Result<(), String> {
        if self.possible.contains(found) {
            self.possible = vec![found.clone()];
            return Ok(());
        }
        Err(format!("what is there was never acknowledged: {}", difference(&self.model(), found)))
    }
}

/// Whether an error says that a change must not be, and nothing of the store.
pub fn is_refusal(e: &Error) -> bool {
    let kinds = [ErrorKind::Conflict, ErrorKind::NotFound, ErrorKind::Invalid];
    kinds.contains(&e.kind()) && !e.code().starts_with("STORE_")
}

/// What differs, in a few words.
fn difference(expected: &Model, found: &Model) -> String {
    let lost: Vec<_> = expected.keys().filter(|key| !found.contains_key(*key)).collect();
    let added: Vec<_> = found.keys().filter(|key| !expected.contains_key(*key)).collect();
    let other: Vec<_> =
        expected.iter().filter(|(key, value)| found.get(*key).is_some_and(|v| v != *value)).collect();
    let some = |keys: &[&String]| keys.iter().take(3).map(|k| k.as_str()).collect::<Vec<_>>().join(", ");
    let other: Vec<_> = other.into_iter().map(|(key, _)| key).collect();
    format!(
        "{} missing ({}), {} too many ({}), {} of another value ({})",
        lost.len(),
        some(&lost),
        added.len(),
        some(&added),
        other.len(),
        some(&other)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::Guarded;

    const DONE: Result<String, Error> = Ok(String::new());

    fn after(op: &Op, model: &Model) -> Model {
        Guarded.effect(op, model).unwrap().0
    }

    fn set(n: u64) -> Op {
        Op::Set("ramp".into(), json!(n))
    }

    fn failed(sent: Sent) -> Result<String, Error> {
        let e = Error::new(ErrorKind::Unreachable, "store.commit", "no").code_as("STORE_IO");
        Err(if sent == Sent::Maybe { e.maybe_sent() } else { e })
    }

    #[test]
    fn an_unknown_outcome_leaves_both_possible_until_one_is_seen() {
        let mut oracle = Oracle::empty();
        oracle.told(&Guarded, &set(1), &DONE).unwrap();
        let one = oracle.model();
        oracle.told(&Guarded, &set(2), &failed(Sent::Maybe)).unwrap();
        assert!(oracle.unsure());
        let two = after(&set(2), &one);
        assert!(oracle.clone().found(&one).is_ok());
        oracle.found(&two).unwrap();
        assert!(oracle.found(&one).is_err() && !oracle.unsure());
    }

    #[test]
    fn what_was_told_undone_must_not_be_there() {
        let mut oracle = Oracle::empty();
        oracle.told(&Guarded, &set(1), &failed(Sent::No)).unwrap();
        assert!(oracle.found(&after(&set(1), &Model::new())).is_err());
    }

    #[test]
    fn guards_are_judged_too() {
        let register = Op::Register(vec![("wm1".into(), json!({"id": "wm1"}))]);
        let mut oracle = Oracle::empty();
        oracle.told(&Guarded, &register, &DONE).unwrap();
        assert!(oracle.clone().told(&Guarded, &register, &DONE).is_err());
        let conflict = Err(Error::new(ErrorKind::Conflict, "store.commit", "no"));
        oracle.told(&Guarded, &register, &conflict).unwrap();
        assert!(oracle.told(&Guarded, &set(1), &conflict).is_err());
    }
}
