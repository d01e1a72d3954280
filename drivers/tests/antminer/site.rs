//! A simulated machine with the handle that writes to it.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    Error, ErrorKind, Sent,
    driver::Direct,
    io::Ctx,
    model::{Command, NetworkSetup, Outcome, OutcomeState, PoolSetup, ThingConf},
    testkit::TraceNet,
};
use headframe_drivers::antminer::Antminer;
use headframe_sim::{AntminerOptions, Device, Fleet, FleetBuilder};
use serde_json::Value;

use crate::rig::{conf, context};

/// One simulated machine, the handle that writes to it, and what goes to it.
pub struct Site {
    pub cx: Ctx,
    pub trace: TraceNet,
    pub fleet: Fleet,
    pub direct: Direct,
}

impl Site {
    pub async fn new(options: AntminerOptions) -> Self {
        Self::with(options, |conf| conf).await
    }

    pub async fn with(options: AntminerOptions, change: impl Fn(ThingConf) -> ThingConf) -> Self {
        let mut cx = context();
        let fleet = FleetBuilder::new().seed(7).antminer(options).start(&cx).await.unwrap();
        let trace = TraceNet::new(cx.net.clone());
        cx.net = Arc::new(trace.clone());
        let direct = Direct::open(&Antminer::new(), &cx, &change(conf(&fleet.devices()[0]))).await.unwrap();
        let site = Self { cx, trace, fleet, direct };
        site.direct.snapshot(&site.cx).await.unwrap();
        site
    }

    pub fn device(&self) -> &Device {
        &self.fleet.devices()[0]
    }

    pub async fn wait(&self, seconds: u64) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + Duration::from_secs(seconds)).await;
    }

    pub async fn run(&self, command: Command) -> Result<Outcome, Error> {
        self.direct.execute(&self.cx, &command).await
    }

    pub async fn verified(&self, command: Command) -> Outcome {
        let outcome = self.run(command).await.unwrap();
        assert_eq!(outcome.state, OutcomeState::Verified, "{outcome:?}");
        outcome
    }

    pub fn setting(&self, name: &str) -> String {
        self.device().truth().settings.get(name).cloned().unwrap_or_default()
    }

    pub fn count(&self, name: &str) -> u64 {
        self.device().counts().get(name).copied().unwrap_or(0)
    }

    /// The bodies of all JSON writes to this CGI, in their order.
    pub fn bodies(&self, cgi: &str) -> Vec<Value> {
        let written = self.trace.written();
        let text = String::from_utf8_lossy(&written).into_owned();
        let start = format!("POST /cgi-bin/{cgi}.cgi HTTP/1.1");
        let body = |request: &str| {
            let body = request.split_once("\r\n\r\n").unwrap().1;
            serde_json::Deserializer::from_str(body).into_iter().next().unwrap().unwrap()
        };
        text.split(&start).skip(1).map(body).collect()
    }
}

pub fn pools() -> Command {
    Command::SetupPools(vec![PoolSetup::new("stratum+tcp://new.example:3333", "site9.w1", "p00l-w0rd")])
}

pub fn fixed(last: u8) -> Command {
    Command::SetNetworkInformation(NetworkSetup::Static {
        ip_address: [10, 7, 3, last].into(),
        ip_netmask: [255, 255, 0, 0].into(),
        ip_gw: [10, 7, 250, 1].into(),
        dns: vec![[10, 7, 250, 2].into(), [1, 1, 1, 1].into()],
    })
}

pub fn refused(out: Result<Outcome, Error>, kind: ErrorKind, sent: Sent) -> Error {
    let e = out.unwrap_err();
    assert_eq!((e.kind(), e.sent()), (kind, sent), "{e:?}");
    e
}
