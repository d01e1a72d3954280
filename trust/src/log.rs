//! Keeps what the library logs, to look for what must not be in it.

use std::{
    fmt::{self, Write},
    sync::{Mutex, PoisonError},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

static LOG: Mutex<String> = Mutex::new(String::new());

/// Writes every event down, with all its fields.
#[derive(Debug)]
struct Keep;

/// From now on all logs are kept.
pub fn keep() -> Result<(), String> {
    tracing::subscriber::set_global_default(Keep).map_err(|e| e.to_string())
}

/// All that was logged.
pub fn kept() -> String {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text does not fail.
        let _written = writeln!(self.0, "{field}={value:?}");
    }
}

impl Subscriber for Keep {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Fields(&mut LOG.lock().unwrap_or_else(PoisonError::into_inner)));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut LOG.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Fields(&mut LOG.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
