use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use headframe_core::{
    Result,
    io::{Clock, Ctx, Mono, Timestamp},
};
use tokio::sync::{Notify, futures::Notified};

use crate::{
    Family, Fault, Lie,
    execution::{self, Execution},
    physics::{ErrorEntry, Model, Physics, Pool, Truth},
    serve::{Firmware, Role},
};

/// A handle on one simulated device. Clones share it.
#[derive(Debug, Clone)]
pub struct Device(pub(crate) Arc<DeviceCore>);

impl Device {
    /// Its place in the fleet, from 0.
    pub fn index(&self) -> usize {
        self.0.identity.index
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.0.firmware.family()
    }

    /// Its model.
    pub fn model(&self) -> &'static Model {
        self.0.identity.model
    }

    /// Its MAC address, upper case with colons.
    pub fn mac(&self) -> &str {
        &self.0.identity.mac
    }

    /// Its serial number.
    pub fn serial(&self) -> &str {
        &self.0.identity.serial
    }

    /// Its IP address, which a network setting can change.
    pub fn ip(&self) -> IpAddr {
        self.0.ip()
    }

    /// Where the port for `role` is; `None` when the family has no such port.
    pub fn address(&self, role: Role) -> Option<SocketAddr> {
        let port = self.0.identity.ports.iter().find(|(r, _)| *r == role)?.1;
        Some(SocketAddr::new(self.ip(), port))
    }

    /// Lets something go wrong from now on; a fault of the same kind is replaced. [`Fault::Reboot`] happens once.
    pub fn fault(&self, fault: Fault) {
        self.0.set_fault(fault, None);
    }

    /// Lets something go wrong with requests of one name only, for example `summary` or `power_off`. Faults of the
    /// machine itself ignore the name.
    pub fn fault_on(&self, command: &str, fault: Fault) {
        self.0.set_fault(fault, Some(command.to_owned()));
    }

    /// Ends all faults. What they caused (a reboot, heat) runs its course.
    pub fn clear(&self) {
        self.0.clear_faults();
    }

    /// Commands received since the start, by name; encrypted ones count under their name when they decrypt.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().received.clone()
    }

    /// Writes that were really executed, by name.
    pub fn executed(&self) -> BTreeMap<String, u64> {
        self.0.lock().executed.clone()
    }

    /// The writes that were really executed, oldest first, with their times and where each came from; the newest 16,384.
    pub fn executions(&self) -> Vec<Execution> {
        self.0.lock().executions.iter().cloned().collect()
    }

    /// Connections accepted since the start.
    pub fn connections(&self) -> u64 {
        self.0.lock().connections
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> u64 {
        self.0.lock().open
    }

    /// The most connections that were open at the same time.
    pub fn peak_connections(&self) -> u64 {
        self.0.lock().peak
    }

    /// Requests received since the start; a joined one counts once.
    pub fn requests(&self) -> u64 {
        self.0.lock().requests
    }

    /// What is really so, whatever the device says.
    pub fn truth(&self) -> Truth {
        let mut truth = self.0.measure();
        truth.settings = self.0.firmware.settings(&self.0);
        truth
    }

    /// Lets the device report these vendor codes from now on, instead of those set before.
    pub fn set_errors(&self, codes: &[&str]) {
        let since = self.0.clock.wall();
        let entries = codes.iter().map(|c| ErrorEntry { code: (*c).to_owned(), since }).collect();
        self.0.act(|physics, _| physics.errors = entries);
    }

    /// Somebody else changes the pools, past every rule of the API.
    pub fn set_pools(&self, pools: Vec<Pool>) {
        self.0.act(|physics, now| physics.set_pools(now, pools));
    }

    /// Changes the password of the account that may change things, as somebody at the device's web page does. On a
    /// Whatsminer with API v3 that is the one of `super`, else the one of `admin`.
    pub fn change_password(&self, password: &str) {
        self.0.firmware.set_password(password);
    }

    /// Presses the button that makes the device report its address to `to`, which would be a broadcast address at a
    /// real site.
    ///
    /// # Errors
    /// What the sockets of `cx` say.
    pub async fn press_ip_report(&self, cx: &Ctx, to: SocketAddr) -> Result<()> {
        let socket = cx.net.udp(SocketAddr::new(self.ip(), 0)).await?;
        socket.send_to(&self.0.firmware.ip_report(&self.0), to).await
    }
}

