//! Signed checkpoints of the audit log, and the witnesses that keep them.

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use super::{Engine, EngineOptions, Inner};
use crate::{
    Error, ErrorKind, Result,
    audit::{AuditKey, Log, Tree, Witness},
};

const OP: &str = "action.audit";
/// What an executed action waits for before its checkpoint goes out: others may end with it.
const TOGETHER: Duration = Duration::from_secs(1);
/// How long a witness may take.
const WITHIN: Duration = Duration::from_secs(30);

/// Who signs the audit log, and who is told of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditOptions {
    /// Signs checkpoints; it is kept apart from the store.
    pub key: Arc<AuditKey>,
    /// Told of a checkpoint after each executed action, and every so often. Without one nobody but this site can say that
    /// the log is whole.
    pub witnesses: Vec<Arc<dyn Witness>>,
    /// How often at least.
    pub every: Duration,
}

impl AuditOptions {
    /// Checkpoints of `key` for `witnesses`, hourly at least.
    pub fn new(key: AuditKey, witnesses: Vec<Arc<dyn Witness>>) -> Self {
        Self { key: Arc::new(key), witnesses, every: Duration::from_secs(3_600) }
    }
}

/// How a witness does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Witnessed {
    /// Entries of the last checkpoint that it took.
    pub size: u64,
    /// Why it did not take the last one.
    pub error: Option<String>,
}

pub(super) fn first(options: &EngineOptions) -> Vec<Witnessed> {
    let witnesses = options.audit.as_ref().map_or(0, |audit| audit.witnesses.len());
    vec![Witnessed::default(); witnesses]
}

impl Engine {
    /// The head of the audit log.
    pub fn audit(&self) -> Log {
        self.0.shared.log()
    }

    /// A signed checkpoint of the audit log as it stands now, a C2SP note.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the engine has no [key](AuditOptions::key).
    pub fn checkpoint(&self) -> Result<String> {
        let key = self.0.options.audit.as_ref().map(|audit| &audit.key);
        let key =
            key.ok_or_else(|| Error::new(ErrorKind::Unsupported, OP, "the engine was opened without a key"))?;
        Ok(key.checkpoint(&self.0.shared.log()))
    }

    /// How the witnesses do, in their order.
    pub fn witnessed(&self) -> Vec<Witnessed> {
        self.0.witnessed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Tells the witnesses until the engine ends.
pub(super) async fn serve(inner: Weak<Inner>) {
    let mut tree = Tree::new();
    loop {
        let Some(engine) = inner.upgrade() else { return };
        let Some(audit) = engine.options.audit.clone() else { return };
        engine.tell_witnesses(&audit, &mut tree).await;
        let (clock, shared) = (engine.cx.clock.clone(), engine.shared.clone());
        drop(engine);
        tokio::select! {
            biased;
            () = shared.ended.notified() => clock.sleep_until(clock.mono() + TOGETHER).await,
            () = clock.sleep_until(clock.mono() + audit.every) => {}
        }
    }
}

impl Inner {
    async fn tell_witnesses(&self, audit: &AuditOptions, tree: &mut Tree) {
        let log = self.shared.log();
        if log.size() == 0 {
            return;
        }
        let note = audit.key.checkpoint(&log);
        for (n, witness) in audit.witnesses.iter().enumerate() {
            let told = self.tell(&**witness, &note, &log, tree).await;
            if let Err(error) = &told {
                tracing::error!(%error, witness = n, "a witness did not take the checkpoint of the audit log");
            }
            let mut all = self.witnessed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(one) = all.get_mut(n) {
                match told {
                    Ok(()) => *one = Witnessed { size: log.size(), error: None },
                    Err(e) => one.error = Some(e.to_string()),
                }
            }
        }
    }

    async fn tell(&self, witness: &dyn Witness, note: &str, log: &Log, tree: &mut Tree) -> Result<()> {
        let cx = self.cx.deadline_in(WITHIN);
        let told = async {
            let old = witness.size(&cx).await?;
            let proof = tree.consistency(&self.shared.store, log, old, log.size())?;
            witness.receive(&cx, note, &proof).await
        };
        cx.within(OP, told).await
    }
}
