//! The machines: data sheet, hash board and where its sensors are.

use crate::{Cooling, Model};

/// One machine as its firmware describes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AntminerModel {
    /// Data sheet; its name is the type text of the firmware.
    pub sheet: &'static Model,
    /// Hash board, the second half of `subtype`.
    pub hash_board: &'static str,
    /// Where the boards keep their temperature sensors.
    pub sensors: Sensors,
}

/// Which of the four numbers of `temp_pic`, `temp_pcb` and `temp_chip` is which place on the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensors {
    /// S19 XP: outlets at `pic[0..2]`, inlets at `pic[2..4]`.
    Pairs,
    /// Most models: outlet at `pic[1]`, inlet at `pic[2]`.
    Crossed,
    /// S21+ Hyd.: inlet `pcb[0]`, outlet `pcb[2]`, chip `pic[0]`; nothing in `temp_chip`.
    Water,
}

impl AntminerModel {
    /// Antminer S21, air.
    pub const S21: Self = Self { sheet: &S21, hash_board: "BHB68601", sensors: Sensors::Crossed };
    /// Antminer S21 Pro, air.
    pub const S21_PRO: Self = Self { sheet: &S21_PRO, hash_board: "BHB70601", sensors: Sensors::Crossed };
    /// Antminer S21+ Hyd., water.
    pub const S21_PLUS_HYD: Self =
        Self { sheet: &S21_PLUS_HYD, hash_board: "HHB77601", sensors: Sensors::Water };
    /// Antminer S19 XP, air.
    pub const S19_XP: Self = Self { sheet: &S19_XP, hash_board: "BHB56902", sensors: Sensors::Pairs };
    /// Antminer S19 XP Hyd., water.
    pub const S19_XP_HYD: Self =
        Self { sheet: &S19_XP_HYD, hash_board: "HHB56601", sensors: Sensors::Crossed };
    /// Antminer S19, air.
    pub const S19: Self = Self { sheet: &S19, hash_board: "BHB28601", sensors: Sensors::Crossed };
    /// Antminer S19j Pro, air.
    pub const S19J_PRO: Self = Self { sheet: &S19J_PRO, hash_board: "BHB42603", sensors: Sensors::Crossed };
    /// A machine whose name no list holds; its answers are as usual.
    pub const UNKNOWN: Self = Self { sheet: &UNKNOWN, hash_board: "BHB99101", sensors: Sensors::Crossed };

    /// Control board and hash board as `miner_type` names them.
    pub fn subtype(&self) -> String {
        format!("{}_{}", self.sheet.platform, self.hash_board)
    }
}

/// Low-power mode, and no high one on this firmware.
const LOW: (f64, f64) = (0.74, 0.66);

static S21: Model = Model {
    name: "Antminer S21",
    nominal_mhs: 200e6,
    nominal_w: 3500.0,
    idle_w: 22.0,
    boards: 3,
    chips: 108,
    fans: 4,
    frequency_mhz: 490.0,
    cooling: Cooling::Air,
    low: LOW,
    high: None,
    platform: "AMLCtrl",
};

static S21_PRO: Model = Model {
    name: "Antminer S21 Pro",
    nominal_mhs: 234e6,
    nominal_w: 3510.0,
    idle_w: 22.0,
    boards: 3,
    chips: 65,
    fans: 4,
    frequency_mhz: 525.0,
    cooling: Cooling::Air,
    low: LOW,
    high: None,
    platform: "AMLCtrl",
};

static S21_PLUS_HYD: Model = Model {
    name: "Antminer S21+ Hyd.",
    nominal_mhs: 319e6,
    nominal_w: 4785.0,
    idle_w: 20.0,
    boards: 3,
    chips: 95,
    fans: 0,
    frequency_mhz: 560.0,
    cooling: Cooling::Liquid,
    low: LOW,
    high: None,
    platform: "CVCtrl",
};

static S19_XP: Model = Model {
    name: "Antminer S19 XP",
    nominal_mhs: 140e6,
    nominal_w: 3010.0,
    idle_w: 20.0,
    boards: 3,
    chips: 110,
    fans: 4,
    frequency_mhz: 610.0,
    cooling: Cooling::Air,
    low: LOW,
    high: None,
    platform: "zynq7007",
};

static S19_XP_HYD: Model = Model {
    name: "Antminer S19 XP Hyd.",
    nominal_mhs: 255e6,
    nominal_w: 5304.0,
    idle_w: 20.0,
    boards: 3,
    chips: 204,
    fans: 0,
    frequency_mhz: 570.0,
    cooling: Cooling::Liquid,
    low: LOW,
    high: None,
    platform: "zynq7007",
};

static S19: Model = Model {
    name: "Antminer S19",
    nominal_mhs: 95e6,
    nominal_w: 3250.0,
    idle_w: 20.0,
    boards: 3,
    chips: 76,
    fans: 4,
    frequency_mhz: 675.0,
    cooling: Cooling::Air,
    low: LOW,
    high: None,
    platform: "zynq7007",
};

static S19J_PRO: Model = Model {
    name: "Antminer S19j Pro",
    nominal_mhs: 104e6,
    nominal_w: 3068.0,
    idle_w: 20.0,
    boards: 3,
    chips: 126,
    fans: 4,
    frequency_mhz: 545.0,
    cooling: Cooling::Air,
    low: LOW,
    high: None,
    platform: "BBCtrl",
};

static UNKNOWN: Model = Model {
    name: "Antminer S99k Turbo",
    nominal_mhs: 410e6,
    nominal_w: 4920.0,
    idle_w: 25.0,
    boards: 4,
    chips: 77,
    fans: 4,
    frequency_mhz: 650.0,
    cooling: Cooling::Air,
    low: LOW,
    high: None,
    platform: "AMLCtrl",
};