/// Who a device is; it never changes.
#[derive(Debug)]
pub(crate) struct Identity {
    pub index: usize,
    pub seed: u64,
    pub mac: String,
    pub serial: String,
    pub model: &'static Model,
    pub ports: Vec<(Role, u16)>,
}

/// Everything that the families share about one device: its identity, its physics, its faults and what it counted.
pub(crate) struct DeviceCore {
    identity: Identity,
    clock: Arc<dyn Clock>,
    firmware: Box<dyn Firmware>,
    inner: Mutex<Inner>,
    changed: Notify,
}

struct Inner {
    ip: IpAddr,
    physics: Physics,
    faults: Vec<Active>,
    conditions_since: Timestamp,
    received: BTreeMap<String, u64>,
    executed: BTreeMap<String, u64>,
    executions: VecDeque<Execution>,
    connections: u64,
    open: u64,
    peak: u64,
    requests: u64,
}

struct Active {
    fault: Fault,
    command: Option<String>,
    since: f64,
    frozen: Option<Box<Truth>>,
}

/// Whether connections are accepted, and until when that is certain.
pub(crate) enum Reach {
    Open { until: Option<Mono> },
    Closed { until: Option<Mono> },
}

impl fmt::Debug for DeviceCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = &self.identity;
        write!(f, "{} #{} ({})", identity.model.name, identity.index, identity.mac)
    }
}

impl DeviceCore {
    pub fn new(
        identity: Identity,
        ip: IpAddr,
        clock: Arc<dyn Clock>,
        physics: Physics,
        firmware: Box<dyn Firmware>,
    ) -> Self {
        let inner = Inner {
            ip,
            physics,
            faults: Vec::new(),
            conditions_since: clock.wall(),
            received: BTreeMap::new(),
            executed: BTreeMap::new(),
            executions: VecDeque::new(),
            connections: 0,
            open: 0,
            peak: 0,
            requests: 0,
        };
        Self { identity, clock, firmware, inner: Mutex::new(inner), changed: Notify::new() }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn firmware(&self) -> &dyn Firmware {
        &*self.firmware
    }

    pub fn ip(&self) -> IpAddr {
        self.lock().ip
    }

    /// Moves the device to another address; its listeners follow.
    pub fn move_to(&self, ip: IpAddr) {
        self.lock().ip = ip;
        self.changed.notify_waiters();
    }

    /// Seconds of monotonic time, the unit of [`Physics`].
    pub fn now(&self) -> f64 {
        self.clock.mono().since_origin().as_secs_f64()
    }

    /// Wall time.
    pub fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    /// Wall time in seconds.
    pub fn epoch(&self) -> i64 {
        self.clock.wall().0.div_euclid(1_000)
    }

    /// Reboots since the start of the simulation.
    pub fn boots(&self) -> u64 {
        let now = self.now();
        self.lock().physics.boots(now)
    }

    pub async fn pause(&self, time: Duration) {
        self.clock.sleep_until(self.clock.mono() + time).await;
    }

    /// Changes the machine. Wakes the listeners, which look at a reboot's times again.
    pub fn act<T>(&self, f: impl FnOnce(&mut Physics, f64) -> T) -> T {
        let now = self.now();
        let out = f(&mut self.lock().physics, now);
        self.changed.notify_waiters();
        out
    }

    /// What the device believes to measure: the truth, changed by the faults that lie.
    pub fn observe(&self) -> Truth {
        let mut truth = self.measure();
        let now = self.now();
        for active in &self.lock().faults {
            match (&active.fault, &active.frozen) {
                (Fault::Lie(Lie::Frozen), Some(frozen)) => truth = (**frozen).clone(),
                (Fault::Lie(Lie::Zero), _) => truth.scale(|_| 0.0),
                (Fault::Lie(Lie::Negative), _) => truth.scale(|v| -v),
                (Fault::Lie(Lie::Factor(factor)), _) => truth.scale(|v| v * factor),
                (Fault::Drift { per_hour }, _) => {
                    let factor = 1.0 + per_hour * (now - active.since) / 3_600.0;
                    truth.scale(|v| v * factor);
                }
                _ => {}
            }
        }
        truth
    }

    fn measure(&self) -> Truth {
        let (now, wall) = (self.now(), self.clock.wall());
        let (mut truth, since) = {
            let mut inner = self.lock();
            (inner.physics.read(now, wall), inner.conditions_since)
        };
        let codes = self.firmware.codes(&truth);
        truth.errors.extend(codes.into_iter().map(|code| ErrorEntry { code, since }));
        truth
    }

    /// Counts a request that arrived.
    pub fn request(&self) {
        self.lock().requests += 1;
    }

    /// Counts a command under its name.
    pub fn received(&self, command: &str) {
        count(&mut self.lock().received, command);
    }

    /// Counts a write that was carried out.
    pub fn executed(&self, command: &str) {
        let execution = Execution::now(self.clock.mono(), command);
        let mut inner = self.lock();
        count(&mut inner.executed, command);
        if inner.executions.len() >= execution::KEPT {
            inner.executions.pop_front();
        }
        inner.executions.push_back(execution);
    }

    /// Counts a connection; dropping the guard ends it.
    pub fn connected(&self) -> Connected<'_> {
        let mut inner = self.lock();
        inner.connections += 1;
        inner.open += 1;
        inner.peak = inner.peak.max(inner.open);
        Connected(self)
    }

