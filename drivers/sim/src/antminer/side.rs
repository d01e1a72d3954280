//! Port 6060: the warning code and the power of builds that tell them nowhere else.

use serde_json::json;

use super::{Antminer, SidePort, http::Reply, web::Answer};
use crate::device::DeviceCore;

/// What an old build answers to everything.
const OLD: &str = "error 6060 cmd";

pub(super) fn answer(device: &Antminer, core: &DeviceCore, path: &str) -> Answer {
    let known = matches!(path, "/warning" | "/miner_power");
    if !known {
        return Reply::status(404).into();
    }
    if device.options.side_port == SidePort::OldText {
        return Reply::text(OLD).into();
    }
    let truth = core.observe();
    if path == "/miner_power" {
        return Reply::text(format!("miner power:{:.0}", truth.power_w)).into();
    }
    let code = truth.errors.first().map_or("None", |error| error.code.as_str());
    Reply::json(json!({"error_message": code}).to_string().into_bytes()).into()
}
