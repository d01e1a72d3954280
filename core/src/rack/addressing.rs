//! Addresses that a rack gives to miners which come without one.

use std::{collections::BTreeMap, fmt, net::Ipv4Addr, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{
    api::ThingChange,
    changes::Rules,
    checks::{MAINTENANCE, normal_mac, text},
    record::ThingRecord,
    things::Things,
};
use crate::{Error, ErrorKind, Result, Sent, io::Ctx, model::Members};

const OP: &str = "rack.address";
/// How long the server of addresses may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives addresses to devices, as a DHCP server does.
#[async_trait]
pub trait AddressServer: fmt::Debug + Send + Sync + 'static {
    /// Reserves an address of `subnet` for `mac`, capitals and colons, and gives it. One that the device has there already stays, unless
    /// `force` asks for a new one.
    ///
    /// # Errors
    /// MiningOS's codes: `ERR_SUBNET_NOT_FOUND`, `ERR_IN_ANOTHER_SUBNET`, `ERR_NO_AVAILABLE_IP`.
    async fn set_ip(&self, mac: &str, subnet: &str, force: bool) -> Result<Ipv4Addr>;

    /// Ends the reservation of `ip`; one that is not reserved is no error.
    async fn release_ip(&self, ip: Ipv4Addr) -> Result<()>;
}

/// Where the addresses of a rack's miners come from.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Addressing {
    /// From whoever registers them.
    #[default]
    Given,
    /// From their place: `10.<last part of the container>.<pos part 1>.<pos parts 2 and 3>`, so that the miner at
    /// `4_2_7` in `imm-3` is 10.3.4.27. The option `forceSetIp` leaves one out.
    Static,
    /// From a server that is asked with the MAC address and `info.subnet`.
    Server(Arc<dyn AddressServer>),
}

/// What a change does to an address.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The new address, or none any more.
    pub address: Option<Option<Ipv4Addr>>,
    /// Reserved for the change: given back when that fails.
    pub lease: Option<Ipv4Addr>,
    /// Given back when the change is durable.
    pub release: Option<Ipv4Addr>,
}

/// Puts a miner's subnet beside its container.
pub(super) fn subnet(subnets: &BTreeMap<String, String>, family: &str, info: &mut Map<String, Value>) {
    let subnet = text(info, "container").and_then(|container| subnets.get(container));
    if let Some(subnet) = subnet.filter(|_| family == "miner" && !is_outside(info)) {
        let subnet = Value::from(subnet.as_str());
        info.insert("subnet".into(), subnet);
    }
}

/// Whether a miner is neither in a container nor in the miners' room.
fn is_outside(info: &Map<String, Value>) -> bool {
    text(info, "location")
        .is_some_and(|place| place != "miner.room" && place.split('.').nth(1) != Some("container"))
}

fn is_addressed(info: &Map<String, Value>) -> bool {
    !is_outside(info) && text(info, "container") != Some(MAINTENANCE)
}

fn is_forced(opts: &Members<Value>) -> bool {
    !matches!(opts.get("forceSetIp"), None | Some(Value::Null | Value::Bool(false)))
}

fn address_in(opts: &Members<Value>) -> Option<&str> {
    opts.get("address")?.as_str().filter(|text| !text.is_empty())
}

/// The address that belongs to a place.
fn static_address(info: &Map<String, Value>) -> Result<Ipv4Addr> {
    let (Some(container), Some(pos)) = (text(info, "container"), text(info, "pos")) else {
        let field = if text(info, "pos").is_none() { "info.pos" } else { "info.container" };
        let why = "a static address needs info.container and info.pos";
        return Err(Error::invalid(OP, field, why).code_as("ERR_THG_INFO_INVALID"));
    };
    let parts: Vec<&str> = pos.split('_').collect();
    let octets = match parts.as_slice() {
        [one, two, three] => {
            Some((container.rsplit('-').next().unwrap_or_default(), *one, format!("{two}{three}")))
        }
        _ => None,
    };
    let octet =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u8>().ok()).flatten();
    octets.and_then(|(a, b, c)| Some(Ipv4Addr::new(10, octet(a)?, octet(b)?, octet(&c)?))).ok_or_else(|| {
        let why =
            "no static address follows from this place: it is <container>-<n> and <a>_<b>_<c> in numbers";
        Error::invalid(OP, "info.pos", why).code_as("ERR_THG_DEFAULT_STATIC_IP_INVALID")
    })
}

impl Addressing {
    /// The address for a miner that comes without one, and whether a server reserved it for this.
    pub(super) async fn first(
        &self,
        cx: &Ctx,
        family: &str,
        info: &Map<String, Value>,
        opts: &Members<Value>,
    ) -> Result<Plan> {
        if family != "miner" || !is_addressed(info) || address_in(opts).is_some() {
            return Ok(Plan::default());
        }
        self.assign(cx, info, opts, false).await
    }

