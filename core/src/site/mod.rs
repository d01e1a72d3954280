//! The ready-made whole: an orchestrator, its local racks and their stores in one process.

#[cfg(feature = "history")]
mod actions;
mod archive;
mod backup;
mod builder;
mod conf;
mod find;
mod follow;
mod readings;

use archive::Archive;
pub use backup::{SiteBackup, SiteRestore, code};
pub use builder::SiteBuilder;
pub use conf::{RackSpec, SiteConf};
pub use find::{FindReport, Login};
pub use readings::Readings;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    Error, ErrorKind, Result, ThingId,
    action::Engine,
    driver,
    io::Ctx,
    metrics::{Measured, Recorder},
    ork::{Move, Orchestrator},
    query::{Query, QueryPage},
    rack::{
        Caller, Counts, LastRows, LocalRack, Partial, Rack, RackId, Reading, ThingDraft, ThingRecord, Things,
    },
};

/// A site: racks that collect their things, one registry over the control store, and an orchestrator over them.
///
/// What writes to a device is an approved action, and nothing else: the racks have hands, and the site's [`Engine`] alone
/// gives the permit that they need. Who may propose and approve is said to the [builder](SiteBuilder::rights); until
/// then nobody may.
///
/// ```no_run
/// # async fn example(drivers: headframe_core::driver::Registry) -> headframe_core::Result<()> {
/// use headframe_core::{io::Ctx, rack::{Caller, RackOptions}, site::Site};
///
/// let cx = Ctx::system();
/// let site = Site::builder(drivers)
///     .rack("miner-wm-m50s", "hall-1", RackOptions::new("whatsminer"))
///     .open_or_create(&cx, "site".as_ref())
///     .await?;
/// let range = "10.0.0.0/24".parse()?;
/// let report = site.find_and_register(range, Default::default(), &[], &Caller::new("me")).await?;
/// println!("{} registered", report.registered.len());
/// site.shutdown(std::time::Duration::from_secs(10)).await?;
/// # Ok(())
/// # }
/// ```
///
/// Putting a container to sleep takes two people here, because that is what [`Rules::safe`](crate::action::policy::Rules::safe)
/// asks for ten miners and more:
///
/// ```no_run
/// # async fn example(builder: headframe_core::site::SiteBuilder) -> headframe_core::Result<()> {
/// use headframe_core::{
///     action::{Ballot, By, Draft, Person, RightsSource, StaticPrincipals},
///     auth::Permissions,
///     io::Ctx,
/// };
/// use serde_json::json;
///
/// let (ann, bob) = (Person::from_text("ann@site")?, Person::from_text("bob@site")?);
/// let people = StaticPrincipals::new();
/// for person in [&ann, &bob] {
///     people.set(person, Permissions::parse(["miner:rw", "actions:rw"])?)?;
/// }
/// let rights = RightsSource::Current(std::sync::Arc::new(people));
/// let site = builder.rights(rights).open(&Ctx::system(), "site".as_ref()).await?;
///
/// let sleep = Draft::new("setPowerMode", vec!["sleep".into()], json!({"info.container": "c-3"}))?;
/// let id = site.actions().push(sleep, &By::new(ann)).await?.into_id()?;
/// let header = site.actions().vote(id, Ballot::new(true), &By::new(bob)).await?;
/// println!("{id} is {}", header.status.as_str());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Site {
    cx: Ctx,
    dir: PathBuf,
    drivers: Arc<driver::Registry>,
    things: Arc<Things>,
    last: LastRows,
    racks: BTreeMap<RackId, Arc<LocalRack>>,
    orchestrator: Orchestrator,
    engine: Arc<Engine>,
    archive: Archive,
}

/// What became of a site's work when it was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SiteShutdown {
    /// Polls that ended by themselves within the bound.
    pub finished: usize,
    /// Polls that were broken off.
    pub aborted: usize,
    /// Readings that reached neither store nor sink.
    pub undelivered: usize,
    /// Whether calls of actions were broken off. What became of them is found out by the next start.
    pub actions_broken_off: bool,
}

impl Site {
    /// Begins to describe a site whose things are opened by these drivers.
    pub fn builder(drivers: driver::Registry) -> SiteBuilder {
        SiteBuilder::new(drivers)
    }

    /// Id of the site, made when its store was created.
    pub fn id(&self) -> &str {
        self.orchestrator.site()
    }

    /// The orchestrator over the racks, and through it MiningOS's methods: [`Orchestrator::call`].
    pub fn orchestrator(&self) -> &Orchestrator {
        &self.orchestrator
    }

    /// The action engine: the only way to write to the site's devices.
    pub fn actions(&self) -> &Engine {
        &self.engine
    }

    /// History and statistics; `None` when the site keeps none.
    #[cfg(feature = "history")]
    pub fn telemetry(&self) -> Option<&crate::telemetry::Telemetry> {
        self.archive.telemetry()
    }

    /// The registry of all things.
    pub fn things(&self) -> &Arc<Things> {
        &self.things
    }

