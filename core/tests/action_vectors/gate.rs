//! Where a run is killed and shaken.

use std::{
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use headframe_core::action::Points;
use tokio::sync::watch;

/// The engine's places, and what happens at them.
#[derive(Debug)]
pub struct Gate {
    plan: Mutex<Plan>,
    dead: watch::Sender<bool>,
    held: watch::Sender<bool>,
}

#[derive(Debug)]
struct Plan {
    rng: fastrand::Rng,
    /// Whether tasks give way to each other at every place, as the seed has it.
    shaken: bool,
    /// Where the process dies.
    kill: Option<String>,
    /// Where it waits until it is let go.
    hold: Option<String>,
}

impl Gate {
    pub fn new(seed: u64, shaken: bool) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self {
            plan: Mutex::new(Plan { rng, shaken, kill: None, hold: None }),
            dead: watch::Sender::new(false),
            held: watch::Sender::new(false),
        }
    }

    pub fn kill_at(&self, point: &str) {
        self.plan().kill = Some(point.to_owned());
    }

    pub fn hold_at(&self, point: &str) {
        self.plan().hold = Some(point.to_owned());
    }

    /// Waits until somebody waits to be let go.
    pub async fn held(&self) {
        let mut held = self.held.subscribe();
        held.wait_for(|held| *held).await.unwrap();
    }

    pub fn let_go(&self) {
        self.plan().hold = None;
        self.held.send_replace(false);
    }

    /// Another process begins.
    pub fn revive(&self) {
        self.plan().kill = None;
        self.dead.send_replace(false);
    }

    /// Waits for the end of the process.
    pub async fn died(&self) {
        let mut dead = self.dead.subscribe();
        dead.wait_for(|dead| *dead).await.unwrap();
    }

    /// Stands still here until the process has ended; others go on to where they are killed.
    pub async fn die(&self) {
        self.dead.send_replace(true);
        pending::<()>().await;
    }

    /// A number below `below`.
    pub fn draw(&self, below: u32) -> u32 {
        self.plan().rng.u32(0..below)
    }

    /// Lets other tasks go first, as often as the seed says.
    pub async fn give_way(&self) {
        for _ in 0..self.draw(6) {
            tokio::task::yield_now().await;
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Points for Gate {
    async fn at(&self, name: &'static str) {
        let (killed, held, shaken) = {
            let plan = self.plan();
            (plan.kill.as_deref() == Some(name), plan.hold.as_deref() == Some(name), plan.shaken)
        };
        if killed {
            self.die().await;
        }
        if held {
            self.held.send_replace(true);
            let mut free = self.held.subscribe();
            free.wait_for(|held| !*held).await.unwrap();
        }
        if shaken {
            self.give_way().await;
        }
    }
}
