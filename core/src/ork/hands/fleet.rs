use crate::{
    Result,
    action::{Fleet, FleetRack},
    ork::Orchestrator,
};

/// The racks of an orchestrator as the action engine sees them: all that are attached or registered, in the order of
/// their ids, each with the hands that it was [attached with](Orchestrator::attach_with_hands). A rack without can be
/// read, and no action reaches it.
#[derive(Debug, Clone)]
pub struct OrkFleet(Orchestrator);

impl OrkFleet {
    /// The racks of `orchestrator`, as they are whenever they are asked for.
    pub const fn new(orchestrator: Orchestrator) -> Self {
        Self(orchestrator)
    }
}

impl Fleet for OrkFleet {
    fn racks(&self) -> Result<Vec<FleetRack>> {
        let targets = self.0.targets(|_| true)?.into_iter();
        let racks = targets.map(|target| FleetRack {
            id: target.info.id,
            thing_type: target.info.thing_type.into(),
            hands: target.slot.and_then(|slot| slot.hands.clone()),
        });
        Ok(racks.collect())
    }
}
