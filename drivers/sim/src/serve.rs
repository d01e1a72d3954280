use std::{collections::BTreeMap, fmt, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use headframe_core::io::{BoxStream, Clock, Ctx, Listener, Mono};
use tokio::task::JoinSet;

use crate::{
    Family,
    device::{DeviceCore, Reach},
    execution::PEER,
    physics::Truth,
};

/// What a port of a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// The cgminer-style TCP API.
    Rpc,
    /// Whatsminer's API v3.
    RpcV3,
    /// The web interface.
    Web,
    /// Antminer's side port.
    Side,
}

/// What a family adds to a [`DeviceCore`]: its ports and its wire protocol. One value belongs to one device and
/// holds the state that only this family has.
#[async_trait]
pub(crate) trait Firmware: fmt::Debug + Send + Sync + 'static {
    /// The family.
    fn family(&self) -> Family;

    /// The ports that it may ever listen on.
    fn roles(&self) -> &'static [Role];

    /// Whether it listens on this port with the firmware that is installed now.
    fn listens(&self, _core: &DeviceCore, _role: Role) -> bool {
        true
    }

    /// Serves one connection to its end; it is dropped at any await when the device goes off.
    async fn serve(&self, core: &DeviceCore, role: Role, stream: BoxStream, peer: SocketAddr);

    /// The datagram that the button on the control board sends.
    fn ip_report(&self, core: &DeviceCore) -> Vec<u8>;

    /// Error codes that this family reports for what is physically wrong.
    fn codes(&self, truth: &Truth) -> Vec<String>;

    /// Settings that only this family has, by the vendor's names, for [`Truth::settings`].
    fn settings(&self, core: &DeviceCore) -> BTreeMap<String, String>;

    /// Takes another password for the account that changes things, as somebody at the web page gives it.
    fn set_password(&self, password: &str);
}

const RETRY_BIND: Duration = Duration::from_secs(1);
const RETRY_ACCEPT: Duration = Duration::from_millis(100);

/// Serves one port of one device for ever: closes it while the device is off or refuses, and opens it again.
pub(crate) async fn listen(
    core: Arc<DeviceCore>,
    cx: Ctx,
    role: Role,
    port: u16,
    first: Option<Box<dyn Listener>>,
) {
    let mut listener = first;
    let mut connections = JoinSet::new();
    loop {
        let mut changed = pin!(core.changed());
        changed.as_mut().enable();
        let until = match reach(&core, role) {
            Reach::Closed { until } => {
                listener = None;
                // Dropping the set ends what is still connected.
                connections = JoinSet::new();
                tokio::select! { biased; () = changed => {}, () = at(&*cx.clock, until) => {} }
                continue;
            }
            Reach::Open { until } => until,
        };
        let address = SocketAddr::new(core.ip(), port);
        let open = match listener.take().filter(|l| l.local_addr() == address) {
            Some(open) => Ok(open),
            None => cx.net.listen(address).await,
        };
        let Ok(mut open) = open else {
            let retry = cx.clock.mono() + RETRY_BIND;
            tokio::select! { biased; () = changed => {}, () = cx.clock.sleep_until(retry) => {} }
            continue;
        };
        tokio::select! {
            biased;
            () = changed => {}
            () = at(&*cx.clock, until) => {}
            accepted = open.accept() => match accepted {
                Ok((stream, peer)) => { connections.spawn(connection(core.clone(), role, stream, peer)); }
                // Out of descriptors, most likely: waiting is better than spinning.
                Err(_) => cx.clock.sleep_until(cx.clock.mono() + RETRY_ACCEPT).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
        listener = Some(open);
    }
}

/// A port that the installed firmware does not have is closed; a boot may bring another firmware.
fn reach(core: &DeviceCore, role: Role) -> Reach {
    match core.reach() {
        Reach::Open { until } if !core.firmware().listens(core, role) => Reach::Closed { until },
        other => other,
    }
}

async fn connection(core: Arc<DeviceCore>, role: Role, stream: BoxStream, peer: SocketAddr) {
    let _open = core.connected();
    PEER.scope(peer, core.firmware().serve(&core, role, stream, peer)).await;
}

async fn at(clock: &dyn Clock, until: Option<Mono>) {
    match until {
        Some(until) => clock.sleep_until(until).await,
        None => std::future::pending().await,
    }
}
