use std::{fmt, str::FromStr};

use crate::{Error, ErrorKind, Result};

const OP: &str = "auth.permission";
/// How much of a wrong text an error repeats.
const SHOWN_CHARS: usize = 40;

/// Reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Sees.
    Read,
    /// Changes. It does not include reading.
    Write,
}

impl Access {
    /// `r` or `w`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Write => "w",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

macro_rules! areas {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a permission is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Area { $($(#[$doc])* $name,)* }

        impl Area {
            /// All areas.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The area's name in a permission.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

areas! {
    /// Miners.
    Miner = "miner",
    /// Containers and what cools them.
    Container = "container",
    /// Accounts at mining pools.
    Minerpool = "minerpool",
    /// Power meters.
    Powermeter = "powermeter",
    /// Temperature sensors: the family `sensor`.
    Temp = "temp",
    /// Prices and supply of energy.
    Electricity = "electricity",
    /// Site-wide switches.
    Features = "features",
    /// Income.
    Revenue = "revenue",
    /// Proposing, voting on and cancelling actions.
    Actions = "actions",
    /// People and their roles.
    Users = "users",
    /// Production figures.
    Production = "production",
    /// Alerts.
    Alerts = "alerts",
    /// Electrical cabinets.
    Cabinets = "cabinets",
    /// Comments on things.
    Comments = "comments",
    /// The explorer.
    Explorer = "explorer",
    /// Spare parts.
    Inventory = "inventory",
    /// Reports.
    Reporting = "reporting",
    /// Settings of racks.
    Settings = "settings",
    /// Tickets; `ticket` means the same.
    Tickets = "tickets",
    /// Forecasts of spot prices.
    PowerSpotForecast = "power_spot_forecast",
    /// Configurations of pools.
    PoolConfig = "pool_config",
    /// Approval of configurations of pools.
    PoolConfigApprove = "pool_config_approve",
    /// Work orders.
    WorkOrder = "work_order",
    /// The registry of racks, and which rack owns which addresses. MiningOS leaves it to whoever is admitted.
    Racks = "racks",
}

/// Families of things, and the areas that guard them.
const FAMILIES: &[(&str, Area)] = &[
    ("miner", Area::Miner),
    ("container", Area::Container),
    ("minerpool", Area::Minerpool),
    ("powermeter", Area::Powermeter),
    ("sensor", Area::Temp),
    ("electricity", Area::Electricity),
    ("inventory", Area::Inventory),
    // The site itself, as actions change it: its policy, its limits and its people.
    ("site", Area::Users),
];

impl Area {
    /// The area that guards things of a family, `miner` for example; `None` when only `*` does.
    pub fn of_family(family: &str) -> Option<Self> {
        FAMILIES.iter().find(|(name, _)| *name == family).map(|(_, area)| *area)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Area {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = if text == "ticket" { "tickets" } else { text };
        let found = Self::ALL.iter().copied().find(|area| area.as_str() == text);
        found.ok_or_else(|| refused(text, "names no area"))
    }
}

/// What something needs: the areas that would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This area.
    Area(Area),
    /// The area of the racks that are touched. Racks of other families do not exist for the caller.
    Family,
    /// Any area: it tells nothing of one.
    Any,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Area(area) => area.fmt(f),
            Self::Family => f.pad("<family>"),
            Self::Any => f.pad("<any>"),
        }
    }
}

/// Rights in one area, or with `*` in all: `miner:rw`, `container:r`, `*:rw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permission {
    /// The area; `None` for all, present and future ones and families without one included.
    pub area: Option<Area>,
    /// Whether it allows reading.
    pub read: bool,
    /// Whether it allows writing.
    pub write: bool,
}

impl FromStr for Permission {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (area, levels) = match text.split_once(':') {
            Some((area, levels)) => (area, levels),
            // The role of a site's owner, as tokens write it.
            None if text == "*" => ("*", "rw"),
            None => return Err(refused(text, "has no level; write area:r, area:w or area:rw")),
        };
        let (read, write) = match levels {
            "r" => (true, false),
            "w" => (false, true),
            "rw" | "wr" => (true, true),
            _ => return Err(refused(text, "has a level other than r, w and rw")),
        };
        let area = if area == "*" { None } else { Some(area.parse()?) };
        Ok(Self { area, read, write })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.area.map_or("*", Area::as_str))?;
        f.write_str(":")?;
        f.write_str(if self.read { "r" } else { "" })?;
        f.write_str(if self.write { "w" } else { "" })
    }
}

fn refused(text: &str, why: &str) -> Error {
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    Error::invalid(OP, "permissions", format!("'{shown}' {why}")).code_as("ERR_PERMISSION_INVALID")
}

/// Everything that somebody may do. Without a permission nothing is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions {
    read: u32,
    write: u32,
}

