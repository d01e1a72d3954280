//! After everything went wrong, nothing does any more: whatever was approved ends, and every device is read.

use std::time::Duration;

use headframe_core::action::{Bucket, Status};
use serde_json::{Value, json};

use super::{desk::PEOPLE, play::Player};

/// How long actions may take to end after everything is well again.
const CONVERGES_WITHIN_S: u64 = 8 * 3_600;

impl Player {
    /// Whatever nobody knows of interrupted actions is said by a person.
    pub(super) async fn settle_all(&mut self) {
        for (id, view) in self.ids(&[Bucket::Executing]) {
            let counts = &view["counts"];
            let count = |name: &str| counts[name].as_u64().unwrap_or(0);
            let every = count("ok") + count("failed") + count("unknown") == count("total");
            if view["status"] == Status::Interrupted.as_str() && every {
                self.crew.clone().settle(id, &view).await;
            }
        }
    }

    /// Everything is well: whatever was approved ends.
    pub(super) async fn converge(&mut self) -> Result<(), String> {
        let begun = self.house.cx.clock.mono();
        let end = begun + Duration::from_secs(CONVERGES_WITHIN_S);
        loop {
            self.unstop().await;
            for (id, view) in self.ids(&[Bucket::Voting, Bucket::Ready, Bucket::Executing]) {
                self.see_to(id, &view).await;
            }
            self.settle_all().await;
            if self.ids(&[Bucket::Ready, Bucket::Executing]).is_empty() && self.deeds.is_empty() {
                break;
            }
            if self.house.cx.clock.mono() > end {
                let left = self.ids(&[Bucket::Ready, Bucket::Executing]);
                let what = |(id, v): &(u64, Value)| {
                    format!("{id} {} {} {} {}", v["action"], v["status"], v["counts"], v["hold"])
                };
                let left: Vec<String> = left.iter().map(what).collect();
                return Err(format!("{} actions did not end: {left:?}", left.len()));
            }
            self.pass(20).await;
            while self.deeds.try_join_next().is_some() {}
        }
        // Things that were away are asked again within five minutes, and some restart.
        let poll = self.house.knobs.poll;
        for _ in 0..3 {
            self.house.pass(Duration::from_secs(200) + poll).await;
            self.put_right().await;
        }
        self.house.pass(Duration::from_secs(300) + poll).await;
        let process = self.process.as_ref().ok_or("no process")?;
        let late = process.not_fresh(poll * 2 + Duration::from_secs(30), &self.swapped);
        if !late.is_empty() {
            return Err(format!("nothing fresh, polled every {poll:?}: {late:?}"));
        }
        Ok(())
    }

    /// Devices that changed places left things in doubt. Somebody looks where they are, and says so.
    async fn put_right(&mut self) {
        let crew = self.crew.clone();
        let held = json!({"query": {"held": {"$exists": true}}, "limit": 1000});
        let held = crew.call("ann", "listThings", held).await.unwrap_or_default();
        for thing in held.as_array().into_iter().flatten() {
            let found = self.house.facts.iter().find(|fact| thing["id"] == fact.id.as_str());
            let Some(fact) = found else { continue };
            let home = self.house.ip(fact.n as usize).to_string();
            let body = json!({"id": fact.id, "opts": {"address": home}});
            let told = match thing["address"] == home.as_str() {
                true => crew.call("ann", "splitThing", json!({"id": fact.id})).await,
                false => crew.call("ann", "updateThing", body).await,
            };
            if told.is_ok() {
                crew.ledger.hit("a thing in doubt is put right");
            }
        }
    }

    /// Lifts every stop.
    async fn unstop(&mut self) {
        let crew = self.crew.clone();
        if std::mem::take(&mut crew.ledger.book().half_halted) {
            crew.halt().await;
        }
        let stops = crew.call("ann", "getStops", json!({})).await.unwrap_or_default();
        for stop in stops.as_array().into_iter().flatten() {
            for who in ["bob", "cat", "dan"] {
                if crew.lift(who, stop["scope"].clone()).await {
                    break;
                }
            }
        }
    }

    /// Helps one action to its end.
    async fn see_to(&mut self, id: u64, view: &Value) {
        let crew = self.crew.clone();
        if view["status"] == "VOTING" {
            let who = PEOPLE[self.rng.usize(..4)];
            drop(crew.vote(who, id, true).await);
        } else if view.get("hold").is_some() && !crew.hold("dan", id, "resumeAction").await {
            crew.hold("dan", id, "stopAction").await;
            crew.cancel(id).await;
        }
    }
}
