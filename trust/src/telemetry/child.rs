//! The process that keeps a rack's readings and statistics in folders and is killed. It says:
//!
//! | line | says |
//! |---|---|
//! | `began` | telemetry is open |
//! | `put THING TS WATTS` | this is said next by a thing; `-` for a poll that failed |
//! | `durable TS` | readings up to then are told to be durable |
//! | `at` | it stands at the point where it is to be killed |

use std::{path::Path, sync::Arc, time::Duration};

use headframe_core::{
    history::{FolderDisk, HistoryOptions},
    io::Timestamp,
    telemetry::TelemetryOptions,
};

use super::lab::{IDS, Lab, Say, kept, options};
use crate::{
    child::{BEGAN, say},
    past::{Setup, hooked::hooked},
    rig::needed,
    site::Jumping,
};

/// The folders in that of a case.
pub const FOLDERS: [&str; 2] = ["readings", "rows"];
/// Steps of a process that nobody kills.
const STEPS: u64 = 5_000;
const COMMIT_EVERY: Duration = Duration::from_millis(10);
const TOOK: i64 = 700;

/// How telemetry is kept here.
pub fn quick() -> TelemetryOptions {
    let small = HistoryOptions { seal_log_bytes: 4 << 10, bound_bytes: 16 << 20, ..kept() };
    options(&small, COMMIT_EVERY)
}

/// Keeps what things say until it is killed; each step takes some ms, and the clock runs thousands of times as fast.
pub async fn measure(dir: &Path) -> Result<(), String> {
    let setup = Setup::read()?;
    let clock = Arc::new(Jumping::starting_at(Timestamp(setup.wall)));
    let lab = Lab::new(clock.clone()).await?;
    let stop = setup.stop();
    let disk = |name: &str| {
        Ok::<_, String>(hooked(needed("no folder", FolderDisk::open(dir.join(name)))?, stop.clone()))
    };
    let run = needed("refused", lab.run((disk(FOLDERS[0])?, disk(FOLDERS[1])?), &quick()))?;
    say(BEGAN);
    let mut rng = fastrand::Rng::with_seed(setup.seed);
    let mut durable = 0;
    for _ in 0..STEPS {
        clock.jump(rng.i64(5_000..20_000));
        let said = Say {
            thing: rng.usize(..IDS.len()),
            ts: lab.now() - TOOK,
            power: (rng.u8(..9) > 0).then(|| f64::from(rng.i32(0..140_000)) / 40.0),
        };
        // Before it is kept: what is found was said.
        let power = said.power.map_or_else(|| "-".to_owned(), |power| power.to_string());
        say(&format!("put {} {} {power}", said.thing, said.ts));
        run.hear(&said).await?;
        lab.pass(3).await;
        let until = run.durable_until(&lab);
        if until > durable {
            durable = until;
            say(&format!("durable {durable}"));
        }
    }
    run.close()
}
