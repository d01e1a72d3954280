use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use headframe_core::{Error, Result, io::Ctx};
use tokio::task::JoinSet;

use crate::{
    Device, Role,
    device::{DeviceCore, Identity},
    physics::{Model, Pace, Physics, Pool, mix},
    serve::{self, Firmware},
};

/// Ports that devices listen on. They differ from the real ones so that an ordinary user may bind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ports {
    /// The cgminer-style TCP API, 4028 on real devices.
    pub rpc: u16,
    /// Whatsminer's API v3, 4433 on real devices.
    pub rpc_v3: u16,
    /// The web interface, 80 on real devices.
    pub web: u16,
    /// Antminer's side port, 6060 on real devices.
    pub side: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { rpc: 14_028, rpc_v3: 14_433, web: 14_080, side: 16_060 }
    }
}

impl Ports {
    /// The port for `role`.
    pub const fn of(&self, role: Role) -> u16 {
        match role {
            Role::Rpc => self.rpc,
            Role::RpcV3 => self.rpc_v3,
            Role::Web => self.web,
            Role::Side => self.side,
        }
    }
}

/// One device that a family wants in the fleet.
#[derive(Debug)]
pub(crate) struct Plan {
    pub model: &'static Model,
    /// First three bytes of the MAC address.
    pub oui: [u8; 3],
    pub serial_prefix: &'static str,
    pub hostname: &'static str,
    pub firmware: Box<dyn Firmware>,
}

/// Describes a [`Fleet`]. Devices get their addresses in the order in which they are added.
#[derive(Debug)]
pub struct FleetBuilder {
    base: Ipv4Addr,
    by_port: Option<u16>,
    ports: Ports,
    seed: u64,
    cold: bool,
    pace: Pace,
    pools: Vec<Pool>,
    plans: Vec<Plan>,
}

impl Default for FleetBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl FleetBuilder {
    /// No devices, seed 0, addresses from 127.20.0.1.
    pub fn new() -> Self {
        Self {
            base: Ipv4Addr::new(127, 20, 0, 1),
            by_port: None,
            ports: Ports::default(),
            seed: 0,
            cold: false,
            pace: Pace { boot_s: 60.0, ramp_s: 300.0 },
            pools: (1..=3).map(|n| Pool::new(format!("stratum+tcp://pool{n}.example:3333"), "")).collect(),
            plans: Vec::new(),
        }
    }

    /// Everything random follows from this.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The first address; the next devices follow it. Addresses ending in .0 and .255 are left out.
    #[must_use]
    pub fn base(mut self, base: Ipv4Addr) -> Self {
        self.base = base;
        self
    }

    /// Puts all devices on the base address, on consecutive ports from `first`, role by role. For systems that have
    /// only one loopback address.
    #[must_use]
    pub fn by_port(mut self, first: u16) -> Self {
        self.by_port = Some(first);
        self
    }

    /// The ports of each device.
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Lets all devices boot at the start, instead of having run for hours or days.
    #[must_use]
    pub fn cold(mut self) -> Self {
        self.cold = true;
        self
    }

    /// How long a reboot keeps a device unreachable (default 60 s) and how long it takes from the start of mining to
    /// the full rate (default 300 s).
    #[must_use]
    pub fn pace(mut self, boot: Duration, ramp: Duration) -> Self {
        self.pace = Pace { boot_s: boot.as_secs_f64(), ramp_s: ramp.as_secs_f64() };
        self
    }

    /// The pools of each device. A worker name left empty becomes `site1.w<index>`.
    #[must_use]
    pub fn pools(mut self, pools: Vec<Pool>) -> Self {
        self.pools = pools;
        self
    }

    pub(crate) fn push(mut self, plan: Plan) -> Self {
        self.plans.push(plan);
        self
    }