    async fn assign(
        &self,
        cx: &Ctx,
        info: &Map<String, Value>,
        opts: &Members<Value>,
        force: bool,
    ) -> Result<Plan> {
        match self {
            Self::Given => Ok(Plan::default()),
            Self::Static if is_forced(opts) => Ok(Plan::default()),
            Self::Static => Ok(Plan { address: Some(Some(static_address(info)?)), ..Plan::default() }),
            Self::Server(server) => {
                let (Some(mac), Some(subnet)) = (text(info, "macAddress"), text(info, "subnet")) else {
                    let field =
                        if text(info, "subnet").is_none() { "info.subnet" } else { "info.macAddress" };
                    let why = "an address is given to a MAC address in a subnet: both are needed";
                    return Err(Error::invalid(OP, field, why).code_as("ERR_THG_INFO_MAC_SUBNET_INVALID"));
                };
                let mac = normal_mac(mac);
                let ip = cx.deadline_in(PATIENCE).within(OP, server.set_ip(&mac, subnet, force)).await?;
                Ok(Plan { address: Some(Some(ip)), lease: Some(ip), release: None })
            }
        }
    }

    /// What a change of `old` to a thing with the facts `info` does to its address.
    pub(super) async fn next(
        &self,
        cx: &Ctx,
        old: &ThingRecord,
        info: &Map<String, Value>,
        change: &ThingChange,
    ) -> Result<Plan> {
        let given = change.opts.as_ref();
        if matches!(self, Self::Given) || given.is_some_and(|opts| opts.get("address").is_some()) {
            return Ok(Plan::default());
        }
        let replaced = change.force_overwrite && given.is_some();
        let has = old.address().filter(|_| !replaced);
        let before = old.ipv4();
        let had = old.info.map();
        let differs = |name: &str| had.get(name) != info.get(name);
        let moved = differs("container") || differs("subnet");
        if !is_addressed(info) {
            let leaves = has.is_some() && (moved || is_addressed(&had));
            let address = leaves.then_some(None);
            return Ok(Plan { address, lease: None, release: before.filter(|_| leaves) });
        }
        let placed = matches!(self, Self::Static) && differs("pos");
        if has.is_some() && !moved && !placed {
            return Ok(Plan::default());
        }
        let old_opts: Members<Value> = old.opts.all().map().into_iter().collect();
        let opts = given.filter(|_| replaced).unwrap_or(&old_opts);
        let mut plan = self.assign(cx, info, given.filter(|g| is_forced(g)).unwrap_or(opts), moved).await?;
        plan.release = before.filter(|ip| plan.address.is_some_and(|new| new != Some(*ip)));
        if plan.lease == before {
            plan.lease = None;
        }
        Ok(plan)
    }

    /// Gives an address back to its server, unless a thing has it: a server gives one address to one MAC address, also
    /// when a second thing with that is refused. What fails is only logged: nobody waits for it.
    pub(super) async fn release(&self, cx: &Ctx, things: &Things, ip: Option<Ipv4Addr>) {
        let (Self::Server(server), Some(ip)) = (self, ip) else { return };
        if things.has_address(ip).await.unwrap_or(true) {
            return;
        }
        if let Err(error) = cx.deadline_in(PATIENCE).within(OP, server.release_ip(ip)).await {
            tracing::warn!(%ip, %error, "an address could not be given back");
        }
    }

    /// Ends a plan: of a change that was made the old address goes back, of one that was not the new one.
    pub(super) async fn settle<T>(&self, cx: &Ctx, things: &Things, plan: &Plan, outcome: &Result<T>) {
        match outcome {
            Ok(_) => self.release(cx, things, plan.release).await,
            Err(e) if e.sent() == Sent::No => self.release(cx, things, plan.lease).await,
            // The change may be durable, and its address in use.
            Err(_) => {}
        }
    }
}

/// The facts of `old` after `change`, as far as addresses go.
pub(super) fn facts_after(rules: &Rules, old: &ThingRecord, change: &ThingChange) -> Map<String, Value> {
    let mut info = match &change.info {
        Some(given) if change.force_overwrite => given.clone(),
        Some(given) => {
            let mut info = old.info.map();
            info.extend(given.clone());
            info
        }
        None => old.info.map(),
    };
    subnet(&rules.container_subnets, old.family(), &mut info);
    info
}

/// Whether an update was overtaken by another one.
pub(super) fn is_overtaken(e: &Error) -> bool {
    e.kind() == ErrorKind::Conflict && e.fact("revision").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_has_one_address() {
        let at = |container: &str, pos: &str| {
            let info = json!({"container": container, "pos": pos});
            static_address(info.as_object().unwrap()).map(|ip| ip.to_string()).map_err(|e| e.code())
        };
        assert_eq!(at("imm-3", "4_2_7"), Ok("10.3.4.27".into()));
        assert_eq!(at("hall-b-12", "01_0_7"), Ok("10.12.1.7".into()), "zeros in front pass");
        let invalid = Err("ERR_THG_DEFAULT_STATIC_IP_INVALID");
        for (container, pos) in [
            ("imm", "4_2_7"),
            ("imm-300", "4_2_7"),
            ("imm-3", "4_2"),
            ("imm-3", "4_26_7"),
            ("imm-3", "4_+2_7"),
        ] {
            assert_eq!(at(container, pos), invalid, "{container} {pos}");
        }
        assert_eq!(at("", "4_2_7"), Err("ERR_THG_INFO_INVALID"));
    }

    #[test]
    fn only_miners_in_their_places_are_addressed() {
        let place = |info: Value| is_addressed(info.as_object().unwrap());
        for inside in [json!({}), json!({"location": "miner.room"}), json!({"location": "site.container"})] {
            assert!(place(inside.clone()), "{inside}");
        }
        for outside in [
            json!({"location": "vendor"}),
            json!({"location": "site.lab"}),
            json!({"container": "maintenance"}),
        ] {
            assert!(!place(outside.clone()), "{outside}");
        }
    }
}
