use std::{
    env, fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use headframe::{ThingId, query::Query, site::Site, telemetry::ExportQuery};
use tokio::runtime;

use super::*;
use crate::site;

/// 2024-05-31, 12:00 UTC.
const END: i64 = 1_717_156_800_000;

/// A folder that goes away with its test, and in it the place of a site.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("headframe-past-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn site(&self) -> PathBuf {
        self.0.join("site")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(work)
}

fn conf(seed: u64, days: u32, block: u8) -> PastConf {
    PastConf {
        days,
        whatsminers: 2,
        antminers: 2,
        interval_ms: 600_000,
        seed,
        base: Some(Ipv4Addr::new(127, 111, block, 1)),
        end: Some(END),
    }
}

async fn open(place: &Place, past: &Past) -> Site {
    site::open(headframe::registry(), &place.site(), &past.conf.to_string(), "open").await.unwrap()
}

/// What things said about a member in the time, as text.
async fn said(site: &Site, things: &[String], member: &str, time: Range<i64>) -> String {
    let things = things.iter().map(|id| ThingId::new(id).unwrap()).collect();
    let range = Timestamp(time.start)..Timestamp(time.end);
    let query = ExportQuery { things, members: Some(vec![member.into()]), range, with_texts: false };
    let csv = site::with_history(site, move |telemetry| {
        let mut csv = Vec::new();
        telemetry.export_csv(&query, &mut csv)?;
        Ok(csv)
    });
    String::from_utf8(csv.await.unwrap()).unwrap()
}

/// The numbers in the last column; `None` where none was said.
fn numbers(csv: &str) -> Vec<Option<f64>> {
    csv.lines().skip(1).map(|line| line.rsplit(',').next()?.trim().parse().ok()).collect()
}

#[test]
fn a_site_with_a_past_opens_with_all_of_it() {
    let place = Place::new();
    run(async {
        let past = simulate(&place.site(), conf(3, 2, 1)).await.unwrap();
        assert_eq!((past.end, past.end - past.start), (END, 2 * DAY));
        assert_eq!(past.things, ["wm-01", "wm-02", "am-03", "am-04"]);
        let site = open(&place, &past).await;
        let page = site.list(&Query::parse_str("{}").unwrap()).await.unwrap();
        assert_eq!(page.items.items.len(), 4);

        let all = said(&site, &past.things, "stats.power_w", past.start..past.end).await;
        let due = 4 * 2 * 144;
        let (seen, polls) = (numbers(&all).len() as u64, past.polls);
        assert!(seen.abs_diff(polls) <= 4 && polls.abs_diff(due) <= due / 20, "{seen} of {polls}, {due} due");
        let known: Vec<f64> = numbers(&all).into_iter().flatten().collect();
        assert!(known.iter().all(|watts| *watts > 1.0), "a miner that does not answer says nothing, not 0 W");

        for event in &past.events {
            // It begins and ends in some minutes.
            let time = event.start + 1_200_000..event.end - 1_200_000;
            let watts = numbers(&said(&site, &event.things, "stats.power_w", time).await);
            let most = watts.iter().flatten().fold(0.0, |most: f64, watts| most.max(*watts));
            match event.kind {
                Kind::Sleep => assert!(!watts.is_empty() && most < 150.0, "{most} W asleep"),
                Kind::Hang | Kind::Outage => assert!(!watts.is_empty() && most == 0.0, "{watts:?} are known"),
                Kind::BoardLost => assert!((1_000.0..2_800.0).contains(&most), "{most} W without a board"),
                Kind::Overheat => {}
            }
        }
        site.shutdown(Duration::from_secs(5)).await.unwrap();
    });
}

#[test]
fn the_same_seed_gives_the_same_readings_and_another_site() {
    let all = |seed| {
        let place = Place::new();
        run(async {
            let past = simulate(&place.site(), conf(seed, 1, 2)).await.unwrap();
            let site = open(&place, &past).await;
            let id = site.id().to_owned();
            let csv = said(&site, &past.things, "stats.power_w", past.start..past.end).await;
            site.shutdown(Duration::from_secs(5)).await.unwrap();
            (past, csv, id)
        })
    };
    let (one, again, other) = (all(5), all(5), all(6));
    assert_eq!((&one.0, &one.1), (&again.0, &again.1));
    assert_ne!(one.2, again.2, "its id and key are nobody's who knows the seed");
    assert_ne!(one.1, other.1);
}

#[test]
fn what_is_given_up_leaves_nothing() {
    let place = Place::new();
    run(async {
        let long = PastConf { days: 300, ..conf(1, 300, 3) };
        let site = place.site();
        let past = simulate(&site, long.clone());
        let begun = async {
            while !site.join("unfinished/history").exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { _ = past => panic!("300 days are not over yet"), () = begun => {} }
        assert!(!site.exists(), "{:?}", fs::read_dir(&site).map(Iterator::count));
        // A folder that was there stays.
        fs::create_dir(&site).unwrap();
        tokio::select! { biased; _ = simulate(&site, long) => panic!(), () = tokio::task::yield_now() => {} }
        assert_eq!(fs::read_dir(&site).unwrap().count(), 0);
    });
}

#[test]
fn what_cannot_be_is_refused_and_named() {
    let place = Place::new();
    let refused = |change: fn(&mut PastConf)| {
        let mut conf = conf(1, 1, 4);
        change(&mut conf);
        let e = run(simulate(&place.site(), conf)).unwrap_err();
        assert_eq!((e.kind(), place.site().exists()), (ErrorKind::Invalid, false), "{e}");
        e.fact("field").unwrap_or_default().to_owned()
    };
    assert_eq!(refused(|conf| conf.days = 0), "days");
    assert_eq!(refused(|conf| conf.days = 367), "days");
    assert_eq!(refused(|conf| conf.interval_ms = 999), "intervalMs");
    assert_eq!(refused(|conf| conf.interval_ms = 3_600_001), "intervalMs");
    assert_eq!(refused(|conf| (conf.whatsminers, conf.antminers) = (0, 0)), "whatsminers");
    assert_eq!(refused(|conf| conf.end = Some(i64::MAX)), "end");
    assert_eq!(refused(|conf| conf.end = Some(1)), "end");
    // More polls than may be.
    assert_eq!(refused(|conf| (conf.days, conf.interval_ms) = (366, 1_000)), "intervalMs");

    fs::create_dir(place.site()).unwrap();
    fs::write(place.site().join("mine"), "kept").unwrap();
    let e = run(simulate(&place.site(), conf(1, 1, 4))).unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, "ERR_FOLDER_NOT_EMPTY"));
    assert_eq!(fs::read_to_string(place.site().join("mine")).unwrap(), "kept");
}
