//! `s-ioerr`: the disk fails at any call. What a caller is told is true, and the store mends itself.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use headframe_core::{
    Error, Sent,
    io::Ctx,
    store::{Batch, CONTROL_FILE, ControlStore, CrashBackend, CrashPlan, Space, code},
};
use serde_json::json;

use super::{Check, step};
use crate::{
    args::Profile,
    child,
    oracle::Oracle,
    rig::{Folder, Rig, in_real_time, needed, simulate},
    run::{Case, Run},
    watch::{self, Watch},
    workload::{Op, TURNS, actions},
};

pub const CHECK: Check = Check {
    name: "s-ioerr",
    bug: "failed-is-undone",
    ci: 500,
    long: 2_000,
    probes: &[
        "acknowledged after an error",
        "told undone",
        "told unknown",
        "opened again",
        "several failures in a row",
        "refused until mended",
        "pushed again with its key",
        "told nothing until mended",
    ],
    run,
};

/// Calls that follow the first that fails, at least.
const BEYOND: u64 = 60;
const REOPEN_LIMIT_MS: u64 = 5_000;
const TRACED: Duration = Duration::from_secs(20);
const TOLD: u64 = 12;
/// The calls of the kernel that fail, each alone.
const CALLS: [(&str, &str); 6] = [
    ("fdatasync", "strace fdatasync"),
    ("write", "strace write"),
    ("pwrite64", "strace pwrite64"),
    ("ftruncate", "strace ftruncate"),
    ("fsync", "strace fsync"),
    ("fallocate", "strace fallocate"),
];

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("backend");
    // Each call once for each workload.
    let turns = TURNS.len() as u64;
    run.each(run.n().saturating_mul(turns), |i, case| {
        if case.is_over_actions() {
            simulate(actions::fails_at(case, i / turns))
        } else {
            simulate(fails_at(case, i / turns))
        }
    });
    let traced = match run.profile() {
        Profile::Quick => 2,
        Profile::Ci => 12,
        Profile::Long => 60,
    };
    if !run.enough() {
        by_strace(run, traced)?;
    }
    Ok(())
}

/// A store over a disk that fails from call `k` on, some times.
async fn fails_at(case: &mut Case, k: u64) -> Result<(), String> {
    let rig = Rig::new(case);
    let disk = CrashBackend::new(case.seed);
    let registry = needed("a store cannot be made", rig.create(disk.clone()).await)?;
    let mut oracle = Oracle::empty();
    let fail_for = *case.rng.choice(&[1, 2, 3, 7, 40]).unwrap_or(&1);
    case.hit_if(fail_for > 1, "several failures in a row");
    disk.plan(CrashPlan { fail_at: Some(k), fail_for, forget_failed_sync: true, ..CrashPlan::default() });
    let mut n = 0;
    while disk.calls() < k + fail_for + BEYOND {
        n += 1;
        let opened = registry.store().health().opened;
        let watch = Watch::start();
        let told = step::change(case, &*registry, &mut oracle, n).await?;
        let again = registry.store().health().opened > opened;
        match &told {
            Ok(()) if again => case.hit("acknowledged after an error"),
            Err(e) if e.sent() == Sent::Maybe => case.hit("told unknown"),
            Err(_) if again && !step::refused(&told) => case.hit("told undone"),
            Err(_) if !step::refused(&told) => case.hit("refused until mended"),
            _ => {}
        }
        if again && registry.look().await {
            case.hit("opened again");
            case.took(watch.ms());
            // What was told has to agree with what can be read from now on.
            oracle.found(&registry.content())?;
        }
        if watch.ms() > REOPEN_LIMIT_MS {
            return Err(format!("call {k}: opening again took {} ms", watch.ms()));
        }
    }
    disk.plan(CrashPlan::default());
    let told = step::make(case, &*registry, &mut oracle, &Op::Set("mended".into(), json!(k))).await?;
    needed("the store did not mend itself", told)?;
    if let Some(broken) = registry.store().health().broken {
        return Err(format!("call {k}: the store counts as broken: {broken}"));
    }
    oracle.found(&registry.content())?;
    // What a failed sync forgot was written once more.
    let after = needed("refused after a cut", rig.open(disk.cut()).await)?;
    oracle.found(&after.content()).map_err(|e| format!("call {k}, after a cut: {e}"))
}

