use super::{
    Cell, Held, Setting,
    people::{Asked, Who},
    table::{Needs, Row, Target},
};

/// What a caller has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No, with this code, before anything was looked at.
    NoRight(&'static str),
    /// No, with this code.
    Refused(&'static str),
    /// An answer that says no, with this code in it.
    AnsweredNo(&'static str),
    /// Nothing, because the caller does not see what it is about.
    Nothing,
    /// Yes.
    Done,
    /// Not that it has no right; what is asked for is not so for another reason.
    Otherwise,
}

const DENIED: &str = "ERR_ACTION_DENIED";
const DECIDED: &str = "ERR_ACTION_DECIDED";
const LOCKED: &str = "ERR_LOCKED";

/// The areas of the racks that a call in `bodies` is about, of the caller's registry.
const RACK_AREA: &str = "miner";

/// What has to come of the call whose body is the good one.
pub fn expect(cell: &Cell, who: &Who, setting: Setting) -> Expect {
    let row = cell.row;
    if !who.may(row.needs) {
        return Expect::NoRight(no_right(row.needs));
    }
    if row.name == "shedLoad" || matches!(row.needs, Needs::Write("actions")) {
        return of_actions(row, cell.target, &Caller { who, setting });
    }
    match row.name {
        // The racks of the lab keep no logs, and who sees none of them is told of no rows.
        "tailLog" | "tailLogMulti" if who.has(RACK_AREA, 'r') => Expect::Refused("ERR_NOT_CONFIGURED"),
        // The lab has no source of data from outside that is told anything, and keeps no files.
        "setWrkExtData" if !who.has("electricity", 'w') => Expect::Refused(NO_WRITE),
        "setWrkExtData" | "storeFile" | "loadFile" | "removeFile" => Expect::Refused("ERR_NOT_CONFIGURED"),
        "getAction" if cell.target == Target::Absent => Expect::Refused("ERR_ACTION_ID_NOT_FOUND"),
        "registerThing" | "updateThing" if !who.has(RACK_AREA, 'w') => Expect::Refused(NO_WRITE),
        "reassignThings" if !who.has(RACK_AREA, 'w') => Expect::Refused(NO_WRITE),
        "forgetThings" | "mergeThings" | "splitThing" => of_a_thing(row.name, who),
        "getWrkSettings" | "saveWrkSettings" if !who.has(RACK_AREA, 'r') => Expect::Nothing,
        "saveThingComment" | "editThingComment" | "deleteThingComment" if !who.has(RACK_AREA, 'r') => {
            Expect::Nothing
        }
        "editThingComment" | "deleteThingComment" if !who.is_who_commented() => {
            Expect::Refused("ERR_COMMENT_ACCESS_DENIED")
        }
        _ => Expect::Done,
    }
}

const NO_WRITE: &str = "ERR_MISSING_WRITE_PERMISSIONS";

const fn no_right(needs: Needs) -> &'static str {
    match needs {
        Needs::AnyRead | Needs::FamilyRead | Needs::Read(_) => "ERR_AUTH_FAIL_NO_PERMS",
        Needs::FamilyWrite | Needs::Write(_) => NO_WRITE,
    }
}

/// A thing that is not seen is not there; one that is only seen is not changed.
fn of_a_thing(method: &str, who: &Who) -> Expect {
    let (sees, writes) = (who.has(RACK_AREA, 'r'), who.has(RACK_AREA, 'w'));
    match (method, sees || writes, writes) {
        ("forgetThings", false, _) => Expect::Nothing,
        (_, false, _) => Expect::Refused("ERR_THING_NOTFOUND"),
        (_, true, false) => Expect::Refused(NO_WRITE),
        ("forgetThings", ..) => Expect::Done,
        // Nothing is in doubt here.
        _ => Expect::Otherwise,
    }
}

/// The caller, as the engine knows it.
struct Caller<'a> {
    who: &'a Who,
    setting: Setting,
}

impl Caller<'_> {
    fn writes(&self, area: &str, asked: Asked) -> bool {
        self.who.writes(area, asked, self.setting.profile)
    }

    /// A stop that holds carol holds her under all her names, as far as the site knows them.
    fn is_locked(&self) -> bool {
        self.setting.held == Held::CarolLocked && self.is_carol()
    }

    fn is_carol(&self) -> bool {
        self.who.is_carol(self.setting.profile)
    }

    /// Whether a vote of it would be a program's.
    fn is_program(&self) -> bool {
        self.who.is_program(self.setting.profile) && self.writes("miner", Asked::Person)
    }

    /// Whether it may write to all that an action touches.
    fn writes_to(&self, target: Target, asked: Asked) -> bool {
        match target {
            Target::Wide => self.writes("miner", asked) && self.writes("container", asked),
            Target::Site | Target::Limits => self.writes("users", asked),
            _ => self.writes("miner", asked),
        }
    }

    /// Who stops things: whoever may write actions, or to anything that actions change.
    fn may_stop(&self) -> bool {
        ["actions", "miner", "container", "users"].iter().any(|area| self.writes(area, Asked::Acting))
    }
}

