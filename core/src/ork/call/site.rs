use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result, auth::Access::Read};

use super::{Call, OP, Reply};

pub(super) async fn echo(call: Call<'_>) -> Result<Reply> {
    Ok(Reply::of(call.params.value()))
}

pub(super) async fn instance(call: Call<'_>) -> Result<Reply> {
    Ok(Reply::of(call.ork.site()))
}

pub(super) async fn config(call: Call<'_>) -> Result<Reply> {
    let fields = call.params.fields()?;
    let missing = || {
        let e = Error::new(ErrorKind::NotFound, OP, "the site has no global configuration");
        e.code_as("ERR_GLOBAL_CONFIG_MISSING")
    };
    let config = call.ork.global_config()?.ok_or_else(missing)?;
    Ok(Reply::of(fields.apply(&config.into())))
}

pub(super) async fn set_config(call: Call<'_>) -> Result<Reply> {
    const MEMBER: &str = "isAutoSleepAllowed";
    let Some(allowed) = call.params.get(MEMBER)?.filter(|value| value.is_boolean()) else {
        return Err(Error::invalid(OP, MEMBER, "takes true or false").code_as("ERR_CONFIG_INVALID"));
    };
    let members: Map<String, Value> = [(MEMBER.to_owned(), allowed.clone())].into_iter().collect();
    let config = call.ork.set_global_config(members).await?;
    Ok(Reply::of(call.params.fields()?.apply(&config.into())))
}

pub(super) async fn history(call: Call<'_>) -> Result<Reply> {
    match call.params.text("logType", "ERR_LOG_TYPE_INVALID")? {
        "alerts" => Ok(Reply::of(Vec::<Value>::new())),
        "info" => {
            // MiningOS takes 0 for not given.
            let time = |member| Ok::<_, Error>(call.params.number_or_none(member)?.filter(|ms| *ms != 0));
            let start = time("start")?.max(time("startExcl")?.map(|ms| ms.saturating_add(1)));
            let ends = [time("end")?, time("endExcl")?.map(|ms| ms.saturating_sub(1))];
            let span = (start, ends.into_iter().flatten().min());
            let query = call.params.query()?;
            let targets = call.ork.allowed(call.who.permissions, Read)?;
            Ok(Reply::of(call.ork.history_of(&targets, span, &query).await?))
        }
        _ => {
            let e = Error::invalid(OP, "logType", "takes alerts or info");
            Err(e.code_as("ERR_LOG_TYPE_INVALID"))
        }
    }
}
