use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;

use super::Inner;
use crate::{
    Result, ThingId, history,
    io::Timestamp,
    model::{
        RackId,
        flat::{Flattener, Shape},
    },
    planted::{Bug, planted},
    rack::{Reading, SnapshotSink, ThingRecord},
};

/// Shapes of late; things of a few kinds share them.
const SHAPES: usize = 256;

/// What turns snapshots into samples.
#[derive(Debug, Default)]
pub(super) struct Intake {
    pub flattener: Flattener,
    pub shapes: Vec<(Shape, Arc<history::Shape>)>,
    pub texts: String,
}

/// Takes the readings of one rack.
#[derive(Debug)]
pub(super) struct RackSink {
    pub inner: Arc<Inner>,
    pub rack: RackId,
}

#[async_trait]
impl SnapshotSink for RackSink {
    async fn put(&self, batch: &[Arc<Reading>]) {
        for reading in batch {
            let of_rack = |thing: &Arc<ThingRecord>| thing.rack == self.rack;
            let Some(thing) = self.inner.things.get(&reading.thing).filter(of_rack) else {
                self.inner.of_gone.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            if let Err(error) = self.inner.take(&self.rack, &thing, reading) {
                self.inner.dropped.fetch_add(1, Ordering::Relaxed);
                // Its texts may be those that changed.
                if let Some(stats) = self.inner.racks().get_mut(&self.rack) {
                    stats.members.forget_texts();
                }
                tracing::warn!(%error, thing = %thing.id, "a reading is not kept");
            }
            self.inner.lasts.put(&self.rack, reading);
        }
    }
}

impl Inner {
    fn take(&self, rack: &RackId, thing: &Arc<ThingRecord>, reading: &Reading) -> Result<()> {
        let snapshot = reading.snapshot();
        let took = i64::try_from(reading.took.as_millis()).unwrap_or(i64::MAX);
        let began = Timestamp(reading.ts.0.saturating_sub(took));
        let mut intake = self.intake();
        let Intake { flattener, shapes, texts } = &mut *intake;
        let flat = flattener.flatten(&snapshot)?;
        let shape = shape_of(shapes, flat.shape)?;
        // Held until it is appended: a commit in between would say nothing of this reading, and a rebuild not find it.
        let mut racks = self.racks();
        let Some(stats) = racks.get_mut(rack) else { return Ok(()) };
        if planted(Bug::WallDeadline) && reading.ts < stats.until.ended {
            return Ok(());
        }
        let taken = stats.take(thing, reading, &snapshot, &flat, began)?;
        stats.comes(reading.ts, began);
        let said = taken.texts.then(|| with_error(flat.texts, reading, texts));
        self.keep(&thing.id, began, &shape, flat.values, said)?;
        stats.until.ended = stats.until.ended.max(reading.ts);
        if let Some(late) = taken.late {
            stats.dirty.mark_late(late);
        }
        Ok(())
    }

    fn keep(
        &self,
        thing: &ThingId,
        ts: Timestamp,
        shape: &Arc<history::Shape>,
        values: &[f64],
        texts: Option<&str>,
    ) -> Result<()> {
        let sample = history::Sample { owner: thing.as_str(), ts, shape, values, texts };
        self.raw.append(&[sample]).map(drop)
    }
}

pub(super) fn shape_of(
    shapes: &mut Vec<(Shape, Arc<history::Shape>)>,
    shape: &Shape,
) -> Result<Arc<history::Shape>> {
    if let Some((_, made)) = shapes.iter().find(|(known, _)| known.is(shape)) {
        return Ok(Arc::clone(made));
    }
    let made = history::Shape::new(shape.members().iter().map(|member| &**member))?;
    if shapes.len() == SHAPES {
        shapes.remove(0);
    }
    shapes.push((shape.clone(), Arc::clone(&made)));
    Ok(made)
}

/// The texts of a reading, with the code of its error as `err`.
fn with_error<'t>(texts: &'t str, reading: &Reading, out: &'t mut String) -> &'t str {
    match &reading.outcome {
        Err(error) => put_error(texts, error.code(), out),
        Ok(_) => texts,
    }
}

/// Texts with one more, `err`, at their beginning.
pub(super) fn put_error<'t>(texts: &str, err: &str, out: &'t mut String) -> &'t str {
    out.clear();
    out.push_str("{\"err\":");
    out.push_str(&serde_json::Value::from(err).to_string());
    let rest = texts.strip_prefix('{').unwrap_or("}");
    if !rest.starts_with('}') {
        out.push(',');
    }
    out.push_str(rest);
    out
}
