//! The two sets of rules that come with the library. `docs/policy.md` shows them as tables.

use super::{
    ActionClass,
    rules::{KwStep, Rolling, Row, Rule, Rules, Size, TargetStep},
    terms::{Profile, Right},
};
use crate::auth::{Access, Area};

const HOUR_S: u32 = 3_600;
const WEEK_S: u32 = 7 * 24 * HOUR_S;
/// No single miner draws more.
const MINER_KW: f64 = 12.0;
/// No single container draws more.
const CONTAINER_KW: f64 = 2_500.0;
/// Who may change rules: those who may change what people may do.
const WHO_RULES: Right = Right { area: Area::Users, access: Access::Write };

impl Rules {
    /// Headframe's own rules: a second person for whatever moves money, power, software, credentials or records away, and
    /// more people for more targets and more power.
    pub fn safe() -> Self {
        let second = Rule { size: by_targets(&[(100, 2)]), ..Rule::default() };
        let own = |size: Size| Rule { own_vote: true, size, ..Rule::default() };
        let general = Size {
            by_targets: targets(&[(10, 2), (1_000, 3)]),
            by_kw: kw(&[(100.0, 2), (1_000.0, 3)]),
            kw_of_unknown: MINER_KW,
            rolling: rolling(false),
        };
        let containers = Size {
            by_targets: targets(&[(5, 2)]),
            by_kw: kw(&[(5_000.0, 2), (20_000.0, 3)]),
            kw_of_unknown: CONTAINER_KW,
            rolling: rolling(true),
        };
        let rows = vec![
            row(
                &[ActionClass::Pools, ActionClass::Firmware, ActionClass::Credentials, ActionClass::Deletion],
                second,
            ),
            row(&[ActionClass::ContainerPower], Rule { size: containers, ..Rule::default() }),
            row(&[ActionClass::Power], own(Size { rolling: rolling(true), ..general.clone() })),
            row(&[ActionClass::Harmless, ActionClass::Logs], own(by_targets(&[(1_000, 2)]))),
            row(&[ActionClass::RackRestart], Rule { votes_for: 2, ..own(by_targets(&[(5, 3)])) }),
            row(&[ActionClass::Policy], Rule { voters: Some(WHO_RULES), ..Rule::default() }),
        ];
        Self { profile: Profile::Safe, default: own(general), rows, freezes: Vec::new() }
    }

    /// MiningOS's numbers: as many votes as the racks ask for, the creator's among them, and one against ends it. Unlike
    /// there an action expires after a week, and rules are changed by two people.
    pub fn mos() -> Self {
        let default = Rule { own_vote: true, expires_s: WEEK_S, begin_within_s: WEEK_S, ..Rule::default() };
        let rules = Rule { own_vote: false, voters: Some(WHO_RULES), ..default.clone() };
        let rows = vec![row(&[ActionClass::Policy], rules)];
        Self { profile: Profile::Mos, default, rows, freezes: Vec::new() }
    }
}

impl Default for Rules {
    /// [`Rules::safe`].
    fn default() -> Self {
        Self::safe()
    }
}

fn row(classes: &[ActionClass], rule: Rule) -> Row {
    Row { actions: [].into(), classes: classes.iter().copied().collect(), rule }
}

fn targets(steps: &[(u64, u32)]) -> Vec<TargetStep> {
    steps
        .iter()
        .map(|(from_targets, votes)| TargetStep { from_targets: *from_targets, votes: *votes })
        .collect()
}

fn kw(steps: &[(f64, u32)]) -> Vec<KwStep> {
    steps.iter().map(|(from_kw, votes)| KwStep { from_kw: *from_kw, votes: *votes }).collect()
}

fn by_targets(steps: &[(u64, u32)]) -> Size {
    Size { by_targets: targets(steps), rolling: rolling(true), ..Size::default() }
}

const fn rolling(per_site: bool) -> Option<Rolling> {
    Some(Rolling { window_s: HOUR_S, per_creator: true, per_site })
}
