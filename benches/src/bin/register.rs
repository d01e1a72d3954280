//! How many things a site registers durably a second:
//! `cargo run --release -p headframe-benches --bin register -- --things 10000`.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use headframe::{Error, ErrorKind, Result, io::Ctx, rack::Caller};
use headframe_benches::{
    place::{Place, draft},
    round,
};

/// Measures durable registrations.
#[derive(Debug, Parser)]
struct Args {
    /// How many things.
    #[arg(long, default_value_t = 10_000)]
    things: usize,
    /// Things in one call.
    #[arg(long, default_value_t = 500)]
    batch: usize,
}

fn main() -> ExitCode {
    headframe_benches::run("register", measure(Args::parse()))
}

async fn measure(args: Args) -> Result<()> {
    if args.things == 0 || args.batch == 0 || args.things > 1 << 16 {
        return Err(Error::invalid("register.args", "things", "things is 1 to 65536, batch at least 1"));
    }
    let cx = Ctx::system();
    let place = Place::new(&cx, Duration::from_secs(60)).await?;
    let rack = place.rack()?;
    let mut drafts = Vec::with_capacity(args.things);
    for n in 0..args.things {
        drafts.push(draft(n, &format!("127.90.{}.{}", n / 256, n % 256), true)?);
    }
    let start = cx.clock.mono();
    let mut registered = 0_usize;
    while !drafts.is_empty() {
        let batch: Vec<_> = drafts.drain(..args.batch.min(drafts.len())).collect();
        for outcome in place.site.register_many(&rack, batch, &Caller::new("bench")).await? {
            outcome?;
            registered += 1;
        }
    }
    let seconds = cx.clock.mono().since(start).as_secs_f64();
    if place.site.things().len() != registered {
        return Err(Error::new(ErrorKind::Internal, "register.count", "not all things are there"));
    }
    place.end().await?;
    let line = serde_json::json!({
        "things": registered,
        "batch": args.batch,
        "seconds": round(seconds, 3),
        "per_second": round(registered as f64 / seconds, 0),
    });
    println!("{line}");
    Ok(())
}
