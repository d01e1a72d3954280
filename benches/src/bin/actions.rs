//! What pushing, voting on and carrying out an action costs:
//! `cargo run --release -p headframe-benches --bin actions -- --targets 10000`.

use std::{process::ExitCode, sync::Arc, time::Duration};

use async_trait::async_trait;
use clap::Parser;
use headframe::{
    Error, ErrorKind, Result,
    action::{
        ActionId, ActionQuery, Ask, Ballot, Bare, Before, Bucket, By, Call, Claims, Draft, Engine,
        EngineOptions, Fleet, FleetRack, Hands, Look, Person, Pick, Reply, RightsSource, Seen, Selection,
        Status, policy::Rules,
    },
    driver::Permit,
    io::Ctx,
    model::{RackId, Text},
    store::{Batch, ControlStore, Space, StoreOptions},
};
use headframe_benches::{place::Folder, round};
use serde_json::{Value, json};

/// Rounds of each measurement.
const ROUNDS: usize = 5;
/// Votes on one action, and bare commits beside them.
const VOTES: usize = 80;

/// Measures the action engine.
#[derive(Debug, Parser)]
struct Args {
    /// Targets of one action.
    #[arg(long, default_value_t = 10_000)]
    targets: usize,
}

fn main() -> ExitCode {
    headframe_benches::run("actions", measure(Args::parse()))
}

/// Devices that take whatever they are told, at once.
#[derive(Debug, Clone)]
struct Devices {
    rack: RackId,
    ids: Arc<[Text]>,
}

impl Fleet for Devices {
    fn racks(&self) -> Result<Vec<FleetRack>> {
        let hands = Some(Arc::new(self.clone()) as Arc<dyn Hands>);
        Ok(vec![FleetRack { id: self.rack.clone(), thing_type: "miner-mem".into(), hands }])
    }
}

#[async_trait]
impl Hands for Devices {
    async fn select(&self, _: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        let votes = if ask.action == *"setUpfreqSpeed" { 2 * VOTES as u32 } else { 1 };
        let tags: Vec<Text> = vec!["t-miner".into(), "site-1".into()];
        let pick = |id: &Text| Pick { id: id.clone(), tags: tags.clone(), power_w: Some(3_400.0) };
        Ok(Some(Selection { votes, picks: self.ids.iter().map(pick).collect(), excluded: Vec::new() }))
    }

    async fn look(&self, _: &Ctx, _: &Call) -> Result<Look> {
        Ok(Look::default())
    }

    async fn send(&self, _: &Ctx, _: &Call, _: &Permit) -> Result<Reply> {
        Ok(Reply { result: json!({"success": true}), receipt: None, confirm: false })
    }

    async fn confirm(&self, _: &Ctx, _: &Call, _: &Before, _: Duration) -> Seen {
        Seen::Unknown
    }
}

async fn measure(args: Args) -> Result<()> {
    if !(1..=100_000).contains(&args.targets) {
        return Err(Error::invalid("actions.args", "targets", "1 to 100,000"));
    }
    let cx = Ctx::system();
    let folder = Folder::new();
    let store = ControlStore::create(&cx, folder.path(), &StoreOptions::default()).await?;
    let ids = (0..args.targets).map(|n| format!("miner{n:06}").into()).collect();
    let devices = Devices { rack: RackId::new("miner-mem-1")?, ids };
    let options = EngineOptions::new(Arc::new(Rules::mos()), RightsSource::Claims);
    let engine = Engine::open(&cx, store.clone(), Arc::new(devices), options)?;
    engine.reconciled().await;

    let mut push_ms = Vec::new();
    let (mut vote_us, mut commit_us) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = cx.clock.mono();
        let waiting = push(&engine, "setUpfreqSpeed").await?;
        push_ms.push(cx.clock.mono().since(start).as_secs_f64() * 1e3);
        let (votes, commits) = votes(&cx, &engine, &store, waiting).await?;
        vote_us.extend(votes);
        commit_us.extend(commits);
    }

    let mut per_second = Vec::new();
    for _ in 0..ROUNDS {
        let id = push(&engine, "reboot").await?;
        let start = cx.clock.mono();
        ended(&engine, id, args.targets).await?;
        per_second.push(args.targets as f64 / cx.clock.mono().since(start).as_secs_f64());
    }
    let mut query_ms = Vec::new();
    for _ in 0..ROUNDS {
        let start = cx.clock.mono();
        let mut query = ActionQuery::new(Bucket::Done);
        (query.limit, query.reverse) = (Some(1), true);
        let found = engine.query(&query)?;
        if found.len() != 1 {
            return Err(Error::new(ErrorKind::Internal, "actions.query", "the action is not found"));
        }
        query_ms.push(cx.clock.mono().since(start).as_secs_f64() * 1e3);
    }
    engine.close(Duration::from_secs(10)).await;
    store.close().await?;
    let line = json!({
        "targets": args.targets,
        "push_ms": round(median(push_ms), 1),
        "vote_us_p50": round(median(vote_us), 0),
        "commit_us_p50": round(median(commit_us), 0),
        "targets_per_s": round(median(per_second), 0),
        "query_ms": round(median(query_ms), 1),
    });
    println!("{line}");
    Ok(())
}

fn by(name: &str) -> Result<By> {
    let claims = Claims::parse(&json!(["miner:rw"]), Bare::Refused)?;
    Ok(By::claiming(Person::from_text(name)?, claims))
}

async fn push(engine: &Engine, action: &str) -> Result<ActionId> {
    engine.push(Draft::new(action, Vec::<Value>::new(), json!({}))?, &by("ann")?).await?.into_id()
}

/// Votes and bare commits of one small record, one of each in turn, µs.
async fn votes(
    cx: &Ctx,
    engine: &Engine,
    store: &ControlStore,
    id: ActionId,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut votes, mut commits) = (Vec::new(), Vec::new());
    for n in 0..VOTES {
        let who = by(&format!("person{n}@example.com"))?;
        let start = cx.clock.mono();
        engine.vote(id, Ballot::new(true), &who).await?;
        let voted = cx.clock.mono();
        store.commit(Batch::new().put(Space::Meta, "bench", &n)).await?;
        votes.push(voted.since(start).as_secs_f64() * 1e6);
        commits.push(cx.clock.mono().since(voted).as_secs_f64() * 1e6);
    }
    Ok((votes, commits))
}

async fn ended(engine: &Engine, id: ActionId, targets: usize) -> Result<()> {
    let mut watch = engine.watch();
    loop {
        let header = engine.header(id);
        if let Some(header) = header.filter(|header| header.status.bucket() == Bucket::Done) {
            if header.status == Status::Completed && header.counts.ok as usize == targets {
                return Ok(());
            }
            return Err(Error::new(
                ErrorKind::Internal,
                "actions.run",
                format!("it ended {:?}", header.status),
            ));
        }
        watch.next().await;
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
