//! How what operations look at is found in a record and in a reading, be it one that was just made or one that was kept.
//!
//! All of it follows from what is kept of a reading: numbers from its members, the rest from its texts. A new look that does
//! not has to be a question of [`Told`] as well, so that nobody forgets what a rebuild would say.

use serde_json::{Map, Value};

use crate::{
    Result,
    model::{
        Snapshot, Status, Text,
        flat::{Flat, Shape},
    },
    rack::ThingRecord,
    stats::{Of, Path, Seen},
};

/// Shapes of late, of the things of one rack.
const SHAPES: usize = 16;

/// Where a look leads.
#[derive(Debug, Clone)]
enum Look {
    /// A fact of the record, by its place among them.
    Fact(usize),
    /// A number of the reading, by its place among them.
    Number(usize),
    Status,
    PowerMode,
    Snap,
    Errors,
    /// Nothing that things have.
    Nowhere,
}

/// The looks of a plan, sorted by where they lead.
#[derive(Debug)]
pub(super) struct Looks {
    all: Vec<Look>,
    facts: Vec<(Of, Path)>,
    numbers: Vec<String>,
    shapes: Vec<(Shape, Vec<Option<usize>>)>,
}

/// A fact of a thing that operations look at.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fact {
    Absent,
    Bool(bool),
    Number(f64),
    Text(Text),
}

impl Fact {
    fn of(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Bool(b)) => Self::Bool(*b),
            Some(Value::Number(n)) => n.as_f64().map_or(Self::Absent, Self::Number),
            Some(Value::String(text)) => Self::Text(text.as_str().into()),
            _ => Self::Absent,
        }
    }

    pub fn seen(&self) -> Seen<'_> {
        match self {
            Self::Absent => Seen::Absent,
            Self::Bool(b) => Seen::Bool(*b),
            Self::Number(n) => Seen::Number(*n),
            Self::Text(text) => Seen::Text(text),
        }
    }
}

/// The document of a record that paths begin in, `{id, tags, info, type}`; options are no fact to count by.
pub(super) fn document(record: &ThingRecord) -> Value {
    serde_json::json!({
        "id": record.id, "type": record.thing_type, "tags": record.tags, "info": record.info.map(),
    })
}

impl Looks {
    pub fn new(looks: &[(Of, Path)]) -> Self {
        let (mut facts, mut numbers) = (Vec::new(), Vec::<String>::new());
        let mut look = |of: &Of, path: &Path| {
            let text = path.text();
            if *of == Of::Ext || text.starts_with("info.") {
                facts.push((*of, path.clone()));
                return Look::Fact(facts.len() - 1);
            }
            match text.strip_prefix("last.snap").map(|rest| rest.strip_prefix('.').unwrap_or(rest)) {
                Some("") => Look::Snap,
                Some("stats.status") => Look::Status,
                Some("config.power_mode") => Look::PowerMode,
                Some("stats.errors.length") => Look::Errors,
                Some(member) => {
                    let member = member.replace('[', ".").replace(']', "");
                    let known = numbers.iter().position(|number| *number == member);
                    Look::Number(known.unwrap_or_else(|| {
                        numbers.push(member);
                        numbers.len() - 1
                    }))
                }
                None => Look::Nowhere,
            }
        };
        let all = looks.iter().map(|(of, path)| look(of, path)).collect();
        Self { all, facts, numbers, shapes: Vec::new() }
    }

    /// The facts of a record that are looked at.
    pub fn facts(&self, document: &Value) -> Box<[Fact]> {
        self.facts
            .iter()
            .map(|(_, path)| match path.look(document).to_value() {
                value @ Some(_) => Fact::of(value.as_ref()),
                None => Fact::Absent,
            })
            .collect()
    }

    /// Where the numbers stand in readings of this shape.
    fn places(&mut self, shape: &Shape) -> usize {
        if let Some(at) = self.shapes.iter().position(|(known, _)| known.is(shape)) {
            return at;
        }
        let place = |member: &String| shape.members().iter().position(|known| **known == **member);
        let places = self.numbers.iter().map(place).collect();
        if self.shapes.len() == SHAPES {
            self.shapes.remove(0);
        }
        self.shapes.push((shape.clone(), places));
        self.shapes.len() - 1
    }

