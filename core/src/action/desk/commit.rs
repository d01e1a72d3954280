//! What is staged becomes durable, all of it or nothing, and only then is seen.

use std::sync::Arc;

use serde_json::json;

use super::{Desk, error_not_sent};
use crate::{
    Error, ErrorKind, Result, Sent,
    action::{
        ActionId, Bucket,
        note::Note,
        record::{self, Step},
        shared::Shown,
        state::{Effect, Event, Header},
        watch::Summary,
    },
    audit::{Log, Rows},
    planted::{Bug, planted},
    store::{Batch, Expect, Key, Revision, Space},
};

impl Desk {
    /// Turns the journal into rows and what it means for the headers.
    fn fold_journal(&mut self, mut batch: Batch) -> Result<Batch> {
        for (id, steps) in std::mem::take(&mut self.staged.journal) {
            let Some(calls) = self.calls.get_mut(&id) else { continue };
            let key = id.key().join(Key::number(calls.rows));
            calls.rows += 1;
            self.staged.folded.push(id);
            let counts = calls.counts();
            let json = Batch::json(Space::Journal, &key, &steps)?;
            let rows = Rows::new().add(Space::Journal, &key, &json);
            batch =
                batch.require(Space::Journal, &key, Expect::Absent).put_json(Space::Journal, key, Ok(json));
            let by = steps.iter().find_map(|s| match s {
                Step::Outcome(o) => o.by.clone(),
                Step::Intent(_) => None,
            });
            let note = Note::new(by.as_deref().unwrap_or("headframe"), "calls")
                .data(json!({"counts": counts, "steps": steps.len()}));
            self.step(id, &Event::Calls { counts }, note)?;
            if let Some(last) = self.staged.notes.last_mut() {
                last.rows = Some(rows.hash().to_string());
            }
        }
        Ok(batch)
    }

    fn batch(&mut self) -> Result<(Batch, Log)> {
        let mut batch = self.fold_journal(Batch::new())?;
        for (id, rows) in &self.staged.rows {
            batch = record::put_rows(batch, *id, rows);
        }
        for (id, header) in &self.staged.headers {
            let expect =
                self.shared.shown(*id).map_or(Expect::Absent, |shown| Expect::Revision(shown.revision));
            if !planted(Bug::StaleRead) {
                batch = batch.require(Space::Actions, id.key(), expect);
            }
            batch = batch.put(Space::Actions, id.key(), &**header);
        }
        for packed in &self.staged.moved {
            let key = packed.id.key();
            let shown = self.shared.shown(packed.id).ok_or_else(|| self.shared.missing(packed.id))?;
            batch = batch.require(Space::Actions, &key, Expect::Revision(shown.revision));
            batch = packed.keys.iter().fold(batch, |batch, (space, key)| batch.delete(*space, key));
            batch = batch.delete(Space::Actions, key);
        }
        for (space, key) in &self.staged.deletes {
            batch = batch.delete(*space, key);
        }
        for (space, key, value) in &self.staged.puts {
            batch = batch.put(*space, key, value);
        }
        if self.staged.urgent {
            batch = batch.urgent();
        }
        self.log.stage(batch, std::mem::take(&mut self.staged.notes))
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        if self.staged.size == 0 && self.staged.notes.is_empty() {
            self.discard();
            return Ok(());
        }
        self.shared.point("before_fold").await;
        let (batch, log) = match self.batch() {
            Ok(made) => made,
            Err(e) => {
                self.discard();
                return Err(e);
            }
        };
        self.shared.point("before_commit").await;
        match self.shared.store.commit(batch).await {
            Ok(revision) => {
                self.shared.point("after_commit").await;
                self.publish(revision, log);
                self.shared.point("after_publish").await;
                Ok(())
            }
            Err(e) if e.sent() == Sent::Maybe => self.look(e, log).await,
            Err(e) => {
                self.discard();
                Err(e)
            }
        }
    }

    /// After a commit whose outcome is unknown: nothing is judged, and nobody answered, before it is known.
    async fn look(&mut self, error: Error, log: Log) -> Result<()> {
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(250);
        let clock = Arc::clone(&self.shared.cx.clock);
        loop {
            let probe = Batch::new().put(Space::Meta, "action.probe", &self.now());
            match self.shared.store.commit(probe).await {
                Ok(_) => break,
                // It is closed: whoever opens it next sees what became of it.
                Err(e) if e.kind() == ErrorKind::Closed => {
                    self.discard();
                    return Err(error);
                }
                Err(_) => clock.sleep_until(clock.mono() + PAUSE).await,
            }
        }
        // Every commit has an audit entry of its own, so the log's size tells.
        let durable = Log::open(&self.shared.store)?;
        if durable.root() == log.root() {
            let revision = self.shared.store.revision();
            self.publish(revision, log);
            return self.reload_revisions();
        }
        self.discard();
        Err(error_not_sent(&error))
    }

    /// The commit that wrote each header, after one that was not told.
    fn reload_revisions(&self) -> Result<()> {
        for held in self.shared.store.scan(Space::Actions, .., usize::MAX) {
            let header: Header = held.parse()?;
            let shown = Shown { header: Arc::new(header), revision: held.revision };
            self.shared.show(shown);
        }
        Ok(())
    }

    fn publish(&mut self, revision: Revision, log: Log) {
        self.shared.show_log(&log);
        self.log = log;
        let staged = std::mem::take(&mut self.staged);
        for (id, header) in &staged.headers {
            if header.status.bucket() == Bucket::Done && header.counts.unknown == 0 {
                self.calls.remove(id);
            }
            self.shared.show(Shown { header: Arc::clone(header), revision });
        }
        for packed in &staged.moved {
            self.shared.leave(packed.id, packed.moved.at);
        }
        if let Some(stops) = &staged.stops {
            self.shared.show_stops(Arc::clone(stops));
        }
        self.shared.tell();
        for header in staged.headers.values() {
            // Nobody has to listen.
            drop(self.shared.watch.send(Summary::of(header)));
        }
        let begun = |id: &ActionId| staged.headers.get(id).is_some_and(|header| header.begun_ms.is_some());
        if staged.effects.iter().any(|(id, effect)| *effect == Effect::Ended && begun(id)) {
            self.shared.ended.notify_one();
        }
        for effect in staged.effects {
            drop(self.events.send(effect));
        }
    }

    /// Takes back what is staged.
    fn discard(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        for (id, n, before) in staged.undo.into_iter().rev() {
            if let Some(calls) = self.calls.get_mut(&id) {
                calls.restore(n, before);
            }
        }
        for id in staged.folded {
            if let Some(calls) = self.calls.get_mut(&id) {
                calls.rows -= 1;
            }
        }
        for (id, _) in staged.rows {
            self.calls.remove(&id);
        }
    }
}
