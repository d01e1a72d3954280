//! Files of work orders.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    Error, ErrorKind, Result,
    auth::Access::{Read, Write},
    ork::{FileDraft, FileOwner, FileStore},
};

use super::{Call, OP, Reply, things::seen};

/// What files belong to.
const WORK_ORDER: &str = "work_order";
/// Largest file, bytes, as MiningOS's gateway has it.
const MOST_BYTES: usize = 10 << 20;
/// Longest name, bytes, as file systems have it.
const NAME_BYTES: usize = 255;
const MIME_CHARS: usize = 127;

pub(super) async fn store(call: Call<'_>) -> Result<Reply> {
    call.ork.files()?;
    let owner = owner(&call)?;
    let file = FileDraft::new(name(&call)?, mime(&call)?, content(&call)?);
    let by = call.caller();
    let work = |files: Arc<dyn FileStore>| async move { files.store(&owner, file, &by).await };
    let kept = call.ork.with_files(Write, work).await?;
    Ok(Reply::of(json!({
        "id": kept.id, "name": kept.name, "mime": kept.mime, "size": kept.size, "ts": kept.ts,
    })))
}

pub(super) async fn load(call: Call<'_>) -> Result<Reply> {
    call.ork.files()?;
    let (owner, id) = (owner(&call)?, id(&call)?);
    let work = |files: Arc<dyn FileStore>| async move { files.load(&owner, &id).await };
    let content = call.ork.with_files(Read, work).await?;
    if content.len() > MOST_BYTES {
        let e = Error::new(ErrorKind::BadReply, OP, "the store gave a file of more than 10 MiB");
        return Err(e.code_as("ERR_FILE_TOO_LARGE"));
    }
    Ok(Reply::of(json!({"contentBase64": STANDARD.encode(content)})))
}

pub(super) async fn remove(call: Call<'_>) -> Result<Reply> {
    call.ork.files()?;
    let (owner, id, by) = (owner(&call)?, id(&call)?, call.caller());
    let work = |files: Arc<dyn FileStore>| async move { files.remove(&owner, &id, &by).await };
    let cleared = call.ork.with_files(Write, work).await?;
    Ok(Reply::of(json!({"cleared": cleared})))
}

fn owner(call: &Call<'_>) -> Result<FileOwner> {
    if call.params.text("type", "ERR_TYPE_INVALID")? != WORK_ORDER {
        return Err(refused("type", "takes work_order", "ERR_TYPE_INVALID"));
    }
    let rack = call.params.rack()?;
    let work_order = call.params.thing("workOrderId", "ERR_WORK_ORDER_ID_INVALID")?;
    if !seen(call, &rack)? {
        let e = Error::new(ErrorKind::NotFound, OP, "there is no such rack");
        return Err(e.code_as("ERR_RACK_NOT_FOUND").with("rack", rack));
    }
    Ok(FileOwner::new(rack, work_order))
}

fn id(call: &Call<'_>) -> Result<String> {
    const CODE: &str = "ERR_FILE_ID_INVALID";
    let id = call.params.text("fileId", CODE)?;
    let fits = id.len() <= NAME_BYTES && !id.contains(char::is_control);
    if fits { Ok(id.to_owned()) } else { Err(refused("fileId", "is no id of a file", CODE)) }
}

fn name<'a>(call: &'a Call<'_>) -> Result<&'a str> {
    const CODE: &str = "ERR_FILE_NAME_INVALID";
    let name = call.params.text("name", CODE)?;
    let path = |c: char| c.is_control() || matches!(c, '/' | '\\');
    let fits = name.len() <= NAME_BYTES && !name.contains(path) && !matches!(name, "." | "..");
    if fits {
        Ok(name)
    } else {
        Err(refused("name", "takes a name of at most 255 bytes, without folders", CODE))
    }
}

fn mime<'a>(call: &'a Call<'_>) -> Result<&'a str> {
    const CODE: &str = "ERR_FILE_MIME_INVALID";
    let mime = call.params.text("mime", CODE)?;
    let fits = mime.len() <= MIME_CHARS
        && mime.bytes().all(|b| b.is_ascii_graphic())
        && mime.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
    if fits { Ok(mime) } else { Err(refused("mime", "takes a type as in image/png", CODE)) }
}

fn content(call: &Call<'_>) -> Result<Vec<u8>> {
    const CODE: &str = "ERR_FILE_CONTENT_INVALID";
    // A file may be empty.
    let text = call.params.text_or_none("contentBase64")?;
    let text = text.ok_or_else(|| refused("contentBase64", "is needed", CODE))?;
    // Its error quotes what was sent.
    let bytes = STANDARD.decode(text).map_err(|_| refused("contentBase64", "is not base64", CODE))?;
    if bytes.len() > MOST_BYTES {
        return Err(refused("contentBase64", "is a file of more than 10 MiB", "ERR_FILE_TOO_LARGE"));
    }
    Ok(bytes)
}

fn refused(field: &str, why: &str, code: &'static str) -> Error {
    Error::invalid(OP, field, why).code_as(code)
}
