//! Values by day or month of what a family says, over any range of days.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{
    Timestamp as Instant, civil,
    tz::{Offset, TimeZone},
};
use serde_json::{Map, Value, json};

use crate::{
    Error, Result,
    auth::Access::Read,
    io::Timestamp,
    rack::{LogKey, Partial, Rack, Tail, TailQuery},
    stats::{
        families,
        fold::{FoldRequest, FoldSpec, Folded, Span, fold},
        live::Window,
    },
};

use super::{
    Call, OP, Reply, mos,
    params::{Params, truthy},
    racks::of_type,
    tail::names,
};

const MOST_KEYS: usize = 64;
/// Ten years.
const MOST_DAYS: usize = 3_660;
const LARGEST_OFFSET_MS: i64 = 14 * 3_600_000;

pub(super) async fn all(call: Call<'_>) -> Result<Reply> {
    let wrong = || Error::invalid(OP, "keys", "takes a list of 1 to 64 keys").code_as("ERR_KEYS_INVALID");
    let keys = call.params.get("keys")?.and_then(Value::as_array).ok_or_else(wrong)?;
    if keys.is_empty() || keys.len() > MOST_KEYS {
        return Err(wrong());
    }
    let mut out = Vec::with_capacity(keys.len());
    for key in keys {
        let text = key.as_object().map(|_| key.to_string()).ok_or_else(wrong)?;
        let shown = key.get("type").cloned().unwrap_or(Value::Null);
        out.push(match one(&call, &Params::parse(&text)?).await {
            Ok(data) => json!({"type": shown, "data": data, "error": null}),
            Err(error) => json!({"type": shown, "data": {}, "error": error.code()}),
        });
    }
    Ok(Reply::of(out))
}

/// A local day, with what is told of it.
struct Day {
    span: Span,
    date: civil::Date,
}

async fn one(call: &Call<'_>, params: &Params<'_>) -> Result<Value> {
    let thing_type = params.text("type", "ERR_TYPE_INVALID")?;
    let family = thing_type.split('-').next().unwrap_or_default();
    let spec = families::fold(family).ok_or_else(|| {
        Error::invalid(OP, "type", "there are no statistics of this family").code_as("ERR_TYPE_AGGR_INVALID")
    })?;
    let days = days(params)?;
    let fields = names(params, "fields")?;
    let spans: Vec<Span> = match (truthy(params.get("shouldReturnDailyData")?), by_month(params)?) {
        (true, _) => days.iter().map(|day| day.span).collect(),
        (false, true) => months(&days).into_iter().map(|(span, _)| span).collect(),
        (false, false) => days.first().zip(days.last()).map(|(a, b)| whole(a, b)).into_iter().collect(),
    };
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Ok(json!([])) };
    let window = dividing(&spans, call.ork.0.fan.now());
    let mut query = TailQuery::new(LogKey::Stat(window), &format!("t-{thing_type}"), first.start, last.end);
    query.spans = Some(spans);
    if !fields.is_empty() {
        query.wanted = Some(spec.only(&fields).sources().into_iter().map(str::to_owned).collect());
    }
    let query = Arc::new(query);
    let work = |rack: Arc<dyn Rack>| {
        let query = Arc::clone(&query);
        async move { rack.tail(&query).await }
    };
    let Partial { items, mut failed } = call.ork.0.fan.each(of_type(call, thing_type)?, Read, work).await;
    if items.is_empty() && !failed.is_empty() {
        return Err(failed.swap_remove(0).1);
    }
    let (mut rows, mut stored, mut is_mos) = (Vec::new(), Vec::new(), false);
    for (_, tail) in items {
        match tail {
            Tail::Rows(more) => rows.extend(more),
            Tail::Mos(more) => {
                stored.extend(more);
                is_mos = true;
            }
            Tail::Documents(_) => {}
        }
    }
    if is_mos {
        return shown_mos(params, &days, (&spec, &fields), &stored);
    }
    let folded = fold(&spec, &rows, &FoldRequest::of(fields));
    shown(params, &days, folded)
}

fn by_month(params: &Params<'_>) -> Result<bool> {
    Ok(truthy(params.get("shouldReturnMonthlyData")?))
}

fn shown(params: &Params<'_>, days: &[Day], folded: Vec<Folded>) -> Result<Value> {
    let value = |folded: &Folded| Value::Object(folded.row.to_json());
    let of = |span: Span| {
        folded.iter().find(|row| row.of == crate::stats::fold::FoldedOf::At(Some(span.end))).map(value)
    };
    if truthy(params.get("shouldReturnDailyData")?) {
        let day = |day: &Day| Some(json!({"ts": day.span.start, "val": of(day.span)?}));
        return Ok(days.iter().filter_map(day).collect());
    }
    if by_month(params)? {
        let month = |(span, date): (Span, civil::Date)| {
            Some(json!({"year": date.year(), "month": date.month(), "val": of(span)?}))
        };
        return Ok(months(days).into_iter().filter_map(month).collect());
    }
    let mut row: Map<String, Value> = folded.first().map(|folded| folded.row.to_json()).unwrap_or_default();
    if let Some(first) = folded.first() {
        row.insert("aggrCount".into(), first.count.into());
        row.insert("aggrIntervals".into(), days.len().into());
    }
    Ok(Value::Object(row))
}

