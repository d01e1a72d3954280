use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value};

use crate::{
    Error, ErrorKind, Result,
    auth::Access::{Read, Write},
    rack::{Caller, Partial, RackId, RackInfo},
};

use super::{
    super::{
        Orchestrator,
        fan::{Places, places},
    },
    ExtData, ExtQuery, MOST_ROWS, NOT_CONFIGURED, OP, unite,
};

/// A source that is served.
#[derive(Debug, Clone)]
pub(in crate::ork) struct ExtSlot {
    info: RackInfo,
    source: Arc<dyn ExtData>,
    places: Places,
}

/// What the sources of a type said, and whether one of them answered.
#[derive(Debug)]
pub(in crate::ork) struct ExtAnswer {
    pub rows: Partial<Vec<Value>>,
    pub answered: bool,
}

impl Orchestrator {
    /// Serves the data of one type, `minerpool` or `minerpool-ocean` for example, from this source; several of one type
    /// are asked together, and `minerpool` asks those of `minerpool-ocean`, too. Gives the id by which errors name it,
    /// `<type>-<name>`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a type without a family or a name that makes no id,
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_EXT_DATA_EXISTS` when there is a source of this id.
    pub fn serve_ext(&self, ext_type: &str, source: Arc<dyn ExtData>) -> Result<RackId> {
        let info = RackInfo::new(ext_type, source.name())?;
        let id = info.id.clone();
        let mut served = self.0.sources.ext.write().unwrap_or_else(PoisonError::into_inner);
        if served.iter().any(|slot| slot.info.id == id) {
            let e = Error::new(ErrorKind::Conflict, OP, "there is a source of this type and name already");
            return Err(e.code_as("ERR_EXT_DATA_EXISTS").with("source", id));
        }
        served.push(ExtSlot { info, source, places: places(self.0.calls_per_rack) });
        served.sort_by(|a, b| a.info.id.cmp(&b.info.id));
        Ok(id)
    }

    /// Serves a source no more.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is none of this id.
    pub fn unserve_ext(&self, id: &RackId) -> Result<Arc<dyn ExtData>> {
        let mut served = self.0.sources.ext.write().unwrap_or_else(PoisonError::into_inner);
        let at = served.iter().position(|slot| slot.info.id == *id);
        let missing = || Error::new(ErrorKind::NotFound, OP, "there is no such source").with("source", id);
        Ok(served.remove(at.ok_or_else(missing)?).source)
    }

    /// Sources of exactly this type or of one below it, in the order of their ids.
    fn ext_of(&self, wanted: &str) -> Vec<ExtSlot> {
        let served = self.0.sources.ext.read().unwrap_or_else(PoisonError::into_inner);
        let fits = |slot: &&ExtSlot| {
            let rest = slot.info.thing_type.strip_prefix(wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        served.iter().filter(fits).cloned().collect()
    }

    /// What all sources of a type say. Those that fail are named.
    pub(in crate::ork) async fn ext_rows(&self, wanted: &str, query: ExtQuery) -> Result<ExtAnswer> {
        let query = Arc::new(query);
        let slots = self.ext_of(wanted);
        let mut asked = Vec::with_capacity(slots.len());
        for ExtSlot { info, source, places } in slots {
            let query = Arc::clone(&query);
            let work = async move { bounded(source.rows(&query).await?) };
            asked.push((info.id, self.0.fan.start(&places, Read, work)));
        }
        let (mut all, mut failed, mut count) = (Vec::new(), Vec::new(), 0);
        for (id, running) in asked {
            match running.answer().await {
                Ok(rows) => {
                    count += rows.len();
                    all.push(rows);
                }
                Err(e) => failed.push((id.clone(), e.with("source", &id))),
            }
        }
        if count > MOST_ROWS {
            return Err(too_many());
        }
        let answered = !all.is_empty();
        let live = query.key.as_deref() == Some("stats");
        let pools = wanted.split('-').next() == Some("minerpool");
        let items = match (pools, live) {
            (true, true) => unite::live(all),
            (true, false) => unite::by_time(all),
            // As they are: each of the other types has one source, or rows that have nothing to do with each other.
            _ => all.into_iter().flatten().map(Value::Object).collect(),
        };
        Ok(ExtAnswer { rows: Partial { items, failed }, answered })
    }

    /// Tells the one source of a type that takes this key.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) with `ERR_NOT_CONFIGURED` when none takes it,
    /// [`Conflict`](ErrorKind::Conflict) when several do, and the source's.
    pub(in crate::ork) async fn ext_set(
        &self,
        wanted: &str,
        key: &str,
        value: Value,
        by: &Caller,
    ) -> Result<Value> {
        let mut takers = self.ext_of(wanted);
        takers.retain(|slot| slot.source.takes(key));
        let Some(ExtSlot { info, source, places }) = takers.pop() else {
            let e = Error::new(ErrorKind::Unsupported, OP, "nothing here takes this");
            return Err(e.code_as(NOT_CONFIGURED).with("type", shown(wanted)).with("key", shown(key)));
        };
        if !takers.is_empty() {
            // Half of them would have it when one fails.
            let e = Error::new(ErrorKind::Conflict, OP, "several sources take this: name one by its type");
            return Err(e.code_as("ERR_EXT_DATA_AMBIGUOUS").with("sources", takers.len() + 1));
        }
        let (key, by) = (key.to_owned(), by.clone());
        let work = async move { source.set(&key, value, &by).await };
        let told = self.0.fan.start(&places, Write, work).answer().await;
        told.map_err(|e| e.with("source", &info.id))
    }
}

fn bounded(rows: Vec<Map<String, Value>>) -> Result<Vec<Map<String, Value>>> {
    if rows.len() > MOST_ROWS { Err(too_many()) } else { Ok(rows) }
}

fn too_many() -> Error {
    let why = "the answer has more than 100,000 rows: ask for a shorter time";
    Error::invalid(OP, "query", why).code_as("ERR_LIMIT_EXCEEDED")
}

/// As much of a caller's text as an error repeats.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
