//! What the machine is and how it is set: values that change rarely.

use std::sync::Arc;

use headframe_core::model::{MinerConfig, MinerInfo, MissingReason, NetworkConfig, PoolConfig, Text};

use super::{
    judge,
    legacy::Identity,
    models::{self, Layout, Model},
    wire::{Blink, MinerConf, MinerType, NetworkInfo, Pool, Read, SystemInfo},
};

/// The rarely read values, each with why it is absent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slow<'a> {
    pub kind: Read<&'a MinerType>,
    pub system: Read<&'a SystemInfo>,
    pub network: Read<&'a NetworkInfo>,
    pub conf: Read<&'a MinerConf>,
    pub blink: Read<&'a Blink>,
    /// What port 4028 said.
    pub rpc: Option<&'a Identity>,
}

/// Paths of absent members and the reasons.
pub(super) type Gaps = Vec<(&'static str, MissingReason)>;

/// What a machine is; made again only when a value behind it was read again.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub info: Arc<MinerInfo>,
    pub network: Arc<NetworkConfig>,
    pub model: Option<&'static Model>,
    pub layout: Layout,
    pub gaps: Gaps,
    /// A MAC address that is none, as the machine wrote it.
    pub raw_mac: Option<Text>,
}

fn text(value: Option<&Text>) -> Read<Text> {
    match value.map(|v| v.trim()) {
        None => Err(MissingReason::NotReported),
        Some("") => Err(MissingReason::Sentinel),
        Some(text) => Ok(text.into()),
    }
}

/// The first that is there, else the reason of the first.
fn either<T>(first: Read<T>, second: impl FnOnce() -> Read<T>) -> Read<T> {
    first.or_else(|reason| second().map_err(|_| reason))
}

fn keep<T>(gaps: &mut Gaps, path: &'static str, read: Read<T>) -> Option<T> {
    read.map_err(|reason| gaps.push((path, reason))).ok()
}