    /// The racks of this process, in the order of their ids.
    pub fn racks(&self) -> impl ExactSizeIterator<Item = &Arc<LocalRack>> {
        self.racks.values()
    }

    /// One rack of this process.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with the racks there are.
    pub fn rack(&self, id: &RackId) -> Result<&Arc<LocalRack>> {
        self.racks.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.racks.keys().map(RackId::as_str).collect();
            Error::new(ErrorKind::NotFound, "site.rack", format!("there is no rack '{id}'"))
                .code_as("ERR_RACK_NOT_FOUND")
                .with("known", known.join(" "))
        })
    }

    /// Registers one thing in `rack`.
    ///
    /// # Errors
    /// As [`Site::rack`] and [`Rack::register`].
    pub async fn register(&self, rack: &RackId, draft: ThingDraft, by: &Caller) -> Result<Arc<ThingRecord>> {
        self.rack(rack)?.register(draft, by).await
    }

    /// Registers many things in `rack`, each judged alone, durable together.
    ///
    /// # Errors
    /// As [`Site::rack`]; what became of each draft stands at its place in the list.
    pub async fn register_many(
        &self,
        rack: &RackId,
        drafts: Vec<ThingDraft>,
        by: &Caller,
    ) -> Result<Vec<Result<Arc<ThingRecord>>>> {
        Ok(self.rack(rack)?.register_many(drafts, by).await)
    }

    /// Lists things of all racks: one order and one page over them. A rack that fails is named.
    ///
    /// # Errors
    /// As [`Orchestrator::list`].
    pub async fn list(&self, query: &Query) -> Result<Partial<QueryPage>> {
        self.orchestrator.list(query).await
    }

    /// Things whose address lies in another rack's range, as [`Orchestrator::set_thing_map`] said: what
    /// [`reassign`](Self::reassign) takes. A rack that fails is named.
    ///
    /// # Errors
    /// As [`Orchestrator::misplaced`].
    pub async fn ownership(&self) -> Result<Partial<Vec<Move>>> {
        self.orchestrator.misplaced().await
    }

    /// Moves things between racks of this process while it runs, each judged alone and durable when it is answered;
    /// see [`Things::reassign`]. What cannot be moved stays where it is.
    ///
    /// # Errors
    /// None: what became of each move stands beside it.
    pub async fn reassign(&self, moves: Vec<Move>, by: &Caller) -> Vec<(Move, Result<Arc<ThingRecord>>)> {
        self.orchestrator.reassign(&*self.things, moves, by).await
    }

    /// The last reading of a thing, whatever its age, which stands in it; also of before the start.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a thing that is not registered.
    pub async fn last(&self, id: &ThingId) -> Result<Option<Arc<Reading>>> {
        let unknown = || {
            Error::new(ErrorKind::NotFound, "site.last", "there is no such thing")
                .code_as("ERR_THING_NOTFOUND")
                .with("thing", id)
        };
        let record = self.things.get(id).ok_or_else(unknown)?;
        self.rack(&record.rack)?.last(id).await
    }

    /// All readings of all racks from now on. A reader that is slower than the racks is told how many it missed.
    pub fn subscribe(&self, capacity: usize) -> Readings {
        Readings::new(self.racks.values().map(|rack| rack.subscribe(capacity)).collect())
    }

    /// How the collectors of all racks do, summed up; of latenesses the worst.
    pub fn counts(&self) -> Counts {
        self.racks.values().map(|rack| rack.counts()).fold(Counts::default(), Counts::plus)
    }

    /// Gives every number that the site counts to a recorder: see [`metrics`](crate::metrics) for what they are. It reads
    /// counters, and waits for a commit to the history that is under way.
    pub fn measure(&self, to: &mut dyn Recorder) {
        for (id, rack) in &self.racks {
            rack.counts().measure(id.as_str(), to);
        }
        self.things.store().health().measure("", to);
        self.last.store().measure("", to);
        #[cfg(feature = "history")]
        self.archive.measure(to);
    }

    /// Ends the site in order. No call of an action begins any more, and those under way have `bound` to end; then all
    /// racks end, within as much; then what they collected is made durable and the stores are closed. Actions that are not
    /// finished go on when the site is opened again.
    ///
    /// # Errors
    /// When the stores could not be written to the end.
    pub async fn shutdown(self, bound: Duration) -> Result<SiteShutdown> {
        let ended = Engine::clone(&self.engine).close(bound).await;
        let mut report = SiteShutdown { actions_broken_off: !ended, ..Default::default() };
        drop(self.engine);
        let mut ending = tokio::task::JoinSet::new();
        for rack in self.racks.into_values() {
            ending.spawn(async move { rack.shutdown(bound).await });
        }
        while let Some(Ok(rack)) = ending.join_next().await {
            report.finished += rack.finished;
            report.aborted += rack.aborted;
            report.undelivered += rack.undelivered;
        }
        let kept = self.archive.close().await;
        let store = self.things.store().clone();
        drop((self.orchestrator, self.things));
        self.last.store().clone().close()?;
        store.close().await?;
        kept?;
        Ok(report)
    }
}
