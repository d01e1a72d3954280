use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;

use super::{Inner, last::began};
use crate::{
    Result, history,
    model::{
        RackId,
        flat::{Flattener, Shape},
    },
    planted::{Bug, planted},
    rack::{Reading, SnapshotSink},
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
            if let Err(error) = self.inner.take(&self.rack, reading) {
                self.inner.dropped.fetch_add(1, Ordering::Relaxed);
                // Its texts may be those that changed.
                if let Some(stats) = self.inner.racks().get_mut(&self.rack) {
                    stats.members.forget_texts();
                }
                tracing::warn!(%error, thing = %reading.thing, "a reading is not kept");
            }
        }
    }
}

impl Inner {
    fn take(&self, rack: &RackId, reading: &Arc<Reading>) -> Result<()> {
        let (snapshot, began) = (reading.snapshot(), began(reading));
        let mut intake = self.intake();
        let Intake { flattener, shapes, texts } = &mut *intake;
        let flat = flattener.flatten(&snapshot).and_then(|flat| Ok((shape_of(shapes, flat.shape)?, flat)));
        // Held until it is appended: a commit in between would say nothing of this reading, and a rebuild not find it.
        let mut racks = self.racks();
        let Some(stats) = racks.get_mut(rack) else { return Ok(()) };
        if !stats.hear(&self.things, reading, began) {
            self.of_gone.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let (shape, flat) = flat?;
        if planted(Bug::WallDeadline) && reading.ts < stats.until.ended {
            return Ok(());
        }
        let taken = stats.take(reading, &snapshot, &flat, began)?;
        stats.comes(reading.ts, began);
        let said = taken.texts.then(|| with_error(flat.texts, reading, texts));
        let sample = history::Sample {
            owner: reading.thing.as_str(),
            ts: began,
            shape: &shape,
            values: flat.values,
            texts: said,
        };
        self.raw.append(&[sample])?;
        stats.until.ended = stats.until.ended.max(reading.ts);
        if let Some(late) = taken.late {
            stats.dirty.mark_late(late);
        }
        Ok(())
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