impl Slow<'_> {
    fn rpc_text(&self, of: impl Fn(&Identity) -> Option<&Text>) -> Read<Text> {
        text(self.rpc.and_then(of))
    }

    /// What the machine is, over `registered`, the layout that its thing type tells.
    pub fn known(&self, registered: Option<Layout>) -> Known {
        let mut gaps = Gaps::new();
        let vendor = either(self.kind.and_then(|k| text(k.miner_type.as_ref())), || {
            either(self.system.and_then(|s| text(s.minertype.as_ref())), || {
                self.rpc_text(|r| r.kind.as_ref())
            })
        });
        let vendor = keep(&mut gaps, "info.model", vendor);
        let (model, known) = vendor.as_deref().and_then(models::identify).unzip();
        let known = known.flatten();
        let layout = registered.or_else(|| model.as_deref().map(Layout::of_model)).unwrap_or(Layout::Crossed);
        let mut info = MinerInfo::default();
        info.make = "Antminer".into();
        info.model = model;
        info.vendor_model = vendor;
        info.model_known = known.is_some();
        info.boards_expected = known.map(|m| m.boards);
        info.fans_expected = known.map(|m| m.fans);
        self.boards_of(&mut info, &mut gaps);
        let version =
            either(self.system.and_then(|s| text(s.system_filesystem_version.as_ref())), || self.firmware());
        info.firmware = keep(&mut gaps, "info.firmware", version);
        info.api = keep(&mut gaps, "info.api", self.rpc_text(|r| r.api.as_ref()));
        info.serial = keep(
            &mut gaps,
            "info.serial",
            either(self.system.and_then(|s| text(s.serinum.as_ref())), || {
                self.rpc_text(|r| r.serial.as_ref())
            }),
        );
        let hostname = either(self.system.and_then(|s| text(s.hostname.as_ref())), || {
            self.network.and_then(|n| text(n.conf_hostname.as_ref()))
        });
        info.hostname = keep(&mut gaps, "info.hostname", hostname);
        let written = either(self.system.and_then(|s| text(s.macaddr.as_ref())), || {
            self.network.and_then(|n| text(n.macaddr.as_ref()))
        });
        let mac = written.clone().and_then(|m| mac(&m).ok_or(MissingReason::BadReply));
        info.mac = keep(&mut gaps, "info.mac", mac);
        let raw_mac = written.ok().filter(|_| info.mac.is_none());
        let network = Arc::new(self.network_config(&mut gaps));
        Known { info: Arc::new(info), network, model: known, layout, gaps, raw_mac }
    }

    /// `subtype` is control board, `_`, hash board.
    fn boards_of(&self, info: &mut MinerInfo, gaps: &mut Gaps) {
        let subtype = keep(gaps, "info.control_board", self.kind.and_then(|k| text(k.subtype.as_ref())));
        let (control, hash) = match subtype.as_deref().map(|s| s.split_once('_').unwrap_or((s, ""))) {
            Some((control, hash)) => (Some(control.into()), Some(hash).filter(|h| !h.is_empty())),
            None => (None, None),
        };
        info.control_board = control;
        info.variant = hash.map(Text::from);
        if info.variant.is_none() {
            gaps.push(("info.variant", self.kind.err().unwrap_or(MissingReason::NotReported)));
        }
    }

    /// The build date that MiningOS calls the firmware's version.
    fn firmware(&self) -> Read<Text> {
        either(self.kind.and_then(|k| text(k.fw_version.as_ref())), || self.rpc_text(|r| r.built.as_ref()))
    }

    /// The settings. `mode` is the work mode; `pools` are used where the configuration cannot be read.
    pub fn config(
        &self,
        known: &Known,
        mode: Read<i64>,
        pools: Read<&[Pool]>,
        gaps: &mut Gaps,
    ) -> MinerConfig {
        let mut config = MinerConfig::default();
        config.network_config = known.network.clone();
        config.pool_config = keep(gaps, "config.pool_config", self.pool_config(pools));
        let power_mode = mode.and_then(|m| judge::power_mode(m).ok_or(MissingReason::BadReply));
        config.suspended = keep(gaps, "config.suspended", mode.map(|m| matches!(m, 1 | 5)));
        config.power_mode = keep(gaps, "config.power_mode", power_mode);
        let blink = self.blink.and_then(|b| b.blink.ok_or(MissingReason::BadReply));
        config.led_status = keep(gaps, "config.led_status", blink);
        let firmware =
            either(self.firmware(), || self.system.and_then(|s| text(s.system_filesystem_version.as_ref())));
        config.firmware_ver = keep(gaps, "config.firmware_ver", firmware);
        config
    }

    fn pool_config(&self, pools: Read<&[Pool]>) -> Read<Vec<PoolConfig>> {
        let one = |url: &Option<Text>, user: &Option<Text>| PoolConfig {
            url: url.clone().unwrap_or_default(),
            username: user.clone().unwrap_or_default(),
        };
        let configured = self.conf.and_then(|c| {
            let pools = c.pools.as_ref().ok_or(MissingReason::NotReported)?;
            Ok(pools.iter().map(|p| one(&p.url, &p.user)).collect())
        });
        // A list that is empty because the mining software starts is no configuration.
        either(configured, || match pools {
            Ok([]) => Err(MissingReason::Sentinel),
            Ok(pools) => Ok(pools.iter().map(|p| one(&p.url, &p.user)).collect()),
            Err(reason) => Err(reason),
        })
    }

    fn network_config(&self, gaps: &mut Gaps) -> NetworkConfig {
        let mut out = NetworkConfig::default();
        let of = |get: fn(&NetworkInfo) -> Option<&Text>| self.network.and_then(|n| text(get(n)));
        let kind = of(|n| n.nettype.as_ref());
        let dhcp = kind.as_deref().map(|k| k == "DHCP");
        out.mode = keep(
            gaps,
            "config.network_config.mode",
            kind.as_ref().map(|k| if k == "DHCP" { "dhcp" } else { "static" }.into()).map_err(|r| *r),
        );
        out.ip_address = keep(gaps, "config.network_config.ip_address", of(|n| n.ipaddress.as_ref()));
        out.ip_netmask = keep(gaps, "config.network_config.ip_netmask", of(|n| n.netmask.as_ref()));
        // The configured values count with a static address only; a lease's, the system may tell.
        let (gateway, servers) = match dhcp {
            Ok(false) => (of(|n| n.conf_gateway.as_ref()), of(|n| n.conf_dnsservers.as_ref())),
            _ => (
                self.system.and_then(|s| text(s.gateway.as_ref())),
                self.system.and_then(|s| text(s.dnsservers.as_ref())),
            ),
        };
        out.ip_gw = keep(gaps, "config.network_config.ip_gw", gateway);
        let servers = servers.map(|s| s.split(',').map(|one| one.trim().into()).collect());
        out.dns = keep(gaps, "config.network_config.dns", servers);
        out
    }
}

