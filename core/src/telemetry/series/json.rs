//! Questions and answers as JSON: what other languages give and get.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Aggregate, Column, OP, Over, SeriesAnswer, SeriesQuery, Step, ThingsOf, Values, code};
use crate::{Error, Result, ThingId, io::Timestamp, query::Filter, stats::bucket::Unit};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    things: Things,
    metric: String,
    from: i64,
    to: i64,
    step: Option<Value>,
    over: Option<OverWire>,
    aggregate: Option<AggregateWire>,
    limit: Option<usize>,
    interval_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Things {
    Ids(Vec<ThingId>),
    Tag(String),
    Query(Value),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum OverWire {
    Each,
    Together,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum AggregateWire {
    Mean,
    Sum,
    Min,
    Max,
    Last,
    Energy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Calendar {
    unit: String,
    #[serde(default = "one")]
    count: u32,
    #[serde(default = "utc")]
    zone: String,
}

const fn one() -> u32 {
    1
}

fn utc() -> String {
    "UTC".into()
}

impl SeriesQuery {
    /// Reads a question from JSON:
    ///
    /// | member | is |
    /// |---|---|
    /// | `things` | `{"ids": […]}`, `{"tag": "t-miner"}` or `{"query": {…}}` |
    /// | `metric` | path of the number, such as `stats.power_w` |
    /// | `from`, `to` | ms since 1970; `to` is not in it |
    /// | `step` | `"raw"`, `"whole"`, ms, or `{"unit": "H", "D", "W" or "M", "count", "zone"}`; a minute without it |
    /// | `over` | `"each"` (without it) or `"together"` |
    /// | `aggregate` | `"mean"` (without it), `"sum"`, `"min"`, `"max"`, `"last"`, `"energy"` |
    /// | `limit`, `intervalMs` | as [`limit`](Self::limit) and [`interval`](Self::interval) |
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), which says where; `ERR_STEP_INVALID` for a step that is none.
    pub fn from_json(text: &str) -> Result<Self> {
        let wire: Wire = serde_json::from_str(text)
            .map_err(|e| Error::invalid(OP, "query", e.to_string()).caused_by(e))?;
        let things = match wire.things {
            Things::Ids(ids) => ThingsOf::Ids(ids),
            Things::Tag(tag) => ThingsOf::Tag(tag),
            Things::Query(query) => {
                ThingsOf::Matching(Filter::parse(&query).map_err(|e| e.code_as("ERR_QUERY_INVALID"))?)
            }
        };
        let mut query = Self::new(things, &wire.metric, Timestamp(wire.from)..Timestamp(wire.to));
        if let Some(told) = &wire.step {
            query.step = step(told)?;
        }
        query.over = match wire.over {
            Some(OverWire::Together) => Over::Together,
            Some(OverWire::Each) | None => Over::Each,
        };
        query.aggregate = match wire.aggregate {
            Some(AggregateWire::Mean) | None => Aggregate::Mean,
            Some(AggregateWire::Sum) => Aggregate::Sum,
            Some(AggregateWire::Min) => Aggregate::Min,
            Some(AggregateWire::Max) => Aggregate::Max,
            Some(AggregateWire::Last) => Aggregate::Last,
            Some(AggregateWire::Energy) => Aggregate::Energy,
        };
        query.limit = wire.limit.unwrap_or(query.limit);
        query.interval = wire.interval_ms.map(Duration::from_millis);
        Ok(query)
    }
}

fn step(told: &Value) -> Result<Step> {
    let wrong = |why: String| Error::invalid(OP, "step", why).code_as(code::STEP_INVALID);
    match told {
        Value::String(word) if word == "raw" => Ok(Step::Raw),
        Value::String(word) if word == "whole" => Ok(Step::Whole),
        Value::Number(ms) => {
            ms.as_i64().map(Step::Fixed).ok_or_else(|| wrong("takes a whole number of ms".into()))
        }
        Value::Object(_) => {
            let Calendar { unit, count, zone } =
                serde_json::from_value(told.clone()).map_err(|e| wrong(e.to_string()))?;
            let unit = match unit.as_str() {
                "H" => Unit::Hour,
                "D" => Unit::Day,
                "W" => Unit::Week,
                "M" => Unit::Month,
                _ => return Err(wrong("takes H, D, W or M as its unit".into())),
            };
            Ok(Step::Calendar { unit, count, zone })
        }
        _ => Err(wrong("takes raw, whole, a number of ms, or unit, count and zone".into())),
    }
}

impl SeriesAnswer {
    /// The answer as JSON: `steps` are `[start, end]` in ms; a column has `thing` (none over all) and lists of the same
    /// length, `values`, `coverage` and `contributors` by steps, or `ts` and `values` of raw samples; a value that is not
    /// known is null.
    pub fn to_json(&self) -> Value {
        let failed = |(thing, e): &(ThingId, Error)| {
            let context: Map<String, Value> =
                e.context().map(|(key, told)| (key.into(), told.into())).collect();
            json!({"thing": thing, "code": e.code(), "message": e.to_string(), "context": context})
        };
        json!({
            "steps": self.steps.iter().map(|step| [step.start.0, step.end.0]).collect::<Vec<_>>(),
            "columns": self.columns.iter().map(column).collect::<Vec<_>>(),
            "failed": self.failed.iter().map(failed).collect::<Vec<_>>(),
            "removedBefore": self.removed_before,
        })
    }
}

fn column(column: &Column) -> Value {
    match &column.values {
        Values::Points(points) => json!({
            "thing": column.thing,
            "values": points.iter().map(|point| point.value).collect::<Vec<_>>(),
            "coverage": points.iter().map(|point| point.coverage).collect::<Vec<_>>(),
            "contributors": points.iter().map(|point| point.contributors).collect::<Vec<_>>(),
        }),
        Values::Samples(samples) => json!({
            "thing": column.thing,
            "ts": samples.iter().map(|sample| sample.ts).collect::<Vec<_>>(),
            "values": samples.iter().map(|sample| sample.value).collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::series::Point;

    fn read(more: &str) -> Result<SeriesQuery> {
        SeriesQuery::from_json(&format!(
            r#"{{"things": {{"tag": "t-miner"}}, "metric": "stats.power_w", "from": 1000, "to": 2000{more}}}"#
        ))
    }

    #[test]
    fn what_is_not_said_is_as_in_rust() {
        let query = read("").unwrap();
        let usual = SeriesQuery::new(ThingsOf::Tag("t-miner".into()), "stats.power_w", query.range.clone());
        assert_eq!((query.step, query.over, query.aggregate), (usual.step, usual.over, usual.aggregate));
        assert_eq!((query.limit, query.range.start.0, query.range.end.0), (usual.limit, 1_000, 2_000));
    }

    #[test]
    fn every_step_has_a_form() {
        let step = |told: &str| read(&format!(r#", "step": {told}"#)).map(|query| query.step);
        assert_eq!(step(r#""raw""#).unwrap(), Step::Raw);
        assert_eq!(step(r#""whole""#).unwrap(), Step::Whole);
        assert_eq!(step("300000").unwrap(), Step::Fixed(300_000));
        let day = Step::Calendar { unit: Unit::Day, count: 1, zone: "Asia/Kathmandu".into() };
        assert_eq!(step(r#"{"unit": "D", "zone": "Asia/Kathmandu"}"#).unwrap(), day);
        for wrong in [r#""often""#, "1.5", r#"{"unit": "m"}"#, r#"{"unit": "D", "every": 2}"#, "[]"] {
            assert_eq!(step(wrong).unwrap_err().code(), code::STEP_INVALID, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for wrong in [r#", "agregate": "sum""#, r#", "over": "all""#, r#", "limit": -1"#] {
            assert_eq!(read(wrong).unwrap_err().kind(), crate::ErrorKind::Invalid, "{wrong}");
        }
        let things = |told: &str| {
            SeriesQuery::from_json(&format!(r#"{{"things": {told}, "metric": "m", "from": 0, "to": 1}}"#))
        };
        assert!(things(r#"{"ids": ["a"]}"#).is_ok() && things(r#"{"query": {"type": "x"}}"#).is_ok());
        assert_eq!(things(r#"{"query": {"$no": 1}}"#).unwrap_err().code(), "ERR_QUERY_INVALID");
        assert!(things(r#"{"ids": ["a"], "tag": "b"}"#).is_err());
    }

    #[test]
    fn an_answer_has_lists_of_one_length() {
        let point = Point { value: None, coverage: 0.0, contributors: 0.0 };
        let known = Point { value: Some(3.5), coverage: 1.0, contributors: 2.0 };
        let columns = vec![Column { thing: None, values: Values::Points(vec![known, point]) }];
        let answer = SeriesAnswer { columns, ..SeriesAnswer::default() };
        let told = answer.to_json();
        assert_eq!(told["columns"][0]["values"], json!([3.5, null]));
        assert_eq!(told["columns"][0]["coverage"], json!([1.0, 0.0]));
        assert_eq!((&told["removedBefore"], &told["steps"]), (&json!(null), &json!([])));
    }
}
