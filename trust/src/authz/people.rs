use headframe_core::{
    Result,
    auth::{Permissions, Principal},
};
use serde_json::{Value, json};

use super::{Profile, table::Needs};

/// What a permission can be about.
pub const AREAS: [&str; 24] = [
    "miner",
    "container",
    "minerpool",
    "powermeter",
    "temp",
    "electricity",
    "features",
    "revenue",
    "actions",
    "users",
    "production",
    "alerts",
    "cabinets",
    "comments",
    "explorer",
    "inventory",
    "reporting",
    "settings",
    "tickets",
    "power_spot_forecast",
    "pool_config",
    "pool_config_approve",
    "work_order",
    "racks",
];
/// The areas that open racks.
const FAMILIES: [&str; 7] =
    ["miner", "container", "minerpool", "powermeter", "temp", "electricity", "inventory"];
const ALL: &[&str] = &["*:rw"];

/// Roles of sites, and mixtures that are nobody's.
const ROLES: [(&str, &[&str]); 13] = [
    ("nobody", &[]),
    ("administrator", ALL),
    ("reader of all", &["*:r"]),
    ("writer of all", &["*:w"]),
    (
        "site manager",
        &[
            "miner:rw",
            "container:rw",
            "minerpool:rw",
            "powermeter:rw",
            "temp:rw",
            "electricity:rw",
            "actions:rw",
            "comments:rw",
            "settings:rw",
            "work_order:rw",
        ],
    ),
    ("site operator", &["miner:rw", "actions:rw"]),
    ("field operator", &["miner:r", "container:r", "temp:r", "comments:rw", "settings:r", "ticket:r"]),
    ("pool manager", &["miner:r", "actions:rw", "pool_config:rw"]),
    ("electrician", &["container:rw", "powermeter:rw", "actions:rw", "settings:rw", "comments:rw"]),
    ("keeper of racks", &["racks:rw"]),
    ("mover of miners", &["racks:rw", "miner:rw"]),
    ("one who sees more than he may change", &["miner:r", "container:w", "comments:w", "racks:w"]),
    ("keeper of rules", &["users:rw", "actions:rw"]),
];

/// What the site's list of people says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A person with the rights of the session.
    Person,
    /// A person that lost most rights since.
    Demoted(&'static [&'static str]),
    /// Known, and locked.
    Locked,
    /// Not known any more.
    Removed,
    /// Another name of the person.
    Alias,
    /// A key of the person.
    ApiKey,
    /// A program of the person.
    Agent,
    /// A part of the site.
    Service,
}

/// What a gateway says of who stands behind a call; `None` leaves the member out.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// `voter`.
    pub voter: Option<Value>,
    /// `authPerms`.
    pub perms: Option<Value>,
}

/// Somebody who calls.
#[derive(Debug, Clone)]
pub struct Who {
    /// For people.
    pub name: String,
    /// The rights of the session.
    pub list: Vec<String>,
    /// The rights that the session claims, where they are others.
    pub claims: Option<Vec<&'static str>>,
    /// A gateway, and what it says.
    pub spoken: Option<Spoken>,
    /// What the site's list says.
    pub standing: Standing,
}

/// Who is asked for rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Somebody who acts.
    Acting,
    /// Somebody who votes.
    Voting,
    /// A person, whatever the rights are.
    Person,
}

impl Who {
    fn new(name: &str, list: &[&str]) -> Self {
        let list = list.iter().map(|one| (*one).to_owned()).collect();
        Self { name: name.into(), list, claims: None, spoken: None, standing: Standing::Person }
    }

    fn standing(name: &str, standing: Standing) -> Self {
        Self { standing, ..Self::new(name, ALL) }
    }

    fn gateway(name: &str, voter: Option<Value>, perms: Option<Value>) -> Self {
        Self { spoken: Some(Spoken { voter, perms }), ..Self::new(name, ALL) }
    }

