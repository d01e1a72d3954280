//! Who acts. It is who was signed in, whatever the body of the call says; only a gateway speaks for others.

use serde_json::{Value, json};

use super::Call;
use crate::{
    Result,
    action::{self, Bare, Claims, Person},
};

/// What a caller does, which decides how a gateway's body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ork::call) enum By {
    /// Anything that asks for rights: `voter`, and `authPerms` with their levels.
    Acting,
    /// A vote: MiningOS's gateway takes the levels off `authPerms`.
    Voting,
    /// What only the person decides, as a cancel: `voter` alone.
    Person,
}

impl By {
    pub fn of(self, call: &Call<'_>) -> Result<action::By> {
        if !call.who.is_gateway() {
            return own(call);
        }
        let body = call.params.body()?;
        match self {
            Self::Acting => action::By::pushing(body),
            Self::Voting => action::By::voting(body),
            Self::Person => Person::from_json(&body["voter"]).map(action::By::new),
        }
    }
}

/// The principal, with the rights of its session.
fn own(call: &Call<'_>) -> Result<action::By> {
    let person = Person::from_text(&call.who.user)?;
    let claims = match &call.who.claims {
        Some(list) => json!(list),
        None => {
            let all = call.who.permissions.to_string();
            all.split(',').filter(|one| !one.is_empty()).map(Value::from).collect()
        }
    };
    Ok(action::By::claiming(person, Claims::parse(&claims, Bare::Refused)?))
}