fn of_actions(row: &Row, target: Target, caller: &Caller<'_>) -> Expect {
    let asked = match row.name {
        "voteAction" => Asked::Voting,
        "withdrawVote" | "cancelActionsBatch" => Asked::Person,
        _ => Asked::Acting,
    };
    let push = row.name.starts_with("push");
    if let Some(code) = caller.who.unreadable(asked) {
        // MiningOS's clients look for these in the answer.
        return if push && code != "ERR_VOTER_INVALID" {
            Expect::AnsweredNo(code)
        } else {
            Expect::Refused(code)
        };
    }
    match row.name {
        _ if push => pushed(target, caller),
        "voteAction" => voted(target, caller),
        "withdrawVote" => withdrawn(target, caller),
        "cancelActionsBatch" => cancelled(target, caller),
        "haltSite" | "stopScope" | "liftStop" => stopped(row.name, caller),
        "shedLoad" if caller.is_locked() => Expect::Refused(LOCKED),
        "shedLoad" if !caller.writes("miner", Asked::Acting) => Expect::Refused(DENIED),
        "shedLoad" => Expect::Done,
        method => steered(method, target, caller),
    }
}

fn pushed(target: Target, caller: &Caller<'_>) -> Expect {
    if caller.is_locked() {
        return Expect::Refused(LOCKED);
    }
    if caller.writes_to(target, Asked::Acting) { Expect::Done } else { Expect::AnsweredNo(DENIED) }
}

const PROGRAM: &str = "ERR_VOTER_NOT_A_PERSON";
const UNKNOWN: &str = "ERR_ACTION_ID_NOT_FOUND";

const fn is_voting(target: Target) -> bool {
    matches!(target, Target::Voting | Target::Voted | Target::Mine | Target::Wide | Target::Limits)
}

fn voted(target: Target, caller: &Caller<'_>) -> Expect {
    let had_one = matches!(target, Target::Voted | Target::Mine) && caller.is_carol();
    match target {
        _ if caller.is_program() => Expect::Refused(PROGRAM),
        Target::Absent => Expect::Refused(UNKNOWN),
        _ if caller.is_locked() => Expect::Refused(LOCKED),
        _ if !is_voting(target) => Expect::Refused(DECIDED),
        _ if !caller.writes_to(target, Asked::Voting) => Expect::Refused(DENIED),
        _ if had_one => Expect::Refused("ERR_VOTER_EXISTS"),
        _ => Expect::Done,
    }
}

/// Whoever voted may take it back, whatever the rights are by now.
fn withdrawn(target: Target, caller: &Caller<'_>) -> Expect {
    match target {
        _ if caller.is_program() => Expect::Refused(PROGRAM),
        Target::Absent => Expect::Refused(UNKNOWN),
        _ if !is_voting(target) => Expect::Refused(DECIDED),
        Target::Mine if caller.is_carol() => Expect::Refused("ERR_VOTER_IS_CREATOR"),
        Target::Voted if caller.is_carol() => Expect::Done,
        _ => Expect::Refused("ERR_VOTER_NOT_FOUND"),
    }
}

/// Whoever pushed it may cancel it, whatever the rights are by now.
fn cancelled(target: Target, caller: &Caller<'_>) -> Expect {
    match target {
        _ if caller.is_program() => Expect::AnsweredNo(PROGRAM),
        Target::Absent => Expect::AnsweredNo(UNKNOWN),
        _ if !is_voting(target) && target != Target::Approved => Expect::AnsweredNo(DECIDED),
        Target::Mine if caller.is_carol() => Expect::Done,
        _ => Expect::AnsweredNo("ERR_CALLER_NOT_CREATOR"),
    }
}

/// Pause, resume, stop, settle: who may write to every target.
fn steered(method: &str, target: Target, caller: &Caller<'_>) -> Expect {
    if target == Target::Absent {
        return Expect::Refused(UNKNOWN);
    }
    if caller.is_locked() {
        return Expect::Refused(LOCKED);
    }
    if !caller.writes_to(target, Asked::Acting) {
        return Expect::Refused(DENIED);
    }
    match (method, target) {
        ("pauseAction", Target::Approved | Target::Executing | Target::Paused)
        | ("resumeAction", Target::Paused)
        | ("stopAction", Target::Executing | Target::Paused)
        | ("settleCall", Target::Lost) => Expect::Done,
        // It has no call to a device.
        ("settleCall", Target::Limits) => Expect::Refused("ERR_THING_NOTFOUND"),
        ("settleCall", _) => Expect::Refused("ERR_CALL_DECIDED"),
        _ => Expect::Refused(DECIDED),
    }
}

fn stopped(method: &str, caller: &Caller<'_>) -> Expect {
    if !caller.may_stop() {
        return Expect::Refused("ERR_WRITE_PERM_REQUIRED");
    }
    if method != "liftStop" {
        return Expect::Done;
    }
    if caller.is_locked() {
        return Expect::Refused(LOCKED);
    }
    if !caller.who.counts(caller.setting.profile) {
        return Expect::Refused("ERR_VOTER_INVALID");
    }
    if caller.setting.held == Held::Open {
        return Expect::Refused("ERR_STOP_NOT_FOUND");
    }
    Expect::Done
}