/// Stands for what has no area of its own.
const REST: u32 = 1 << 31;
const _: () = assert!(Area::ALL.len() < 31);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self { read: 0, write: 0 };
    /// Everything.
    pub const ALL: Self = Self { read: u32::MAX, write: u32::MAX };

    /// Reads a list as roles have it, `["miner:rw", "container:r"]`; several of one area add up.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with `ERR_PERMISSION_INVALID` for an unknown area or level: a list that is
    /// understood in part is not used.
    pub fn parse<S: AsRef<str>>(list: impl IntoIterator<Item = S>) -> Result<Self> {
        list.into_iter().map(|text| text.as_ref().parse()).collect()
    }

    /// Whether `access` in `area` is allowed.
    pub const fn allows(self, area: Area, access: Access) -> bool {
        self.bits(access) & area.bit() != 0
    }

    /// Whether `access` to things of `family` is allowed.
    pub fn allows_family(self, family: &str, access: Access) -> bool {
        self.bits(access) & Area::of_family(family).map_or(REST, Area::bit) != 0
    }

    /// Refuses what is not allowed. Of [`Scope::Family`] it asks for one family at least; which racks are touched is
    /// judged by [`allows_family`](Self::allows_family).
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) with `ERR_MISSING_WRITE_PERMISSIONS` or `ERR_AUTH_FAIL_NO_PERMS`.
    pub fn check(self, op: &'static str, scope: Scope, access: Access) -> Result<()> {
        let allowed = match scope {
            Scope::Area(area) => self.allows(area, access),
            Scope::Family => {
                // No rack holds the site itself: only actions touch it.
                let racks = FAMILIES.iter().filter(|(family, _)| *family != "site");
                let families = racks.fold(REST, |bits, (_, area)| bits | area.bit());
                self.bits(access) & families != 0
            }
            Scope::Any => self.bits(access) != 0,
        };
        if allowed { Ok(()) } else { Err(forbidden(op, &scope, access)) }
    }

    /// Refuses a family that is not allowed.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_family(self, op: &'static str, family: &str, access: Access) -> Result<()> {
        if self.allows_family(family, access) {
            return Ok(());
        }
        Err(forbidden(op, &Area::of_family(family).map_or("*", Area::as_str), access))
    }

    const fn bits(self, access: Access) -> u32 {
        match access {
            Access::Read => self.read,
            Access::Write => self.write,
        }
    }
}

fn forbidden(op: &'static str, what: &dyn fmt::Display, access: Access) -> Error {
    let code = match access {
        Access::Read => "ERR_AUTH_FAIL_NO_PERMS",
        Access::Write => "ERR_MISSING_WRITE_PERMISSIONS",
    };
    let error = Error::new(ErrorKind::Forbidden, op, "the caller has no permission for this");
    error.code_as(code).with("needs", format_args!("{what}:{access}"))
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let mut all = Self::NONE;
        for one in permissions {
            let bits = one.area.map_or(u32::MAX, Area::bit);
            all.read |= if one.read { bits } else { 0 };
            all.write |= if one.write { bits } else { 0 };
        }
        all
    }
}

impl fmt::Display for Permissions {
    /// One permission an area, with commas between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |bits: u32| bits & REST != 0;
        let star = Permission { area: None, read: whole(self.read), write: whole(self.write) };
        let areas = Area::ALL.iter().map(|area| Permission {
            area: Some(*area),
            read: self.allows(*area, Access::Read) && !star.read,
            write: self.allows(*area, Access::Write) && !star.write,
        });
        let mut first = true;
        for one in std::iter::once(star).chain(areas).filter(|p| p.read || p.write) {
            write!(f, "{}{one}", if first { "" } else { "," })?;
            first = false;
        }
        Ok(())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}
