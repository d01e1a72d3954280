//! How what operations look at is found in a record and in a reading.

use serde_json::Value;

use crate::{
    model::{Snapshot, Status, Text, flat::Shape},
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
        let (mut facts, mut numbers) = (Vec::new(), Vec::new());
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
                    numbers.push(member.replace('[', ".").replace(']', ""));
                    Look::Number(numbers.len() - 1)
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

    /// What is seen of a thing.
    pub fn seen<'a>(
        &mut self,
        facts: &'a [Fact],
        shape: &Shape,
        values: &[f64],
        snapshot: &Snapshot,
        out: &mut Vec<Seen<'a>>,
    ) {
        let at = self.places(shape);
        let places = self.shapes.get(at).map_or(&[][..], |(_, places)| places);
        let number = |n: usize| places.get(n).copied().flatten().and_then(|at| values.get(at));
        out.clear();
        out.extend(self.all.iter().map(|look| match look {
            Look::Fact(n) => facts.get(*n).map_or(Seen::Absent, Fact::seen),
            Look::Number(n) => number(*n).map_or(Seen::Absent, |value| Seen::Number(*value)),
            Look::Status => Seen::Text(status(snapshot.status())),
            Look::PowerMode => power_mode(snapshot).map_or(Seen::Absent, Seen::Text),
            Look::Snap => Seen::Bool(true),
            Look::Errors => Seen::Number(errors(snapshot) as f64),
            Look::Nowhere => Seen::Absent,
        }));
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

fn power_mode(snapshot: &Snapshot) -> Option<&'static str> {
    Some(snapshot.miner()?.config.as_ref()?.power_mode?.as_str())
}

fn errors(snapshot: &Snapshot) -> usize {
    snapshot.miner().map_or(0, |miner| miner.stats.errors.len())
}