/// The same of rows as MiningOS stores them: days are folded first, and what is longer is folded of days.
fn shown_mos(
    params: &Params<'_>,
    days: &[Day],
    (spec, fields): (&FoldSpec, &BTreeSet<String>),
    rows: &[Value],
) -> Result<Value> {
    let spans: Vec<Span> = days.iter().map(|day| day.span).collect();
    let by_day = mos::by_day(spec, fields, &spans, rows);
    if truthy(params.get("shouldReturnDailyData")?) {
        let day = |(span, row): (Span, _)| json!({"ts": span.start, "val": mos::results(row)});
        return Ok(by_day.into_iter().map(day).collect());
    }
    let within = |whole: Span| {
        let inside = |day: &Span| day.start >= whole.start && day.end <= whole.end;
        let rows = by_day.iter().filter(|(day, _)| inside(day)).map(|(_, row)| row.clone());
        mos::of_days(spec, fields, rows.collect())
    };
    if by_month(params)? {
        let month = |(span, date): (Span, civil::Date)| {
            let row = within(span)?.map(mos::results);
            Ok(row.map(|val| json!({"year": date.year(), "month": date.month(), "val": val})))
        };
        let months: Vec<Option<Value>> = months(days).into_iter().map(month).collect::<Result<_>>()?;
        return Ok(months.into_iter().flatten().collect());
    }
    let all = days.first().zip(days.last()).map(|(a, b)| whole(a, b));
    let row = all.map(within).transpose()?.flatten().unwrap_or_default();
    Ok(Value::Object(
        row.into_iter().filter(|(name, _)| !["ts", "aggrTsRange"].contains(&name.as_str())).collect(),
    ))
}

fn whole(first: &Day, last: &Day) -> Span {
    Span { start: first.span.start, end: last.span.end }
}

/// Days in a row of one month, as one span with the first day's date.
fn months(days: &[Day]) -> Vec<(Span, civil::Date)> {
    let same = |a: &Day, b: &Day| (a.date.year(), a.date.month()) == (b.date.year(), b.date.month());
    let month = |days: &[Day]| Some((whole(days.first()?, days.last()?), days.first()?.date));
    days.chunk_by(same).filter_map(month).collect()
}

/// The longest window of which all spans are made.
fn dividing(spans: &[Span], now: Timestamp) -> Window {
    let fits = |window: &Window| {
        let on = |ts: Timestamp| ts.0.rem_euclid(window.length_ms()) == 0;
        // What is not over yet is told as far as it went.
        spans.iter().all(|span| on(span.start) && on(span.end) && span.end <= now)
    };
    Window::ALL.into_iter().rev().find(fits).unwrap_or(Window::M5)
}

fn days(params: &Params<'_>) -> Result<Vec<Day>> {
    let at = |member: &'static str, code: &'static str| {
        let wrong = || Error::invalid(OP, member, "takes a time as in 2026-01-31T00:00:00Z").code_as(code);
        let text = params.get(member)?.and_then(Value::as_str).ok_or_else(wrong)?;
        let instant = text.parse::<Instant>().or_else(|_| {
            let date = text.parse::<civil::Date>()?;
            date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp())
        });
        instant.map(|instant| instant.as_millisecond()).map_err(|e| wrong().caused_by(e))
    };
    let (start, end) = (at("startDate", "ERR_START_DATE_INVALID")?, at("endDate", "ERR_END_DATE_INVALID")?);
    if end < start {
        return Err(Error::invalid(OP, "endDate", "lies before startDate").code_as("ERR_END_DATE_INVALID"));
    }
    let wrong = || {
        let why = "takes milliseconds, whole minutes, at most 14 hours either way";
        Error::invalid(OP, "timezoneOffset", why).code_as("ERR_TIMEZONE_OFFSET_INVALID")
    };
    let offset = match params.get("timezoneOffset")? {
        Some(value) => value.as_i64().ok_or_else(wrong)?,
        None => 0,
    };
    if offset.abs() > LARGEST_OFFSET_MS || offset % 60_000 != 0 {
        return Err(wrong());
    }
    let day_ms = Window::D1.length_ms();
    let first = (start + offset).div_euclid(day_ms);
    // A range that ends with a day does not hold the next one.
    let last = (end + offset - i64::from(end > start)).div_euclid(day_ms);
    if usize::try_from(last - first).unwrap_or(usize::MAX) >= MOST_DAYS {
        let why = "the range has more than ten years";
        return Err(Error::invalid(OP, "endDate", why).code_as("ERR_END_DATE_INVALID"));
    }
    let seconds = i32::try_from(offset / 1_000).unwrap_or(0);
    let zone = Offset::from_seconds(seconds).map_err(|e| wrong().caused_by(e))?;
    let day = |n: i64| {
        let start = n * day_ms - offset;
        let date = Instant::from_millisecond(start).map_err(|e| wrong().caused_by(e))?;
        let date = zone.to_datetime(date).date();
        Ok(Day { span: Span::ms(start, start + day_ms), date })
    };
    (first..=last).map(day).collect()
}
