use crate::auth::{
    Access::{Read, Write},
    Area,
    Scope::{Any, Area as Of, Family},
};

use super::{Method, map, racks, site, things};

/// One row: name, operation, what it needs, parameters, result, handler.
macro_rules! rows {
    ($($name:literal $op:ident $needs:expr, $params:literal => $gives:literal, $run:path;)*) => {
        &[$(Method {
            name: $name,
            op: $op,
            needs: $needs,
            params: $params,
            gives: $gives,
            run: |call| Box::pin($run(call)),
        },)*]
    };
}

/// All methods.
pub fn methods() -> &'static [Method] {
    const ROWS: &[Method] = rows! {
        "echo" Read Any, "any JSON" => "the same", site::echo;
        "ping" Read Any, "any JSON" => "the same", site::echo;
        "getInstanceId" Read Any, "any JSON" => "text: id of the site", site::instance;

        "registerRack" Write Of(Area::Racks), "{id, type, info: {rpcPublicKey}, …}" => "1", racks::register;
        "forgetRacks" Write Of(Area::Racks), "{ids?, all?}" => "number of racks forgotten", racks::forget;
        "listRacks" Read Family, "{type?, keys?}" => "[{id, type, info}]", racks::list;
        "getWrkConf" Read Family, "{type, fields?}" => "[{rackId, config}]", racks::conf;
        "getThingConf" Read Family, "{type, requestType: nextAvailableCode or poolConfig}" => "[{rackId, requestValue}]", racks::thing_conf;
        "getWrkSettings" Read Of(Area::Settings), "{rackId}" => "settings; 0 for an unknown rack", racks::settings;
        "saveWrkSettings" Write Of(Area::Settings), "{rackId, entries}" => "all settings; 0 for an unknown rack", racks::save_settings;

        "listThings" Read Family, "{query?, fields?, sort?, offset?, limit?, cursor?, status?}" => "[thing]", things::list;
        "getThingsCount" Read Family, "{query?}" => "number of things", things::count;
        "registerThing" Write Family, "{rackId?, id?, code?, opts, info, tags?, comment?, driver?, readOnly?}" => "{id, code, rack}", things::register;
        "updateThing" Write Family, "{rackId?, id, opts?, info?, tags?, forceOverwrite?, comment?, readOnly?, actionId?, ifRevision?}" => "1", things::update;
        "forgetThings" Write Family, "{query?, ids?, all?}" => "number of things forgotten", things::forget;
        "saveThingComment" Write Of(Area::Comments), "{rackId, thingId, comment, pos?}" => "1; 0 for an unknown rack", things::save_comment;
        "editThingComment" Write Of(Area::Comments), "{rackId, thingId, id? or ts?, comment}" => "1; 0 for an unknown rack", things::edit_comment;
        "deleteThingComment" Write Of(Area::Comments), "{rackId, thingId, id? or ts?}" => "1; 0 for an unknown rack", things::delete_comment;
        "getHistoricalLogs" Read Family, "{logType: alerts or info, start?, end?, query?, fields?, sort?, offset?, limit?}" => "[{ts, id, rack, what, by, changes}], newest first; alerts: []", site::history;

        "mergeThings" Write Family, "{keep, drop}" => "1", map::merge;
        "splitThing" Write Family, "{id}" => "1", map::split;

        "getThingMap" Read Of(Area::Racks), "{}" => "{thingMap, revision}", map::get;
        "setThingMap" Write Of(Area::Racks), "{thingMap: {rack: addresses}, ifRevision?}" => "{revision}", map::set;
        "getMisplacedThings" Read Family, "{}" => "[{id, from, to}]", map::misplaced;
        "reassignThings" Write Of(Area::Racks), "{moves: [{id, from, to}]} or {all: true}" => "[{id, from, to, moved, error?}]", map::reassign;

        "getGlobalConfig" Read Any, "{fields?}" => "configuration", site::config;
        "setGlobalConfig" Write Of(Area::Features), "{isAutoSleepAllowed}" => "configuration", site::set_config;
    };
    ROWS
}
