//! What is written: the changes that an operator's tools make to a registry, and who makes them.

pub mod actions;
mod control;
mod drawn;
mod rows;
mod things;

use std::sync::Arc;

use async_trait::async_trait;
use headframe_core::{Result, store::ControlStore};
use serde_json::{Value, json};

pub use control::ControlWorkload;
#[cfg(test)]
pub use control::Guarded;
pub use things::{Opened, ThingsWorkload};

use crate::{oracle::Model, past, telemetry};

/// How many things there can be at a time.
const POOL: u32 = 40;

/// Makes a registry out of a store.
#[async_trait]
pub trait Workload: std::fmt::Debug + Send + Sync {
    /// Its name, which is also the probe that counts its cases.
    fn name(&self) -> &'static str;

    /// The registry in `store`; finishes what an earlier process left unfinished only in [`Op::Settle`].
    async fn over(&self, store: ControlStore) -> Result<Arc<dyn Registry>>;
}

/// What a change makes of a content, and what its caller is told; or the code of the error that refuses it, empty when
/// any is right.
pub type Effect = Result<(Model, String), &'static str>;

/// What a registry should do: a second reading of its rules, which shares nothing with the registry.
pub trait Rules: Send + Sync {
    /// Draws the next change for a registry that holds `model`, or may hold it when `unsure`. `n` numbers the changes.
    fn draw(&self, rng: &mut fastrand::Rng, model: &Model, n: u64, unsure: bool) -> Op;

    /// What `op` does to `before`.
    fn effect(&self, op: &Op, before: &Model) -> Effect;

    /// Whether a refusal speaks of what is durable, also while an outcome is unknown.
    fn is_sure(&self) -> bool;
}

/// A registry that checks write to.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Makes one change; durable when it returns `Ok`, with what its caller is told.
    async fn apply(&self, op: &Op) -> Result<String>;

    /// Looks at what became of changes whose outcome was unknown; false while it cannot.
    async fn look(&self) -> bool {
        true
    }

    /// All that is there, in the form that [`Rules::effect`] speaks of.
    fn content(&self) -> Model;

    /// What it should do.
    fn rules(&self) -> &'static dyn Rules;

    /// The store below.
    fn store(&self) -> &ControlStore;
}

/// Who takes turns, by name. Actions are no registry: what becomes of them is up to devices and to time too, so they have
/// cases of their own.
pub const TURNS: [&str; 3] = [RECORDS, THINGS, actions::NAME];
/// The same where history has turns too.
pub const WITH_HISTORY: [&str; 4] = [RECORDS, THINGS, actions::NAME, past::NAME];
/// The same where telemetry has turns besides. Their number has no divisor in common with those by which cases differ.
pub const WITH_TELEMETRY: [&str; 8] =
    [RECORDS, THINGS, actions::NAME, past::NAME, RECORDS, THINGS, actions::NAME, telemetry::NAME];
/// Who takes turns where clocks jump.
pub const CLOCKS: [&str; 7] = {
    let mut turns = [actions::NAME; 7];
    turns[6] = telemetry::NAME;
    turns
};
const RECORDS: &str = "over records";
const THINGS: &str = "over things";

/// Whose turn it is in a case; the registry that is written to, if it is one's.
pub fn of(turns: &'static [&'static str], index: u64) -> (&'static str, &'static dyn Workload) {
    let place = usize::try_from(index).unwrap_or_default() % turns.len().max(1);
    let turn = turns.get(place).copied().unwrap_or_default();
    (turn, if turn == THINGS { &ThingsWorkload } else { &ControlWorkload })
}

/// One change to a registry: whole or not at all.
#[derive(Debug, Clone)]
pub enum Op {
    /// New things; none of them may exist, or each is judged alone.
    Register(Vec<(String, Value)>),
    /// A thing's new content; it has to exist, and nobody may have changed it meanwhile.
    Update(String, Value),
    /// A comment on a thing that exists.
    Comment(String, u64, Value),
    /// A setting.
    Set(String, Value),
    /// Things go, and their comments; all have to exist. What is left to do is noted under the number.
    Forget(u64, Vec<String>),
    /// Does what `Forget` left: counts each thing that went once.
    Settle,
    /// A stop action.
    Stop(u64),
    /// Another text for a comment, found by the one it has; without a text it goes.
    Reword(String, String, Option<String>),
    /// A device said its MAC address when it was polled as the thing.
    Seen(String, String),
    /// Two things are one: the first stays.
    Merge(String, String),
    /// A thing whose identity is in doubt is one of its own.
    Split(String),
}

/// What a stop action journals: a rack's worth of targets, so that a few dozen of them are more than a full file
/// happens to have room for.
pub fn halt() -> Value {
    let targets: Vec<String> = (0..400).map(|n| format!("thing-{n:04}")).collect();
    json!({ "halt": targets })
}

impl Op {
    /// Which path this change takes.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Register(_) => "register",
            Self::Update(..) => "update",
            Self::Comment(..) => "comment",
            Self::Set(..) => "settings",
            Self::Forget(..) => "forget",
            Self::Settle => "settle",
            Self::Stop(_) => "stop",
            Self::Reword(..) => "reword",
            Self::Seen(..) => "seen",
            Self::Merge(..) => "merge",
            Self::Split(_) => "split",
        }
    }
}

/// Text of the sizes that records have, some of them larger than a page of the file.
fn filler(rng: &mut fastrand::Rng) -> String {
    let size = if rng.u32(0..14) == 0 { rng.usize(5_000..20_000) } else { rng.usize(0..300) };
    let letter = char::from(rng.u8(b'a'..=b'z'));
    std::iter::repeat_n(letter, size).collect()
}

/// A content's value.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Draws and applies `n` changes to a model; gives the paths taken and how many changes were refused.
    fn drawn(rules: &dyn Rules, n: u64) -> (std::collections::BTreeSet<&'static str>, usize) {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut model, mut kinds, mut refused) = (Model::new(), std::collections::BTreeSet::new(), 0);
        for i in 0..n {
            let op = rules.draw(&mut rng, &model, i, false);
            match rules.effect(&op, &model) {
                Ok((after, _)) => {
                    kinds.insert(op.name());
                    model = after;
                }
                Err(_) => refused += 1,
            }
        }
        (kinds, refused)
    }

    #[test]
    fn every_kind_of_change_is_drawn_and_some_are_to_be_refused() {
        let (kinds, refused) = drawn(&control::Guarded, 400);
        assert_eq!(kinds.len(), 6, "{kinds:?}");
        assert!((10..150).contains(&refused), "{refused}");
        let (kinds, refused) = drawn(&rows::Unique, 800);
        assert_eq!(kinds.len(), 10, "{kinds:?}");
        assert!((50..400).contains(&refused), "{refused}");
    }

    #[test]
    fn settling_twice_counts_once() {
        let rules = &control::Guarded;
        let after = |op: Op, model: &Model| rules.effect(&op, model).unwrap().0;
        let thing = |id: &str| (id.to_owned(), json!({}));
        let model = after(Op::Register(vec![thing("a"), thing("b")]), &Model::new());
        let model = after(Op::Forget(1, vec!["a".into(), "b".into()]), &model);
        let once = after(Op::Settle, &model);
        assert_eq!(&*once["meta/forgotten"], "2");
        assert_eq!(after(Op::Settle, &once), once);
    }
}
