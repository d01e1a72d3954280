//! What a question over a rack's things costs: `cargo run --release -p headframe-benches --bin query -- --things 10000`.
//!
//! The documents are those that a rack lists. First each step is measured over documents in memory, then all of them
//! together, then the whole through the rack, which makes the documents with the first question and keeps them.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use headframe::{
    Error, ErrorKind, Result,
    io::Ctx,
    query::{Filter, Item, Page, Projection, Query, Row, Sort},
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
    let question = Query::parse_str(QUESTION)?;
    let first = timed_list(&*rack, &question).await?;
    let all = rack.list(&Query { page: Page::ALL, ..Query::default() }).await?;
    let things: Vec<_> = all.items.into_iter().map(|i| (i.id, Arc::new(i.value.into_value()))).collect();
    let mut figures = steps(&things, args.rounds)?;
    figures.append(&mut together(&things, &question, args.rounds)?);
    let mut through_rack = Vec::with_capacity(args.rounds);
    for _ in 0..args.rounds {
        through_rack.push(timed_list(&*rack, &question).await?);
    }
    figures.push(("through_rack_ms", middle(through_rack)));
    figures.push(("through_rack_first_ms", first));
    drop(rack);
    figures.append(&mut whole(&place, args).await?);
    place.end().await?;
    let mut line = serde_json::Map::new();
    line.insert("things".into(), things.len().into());
    line.extend(figures.into_iter().map(|(name, ms)| (name.to_owned(), round(ms, 2).into())));
    println!("{}", serde_json::Value::Object(line));
    Ok(())
}

type Things = [(String, Arc<serde_json::Value>)];
type Figures = Vec<(&'static str, f64)>;

/// Each step alone over all documents.
fn steps(things: &Things, rounds: usize) -> Result<Figures> {
    let question: serde_json::Value = serde_json::from_str(QUESTION).map_err(failed)?;
    let filter = Filter::parse(&question["query"])?;
    let sort = Sort::parse_str(r#"{"info.pos":1,"code":-1}"#)?;
    let fields = Projection::parse(&question["fields"])?;

    let mut matched = 0;
    let filter_ms = median(rounds, || {
        matched = things.iter().filter(|(_, thing)| filter.matches(thing)).count();
    });
    if matched != things.len() {
        return Err(failed(format!("{matched} things match, not all")));
    }
    let sort_ms = median(rounds, || {
        let mut keyed: Vec<_> = things.iter().map(|(id, thing)| (sort.key(thing), id)).collect();
        keyed.sort_unstable();
        keyed
    });
    let rows = || things.iter().map(|(_, thing)| fields.row(thing)).collect::<Vec<Row>>();
    let project_ms = median(rounds, rows);
    let project_json_ms = median(rounds, || serde_json::to_string(&rows()));
    let project_values_ms =
        median(rounds, || things.iter().map(|(_, thing)| fields.apply(thing)).collect::<Vec<_>>());
    Ok(vec![
        ("filter_ms", filter_ms),
        ("sort_ms", sort_ms),
        ("project_ms", project_ms),
        ("project_json_ms", project_json_ms),
        ("project_values_ms", project_values_ms),
    ])
}

/// The question as it is, and once more for all things, written as one JSON text.
fn together(things: &Things, question: &Query, rounds: usize) -> Result<Figures> {
    let everything = Query { page: Page::ALL, ..question.clone() };
    let ask = |query: &Query| query.run_shared(things.iter().map(|(id, thing)| (id.as_str(), thing)));
    let text = || {
        let rows: Vec<Row> = ask(&everything)?.items.into_iter().map(|item: Item| item.value).collect();
        serde_json::to_string(&rows).map_err(failed)
    };
    ask(question)?;
    text()?;
    Ok(vec![
        ("page_of_50_ms", median(rounds, || ask(question))),
        ("all_ms", median(rounds, || ask(&everything))),
        ("all_json_ms", median(rounds, text)),
    ])
}

/// All things, with all that is shown of them, as packages for other languages answer it.
async fn whole(place: &Place, args: Args) -> Result<Figures> {
    let question = Query::parse_str(r#"{"query": {"rack": {"$ne": ""}}, "limit": 65536}"#)?;
    let (mut list, mut write) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let start = cpu::time();
        let page = place.site.list(&question).await?;
        let listed = cpu::time();
        std::hint::black_box(serde_json::to_string(&page).map_err(failed)?);
        list.push(listed.saturating_sub(start).as_secs_f64() * 1e3);
        write.push(cpu::time().saturating_sub(listed).as_secs_f64() * 1e3);
        if page.items.items.len() != args.things {
            return Err(failed(format!("{} things are listed, not all", page.items.items.len())));
        }
    }
    Ok(vec![("whole_ms", middle(list)), ("whole_json_ms", middle(write))])
}

/// CPU time of the question through the rack, ms.
async fn timed_list(rack: &dyn Rack, question: &Query) -> Result<f64> {
    let start = cpu::time();
    rack.list(question).await?;
    Ok(cpu::time().saturating_sub(start).as_secs_f64() * 1e3)
}

/// CPU time of `work` and of dropping what it gives, ms.
fn median<T>(rounds: usize, mut work: impl FnMut() -> T) -> f64 {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = cpu::time();
        // Keeps the work from being left out.
        drop(std::hint::black_box(work()));
        times.push(cpu::time().saturating_sub(start).as_secs_f64() * 1e3);
    }
    middle(times)
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}