    /// The name under which calls come.
    pub fn user(&self) -> &'static str {
        match self.standing {
            Standing::Alias => "caro@home",
            Standing::ApiKey => "key-7",
            Standing::Agent => "bot-7",
            Standing::Service => "meter-job",
            _ => "carol",
        }
    }

    /// Comments know people by the name of the session alone.
    pub fn is_who_commented(&self) -> bool {
        self.spoken.is_none() && self.user() == "carol"
    }

    /// As the dispatcher is told.
    pub fn principal(&self) -> Result<Principal> {
        let permissions = Permissions::parse(&self.list)?;
        if self.spoken.is_some() {
            return Ok(Principal::gateway("app-node", permissions));
        }
        let mut principal = Principal::new(self.user(), permissions);
        principal.claims = self.claims.as_ref().map(|all| all.iter().map(|c| (*c).to_owned()).collect());
        Ok(principal)
    }

    /// Whether the session may do what a method asks for.
    pub fn may(&self, needs: Needs) -> bool {
        let some = |level| FAMILIES.iter().any(|area| self.has(area, level));
        match needs {
            Needs::AnyRead => self.list.iter().any(|one| one.ends_with(":r") || one.ends_with(":rw")),
            Needs::FamilyRead => some('r'),
            Needs::FamilyWrite => some('w'),
            Needs::Read(area) => self.has(area, 'r'),
            Needs::Write(area) => self.has(area, 'w'),
        }
    }

    /// Whether the session has a right in an area.
    pub fn has(&self, area: &str, level: char) -> bool {
        grants(self.list.iter().map(String::as_str), area, level)
    }

    /// Why the caller is nobody that can be asked for rights.
    pub fn unreadable(&self, asked: Asked) -> Option<&'static str> {
        let Some(Spoken { voter, perms }) = &self.spoken else {
            let bare = self.claims.iter().flatten().any(|claim| !claim.contains(':'));
            return bare.then_some("ERR_AUTH_PERMS_INVALID");
        };
        if !voter.as_ref().is_some_and(|voter| voter.is_string() || voter.as_u64().is_some_and(|n| n > 0)) {
            return Some("ERR_VOTER_INVALID");
        }
        if asked == Asked::Person {
            return None;
        }
        let Some(Value::Array(all)) = perms else { return Some("ERR_PAYLOAD_AUTH_PERMS_REQUIRED") };
        let fits = |one: &Value| {
            let Some(text) = one.as_str() else { return false };
            match text.split_once(':') {
                Some((_, levels)) => matches!(levels, "r" | "w" | "rw" | "wr"),
                None => asked == Asked::Voting,
            }
        };
        (!all.iter().all(fits)).then_some("ERR_AUTH_PERMS_INVALID")
    }

    /// Whether the person may write in an area, as the engine knows it.
    pub fn writes(&self, area: &str, asked: Asked, profile: Profile) -> bool {
        if profile == Profile::Safe {
            return match self.standing {
                Standing::Locked | Standing::Removed => false,
                Standing::Demoted(list) => grants(list.iter().copied(), area, 'w'),
                _ => self.known().any(|one| grants([one].into_iter(), area, 'w')),
            };
        }
        let bare = |one: &str| asked == Asked::Voting && one == area;
        match (&self.spoken, &self.claims) {
            (Some(spoken), _) => {
                let all = spoken.perms.as_ref().and_then(Value::as_array);
                let mut all = all.into_iter().flatten().filter_map(Value::as_str);
                all.any(|one| bare(one) || grants([one].into_iter(), area, 'w'))
            }
            (None, Some(claims)) => grants(claims.iter().copied(), area, 'w'),
            (None, None) => self.has(area, 'w'),
        }
    }

    /// The rights that the site's list has for the person.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        // Who speaks through a gateway has all of them.
        let spoken = self.spoken.is_some();
        let list = self.list.iter().map(String::as_str).filter(move |_| !spoken);
        list.chain(ALL.iter().copied().filter(move |_| spoken))
    }

    /// Whether it is a program, where the site tells those from people.
    pub fn is_program(&self, profile: Profile) -> bool {
        profile == Profile::Safe && matches!(self.standing, Standing::Agent | Standing::Service)
    }

    /// Whether the site takes it for a person with a say.
    pub fn counts(&self, profile: Profile) -> bool {
        profile == Profile::Mos || !(self.is_program(profile) || self.is_out())
    }

    /// Whether the person is locked, or not known any more.
    pub fn is_out(&self) -> bool {
        matches!(self.standing, Standing::Locked | Standing::Removed)
    }

    /// Whether it is carol under another name, which only a list of people knows.
    pub fn is_carol(&self, profile: Profile) -> bool {
        match self.standing {
            Standing::Alias | Standing::ApiKey | Standing::Agent | Standing::Service => {
                profile == Profile::Safe
            }
            _ => true,
        }
    }
}

/// Whether a list of rights holds one of an area.
fn grants<'a>(mut list: impl Iterator<Item = &'a str>, area: &str, level: char) -> bool {
    list.any(|one| {
        let Some((of, levels)) = one.split_once(':') else { return false };
        let of = if of == "ticket" { "tickets" } else { of };
        (of == "*" || of == area) && levels.contains(level)
    })
}

/// All callers.
pub fn everybody() -> Vec<Who> {
    let mut all: Vec<Who> = ROLES.iter().map(|(name, list)| Who::new(name, list)).collect();
    for area in AREAS {
        for level in ["r", "w"] {
            let one = format!("{area}:{level}");
            all.push(Who::new(&one, &[&one]));
        }
    }
    all.extend([
        Who::standing("locked", Standing::Locked),
        Who::standing("removed since", Standing::Removed),
        Who::standing("demoted to a reader", Standing::Demoted(&["miner:r", "actions:r"])),
        Who::standing("demoted to containers", Standing::Demoted(&["container:rw"])),
        Who::standing("an alias", Standing::Alias),
        Who::standing("an API key", Standing::ApiKey),
        Who::standing("an agent", Standing::Agent),
        Who::standing("a service", Standing::Service),
    ]);
    for (name, list, claims) in [
        ("a session that claims miners", &["actions:rw"][..], &["miner:rw"][..]),
        ("a session that claims nothing", ALL, &[]),
        ("a session that claims no level", ALL, &["miner"]),
    ] {
        all.push(Who { claims: Some(claims.to_vec()), ..Who::new(name, list) });
    }
    let carol = || Some(json!("carol"));
    all.extend([
        Who::gateway("a gateway", carol(), Some(json!(["miner:rw", "container:rw", "actions:rw"]))),
        Who::gateway("a gateway for miners", carol(), Some(json!(["miner:w"]))),
        Who::gateway("a gateway for a reader", carol(), Some(json!(["miner:r", "actions:r"]))),
        Who::gateway("a gateway with caps", carol(), Some(json!(["miner", "container"]))),
        Who::gateway("a gateway without rights", carol(), Some(json!([]))),
        Who::gateway("a gateway without authPerms", carol(), None),
        Who::gateway("a gateway with authPerms that are none", carol(), Some(json!("miner:rw"))),
        Who::gateway("a gateway with a wrong level", carol(), Some(json!(["miner:rw", "miner:x"]))),
        Who::gateway("a gateway without voter", None, Some(json!(["miner:rw"]))),
        Who::gateway("a gateway for nobody", Some(json!(0)), Some(json!(["miner:rw"]))),
    ]);
    let mut narrow = Who::gateway("a gateway that may read", carol(), Some(json!(["*:rw"])));
    narrow.list = vec!["miner:r".into()];
    all.push(narrow);
    all
}
