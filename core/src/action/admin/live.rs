use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error, Result,
    action::{
        Policy, Proposal,
        policy::{ActionClass, Rules, Terms},
    },
    io::Timestamp,
    store::{ControlStore, Space},
};

/// Where the policy stands in the store's settings.
pub(super) const POLICY: &str = "action.policy";
/// Where the limits stand.
pub(super) const LIMITS: &str = "action.limits";

/// Limits of a site that an action can change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// How fast load is shed at most, kW in each second.
    pub emergency_ramp_kw_per_s: f64,
}

impl Limits {
    /// Reads them.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for another form, or a ramp that is not above 0.
    pub fn parse(json: &Value) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid("action.limits", "emergencyRampKwPerS", why).code_as("ERR_LIMITS_INVALID")
        };
        let limits: Self = serde_json::from_value(json.clone())
            .map_err(|_| wrong("takes {\"emergencyRampKwPerS\": kW per second}"))?;
        let ramp = limits.emergency_ramp_kw_per_s;
        if ramp.is_finite() && ramp > 0.0 { Ok(limits) } else { Err(wrong("takes a number above 0")) }
    }
}

/// Policy and limits as they are now: those that the program brings, until an action sets others.
#[derive(Debug)]
pub(in crate::action) struct Live {
    policy: RwLock<Arc<dyn Policy>>,
    limits: RwLock<Limits>,
}

impl Live {
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when what the store holds cannot be read.
    pub fn open(store: &ControlStore, policy: Arc<dyn Policy>, limits: Limits) -> Result<Self> {
        let set = store.get::<Rules>(Space::Settings, POLICY)?;
        let policy = set.map_or(policy, |rules| Arc::new(rules.value) as Arc<dyn Policy>);
        let limits = store.get::<Limits>(Space::Settings, LIMITS)?.map_or(limits, |set| set.value);
        Ok(Self { policy: RwLock::new(policy), limits: RwLock::new(limits) })
    }

    pub fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_policy(&self, rules: Rules) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    pub fn set_limits(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn policy(&self) -> Arc<dyn Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Policy for Live {
    fn terms(&self, proposal: &Proposal<'_>) -> Result<Terms> {
        self.policy().terms(proposal)
    }

    fn looks_back_s(&self, action: &str, class: ActionClass) -> u32 {
        self.policy().looks_back_s(action, class)
    }

    fn frozen(&self, class: ActionClass, now: Timestamp) -> Option<Timestamp> {
        self.policy().frozen(class, now)
    }
}