    /// Opens every port and serves it until the fleet is dropped.
    ///
    /// # Errors
    /// When the address range or the port range is too small, or a port cannot be opened.
    pub async fn start(self, cx: &Ctx) -> Result<Fleet> {
        let mut fleet = Fleet { devices: Vec::with_capacity(self.plans.len()), tasks: JoinSet::new() };
        let mut place = Place { ip: self.base, port: self.by_port, ports: self.ports, used: false };
        for (index, plan) in self.plans.into_iter().enumerate() {
            let (ip, ports) = place.next(plan.firmware.roles())?;
            let seed = mix(self.seed, index as u64);
            let number = (mix(self.seed, u64::MAX) as u32).wrapping_add(index as u32);
            let [_, a, b, c] = number.to_be_bytes();
            let [x, y, z] = plan.oui;
            let identity = Identity {
                index,
                seed,
                mac: format!("{x:02X}:{y:02X}:{z:02X}:{a:02X}:{b:02X}:{c:02X}"),
                serial: format!("{}{:06}{:06}", plan.serial_prefix, seed % 1_000_000, index),
                model: plan.model,
                ports: ports.clone(),
            };
            let now = cx.clock.mono().since_origin().as_secs_f64();
            let mut pools = self.pools.clone();
            for pool in pools.iter_mut().filter(|p| p.user.is_empty() && !p.url.is_empty()) {
                pool.user = format!("site1.w{index:06}");
            }
            let mut physics = Physics::new(plan.model, seed, self.pace, pools, now, self.cold);
            physics.hostname = plan.hostname.to_owned();
            let core = DeviceCore::new(identity, ip, cx.clock.clone(), physics, plan.firmware);
            fleet.serve(cx, Arc::new(core), ip, ports).await?;
        }
        Ok(fleet)
    }
}

/// Simulated devices that are being served. Dropping it closes them all.
#[derive(Debug)]
pub struct Fleet {
    devices: Vec<Device>,
    tasks: JoinSet<()>,
}

impl Fleet {
    /// All devices in the order in which they were added.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The device at this address.
    pub fn device_at(&self, at: SocketAddr) -> Option<&Device> {
        self.devices
            .iter()
            .find(|d| d.0.identity().ports.iter().any(|(role, _)| d.address(*role) == Some(at)))
    }

    /// Closes all ports and waits until that is done.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    async fn serve(
        &mut self,
        cx: &Ctx,
        core: Arc<DeviceCore>,
        ip: IpAddr,
        ports: Vec<(Role, u16)>,
    ) -> Result<()> {
        for (role, port) in ports {
            let listener = match core.firmware().listens(&core, role) {
                true => Some(cx.net.listen(SocketAddr::new(ip, port)).await?),
                false => None,
            };
            self.tasks.spawn(serve::listen(core.clone(), cx.clone(), role, port, listener));
        }
        self.devices.push(Device(core));
        Ok(())
    }
}

/// Where the next device goes.
struct Place {
    ip: Ipv4Addr,
    port: Option<u16>,
    ports: Ports,
    used: bool,
}

impl Place {
    fn next(&mut self, roles: &[Role]) -> Result<(IpAddr, Vec<(Role, u16)>)> {
        let full = |field: &str, what: &str| Error::invalid("sim.start", field, format!("no {what} is left"));
        if let Some(port) = &mut self.port {
            let mut ports = Vec::with_capacity(roles.len());
            for role in roles {
                ports.push((*role, *port));
                *port = port.checked_add(1).ok_or_else(|| full("by_port", "port"))?;
            }
            return Ok((self.ip.into(), ports));
        }
        let mut ip = u32::from(self.ip);
        if self.used {
            ip = ip.checked_add(1).ok_or_else(|| full("base", "address"))?;
        }
        while matches!(ip & 0xff, 0 | 0xff) {
            ip = ip.checked_add(1).ok_or_else(|| full("base", "address"))?;
        }
        (self.ip, self.used) = (ip.into(), true);
        Ok((self.ip.into(), roles.iter().map(|role| (*role, self.ports.of(*role))).collect()))
    }
}