/// The same with a real file and errors from the kernel, where a tracer can put them in.
fn by_strace(run: &mut Run, times: u64) -> Result<(), String> {
    for (call, form) in CALLS {
        if !run.enough() && !traced(run, call, form, times)? {
            break;
        }
    }
    Ok(())
}

/// Every call of a kind fails in its turn; false when nothing can be traced here.
fn traced(run: &mut Run, call: &str, form: &'static str, times: u64) -> Result<bool, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let folder = Folder::new()?;
    let cx = Ctx::system();
    let trace = folder.join("trace");
    for k in 1..=times {
        let dir = folder.join(format!("{k}"));
        in_real_time(async {
            let store =
                needed("a store cannot be made", ControlStore::create(&cx, &dir, &child::options()).await)?;
            needed("close", store.close().await)
        })?;
        // Once, or from there on.
        let when = if k % 4 == 0 { format!("{k}+") } else { format!("{k}") };
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(&trace);
        // Only what is done to the store's files: the process also says what it was told.
        for file in [CONTROL_FILE, "ballast"] {
            command.arg("-P").arg(dir.join(file));
        }
        command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:error=EIO:when={when}")]);
        command.arg(&program).args(["child", "tell"]).arg(&dir);
        let ended = watch::output(&mut command, TRACED);
        let Some((said, well)) = ended.ok().filter(|(said, _)| said.contains(child::BEGAN)) else {
            eprintln!("{}: {call} cannot be traced here", run.name());
            return Ok(false);
        };
        let failed = fs::read_to_string(&trace).is_ok_and(|text| text.contains("(INJECTED)"));
        if failed {
            run.form_ran(form);
        }
        run.each(1, |_, _| {
            in_real_time(compare(&dir, &said, well)).map_err(|e| format!("{call} {when}: {e}"))
        });
        if run.enough() || !failed {
            // There are not so many such calls.
            break;
        }
    }
    if !run.form().contains(form) {
        eprintln!("{}: the store makes no call of {call}", run.name());
    }
    Ok(true)
}

/// Compares what a child was told with what is in its store.
async fn compare(dir: &Path, said: &str, well: bool) -> Result<(), String> {
    let mut told = BTreeMap::new();
    for line in said.lines() {
        if let Some((word, n)) = line.split_once(' ')
            && let Ok(n) = n.parse::<u64>()
        {
            told.insert(n, word);
        }
    }
    if told.is_empty() && well {
        return Err("nothing was told".into());
    }
    // Without a word the child could not open the store: nothing may be there then.
    let unopened = told.is_empty();
    let watch = Watch::start();
    let store = needed("refused", ControlStore::open(&Ctx::system(), dir, &child::options()).await)?;
    if watch.ms() > REOPEN_LIMIT_MS {
        return Err(format!("opening took {} ms", watch.ms()));
    }
    for n in 0..TOLD {
        let parts = ["a", "b"];
        let there =
            parts.iter().filter(|p| store.get_record(Space::Things, format!("{n}{p}")).is_some()).count();
        match told.get(&n) {
            _ if there == 1 => return Err(format!("a part of batch {n} is there")),
            Some(&"ok") if there == 0 => return Err(format!("batch {n} was acknowledged and is lost")),
            Some(&"no") if there > 0 => return Err(format!("batch {n} was told undone and is there")),
            Some(&"untyped") => return Err(format!("batch {n} got no error of a store")),
            None if !unopened || there > 0 => return Err(format!("of batch {n} nothing was told")),
            None => {}
            Some(_) => {}
        }
    }
    needed("close", store.close().await)
}

/// Commits batches and says what it was told of each.
pub async fn tell(dir: &Path) -> Result<(), String> {
    child::say(child::BEGAN);
    // With a reserve: its file fails too.
    let mut options = child::options();
    options.reserve_bytes = 64 << 10;
    let store = needed("open", ControlStore::open(&Ctx::system(), dir, &options).await)?;
    for n in 0..TOLD {
        let batch =
            Batch::new().put(Space::Things, format!("{n}a"), &n).put(Space::Things, format!("{n}b"), &n);
        child::say(&format!("{} {n}", word(&store.commit(batch).await.map(drop))));
    }
    needed("close", store.close().await)
}

fn word(told: &Result<(), Error>) -> &'static str {
    match told {
        Ok(()) => "ok",
        Err(e) if e.sent() == Sent::Maybe => "maybe",
        Err(e) if [code::IO, code::FULL].contains(&e.code()) => "no",
        Err(_) => "untyped",
    }
}
