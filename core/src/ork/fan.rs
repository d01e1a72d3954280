use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinHandle};

use crate::{
    Error, ErrorKind, Result,
    action::Hands,
    auth::Access,
    io::{Ctx, Timestamp},
    rack::{Partial, Rack, RackId, RackInfo},
};

use super::{OrkOptions, RackConf};

/// A rack that is attached.
#[derive(Debug)]
pub(super) struct Attached {
    pub rack: Arc<dyn Rack>,
    pub conf: RackConf,
    /// Whether it runs in this process and needs no registration.
    pub local: bool,
    /// How the action engine writes to its things.
    pub hands: Option<Arc<dyn Hands>>,
    /// Places for calls at the same time. They are the rack's own, so a silent one fills no place of another.
    places: Places,
}

/// Places for calls at the same time.
pub(super) type Places = Arc<Semaphore>;

/// So many places, and one at least.
pub(super) fn places(n: usize) -> Places {
    Arc::new(Semaphore::new(n.clamp(1, Semaphore::MAX_PERMITS)))
}

impl Attached {
    pub fn new(rack: Arc<dyn Rack>, conf: RackConf, local: bool, n: usize) -> Self {
        Self { rack, conf, local, hands: None, places: places(n) }
    }
}

/// A rack that a call is about, attached or only registered.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub info: RackInfo,
    pub slot: Option<Arc<Attached>>,
}

impl Target {
    pub fn slot(&self) -> Result<&Arc<Attached>> {
        let text = "the rack is registered, but there is no connection to it";
        self.slot.as_ref().ok_or_else(|| Error::new(ErrorKind::Unreachable, "ork.rack", text))
    }
}

/// Asks racks, each within one deadline that begins with the call and covers the wait for a place.
#[derive(Debug, Clone)]
pub(super) struct Fan {
    cx: Ctx,
    read: Duration,
    write: Duration,
}

impl Fan {
    pub fn new(cx: Ctx, options: &OrkOptions) -> Self {
        Self { cx, read: options.read_deadline, write: options.write_deadline }
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.cx.clock.wall()
    }

    /// Asks one rack. A write that is not finished in time goes on, and its error says that it may have happened.
    pub async fn one<T, F, Fut>(&self, target: &Target, access: Access, work: F) -> Result<T>
    where
        F: FnOnce(Arc<dyn Rack>) -> Fut,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let asked = match target.slot() {
            Ok(slot) => self.start(&slot.places, access, work(slot.rack.clone())).answer().await,
            Err(e) => Err(e),
        };
        asked.map_err(|e| e.with("rack", &target.info.id))
    }

    /// Asks many racks at once. Answers and failures stand in the order of the targets.
    pub async fn each<T, F, Fut>(
        &self,
        targets: Vec<Target>,
        access: Access,
        work: F,
    ) -> Partial<Vec<(RackId, T)>>
    where
        F: Fn(Arc<dyn Rack>) -> Fut,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let mut asked = Vec::with_capacity(targets.len());
        for target in targets {
            let running = target.slot().map(|slot| self.start(&slot.places, access, work(slot.rack.clone())));
            asked.push((target.info.id, running));
        }
        let mut all = Partial::whole(Vec::new());
        for (id, running) in asked {
            let answer = match running {
                Ok(running) => running.answer().await,
                Err(e) => Err(e),
            };
            match answer {
                Ok(answer) => all.items.push((id, answer)),
                Err(e) => all.failed.push((id.clone(), e.with("rack", &id))),
            }
        }
        all
    }

    /// A task of its own, so that a rack with a defect harms nobody who asks it.
    pub fn start<T, Fut>(&self, places: &Places, access: Access, work: Fut) -> Running<Result<T>>
    where
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let (fan, places) = (self.clone(), places.clone());
        Running(tokio::spawn(async move { fan.ask(places, access, work).await }))
    }

    async fn ask<T, Fut>(&self, places: Places, access: Access, work: Fut) -> Result<T>
    where
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let limit = if access == Access::Read { self.read } else { self.write };
        let mut begun = false;
        let asked = async {
            let place = places.acquire_owned().await.map_err(|_| ended())?;
            begun = true;
            let running = async move {
                let _place = place;
                work.await
            };
            match access {
                Access::Read => running.await,
                // Half a write must not be dropped: it ends by itself.
                Access::Write => tokio::spawn(running).await.unwrap_or_else(|_| Err(ended().maybe_sent())),
            }
        };
        let answer = self.cx.deadline_in(limit).within("ork.rack", asked).await;
        answer.map_err(|e| {
            let open = access == Access::Write && begun && e.kind() == ErrorKind::Timeout;
            if open { e.maybe_sent() } else { e }
        })
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Internal, "ork.rack", "the work ended without an answer")
}

/// Work that ends with whoever waits for it.
#[derive(Debug)]
pub(super) struct Running<T>(JoinHandle<T>);

impl<T> Running<Result<T>> {
    pub async fn answer(mut self) -> Result<T> {
        (&mut self.0).await.unwrap_or_else(|_| Err(ended()))
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
