//! The last minutes of the site's power, out of its history.

use std::time::Duration;

use headframe::{
    ErrorKind, Result,
    io::{Ctx, Timestamp},
    site::Site,
    telemetry::{Aggregate, Over, Point, SeriesQuery, Step, ThingsOf},
};

/// How far back it goes, ms.
const BACK_MS: i64 = 180_000;
const STEPS: i64 = 60;
/// A sum of fewer would look like a fall.
const ENOUGH: f64 = 0.9;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One line, or none before anything was said.
pub async fn line(cx: &Ctx, site: &Site, since: Timestamp) -> Result<Option<String>> {
    let Some(telemetry) = site.telemetry().cloned() else { return Ok(None) };
    let now = cx.clock.wall();
    let from = Timestamp(since.0.max(now.0 - BACK_MS));
    // Whole seconds, as few as fit.
    let step = ((now.0 - from.0) / STEPS / 1_000 + 1) * 1_000;
    let mut query = SeriesQuery::new(ThingsOf::Ids(site.things().ids()), "stats.power_w", from..now);
    query.step = Step::Fixed(step);
    query.over = Over::Together;
    query.aggregate = Aggregate::Sum;
    // It reads files.
    let asked = tokio::task::spawn_blocking(move || telemetry.series(&query)).await;
    let answer = match asked.map_err(|e| {
        headframe::Error::new(ErrorKind::Internal, "quickstart.trend", "the question was not answered")
            .caused_by(e)
    })? {
        // Nobody said a power yet.
        Err(e) if e.code() == "ERR_METRIC_NOT_FOUND" => return Ok(None),
        told => told?,
    };
    let points = answer.columns.first().map_or(&[][..], |column| column.points());
    let ago = Duration::from_secs(u64::try_from((now.0 - from.0) / 1_000).unwrap_or(0));
    Ok(drawn(points).map(|(bars, least, most)| {
        format!("power, last {} s  {bars}  {:.1} to {:.1} kW", ago.as_secs(), least / 1e3, most / 1e3)
    }))
}

/// A bar for each step, from nothing to the greatest; a gap where much less was known than at best. With the least and the
/// greatest.
fn drawn(points: &[Point]) -> Option<(String, f64, f64)> {
    let best = points.iter().map(|point| point.coverage).fold(0.0, f64::max);
    let value = |point: &Point| point.value.filter(|_| point.coverage >= ENOUGH * best);
    let known = || points.iter().filter_map(value);
    let most = known().reduce(f64::max)?;
    let least = known().reduce(f64::min)?;
    let bar = |point: &Point| {
        let Some(value) = value(point) else { return ' ' };
        let at = if most > 0.0 { value / most * (BARS.len() - 1) as f64 } else { 0.0 };
        BARS[(at.round() as usize).min(BARS.len() - 1)]
    };
    Some((points.iter().map(bar).collect(), least, most))
}
