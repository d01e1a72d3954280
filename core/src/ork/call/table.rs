use crate::auth::{
    Access::{Read, Write},
    Area,
    Scope::{Any, Area as Of, Family},
};

use super::{Method, actions, audit, ext, files, lists, map, racks, range_aggr, site, stops, tail, things};

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
        "getHistoricalLogs" Read Family, "{logType: alerts or info, start?, end?, startExcl?, endExcl?, query?, fields?, sort?, offset?, limit?}" => "[{ts, id, rack, what, by, changes, thing}], newest first; alerts: []", site::history;

        "tailLog" Read Family, "{type, key: stat-1m, -5m, -15m, -30m, -3h, -1D, stat-rtd, thing-5m, stat-startup, stat-shares-1m or stat-shares-30m, tag, start?, end?, limit?, offset?, fields?, aggrFields?, aggrTimes?: [{start, end}], groupRange?: 1H, 1D, 1W or 1M, shouldCalculateAvg?, partial?}" => "[{ts, …, aggrTsRange, aggrCount, aggrIntervals}], oldest first; {items, failed} with partial", tail::tail;
        "tailLogMulti" Read Family, "{keys: [{type, key, tag, …}], …}: what is beside keys holds for all of them" => "[[row]], in the order of keys", tail::multi;

        "tailLogCustomRangeAggr" Read Family, "{keys: [{type, startDate, endDate, timezoneOffset?: ms, fields?, shouldReturnDailyData?, shouldReturnMonthlyData?}]}" => "[{type, data, error}], in the order of keys; data is one object, [{ts, val}] by day or [{year, month, val}] by month", range_aggr::all;

        "getWrkExtData" Read Family, "{type, query?: {key?, start?, end?, pool?, fields?, …}, start?, end?, fields?}" => "[row], by type and key", ext::get;
        "setWrkExtData" Write Family, "{type, key, value}" => "what the source answers, else 1", ext::set;

        "mergeThings" Write Family, "{keep, drop}" => "1", map::merge;
        "splitThing" Write Family, "{id}" => "1", map::split;

        "getThingMap" Read Of(Area::Racks), "{}" => "{thingMap, revision}", map::get;
        "setThingMap" Write Of(Area::Racks), "{thingMap: {rack: addresses}, ifRevision?}" => "{revision}", map::set;
        "getMisplacedThings" Read Family, "{}" => "[{id, from, to}]", map::misplaced;
        "reassignThings" Write Of(Area::Racks), "{moves: [{id, from, to}]} or {all: true}" => "[{id, from, to, moved, error?}]", map::reassign;

        "getGlobalConfig" Read Any, "{fields?}" => "configuration", site::config;
        "setGlobalConfig" Write Of(Area::Features), "{isAutoSleepAllowed}" => "configuration", site::set_config;

        "getConfigs" Read Of(Area::PoolConfig), "{type: pool, query?, fields?}" => "[{id, rackId, type, poolUrls: [{url, workerName}]}]; another type: []", lists::configs;
        "listFirmwares" Read Of(Area::Miner), "{}" => "[{id, name, file}]; id is the image's SHA-256", lists::firmwares;
        "storeFile" Write Of(Area::WorkOrder), "{type: work_order, rackId, workOrderId, name, mime, contentBase64}" => "{id, name, mime, size, ts}", files::store;
        "loadFile" Read Of(Area::WorkOrder), "{type: work_order, rackId, workOrderId, fileId}" => "{contentBase64}", files::load;
        "removeFile" Write Of(Area::WorkOrder), "{type: work_order, rackId, workOrderId, fileId}" => "{cleared}", files::remove;

        "pushAction" Write Of(Area::Actions), "{query, action, params, rackType?, batchActionUID?, clientKey?, why?}" => "{id, data, errors}, or {id: null, errors}", actions::push;
        "pushActionsBatch" Write Of(Area::Actions), "{batchActionsPayload: [{query, action, params, rackType?, clientKey?, why?}], batchActionUID?, suffix?, allOrNothing?}" => "[{id, data, errors}], in the order of the payload", actions::push_batch;
        "voteAction" Write Of(Area::Actions), "{id, approve, digest?, clientKey?, why?}" => "1", actions::vote;
        "withdrawVote" Write Of(Area::Actions), "{id}" => "1", actions::withdraw;
        "cancelActionsBatch" Write Of(Area::Actions), "{ids}" => "[{id, success, error?}]", actions::cancel;
        "getAction" Read Any, "{id, type: voting, ready, executing or done}" => "action", actions::get;
        "getActionsBatch" Read Any, "{ids}" => "[{type, action}], unknown ids left out", actions::get_batch;
        "queryActions" Read Any, "{queries: [{type, filter?: {gt, gte, lt, lte}, opts?: {limit, reverse}, query?, fields?}], suffix?, groupBatch?}" => "{type: [action]}", actions::query;
        "pauseAction" Write Of(Area::Actions), "{id, why?}" => "1", actions::pause;
        "resumeAction" Write Of(Area::Actions), "{id}" => "1", actions::resume;
        "stopAction" Write Of(Area::Actions), "{id, why?}" => "1", actions::stop;
        "settleCall" Write Of(Area::Actions), "{id, rackId, thingId, settled: ok, failed or unknown, why?}" => "1", actions::settle;

        "haltSite" Write Of(Area::Actions), "{why?}" => "1", stops::halt;
        "stopScope" Write Of(Area::Actions), "{scope: {kind: halt, freeze, person or rack, of?}, why?}" => "1", stops::stop;
        "liftStop" Write Of(Area::Actions), "{scope, why?}" => "{lifted}", stops::lift;
        "getStops" Read Any, "{}" => "[{scope, by, why?, since, lifts?}]", stops::list;
        "shedLoad" Write Of(Area::Miner), "{query, why, kwPerS?}" => "{id, data, errors}, or {id: null, errors}", stops::shed;

        "verifyAudit" Read Of(Area::Actions), "{key?, checkpoints?}" => "{verified, size, root, witnessed}, or {verified: false, entry, why}", audit::verify;
        "exportAudit" Read Of(Area::Actions), "{from?, limit?}" => "{lines, next?}", audit::export;
    };
    ROWS
}
