use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::samples::sample;
use crate::{
    driver::{Driver, Evidence, Ports},
    io::Ctx,
    model::{Command, CommandName, ThingConf},
};

/// Seed of every run; the same bytes come out each time.
pub const SEED: u64 = 0x0ead_f7a3;

/// A driver beside one device of its family, which it has for itself.
#[async_trait]
pub trait Rig: Send + Sync + 'static {
    /// The driver under test.
    fn driver(&self) -> Arc<dyn Driver>;
    /// The context whose network holds the device.
    fn cx(&self) -> Ctx;
    /// How to reach the device, with the right credentials.
    fn conf(&self) -> ThingConf;
    /// The same with a wrong password.
    fn conf_with_wrong_password(&self) -> ThingConf;
    /// The right password and any other secret, none of which may ever be shown.
    fn secrets(&self) -> Vec<String>;
    /// Whether reading needs the password.
    fn reads_need_password(&self) -> bool;
    /// Address and ports of the device.
    fn at(&self) -> (String, Ports);
    /// What devices of other families answer.
    fn strangers(&self) -> Vec<Evidence>;
    /// Members which this family cannot report at all, such as `stats.psu`.
    fn never_reported(&self) -> &[&'static str];
    /// Makes the device misbehave.
    fn fault(&self, fault: RigFault);
    /// Makes it behave again.
    fn clear(&self);
    /// Commands received so far, whatever they were.
    fn requests(&self) -> u64;
    /// Connections open now.
    fn open_connections(&self) -> u64;
    /// What the device does in truth.
    fn truth(&self) -> RigTruth;
    /// A command with this name whose arguments the device accepts and which changes it as it is when it starts.
    fn sample(&self, name: CommandName) -> Command {
        sample(name)
    }
    /// Commands that the device has, with arguments outside its ranges.
    fn out_of_range(&self) -> Vec<Command>;
    /// Writes that the device carried out so far, by their names on the wire.
    fn executed(&self) -> BTreeMap<String, u64>;
    /// Makes writes go wrong; `None` makes them right again.
    fn write_fault(&self, fault: Option<WriteFault>);
    /// Changes the device's settings as another program would: the pools.
    fn meddle(&self);
    /// Lets so much time pass, for the driver and for the device.
    async fn pass(&self, time: Duration) {
        let clock = self.cx().clock;
        clock.sleep_until(clock.mono() + time).await;
    }
    /// By how much a deadline may be overrun: in simulated time by nothing but the simulation's own steps.
    fn slack(&self) -> Duration {
        Duration::from_millis(50)
    }
}

/// How writes go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteFault {
    /// Carried out, and the connection closes without a reply.
    Mute,
    /// Answered with success, and nothing changes.
    Ignored,
}

/// How a device misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RigFault {
    /// Takes the connection and never answers.
    Hang,
    /// Closes in the middle of each reply.
    Cut,
    /// Sends byte by byte, too slowly to end in time.
    Drip,
    /// Answers what is no JSON.
    Garbage,
    /// Ends each reply in the middle of its JSON, as if it were whole.
    HalfJson,
    /// Never stops sending.
    Flood,
    /// Refuses connections.
    Refuse,
}

/// What a device does in truth.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RigTruth {
    /// Whether it hashes.
    pub mining: bool,
    /// Hashrate now, MH/s.
    pub hashrate_mhs: f64,
    /// Power now, W.
    pub power_w: f64,
    /// Hottest chip, °C.
    pub chip_max_c: f64,
    /// Boards that work.
    pub boards: usize,
    /// Shares accepted so far.
    pub accepted: u64,
}

/// Runs one case on a new network in memory, with paused time and seeded randomness.
#[cfg(feature = "testkit")]
#[allow(clippy::expect_used, reason = "test support: a runtime that cannot start ends the test")]
pub fn run<F, Fut>(case: F)
where
    F: FnOnce(Ctx, crate::io::MemNet) -> Fut,
    Fut: Future<Output = ()>,
{
    use crate::io::{MemNet, SeededRng, SystemClock, Timestamp};

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a current-thread runtime");
    runtime.block_on(async {
        let net = MemNet::new();
        let clock = SystemClock::starting_at(Timestamp(1_764_000_000_000));
        let cx = Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(SEED)), Arc::new(net.clone()));
        case(cx, net).await;
    });
}
