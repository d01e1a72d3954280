//! What a question over a rack's things costs: `cargo run --release -p headframe-benches --bin query -- --things 10000`.
//!
//! The documents are those that a rack lists. First each step is measured over documents in memory, then the whole
//! through the rack, which makes the documents for each question.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use headframe::{
    Error, ErrorKind, Result,
    io::Ctx,
    query::{Filter, Projection, Query, Sort},
    rack::{Caller, Rack},
};
use headframe_benches::{
    cpu,
    place::{Place, draft},
    round,
};

/// Measures filter, sort and projection.
#[derive(Debug, Parser)]
struct Args {
    /// How many things.
    #[arg(long, default_value_t = 10_000)]
    things: usize,
    /// Repetitions; the median is printed.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
}

fn main() -> ExitCode {
    headframe_benches::run("query", measure(Args::parse()))
}

const QUESTION: &str = r#"{"query":{"tags":{"$in":["t-miner"]},"info.container":"maintenance","info.nominalHashrateMhs":{"$gte":100000000}},
    "sort":{"info.pos":1,"code":-1},"fields":{"id":1,"code":1,"info.pos":1,"info.container":1,"address":1},"limit":50}"#;

fn failed(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "query.bench", e.to_string())
}

async fn measure(args: Args) -> Result<()> {
    if args.things == 0 || args.rounds == 0 || args.things > 1 << 16 {
        return Err(Error::invalid("query.args", "things", "things is 1 to 65536, rounds at least 1"));
    }
    let cx = Ctx::system();
    let place = Place::new(&cx, Duration::from_secs(60)).await?;
    let mut drafts = Vec::with_capacity(args.things);
    for n in 0..args.things {
        drafts.push(draft(n, &format!("127.91.{}.{}", n / 256, n % 256), true)?);
    }
    for outcome in place.site.register_many(&place.rack()?, drafts, &Caller::new("bench")).await? {
        outcome?;
    }
    let rack = place.site.rack(&place.rack()?)?.clone();
    let all = rack.list(&Query::parse_str(&format!("{{\"limit\":{}}}", args.things))?).await?;
    let things: Vec<(String, serde_json::Value)> = all.items.into_iter().map(|i| (i.id, i.value)).collect();
    let question: serde_json::Value = serde_json::from_str(QUESTION).map_err(failed)?;
    let filter = Filter::parse(&question["query"])?;
    let sort = Sort::parse_str(r#"{"info.pos":1,"code":-1}"#)?;
    let fields = Projection::parse(&question["fields"])?;
    let whole = Query::parse_str(QUESTION)?;

    let mut matched = 0;
    let filter_ms = median(args.rounds, || {
        matched = things.iter().filter(|(_, thing)| filter.matches(thing)).count();
    });
    let sort_ms = median(args.rounds, || {
        let mut keyed: Vec<_> = things.iter().map(|(id, thing)| (sort.key(thing), id)).collect();
        keyed.sort_unstable();
        assert_kept(keyed.len() == things.len());
    });
    let project_ms = median(args.rounds, || {
        let shown: Vec<_> = things.iter().map(|(_, thing)| fields.apply(thing)).collect();
        assert_kept(shown.len() == things.len());
    });
    let mut failure = None;
    let together_ms = median(args.rounds, || {
        let page = whole.run(things.iter().map(|(id, thing)| (id.as_str(), thing)));
        failure = page.err();
    });
    if let Some(e) = failure {
        return Err(e);
    }
    let mut through_rack = Vec::with_capacity(args.rounds);
    for _ in 0..args.rounds {
        let start = cpu::time();
        rack.list(&whole).await?;
        through_rack.push(cpu::time().saturating_sub(start).as_secs_f64() * 1e3);
    }
    through_rack.sort_by(f64::total_cmp);
    drop(rack);
    place.end().await?;
    let line = serde_json::json!({
        "things": things.len(),
        "matched": matched,
        "filter_ms": round(filter_ms, 2),
        "sort_ms": round(sort_ms, 2),
        "project_ms": round(project_ms, 2),
        "page_of_50_ms": round(together_ms, 2),
        "through_rack_ms": round(through_rack.get(args.rounds / 2).copied().unwrap_or(0.0), 2),
    });
    println!("{line}");
    Ok(())
}

/// Keeps the work from being left out.
fn assert_kept(kept: bool) {
    std::hint::black_box(kept);
}

/// CPU time of `work`, ms.
fn median(rounds: usize, mut work: impl FnMut()) -> f64 {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = cpu::time();
        work();
        times.push(cpu::time().saturating_sub(start).as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times.get(rounds / 2).copied().unwrap_or(0.0)
}
