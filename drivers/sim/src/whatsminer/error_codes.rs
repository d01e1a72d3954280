use crate::physics::Truth;

const BOARD_PROTECTING: u32 = 350;
const BOARD_EEPROM_NOT_DETECTED: u32 = 410;
const FAN_SPEED: u32 = 110;
const NO_POOL: u32 = 2_000;
const POOL_FAILED: u32 = 2_020;

/// The vendor's codes for what is physically wrong.
pub(super) fn of(truth: &Truth) -> Vec<String> {
    let mut codes = Vec::new();
    let slots = truth.boards.iter().map(|b| u32::from(b.slot));
    if truth.protecting {
        codes.extend(slots.clone().map(|slot| BOARD_PROTECTING + slot));
    }
    let present: Vec<u32> = slots.collect();
    let highest = u32::from(truth.boards_expected);
    codes.extend((0..highest).filter(|s| !present.contains(s)).map(|slot| BOARD_EEPROM_NOT_DETECTED + slot));
    for (i, rpm) in truth.fans_rpm.iter().enumerate() {
        if *rpm <= 0.0 {
            codes.push(FAN_SPEED + i as u32);
        }
    }
    let pools = truth.pools.iter().filter(|p| !p.url.is_empty()).count();
    if pools == 0 {
        codes.push(NO_POOL);
    } else if !truth.pools_alive {
        codes.extend((0..pools as u32).map(|n| POOL_FAILED + n));
    }
    codes.into_iter().map(|code| code.to_string()).collect()
}