    /// The members of readings that are looked at.
    pub fn numbers(&self) -> impl Iterator<Item = &str> {
        self.numbers.iter().map(String::as_str)
    }

    /// What is seen of a thing by a reading that was just made.
    pub fn seen<'a>(
        &mut self,
        facts: &'a [Fact],
        flat: &Flat<'_>,
        snapshot: &'a Snapshot,
        out: &mut Vec<Seen<'a>>,
    ) {
        let at = self.places(flat.shape);
        let places = self.shapes.get(at).map_or(&[][..], |(_, places)| places);
        let number = |n: usize| flat.values.get(places.get(n).copied().flatten()?).copied();
        self.see(facts, snapshot, number, out);
    }

    /// What is seen of a thing by a reading that was kept: `values` in the order of [`numbers`](Self::numbers), NaN where
    /// there is none.
    pub fn seen_again<'a>(
        &self,
        facts: &'a [Fact],
        values: &[f64],
        texts: &'a Texts,
        out: &mut Vec<Seen<'a>>,
    ) {
        let number = |n: usize| values.get(n).copied().filter(|value| !value.is_nan());
        self.see(facts, texts, number, out);
    }

    fn see<'a>(
        &self,
        facts: &'a [Fact],
        told: &'a impl Told,
        number: impl Fn(usize) -> Option<f64>,
        out: &mut Vec<Seen<'a>>,
    ) {
        out.clear();
        out.extend(self.all.iter().map(|look| match look {
            Look::Fact(n) => facts.get(*n).map_or(Seen::Absent, Fact::seen),
            Look::Number(n) => number(*n).map_or(Seen::Absent, Seen::Number),
            Look::Status => told.status().map_or(Seen::Absent, Seen::Text),
            Look::PowerMode => told.power_mode().map_or(Seen::Absent, Seen::Text),
            Look::Snap => Seen::Bool(true),
            Look::Errors => Seen::Number(told.errors() as f64),
            Look::Nowhere => Seen::Absent,
        }));
    }
}

/// What a reading says beside its numbers.
trait Told {
    fn status(&self) -> Option<&str>;
    fn power_mode(&self) -> Option<&str>;
    /// How many errors the device reports.
    fn errors(&self) -> usize;
}

impl Told for Snapshot {
    fn status(&self) -> Option<&str> {
        Some(status(self.status()))
    }

    fn power_mode(&self) -> Option<&str> {
        Some(self.miner()?.config.as_ref()?.power_mode?.as_str())
    }

    fn errors(&self) -> usize {
        self.miner().map_or(0, |miner| miner.stats.errors.len())
    }
}

/// The texts of a reading that was kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    status: Option<String>,
    power_mode: Option<String>,
    errors: usize,
    /// Whether the poll failed.
    pub failed: bool,
}

impl Texts {
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for what is no JSON object.
    pub fn parse(texts: &str) -> Result<Self> {
        let members: Map<String, Value> = serde_json::from_str(texts).map_err(|e| {
            crate::Error::new(crate::ErrorKind::Corrupt, super::OP, "the texts are not a JSON object")
                .caused_by(e)
        })?;
        let text = |path: &str| members.get(path).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            status: text("stats.status"),
            power_mode: text("config.power_mode"),
            errors: members.keys().filter_map(|path| error_place(path)).max().map_or(0, |last| last + 1),
            failed: members.get("err").is_some_and(|err| !err.is_null()),
        })
    }
}

/// Which of the errors a path leads into; numbers in errors are no measurement, so each stands in the texts.
fn error_place(path: &str) -> Option<usize> {
    path.strip_prefix("stats.errors.")?.split('.').next()?.parse().ok()
}

impl Told for Texts {
    fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    fn power_mode(&self) -> Option<&str> {
        self.power_mode.as_deref()
    }

    fn errors(&self) -> usize {
        self.errors
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Offline => "offline",
        Status::Sleeping => "sleeping",
        Status::Mining => "mining",
        Status::Error => "error",
        Status::NotMining => "not_mining",
    }
}
