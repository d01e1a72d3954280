//! Readings of things, as MiningOS keeps them.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    DAY_MS,
    import::Import,
    line::{Timed, of_row, timed},
    there::There,
};
use crate::{
    Result, ThingId,
    history::{MAX_OWNER_BYTES, Sample},
    io::Timestamp,
    model::flat::Flattener,
    telemetry::intake::{Intake, put_error, shape_of},
};

/// Rows that are compared with the history at once; they are of one day.
const BATCH: usize = 2_048;

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    err: Value,
    snap: Value,
}

/// A reading as it was taken: values by the address of their shape, and texts.
type Taken = (usize, Vec<f64>, String);

impl Import<'_> {
    pub fn readings(&mut self, thing: &str, rows: &[&RawValue]) -> Result<()> {
        let id = match ThingId::new(thing) {
            Ok(id) if thing.len() <= MAX_OWNER_BYTES => id,
            _ => return self.skip("its thing is no id of 1 to 128 bytes without white space".into()),
        };
        let (rows, bad) = timed(rows);
        bad.into_iter().try_for_each(|why| self.skip(why))?;
        for day in rows.chunk_by(|a, b| a.ts / DAY_MS == b.ts / DAY_MS) {
            for batch in day.chunks(BATCH) {
                self.batch(&id, batch)?;
                self.commit_some()?;
            }
        }
        Ok(())
    }

    fn batch(&mut self, thing: &ThingId, batch: &[Timed<'_>]) -> Result<()> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(()) };
        let inner = self.inner;
        // No reading of a poll comes between looking and taking.
        let mut intake = inner.intake();
        let there = There::read(&inner.raw, thing.as_str(), first.ts, last.ts)?;
        let mut taken: Vec<Taken> = Vec::new();
        let mut at_ts = first.ts;
        let mut held: Option<(i64, String)> = None;
        let before = self.done.readings;
        for row in batch {
            if row.ts != at_ts {
                at_ts = row.ts;
                taken.clear();
            }
            if let Err(why) = self.reading(&mut intake, thing, row, &there, &mut held, &mut taken)? {
                self.skip(of_row(row.at, &why))?;
            }
        }
        if self.done.readings > before
            && let Some(record) = inner.things.get(thing)
            && let Some(rack) = inner.racks().get_mut(&record.rack)
        {
            // Its next reading must not leave its texts to one that was brought in.
            rack.members.forget_texts();
        }
        Ok(())
    }

    fn reading(
        &mut self,
        intake: &mut Intake,
        thing: &ThingId,
        row: &Timed<'_>,
        there: &There,
        held: &mut Option<(i64, String)>,
        taken: &mut Vec<Taken>,
    ) -> Result<std::result::Result<(), String>> {
        let (err, snap) = match parse(row.raw) {
            Ok(parsed) => parsed,
            Err(why) => return Ok(Err(why)),
        };
        let Intake { flattener, shapes, texts: buffer } = intake;
        let flat = match Flattener::flatten_value(flattener, &snap) {
            Ok(flat) => flat,
            Err(e) => return Ok(Err(e.message().to_owned())),
        };
        let shape = match shape_of(shapes, flat.shape) {
            Ok(shape) => shape,
            Err(e) => return Ok(Err(e.message().to_owned())),
        };
        let texts = match &err {
            Some(err) => put_error(flat.texts, err, buffer),
            None => flat.texts,
        };
        let address = std::sync::Arc::as_ptr(&shape).addr();
        let again = |(of, values, said): &Taken| *of == address && *values == flat.values && said == texts;
        if there.has(row.ts, &shape, flat.values, texts) || taken.iter().any(again) {
            self.done.same += 1;
            return Ok(Ok(()));
        }
        if there.changes_next(row.ts, texts) {
            let why = "a reading that follows it is there already, and leaves its texts to the one before";
            return Ok(Err(why.into()));
        }
        let holds = match held {
            // The history's own count where they came later than what was brought in.
            Some((ts, said)) if !there.changed_between(*ts, row.ts) => Some(said.as_str()),
            _ => there.held(row.ts),
        };
        let said = (holds != Some(texts)).then_some(texts);
        let sample = Sample {
            owner: thing.as_str(),
            ts: Timestamp(row.ts),
            shape: &shape,
            values: flat.values,
            texts: said,
        };
        if let Err(why) = self.append(&self.inner.raw, sample)? {
            return Ok(Err(why));
        }
        *held = Some((row.ts, texts.to_owned()));
        taken.push((address, flat.values.to_vec(), texts.to_owned()));
        self.done.readings += 1;
        Ok(Ok(()))
    }
}

/// The error and the snapshot of a reading; a snapshot that is null is one without members.
fn parse(raw: &RawValue) -> std::result::Result<(Option<String>, Value), String> {
    let row: Row = serde_json::from_str(raw.get()).map_err(|e| format!("it is no reading: {e}"))?;
    let err = match row.err {
        Value::Null => None,
        Value::String(err) => Some(err),
        _ => return Err("its err is neither a text nor null".into()),
    };
    let snap = match row.snap {
        Value::Null => Value::Object(serde_json::Map::new()),
        Value::Object(members) if members.contains_key("err") => {
            return Err("its snap has a member err, which would be taken for the reading's".into());
        }
        snap @ Value::Object(_) => snap,
        _ => return Err("its snap is neither an object nor null".into()),
    };
    Ok((err, snap))
}
