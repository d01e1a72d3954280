//! Actions that ended long ago go into the archive.

use std::{sync::Weak, time::Duration};

use super::Inner;
use crate::{
    Result,
    action::{
        archive::{self, ArchiveDocument, Packed},
        desk::Desk,
    },
    io::Timestamp,
};

/// How often is looked for them.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// While more are left.
const PAUSE: Duration = Duration::from_secs(1);
/// So many at most go at a time,
const MOST: usize = 64;
/// and no more once they have so many bytes.
const MOST_BYTES: usize = 8 << 20;

/// Serves until the engine ends.
pub(super) async fn serve(inner: Weak<Inner>) {
    let Some(engine) = inner.upgrade() else { return };
    let mut reconciled = engine.reconciled.subscribe();
    drop(engine);
    if reconciled.wait_for(|done| *done).await.is_err() {
        return;
    }
    while let Some(engine) = inner.upgrade() {
        let moved = engine.archive_some().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "actions that ended long ago stay in the control store for now");
            0
        });
        let clock = engine.cx.clock.clone();
        drop(engine);
        let pause = if moved > 0 { PAUSE } else { LOOK_EVERY };
        clock.sleep_until(clock.mono() + pause).await;
    }
}

impl Inner {
    /// Moves some of the actions that ended long ago, and gives how many.
    async fn archive_some(&self) -> Result<usize> {
        let Some(archive) = &self.options.archive else { return Ok(0) };
        let now = self.shared.now();
        let (packed, documents) = self.pack_some(now)?;
        if packed.is_empty() {
            return Ok(0);
        }
        let moved = packed.len();
        self.point("before_archive").await;
        archive.keep(Timestamp(now), documents).await?;
        self.point("after_keep").await;
        let leave = move |desk: &mut Desk| packed.into_iter().try_for_each(|packed| desk.leave(packed));
        self.ask(leave).await?;
        self.point("after_archive").await;
        Ok(moved)
    }

    fn pack_some(&self, now: i64) -> Result<(Vec<Packed>, Vec<ArchiveDocument>)> {
        let after = i64::try_from(self.options.archive_after.as_millis()).unwrap_or(i64::MAX);
        let before = now.saturating_sub(after);
        let (mut packed, mut documents, mut bytes) = (Vec::new(), Vec::new(), 0);
        for header in self.shared.ended_before(before, MOST) {
            let (one, two) = archive::pack(&self.shared.store, &header, now)?;
            bytes += two.iter().map(|document| document.json.len()).sum::<usize>();
            packed.push(one);
            documents.extend(two);
            if bytes >= MOST_BYTES {
                break;
            }
        }
        Ok((packed, documents))
    }
}