/// A MAC address in upper case with colons; `None` for a text that is none.
pub(super) fn mac(written: &str) -> Option<Text> {
    let digits: String = written.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = String::with_capacity(17);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && i % 2 == 0 {
            out.push(':');
        }
        out.push(digit.to_ascii_uppercase());
    }
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: MissingReason = MissingReason::NoReply;
    const NOTHING: Slow<'_> =
        Slow { kind: Err(NO), system: Err(NO), network: Err(NO), conf: Err(NO), blink: Err(NO), rpc: None };

    #[test]
    fn a_mac_address_is_valid_or_absent() {
        assert_eq!(mac("02:11-22334455").as_deref(), Some("02:11:22:33:44:55"));
        assert_eq!(mac("02:aa:22:33:44:5f").as_deref(), Some("02:AA:22:33:44:5F"));
        assert_eq!(mac("02:55:97:22:3M:72"), None);
        assert_eq!(mac("02:11:22:33:44"), None);
        assert_eq!(mac("äääääa"), None);
        let system = SystemInfo { macaddr: Some("02:55:97:22:3M:72".into()), ..SystemInfo::default() };
        let known = Slow { system: Ok(&system), ..NOTHING }.known(None);
        assert_eq!((known.info.mac.as_deref(), known.raw_mac.as_deref()), (None, Some("02:55:97:22:3M:72")));
        assert!(known.gaps.contains(&("info.mac", MissingReason::BadReply)));
    }

    #[test]
    fn the_type_is_found_wherever_it_stands() {
        let system = SystemInfo { minertype: Some("Antminer S21+ Hyd.".into()), ..SystemInfo::default() };
        let known =
            Slow { kind: Err(MissingReason::NotReported), system: Ok(&system), ..NOTHING }.known(None);
        assert_eq!((known.info.model.as_deref(), known.layout), (Some("S21+ Hydro"), Layout::Water));
        let rpc = Identity { kind: Some("Antminer S99".into()), ..Identity::default() };
        let known = Slow { rpc: Some(&rpc), ..NOTHING }.known(Some(Layout::Pairs));
        assert_eq!((known.info.model.as_deref(), known.info.model_known), (Some("S99"), false));
        assert_eq!(known.layout, Layout::Pairs);
        let known = NOTHING.known(None);
        assert_eq!((known.info.model.as_deref(), known.info.make.as_str()), (None, "Antminer"));
        assert!(known.gaps.contains(&("info.model", NO)));
    }

    #[test]
    fn a_lease_has_the_systems_gateway_and_a_static_address_its_own() {
        let system = SystemInfo { gateway: Some("10.0.0.1".into()), ..SystemInfo::default() };
        let mut network = NetworkInfo {
            nettype: Some("DHCP".into()),
            conf_gateway: Some("10.9.9.9".into()),
            conf_dnsservers: Some("10.0.0.2, 1.1.1.1".into()),
            ..NetworkInfo::default()
        };
        let read = |network: &NetworkInfo| {
            let slow = Slow { system: Ok(&system), network: Ok(network), ..NOTHING };
            slow.known(None).network
        };
        let leased = read(&network);
        assert_eq!((leased.ip_gw.as_deref(), leased.dns.as_ref()), (Some("10.0.0.1"), None));
        network.nettype = Some("Static".into());
        let fixed = read(&network);
        assert_eq!(fixed.ip_gw.as_deref(), Some("10.9.9.9"));
        assert_eq!(fixed.dns, Some(vec!["10.0.0.2".into(), "1.1.1.1".into()]));
    }

    #[test]
    fn an_unknown_work_mode_is_no_mode() {
        let mut gaps = Gaps::new();
        let config = NOTHING.config(&NOTHING.known(None), Ok(9), Err(NO), &mut gaps);
        assert_eq!((config.power_mode, config.suspended), (None, Some(false)));
        assert!(gaps.contains(&("config.power_mode", MissingReason::BadReply)));
    }
}
