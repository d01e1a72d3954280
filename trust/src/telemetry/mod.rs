//! The real telemetry over its two histories, under power cuts, kills and clocks that jump: readings and statistics against what
//! things said.

mod child;
mod clock;
mod kill;
mod lab;
mod power;
mod rows;

pub use child::measure;
pub use clock::life as clock_life;
pub use kill::life as kill_life;
pub use power::life as power_life;

/// The name of its turns.
pub const NAME: &str = "over telemetry";