    /// The first fault that `pick` wants and that concerns `command`.
    pub fn find<T>(&self, command: &str, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let inner = self.lock();
        let concerns = |a: &&Active| a.command.as_deref().is_none_or(|only| only == command);
        inner.faults.iter().filter(concerns).find_map(|a| pick(&a.fault))
    }

    /// Whether a fault concerns `command` and no other.
    pub fn is_singled_out(&self, command: &str) -> bool {
        self.lock().faults.iter().any(|a| a.command.as_deref() == Some(command))
    }

    /// Whether `fault` is in force for `command`.
    pub fn has(&self, command: &str, fault: &Fault) -> bool {
        self.find(command, |f| f.same_kind(fault).then_some(())).is_some()
    }

    /// Whether the device is switched on and accepts connections.
    pub fn reach(&self) -> Reach {
        let now = self.now();
        let mut inner = self.lock();
        if inner.faults.iter().any(|a| a.fault == Fault::Refuse) {
            return Reach::Closed { until: None };
        }
        match inner.physics.outage(now) {
            None => Reach::Open { until: None },
            Some((from, _)) if now < from => Reach::Open { until: mono(from) },
            Some((_, until)) => Reach::Closed { until: mono(until) },
        }
    }

    /// Resolves at the next change of what [`DeviceCore::reach`] depends on.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn set_fault(&self, fault: Fault, command: Option<String>) {
        let now = self.now();
        let frozen = (fault == Fault::Lie(Lie::Frozen)).then(|| Box::new(self.measure()));
        if let Fault::Reboot { down } = fault {
            self.act(|physics, now| physics.reboot(now, down.as_secs_f64()));
            return;
        }
        {
            let mut inner = self.lock();
            let physical = fault.is_physical();
            if physical {
                inner.conditions_since = self.clock.wall();
            }
            // Boards and fans fail one by one, so these faults add up.
            let adds = matches!(fault, Fault::BoardLost { .. } | Fault::FanFailed { .. });
            inner.faults.retain(|a| if adds { a.fault != fault } else { !a.fault.same_kind(&fault) });
            inner.faults.push(Active { fault, command, since: now, frozen });
            inner.apply_conditions(now);
        }
        self.changed.notify_waiters();
    }

    fn clear_faults(&self) {
        let now = self.now();
        {
            let mut inner = self.lock();
            inner.faults.clear();
            inner.apply_conditions(now);
        }
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn apply_conditions(&mut self, now: f64) {
        let (mut boards, mut fans) = (BTreeSet::new(), BTreeSet::new());
        let (mut overheat, mut dead) = (false, false);
        for active in &self.faults {
            match active.fault {
                Fault::BoardLost { slot } => {
                    boards.insert(slot);
                }
                Fault::FanFailed { fan } => {
                    fans.insert(fan);
                }
                Fault::Overheat => overheat = true,
                Fault::PoolsDead => dead = true,
                _ => {}
            }
        }
        self.physics.set_lost_boards(now, boards);
        self.physics.set_failed_fans(fans);
        self.physics.set_overheating(now, overheat);
        self.physics.set_pools_dead(now, dead);
    }
}

/// An open connection.
pub(crate) struct Connected<'a>(&'a DeviceCore);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(n) => *n += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

fn mono(seconds: f64) -> Option<Mono> {
    // A nanosecond more, so that the moment has really come when a sleeper wakes.
    Duration::try_from_secs_f64(seconds).ok().map(|d| Mono::from_origin(d + Duration::from_micros(1)))
}
