//! A site of actions in a folder, whose file is then put to the test.

use headframe_core::store::ControlStore;
use serde_json::json;

use super::World;
use crate::{rig::needed, run::Case};

/// What a site had in its folder.
#[derive(Debug)]
pub struct Folded(World);

impl Folded {
    /// Has an engine work over a new store, and ends it while something runs.
    pub async fn make(case: &mut Case, store: ControlStore) -> Result<Self, String> {
        let mut world = World::new(case, 0).await?;
        let engine = needed("no engine", world.site.run(store))?;
        for _ in 0..24 {
            world.step(case, &engine).await?;
        }
        world.push(case, &engine, "needs-1", "".into(), json!({})).await?;
        world.site.pass(30).await;
        world.told.look(&engine)?;
        world.kill(engine).await?;
        Ok(Self(world))
    }

    /// All of it is there, in a store that was opened again.
    pub async fn found(mut self, case: &mut Case, store: ControlStore) -> Result<(), String> {
        let world = &mut self.0;
        let engine = needed("no engine", world.site.run(store))?;
        engine.reconciled().await;
        world.compare(case, &engine).await?;
        world.kill(engine).await
    }
}
