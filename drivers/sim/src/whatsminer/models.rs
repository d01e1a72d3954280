use crate::physics::{Cooling, Model};

/// An air-cooled M30S+.
pub static M30S_PLUS: Model = Model {
    name: "M30S+_VF30",
    nominal_mhs: 100e6,
    nominal_w: 3_400.0,
    idle_w: 38.0,
    boards: 3,
    chips: 156,
    fans: 2,
    frequency_mhz: 680.0,
    cooling: Cooling::Air,
    low: (0.72, 0.64),
    high: Some((1.1, 1.19)),
    platform: "H3",
};

/// An air-cooled M50S.
pub static M50S: Model = Model {
    name: "M50S_VH50",
    nominal_mhs: 126e6,
    nominal_w: 3_276.0,
    idle_w: 42.0,
    boards: 3,
    chips: 105,
    fans: 2,
    frequency_mhz: 600.0,
    cooling: Cooling::Air,
    low: (0.75, 0.67),
    high: Some((1.1, 1.18)),
    platform: "H616",
};

/// An M56S for immersion.
pub static M56S: Model = Model {
    name: "M56S_VH30",
    nominal_mhs: 212e6,
    nominal_w: 5_550.0,
    idle_w: 55.0,
    boards: 4,
    chips: 160,
    fans: 0,
    frequency_mhz: 640.0,
    cooling: Cooling::Liquid,
    low: (0.74, 0.66),
    high: Some((1.12, 1.2)),
    platform: "H6OS",
};

/// A water-cooled M63.
pub static M63: Model = Model {
    name: "M63_VK30",
    nominal_mhs: 334e6,
    nominal_w: 6_646.0,
    idle_w: 60.0,
    boards: 4,
    chips: 204,
    fans: 0,
    frequency_mhz: 560.0,
    cooling: Cooling::Liquid,
    low: (0.76, 0.68),
    high: Some((1.1, 1.17)),
    platform: "H616",
};

/// An air-cooled M60S, as it comes with API v3.
pub static M60S: Model = Model {
    name: "M60S_VK40",
    nominal_mhs: 181e6,
    nominal_w: 3_348.0,
    idle_w: 45.0,
    boards: 3,
    chips: 75,
    fans: 2,
    frequency_mhz: 625.0,
    cooling: Cooling::Air,
    low: (0.75, 0.66),
    high: Some((1.1, 1.18)),
    platform: "H616",
};
