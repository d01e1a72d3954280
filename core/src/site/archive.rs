//! Where the readings of a site go beside the last rows: history and statistics, where they are kept.

#[cfg(feature = "history")]
mod kept {
    use std::{path::Path, sync::Arc};

    use async_trait::async_trait;
    use tokio::task::JoinHandle;

    use crate::{
        Error, ErrorKind, Result,
        action::ActionArchive,
        history::{FolderDisk, History},
        io::Ctx,
        metrics::{Measured as _, Recorder},
        rack::{RackInfo, RackOptions, Reading, SnapshotSink, Things},
        site::actions::OldActions,
        telemetry::{Disks, RackFacts, Telemetry, TelemetryOptions},
    };

    /// The folders of the histories, in a site's.
    const READINGS: &str = "history/readings";
    const STATISTICS: &str = "history/statistics";
    const ACTIONS: &str = "history/actions";
    /// All of them: what a backup can have.
    pub(in crate::site) const FOLDERS: &[&str] = &[READINGS, STATISTICS, ACTIONS];

    /// History and statistics of a site, if it keeps any.
    #[derive(Debug)]
    pub(in crate::site) struct Archive {
        telemetry: Option<Telemetry>,
        actions: Option<OldActions>,
        running: Option<JoinHandle<()>>,
    }

    /// The histories of a site, to be copied.
    #[derive(Debug)]
    pub(in crate::site) struct Kept(Option<Telemetry>, Option<OldActions>);

    impl Kept {
        /// Each with its folder.
        pub fn histories(&self) -> Vec<(&'static str, &History)> {
            let telemetry = self.0.iter().flat_map(|telemetry| {
                [(READINGS, telemetry.readings()), (STATISTICS, telemetry.statistics())]
            });
            // Last: what the control store's copy does not have any more is in it.
            telemetry.chain(self.1.iter().map(|actions| (ACTIONS, &**actions.history()))).collect()
        }
    }

    /// Hands readings to two sinks.
    #[derive(Debug)]
    struct Both(Arc<dyn SnapshotSink>, Arc<dyn SnapshotSink>);

    #[async_trait]
    impl SnapshotSink for Both {
        async fn put(&self, batch: &[Arc<Reading>]) {
            self.0.put(batch).await;
            self.1.put(batch).await;
        }
    }

    impl Archive {
        pub fn open(
            cx: &Ctx,
            dir: &Path,
            things: &Arc<Things>,
            options: Option<TelemetryOptions>,
        ) -> Result<Self> {
            let Some(options) = options else {
                return Ok(Self { telemetry: None, actions: None, running: None });
            };
            let disks = Disks {
                readings: Arc::new(FolderDisk::open(dir.join(READINGS))?),
                rows: Arc::new(FolderDisk::open(dir.join(STATISTICS))?),
            };
            let telemetry = Telemetry::open(cx, Arc::clone(things), disks, options)?;
            let disk = Arc::new(FolderDisk::open(dir.join(ACTIONS))?);
            let actions = OldActions::open(disk, cx.clock.wall(), things.store().is_inline())?;
            Ok(Self { telemetry: Some(telemetry), actions: Some(actions), running: None })
        }

        /// Where actions go that ended long ago.
        pub fn actions(&self) -> Option<Arc<dyn ActionArchive>> {
            self.actions.clone().map(|actions| Arc::new(actions) as _)
        }

        /// The options of a rack whose readings are kept.
        pub fn attach(&self, info: &RackInfo, mut options: RackOptions) -> Result<RackOptions> {
            let Some(telemetry) = &self.telemetry else { return Ok(options) };
            let (deadline, max_backoff) = options.collector.bounds()?;
            let facts = RackFacts::new(info.clone(), options.collector.interval)
                .tags(options.tags.clone())
                .bounds(deadline, max_backoff);
            options.sink = Arc::new(Both(options.sink, telemetry.sink(facts)?));
            options.logs.get_or_insert_with(|| telemetry.logs(&info.id));
            Ok(options)
        }

        /// Begins to write once a second.
        pub fn start(mut self) -> Self {
            if let Some(telemetry) = &self.telemetry {
                self.running = Some(tokio::spawn(telemetry.clone().run()));
            }
            self
        }

        /// Gives what is counted.
        pub fn measure(&self, to: &mut dyn Recorder) {
            if let Some(telemetry) = &self.telemetry {
                telemetry.counters().measure("", to);
            }
            if let Some(actions) = &self.actions {
                actions.history().stats().measure("actions", to);
            }
        }

        pub fn telemetry(&self) -> Option<&Telemetry> {
            self.telemetry.as_ref()
        }

        pub fn kept(&self) -> Kept {
            Kept(self.telemetry.clone(), self.actions.clone())
        }

        /// Makes all durable that came, and ends.
        pub async fn close(self) -> Result<()> {
            if let Some(running) = self.running {
                running.abort();
                // A piece of work that is under way is let end.
                let _ = running.await;
            }
            let Some(telemetry) = self.telemetry else { return Ok(()) };
            let inline = telemetry.is_inline();
            let close = move || {
                let actions = self.actions.map_or(Ok(()), |actions| actions.history().close());
                telemetry.close().and(actions)
            };
            if inline {
                return close();
            }
            let flushed = tokio::task::spawn_blocking(close);
            let ended = |e| {
                Error::new(ErrorKind::Internal, "site.shutdown", "the history came to a bad end").caused_by(e)
            };
            flushed.await.map_err(ended)?
        }
    }
}

#[cfg(not(feature = "history"))]
mod kept {
    use std::{path::Path, sync::Arc};

    use crate::{
        Result,
        action::ActionArchive,
        io::Ctx,
        rack::{RackInfo, RackOptions, Things},
    };

    /// A site without the feature `history` keeps none.
    #[derive(Debug)]
    pub(in crate::site) struct Archive;

    /// So there is nothing to be copied.
    #[derive(Debug)]
    pub(in crate::site) struct Kept;

    impl Archive {
        pub const fn kept(&self) -> Kept {
            Kept
        }

        pub fn open(_cx: &Ctx, _dir: &Path, _things: &Arc<Things>) -> Result<Self> {
            Ok(Self)
        }

        pub fn actions(&self) -> Option<Arc<dyn ActionArchive>> {
            None
        }

        pub fn attach(&self, _info: &RackInfo, options: RackOptions) -> Result<RackOptions> {
            Ok(options)
        }

        pub fn start(self) -> Self {
            self
        }

        pub async fn close(self) -> Result<()> {
            Ok(())
        }
    }
}

#[cfg(feature = "history")]
pub(super) use kept::FOLDERS;
pub(super) use kept::{Archive, Kept};
