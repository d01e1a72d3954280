//! What happens in a case for certain, in good weather, before chance begins: so that every state is reached.

use std::time::Duration;

use headframe_core::store::CrashPlan;
use headframe_sim::Fault;
use serde_json::json;

use super::{
    faults,
    people::{self, ACTIONS},
    play::Player,
};

/// `OPERATORS` by their places: one thing, two things, those from `k` on.
const ONE: usize = 0;
const FROM: usize = 5;
const TWO: usize = 2;

impl Player {
    /// The story of the case.
    pub async fn story(&mut self) -> Result<(), String> {
        // One of each family is told to light up.
        let mut first = 0;
        for things in self.house.knobs.racks.clone() {
            self.crew.push("ann", "setLED", json!([true]), (ONE, first)).await;
            first += things;
        }
        for operator in 0..super::OPERATORS.len() {
            let k = self.rng.u32(..first);
            self.crew.ask(operator, k).await;
        }
        self.pass(30).await;
        match self.house.knobs.story {
            0 => self.undone().await,
            1 => self.in_part().await,
            2 => self.broken_off().await?,
            _ => self.stopped().await,
        }
        // Every action is pushed in one of a few cases.
        for action in ACTIONS.iter().skip(self.index % 8).step_by(8) {
            let params = people::params(&mut self.rng, action);
            self.crew.push("cat", action, params, (FROM, 0)).await;
        }
        self.crew.list().await;
        Ok(())
    }

    /// Denied, withdrawn, cancelled, run out.
    async fn undone(&mut self) {
        let pools = |rng: &mut fastrand::Rng| people::params(rng, "setupPools");
        let crew = self.crew.clone();
        let (a, b, c) = (pools(&mut self.rng), pools(&mut self.rng), pools(&mut self.rng));
        // Under MiningOS's rules a push of one vote is decided at once; two are asked for this one.
        let action = "setUpfreqSpeed";
        let mos = self.house.knobs.mos;
        let ask = |params| if mos { (action, json!([5])) } else { ("setupPools", params) };
        let (what, params) = ask(a);
        if let Some(id) = crew.push("ann", what, params, (TWO, 0)).await {
            crew.outsider(Some(id)).await;
            drop(crew.vote("bob", id, false).await);
        }
        let (what, params) = ask(b);
        if let Some(id) = crew.push("ann", what, params, (TWO, 0)).await {
            crew.cancel(id).await;
        }
        let (what, params) = ask(c);
        if crew.push("bob", what, params, (TWO, 0)).await.is_some() {
            self.house.clock.jump((i64::from(self.house.knobs.limits.expires_s) + 60) * 1_000);
            self.crew.ledger.hit("the clock jumps");
            self.pass(60).await;
        }
        if let Some(id) = crew.push("cat", "setHostname", json!(["h"]), (FROM, 0)).await
            && crew.vote("dan", id, true).await.is_ok()
        {
            crew.withdraw("dan", id).await;
        }
    }

    /// Two devices of which one cannot be reached, and one alone; two that change places before they are written to.
    async fn in_part(&mut self) {
        let last = self.house.facts.len() - 1;
        self.swap(last, last - 1);
        for thing in [last, last - 1] {
            let thing = u32::try_from(thing).unwrap_or(0);
            self.crew.push("ann", "setLED", json!([false]), (ONE, thing)).await;
        }
        self.pass(60).await;
        self.house.wires.unswap();
        self.house.devices()[0].fault(Fault::Refuse);
        let crew = self.crew.clone();
        crew.push("ann", "setLED", json!([false]), (TWO, 0)).await;
        crew.push("bob", "setLED", json!([false]), (ONE, 0)).await;
        self.pass(120).await;
        self.house.devices()[0].clear();
        self.pass(30).await;
    }

    /// The process dies under a call to a device that hangs; nobody knows what became of it.
    async fn broken_off(&mut self) -> Result<(), String> {
        let last = u32::try_from(self.house.facts.len()).unwrap_or(1) - 1;
        let before = self.house.eyes.count();
        let crew = self.crew.clone();
        // It does what it is told, and says nothing: whether it restarted shows only later.
        self.house.devices()[last as usize].fault(Fault::Mute);
        crew.push("ann", "reboot", json!([]), (ONE, last)).await;
        for _ in 0..200 {
            if self.house.eyes.count() > before {
                break;
            }
            self.house.pass(Duration::from_millis(100)).await;
        }
        self.house.pass(Duration::from_millis(20)).await;
        // It stays away for longer than anybody looks for it.
        self.house.devices()[last as usize].fault(Fault::Hang);
        self.crash().await?;
        self.pass(self.house.knobs.limits.confirm.as_secs() + 700).await;
        self.house.devices()[last as usize].clear();
        self.settle_all().await;
        Ok(())
    }

    /// Halted while something runs, and let go on; paused; load shed; a person locked.
    async fn stopped(&mut self) {
        let crew = self.crew.clone();
        for device in self.house.devices() {
            device.fault(Fault::Slow { delay: Duration::from_secs(3) });
        }
        let id = crew.push("ann", "setLED", json!([false]), (FROM, 0)).await;
        if let Some(id) = id {
            // Many things ask for a second person.
            drop(crew.vote("bob", id, true).await);
            self.house.pass(Duration::from_secs(2)).await;
            if crew.hold("cat", id, "pauseAction").await {
                crew.hold("dan", id, "resumeAction").await;
            }
        }
        crew.stop_for(json!({"kind": "halt"}), Duration::from_secs(20)).await;
        self.pass(20).await;
        if let Some(id) = crew.push("ann", "setLED", json!([true]), (FROM, 0)).await {
            drop(crew.vote("bob", id, true).await);
            self.house.pass(Duration::from_secs(2)).await;
            crew.hold("cat", id, "stopAction").await;
        }
        self.trouble().await;
        crew.shed("bob", (ONE, 1), 20).await;
        for device in self.house.devices() {
            device.clear();
        }
        crew.stop_for(json!({"kind": "freeze"}), Duration::from_secs(4)).await;
        self.pass(30).await;
    }

    /// The disk is full, then it fails, while people go on.
    async fn trouble(&mut self) {
        for _ in 0..4 {
            let seconds = faults::store(&mut self.rng, &self.house, &self.crew.ledger);
            self.crew.push("dan", "setLED", json!([true]), (ONE, 0)).await;
            self.pass(seconds).await;
        }
        self.house.disk.plan(CrashPlan::default());
        self.pass(10).await;
    }
}
