/// What a method asks for, before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A right to read, whatever.
    AnyRead,
    /// Reading in the area of a family of things.
    FamilyRead,
    /// Writing there.
    FamilyWrite,
    /// Reading in this area.
    Read(&'static str),
    /// Writing in this area.
    Write(&'static str),
}

/// What a method is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// No action that exists.
    Rest,
    /// One action.
    Action,
    /// An action that is to be.
    Push,
}

/// The action of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The method is about none.
    None,
    /// It is to be pushed, and would change who may do what.
    Site,
    /// One that is not there.
    Absent,
    /// Waits for a vote.
    Voting,
    /// Waits for a vote, and has one of carol's.
    Voted,
    /// Waits for a vote, and carol pushed it.
    Mine,
    /// Waits for a vote, and touches a container, too.
    Wide,
    /// Waits for a vote, and changes the site's limits.
    Limits,
    /// Approved.
    Approved,
    /// Runs.
    Executing,
    /// Runs, held.
    Paused,
    /// Ended well.
    Ended,
    /// Ended, with a call of which nobody knows what became.
    Lost,
}

impl Target {
    /// Those that a site has.
    pub const STORED: [Self; 10] = [
        Self::Voting,
        Self::Voted,
        Self::Mine,
        Self::Wide,
        Self::Limits,
        Self::Approved,
        Self::Executing,
        Self::Paused,
        Self::Ended,
        Self::Lost,
    ];
    const ALL: [Self; 11] = [
        Self::Absent,
        Self::Voting,
        Self::Voted,
        Self::Mine,
        Self::Wide,
        Self::Limits,
        Self::Approved,
        Self::Executing,
        Self::Paused,
        Self::Ended,
        Self::Lost,
    ];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no action",
            Self::Absent => "an absent action",
            Self::Voting => "voting",
            Self::Voted => "voted",
            Self::Mine => "pushed by the caller",
            Self::Wide => "of two families",
            Self::Site => "a push for the site itself",
            Self::Limits => "of the site itself",
            Self::Approved => "approved",
            Self::Executing => "executing",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Lost => "of unknown fate",
        }
    }

    /// The list of MiningOS that it is in.
    pub const fn list(self) -> &'static str {
        match self {
            Self::None | Self::Site | Self::Absent => "voting",
            Self::Voting | Self::Voted | Self::Mine | Self::Wide | Self::Limits => "voting",
            Self::Approved => "ready",
            Self::Executing | Self::Paused => "executing",
            Self::Ended | Self::Lost => "done",
        }
    }
}

/// A method.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it asks for.
    pub needs: Needs,
    /// What it is about.
    pub about: About,
}

impl Row {
    /// The actions that it is asked about.
    pub const fn targets(&self) -> &'static [Target] {
        match self.about {
            About::Rest => &[Target::None],
            About::Action => &Target::ALL,
            About::Push => &[Target::None, Target::Site],
        }
    }

    /// Whether what it changes makes no difference to anybody's next call.
    pub fn leaves_all_as_it_was(&self) -> bool {
        const ADDS: [&str; 6] = [
            "saveWrkSettings",
            "updateThing",
            "saveThingComment",
            "editThingComment",
            "setGlobalConfig",
            "pushAction",
        ];
        !self.writes() || ADDS.contains(&self.name)
    }

    /// Whether it changes anything.
    pub const fn writes(&self) -> bool {
        matches!(self.needs, Needs::FamilyWrite | Needs::Write(_))
    }
}

const fn rest(name: &'static str, needs: Needs) -> Row {
    Row { name, needs, about: About::Rest }
}

const fn of_action(name: &'static str, needs: Needs) -> Row {
    Row { name, needs, about: About::Action }
}

const fn push(name: &'static str) -> Row {
    Row { name, needs: Needs::Write("actions"), about: About::Push }
}

/// All methods.
pub const TABLE: &[Row] = &[
    rest("echo", Needs::AnyRead),
    rest("ping", Needs::AnyRead),
    rest("getInstanceId", Needs::AnyRead),
    rest("registerRack", Needs::Write("racks")),
    rest("forgetRacks", Needs::Write("racks")),
    rest("listRacks", Needs::FamilyRead),
    rest("getWrkConf", Needs::FamilyRead),
    rest("getThingConf", Needs::FamilyRead),
    rest("getWrkSettings", Needs::Read("settings")),
    rest("saveWrkSettings", Needs::Write("settings")),
    rest("listThings", Needs::FamilyRead),
    rest("getThingsCount", Needs::FamilyRead),
    rest("registerThing", Needs::FamilyWrite),
    rest("updateThing", Needs::FamilyWrite),
    rest("forgetThings", Needs::FamilyWrite),
    rest("saveThingComment", Needs::Write("comments")),
    rest("editThingComment", Needs::Write("comments")),
    rest("deleteThingComment", Needs::Write("comments")),
    rest("getHistoricalLogs", Needs::FamilyRead),
    rest("tailLog", Needs::FamilyRead),
    rest("tailLogMulti", Needs::FamilyRead),
    rest("tailLogCustomRangeAggr", Needs::FamilyRead),
    rest("getWrkExtData", Needs::FamilyRead),
    rest("setWrkExtData", Needs::FamilyWrite),
    rest("mergeThings", Needs::FamilyWrite),
    rest("splitThing", Needs::FamilyWrite),
    rest("getThingMap", Needs::Read("racks")),
    rest("setThingMap", Needs::Write("racks")),
    rest("getMisplacedThings", Needs::FamilyRead),
    rest("reassignThings", Needs::Write("racks")),
    rest("getGlobalConfig", Needs::AnyRead),
    rest("setGlobalConfig", Needs::Write("features")),
    rest("getConfigs", Needs::Read("pool_config")),
    rest("listFirmwares", Needs::Read("miner")),
    rest("storeFile", Needs::Write("work_order")),
    rest("loadFile", Needs::Read("work_order")),
    rest("removeFile", Needs::Write("work_order")),
    push("pushAction"),
    push("pushActionsBatch"),
    of_action("voteAction", Needs::Write("actions")),
    of_action("withdrawVote", Needs::Write("actions")),
    of_action("cancelActionsBatch", Needs::Write("actions")),
    of_action("getAction", Needs::AnyRead),
    of_action("getActionsBatch", Needs::AnyRead),
    rest("queryActions", Needs::AnyRead),
    of_action("pauseAction", Needs::Write("actions")),
    of_action("resumeAction", Needs::Write("actions")),
    of_action("stopAction", Needs::Write("actions")),
    of_action("settleCall", Needs::Write("actions")),
    rest("haltSite", Needs::Write("actions")),
    rest("stopScope", Needs::Write("actions")),
    rest("liftStop", Needs::Write("actions")),
    rest("getStops", Needs::AnyRead),
    rest("shedLoad", Needs::Write("miner")),
    rest("verifyAudit", Needs::Read("actions")),
    rest("exportAudit", Needs::Read("actions")),
];
