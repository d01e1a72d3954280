//! What a push would do, before anybody is asked for a vote.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{By, Draft, Engine, draft, push};
use crate::{
    Result,
    action::{
        desk::Desk,
        policy::{Sums, Terms},
        state::RackCalls,
    },
    model::{RackId, Text},
};

/// What a push would do now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Preview {
    /// The things that it would touch, by rack.
    pub targets: BTreeMap<RackId, Vec<Text>>,
    /// How many calls and things that fall out there are in each rack.
    pub racks: Vec<RackCalls>,
    /// How much it would touch: targets, and the power that they draw.
    pub size: Sums,
    /// What is asked before it may be done; `None` when nothing would be stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// What falls out, and why, as a [push](Engine::push) would name it.
    pub errors: Vec<String>,
}

impl Engine {
    /// What a push would do, for whoever is to vote on it or to push it: nothing is stored, and nothing changes. What is
    /// pushed later is judged anew.
    ///
    /// # Errors
    /// As [`push`](Self::push). A draft that would store nothing for want of targets is no error.
    pub async fn preview(&self, draft: Draft, by: &By) -> Result<Preview> {
        draft::label("clientKey", draft.client_key.as_ref())?;
        draft::reason(draft.why.as_deref())?;
        let voter = self.0.voter(by).await?;
        self.0.shared.stops().admit(&voter.person)?;
        let ready = match self.0.judge(draft, by, &voter).await? {
            Ok(ready) => ready,
            Err(pushed) => {
                let (targets, racks) = Default::default();
                let errors = pushed.errors;
                return Ok(Preview { targets, racks, size: Sums::default(), terms: None, errors });
            }
        };
        self.0
            .ask(move |desk: &mut Desk| {
                let (_, terms) = ready.terms(desk, desk.now())?;
                let mut targets: BTreeMap<RackId, Vec<Text>> = BTreeMap::new();
                for chosen in ready.chosen() {
                    targets.entry(chosen.rack).or_default().push(chosen.target);
                }
                let (racks, size, fell_out) = ready.targets();
                let mut errors = fell_out.to_vec();
                errors.extend(push::raised(&terms));
                Ok(Preview { targets, racks: racks.to_vec(), size, terms: Some(terms), errors })
            })
            .await
    }
}
