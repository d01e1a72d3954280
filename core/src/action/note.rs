use serde_json::Value;

use super::Person;

/// Who did something, and why; it goes into the audit log.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub by: String,
    pub what: &'static str,
    pub why: Option<String>,
    pub data: Value,
}

impl Note {
    pub fn new(by: &str, what: &'static str) -> Self {
        Self { by: by.into(), what, why: None, data: Value::Null }
    }

    /// What the engine concluded by itself.
    pub fn own(what: &'static str) -> Self {
        Self::new("headframe", what)
    }

    pub fn why(mut self, why: Option<&str>) -> Self {
        self.why = why.map(str::to_owned);
        self
    }

    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// A name as it stands in the audit log.
pub(super) fn by(person: &Person) -> String {
    person.shown().to_owned()
}
